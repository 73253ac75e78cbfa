//! Handles: an index and a generation in one `i64`. A handle that was closed, or that somebody made up, names nothing;
//! it cannot be followed into freed memory. A value is borrowed as an `Arc` for the length of a call, so that closing
//! it during a call is safe.

use parking_lot::RwLock;
use std::sync::Arc;

/// The values that a foreign language holds by handle.
pub(crate) struct Handles<T> {
    slots: RwLock<Vec<Slot<T>>>,
}

struct Slot<T> {
    generation: u32,
    value: Option<Arc<T>>,
}

impl<T> Handles<T> {
    pub(crate) const fn new() -> Self {
        Self { slots: RwLock::new(Vec::new()) }
    }

    /// Keeps `value` and names it. Never 0 and never negative.
    pub(crate) fn insert(&self, value: Arc<T>) -> i64 {
        let mut slots = self.slots.write();
        let free = slots.iter().position(|s| s.value.is_none());
        let index = free.unwrap_or_else(|| {
            slots.push(Slot { generation: 0, value: None });
            slots.len() - 1
        });
        let slot = &mut slots[index];
        slot.generation = if slot.generation >= i32::MAX as u32 { 1 } else { slot.generation + 1 };
        slot.value = Some(value);
        i64::from(slot.generation) << 32 | index as i64
    }

    /// The value, borrowed for a call.
    pub(crate) fn get(&self, handle: i64) -> Option<Arc<T>> {
        let slots = self.slots.read();
        let slot = slots.get(index(handle)?)?;
        if i64::from(slot.generation) == handle >> 32 { slot.value.clone() } else { None }
    }

    /// Takes the value away; its last borrower frees it.
    pub(crate) fn remove(&self, handle: i64) -> Option<Arc<T>> {
        let mut slots = self.slots.write();
        let slot = slots.get_mut(index(handle)?)?;
        if i64::from(slot.generation) == handle >> 32 { slot.value.take() } else { None }
    }

    /// Takes everything away, for when the library goes.
    pub(crate) fn take_all(&self) -> Vec<Arc<T>> {
        self.slots.write().iter_mut().filter_map(|slot| slot.value.take()).collect()
    }
}

fn index(handle: i64) -> Option<usize> {
    if handle <= 0 { None } else { Some((handle & 0xffff_ffff) as usize) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_or_forged_handle_names_nothing() {
        let handles = Handles::new();
        let first = handles.insert(Arc::new("first"));
        let second = handles.insert(Arc::new("second"));
        assert_eq!(*handles.get(first).unwrap(), "first");
        assert!(handles.remove(first).is_some());
        assert!(handles.get(first).is_none() && handles.remove(first).is_none());
        // The place is used again, the name is not.
        let third = handles.insert(Arc::new("third"));
        assert_ne!(third, first);
        assert!(handles.get(first).is_none());
        assert_eq!(*handles.get(second).unwrap(), "second");
        for forged in [0, -1, i64::MIN, i64::MAX, 7 << 32, third + (1 << 32), third + 1000] {
            assert!(handles.get(forged).is_none(), "{forged}");
        }
    }

    #[test]
    fn a_value_lives_as_long_as_a_call_holds_it() {
        let handles = Handles::new();
        let handle = handles.insert(Arc::new(String::from("value")));
        let borrowed = handles.get(handle).unwrap();
        drop(handles.remove(handle));
        assert_eq!(*borrowed, "value");
    }
}
