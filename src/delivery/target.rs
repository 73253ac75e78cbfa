//! The destinations of one exporter, and what is known of each: whether it is there, what it was asked, the way of the
//! moment. A send sees one of them from beginning to end, so one can be replaced while sends run.

use super::discovery::Discovery;
use super::presence::Presence;
use super::way::Way;
use crate::destination::Destination;
use crate::pipeline::Compiled;
use crate::settings::{Config, Metadata};
use crate::stats::Concentrator;
use crate::time::Clock;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One destination.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) destination: Arc<dyn Destination>,
    pub(crate) presence: Presence,
    pub(crate) discovery: Discovery,
    /// What it has taken.
    pub(crate) taken: Arc<Taken>,
    way: RwLock<Arc<Way>>,
    /// Held while a way is made, which may take long; never together with another lock.
    making: Mutex<()>,
}

/// What one destination has taken. The account is the sum of all, and more exact.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    requests: AtomicU64,
    traces: AtomicU64,
    bytes: AtomicU64,
}

impl Taken {
    /// A body of so many traces and bytes.
    pub(super) fn add(&self, requests: u32, traces: u64, bytes: u64) {
        self.requests.fetch_add(u64::from(requests), Ordering::Relaxed);
        self.traces.fetch_add(traces, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Requests for what was taken, traces, bytes of bodies.
    pub(crate) fn read(&self) -> [u64; 3] {
        [&self.requests, &self.traces, &self.bytes].map(|n| n.load(Ordering::Relaxed))
    }
}

/// What ways are made from, beside the destination.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grounds<'a> {
    pub(crate) config: &'a Config,
    pub(crate) metadata: &'a Arc<Metadata>,
    /// The caller's filters and obfuscation, ready to use.
    pub(crate) compiled: &'a Compiled,
    pub(crate) concentrator: Option<&'a Arc<Concentrator>>,
}

impl Target {
    pub(crate) fn new(destination: Arc<dyn Destination>, grounds: Grounds<'_>, clock: &Clock) -> Arc<Self> {
        Self::taking(destination, grounds, clock, Arc::default())
    }

    /// One that has taken something before.
    pub(super) fn taking(
        destination: Arc<dyn Destination>,
        grounds: Grounds<'_>,
        clock: &Clock,
        taken: Arc<Taken>,
    ) -> Arc<Self> {
        let way = Way::new(grounds, destination.offer(), None);
        Arc::new(Self {
            destination,
            presence: Presence::new(clock.clone()),
            discovery: Discovery::new(clock.clone()),
            taken,
            way: RwLock::new(Arc::new(way)),
            making: Mutex::default(),
        })
    }

    /// The way of the moment.
    #[inline]
    pub(crate) fn way(&self) -> Arc<Way> {
        Arc::clone(&self.way.read())
    }

    /// Makes the way anew, since what it follows from has changed.
    pub(crate) fn renew(&self, grounds: Grounds<'_>) -> Arc<Way> {
        let _making = self.making.lock();
        let before = self.way();
        let way = Arc::new(Way::new(grounds, self.destination.offer(), Some(&before)));
        *self.way.write() = Arc::clone(&way);
        way
    }
}

/// Closes when the last send toward it has ended and nobody prefers it any more.
impl Drop for Target {
    fn drop(&mut self) {
        self.destination.close();
    }
}

/// The destinations, in the order in which they are preferred.
#[derive(Debug)]
pub(crate) struct Targets {
    pub(super) list: RwLock<List>,
}

#[derive(Debug)]
pub(super) struct List {
    pub(super) first: Arc<Target>,
    pub(super) others: Vec<Arc<Target>>,
}

impl Targets {
    pub(crate) fn new(first: Arc<Target>, others: Vec<Arc<Target>>) -> Self {
        Self { list: RwLock::new(List { first, others }) }
    }

    /// Where payloads go now: the first that does not count as gone, else the first.
    #[inline]
    pub(crate) fn current(&self) -> Arc<Target> {
        let list = self.list.read();
        if list.first.presence.is_down()
            && let Some(there) = list.others.iter().find(|target| !target.presence.is_down())
        {
            return Arc::clone(there);
        }
        Arc::clone(&list.first)
    }

    /// The one that is preferred. Stats go there, and `state()` tells of it.
    pub(crate) fn first(&self) -> Arc<Target> {
        Arc::clone(&self.list.read().first)
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<Target>> {
        let list = self.list.read();
        std::iter::once(&list.first).chain(&list.others).cloned().collect()
    }

    /// Puts others into the place of all. Sends that have begun end at the old ones, which close with the last of them.
    pub(super) fn replace_all(&self, new: Vec<Arc<Target>>) {
        let mut new = new.into_iter();
        if let Some(first) = new.next() {
            let new = List { first, others: new.collect() };
            let old = std::mem::replace(&mut *self.list.write(), new);
            old.others.iter().chain([&old.first]).for_each(|target| target.destination.retire());
        }
    }

    /// Puts another one into the place of `old`. Sends that have begun end at the old one, which is given
    /// back to be closed when they have.
    #[cfg(test)]
    pub(crate) fn replace(&self, old: &Arc<Target>, new: Arc<Target>) -> Option<Arc<Target>> {
        let mut list = self.list.write();
        let List { first, others } = &mut *list;
        let place = std::iter::once(first).chain(others).find(|target| Arc::ptr_eq(target, old))?;
        Some(std::mem::replace(place, new))
    }
}
