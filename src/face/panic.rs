//! Panics at a border: caught, put into words with their place, never printed.
//!
//! Rust's own hook prints to stderr, which belongs to the host. When a host loads the library, [`be_silent`] puts a
//! hook in its place that only remembers where the panic happened. A Rust program that links the crate keeps its own
//! hook.

use std::any::Any;
use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Replaces the printing hook by one that remembers file and line. Only for a library that a foreign host has loaded.
pub(crate) fn be_silent() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let place = info.location().map(|l| format!("{}:{}", l.file(), l.line()));
            // A panic while the thread's storage is torn down has nobody left to tell.
            let _ = PLACE.try_with(|p| *p.borrow_mut() = place);
        }));
    });
}

/// The panic in words: its text and where it happened.
pub(crate) fn message(payload: &(dyn Any + Send)) -> String {
    let text = if let Some(s) = payload.downcast_ref::<&'static str>() {
        s
    } else if let Some(s) = payload.downcast_ref::<String>() {
        s.as_str()
    } else {
        "without a text"
    };
    match PLACE.try_with(|p| p.borrow_mut().take()).ok().flatten() {
        Some(place) => format!("panic in the native library at {place}: {text}; please report this"),
        None => format!("panic in the native library: {text}; please report this"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_formatted_text_survives() {
        let number = 7;
        let payload = std::panic::catch_unwind(|| panic!("seven is {number}")).unwrap_err();
        assert!(super::message(&*payload).contains("seven is 7"));
        let payload = std::panic::catch_unwind(|| panic!("plain")).unwrap_err();
        assert!(super::message(&*payload).contains("plain"));
    }
}
