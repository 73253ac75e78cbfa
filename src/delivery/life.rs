//! Beginning and end of an exporter's deliveries: build, suspend and resume around a snapshot of the process,
//! shut down.

use super::dialogue::Timers;
use super::dispatch::Dispatcher;
use super::live::Live;
use super::outbox::queue::Queue;
use super::target::{Grounds, Target, Targets};
use super::tasks::{Task, Tasks};
use super::watch::{Severity, Watch};
use crate::account::{Account, DropReason};
use crate::destination::Destination;
use crate::error::{Error, ErrorKind};
use crate::pipeline::Compiled;
use crate::settings::Config;
use crate::stats::{Clock as StatsClock, Concentrator};
use crate::time::Clock;
use crate::transport::outlet::Outlet;
use parking_lot::{Mutex, RwLock};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How long a suspension waits for senders that it has interrupted.
const SUSPEND_GRACE: Duration = Duration::from_millis(200);
/// How long a shutdown waits for a task that it has interrupted.
const TASK_GRACE: Duration = Duration::from_millis(30);

/// Said when it begins.
pub(super) const DRY: &str = "a dry run: everything happens but the sending (`dryRun`)";

/// Where an exporter stands. Changes under its lock, which nobody holds while he waits for a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Life {
    #[default]
    Running,
    Suspended,
    Closed,
}

impl Dispatcher {
    /// Opens nothing and waits for nothing; asks what the destinations offer on a thread of its own.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION` if the spool cannot be opened, or a text in the settings cannot be used.
    pub(crate) fn new(
        config: Arc<Config>,
        outlet: Arc<Outlet>,
        first: Arc<dyn Destination>,
        others: Vec<Arc<dyn Destination>>,
        watch: Arc<dyn Watch>,
    ) -> Result<Arc<Self>, Error> {
        let compiled = Compiled::new(&config)?;
        let account = Arc::new(Account::default());
        let clock = Clock::default();
        let queue = Arc::new(Queue::new(
            config.queue.clone(),
            Arc::clone(&account),
            config.input_format,
            clock.clone(),
            Arc::clone(&outlet),
        )?);
        let concentrator = config
            .stats
            .as_ref()
            .map(|s| Arc::new(Concentrator::new(s.bucket, s.limits, StatsClock::of(s.replay))));
        let metadata = Arc::new(config.metadata.clone());
        let grounds = Grounds {
            config: &config,
            metadata: &metadata,
            compiled: &compiled,
            concentrator: concentrator.as_ref(),
        };
        let target = |destination| Target::new(destination, grounds, &clock);
        let targets = Targets::new(target(first), others.into_iter().map(target).collect());
        let live = Arc::new(Live { config: Arc::clone(&config), compiled, changed: None, changes: 0 });
        let dispatcher = Arc::new_cyclic(|me: &Weak<Self>| Self {
            me: me.clone(),
            metadata: RwLock::new(metadata),
            account,
            queue,
            targets,
            outlet,
            concentrator,
            live: RwLock::new(live),
            changing: Mutex::default(),
            watch,
            stats_turn: Mutex::default(),
            tasks: Tasks::default(),
            timers: Mutex::default(),
            life: Mutex::default(),
            clock,
            empty: Arc::from(&[][..]),
            config,
        });
        if dispatcher.config.dry_run {
            dispatcher.say(Severity::Info, DRY.to_owned());
        }
        dispatcher.begin_dialogue();
        // What an earlier process has left.
        dispatcher.start_senders();
        Ok(dispatcher)
    }

    pub(super) fn begin_dialogue(self: &Arc<Self>) {
        if self.config.discovery {
            let now = self.clock.now();
            let targets = self.targets.all();
            let asked: Vec<_> = targets.iter().filter(|target| target.destination.is_asked()).collect();
            asked.iter().for_each(|target| target.discovery.call_by(now));
            if !asked.is_empty() {
                Tasks::want(self, Task::Ask);
            }
        }
    }

    /// Ends the dialogue: what runs is interrupted, what waits ends.
    pub(crate) fn shutdown(&self) {
        *self.life.lock() = Life::Closed;
        self.stop_timers();
        let targets = self.targets.all();
        targets.iter().for_each(|target| target.discovery.close());
        targets.iter().for_each(|target| target.destination.close());
        self.tasks.close(self.clock.now() + TASK_GRACE);
        if let Some(concentrator) = &self.concentrator {
            self.lose_stats(concentrator);
        }
        self.outlet.release();
    }

    fn stop_timers(&self) {
        let ticket = {
            let mut timers = self.timers.lock();
            timers.closed = true;
            timers.ticket.take()
        };
        drop(ticket);
    }

    /// What waits in the queue is dropped.
    pub(crate) fn close_queue(&self, reason: DropReason) {
        if let Some((lost, first)) = self.queue.abandon(reason) {
            let text = "the exporter was closed before what was queued could be sent";
            self.notify_loss(reason, lost, text, &|| self.first_queued(&first));
        }
    }

    /// Ends every thread and closes every connection, so that the process can be frozen.
    pub(crate) fn suspend(&self, end: Instant) {
        {
            let mut life = self.life.lock();
            if *life != Life::Running {
                return;
            }
            *life = Life::Suspended;
        }
        let idle = self.queue.suspend(end);
        self.stop_timers();
        self.tasks.close(end);
        self.targets.all().iter().for_each(|target| target.destination.close());
        if !idle {
            // What was interrupted goes back into the queue.
            self.queue.suspend(self.clock.now() + SUSPEND_GRACE);
        }
        self.tasks.close(self.clock.now() + TASK_GRACE);
        self.outlet.release();
    }

    /// As at the beginning: new connections, the container's id and what the destinations offer read again, and in
    /// `another_process` another runtime id unless the caller has set one. Does nothing to an exporter that is not
    /// suspended.
    ///
    /// # Errors
    /// `CLOSED`; as at build.
    pub(crate) fn resume(self: &Arc<Self>, another_process: bool) -> Result<(), Error> {
        let mut life = self.life.lock();
        match *life {
            Life::Running => return Ok(()),
            Life::Closed => return Err(Error::new(ErrorKind::Closed, "the exporter is closed")),
            Life::Suspended => {}
        }
        let targets = self.targets.all();
        for target in &targets {
            target.destination.reopen()?;
        }
        if let Err(why) = self.outlet.attach() {
            self.say(Severity::Warning, format!("nothing is captured any more: {why} (`capture`)"));
        }
        *life = Life::Running;
        *self.timers.lock() = Timers::default();
        self.tasks.reopen();
        drop(life);
        if another_process {
            self.begin_another_process();
        }
        for target in &targets {
            target.presence.forget();
            self.renew_way(target);
        }
        self.begin_dialogue();
        self.arrange_stats(false);
        // What was to be told before the snapshot has lost its appointment.
        self.arrange_watch(self.watch.waits());
        if self.queue.resume() {
            self.start_senders();
        }
        Ok(())
    }

    /// A process that was restored is not the one that was frozen: many may run from one snapshot.
    fn begin_another_process(&self) {
        if self.config.raw.runtime_id.as_ref().is_none_or(|id| id.is_empty()) {
            let mut metadata = self.metadata.write();
            *metadata = Arc::new(metadata.with_new_runtime_id());
        }
    }
}
