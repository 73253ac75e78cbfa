//! Host names to addresses. The system's lookup has no time limit, so it runs on a thread of its own; senders that need
//! the same answer at the same time share one lookup, so that a dead name service costs one stuck thread and not many.
//! An address in the URL needs none of this.

use super::fault;
use crate::error::{Error, ErrorKind};
use crate::threads;
use crate::transport::gate::Gate;
use parking_lot::Mutex;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Instant;

/// More addresses than this are not tried.
const MAX_ADDRESSES: usize = 16;

/// Looks up one host name, again for every connection.
#[derive(Debug)]
pub(crate) struct Lookup {
    host: String,
    /// The setting that names the host.
    knob: &'static str,
    literal: Option<IpAddr>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: bool,
    /// Rises with every lookup that ended.
    ended: u64,
    answer: Option<Result<Vec<IpAddr>, String>>,
}

impl Lookup {
    pub(crate) fn new(host: &str, knob: &'static str) -> Arc<Self> {
        Arc::new(Self { host: host.to_owned(), knob, literal: host.parse().ok(), state: Mutex::default() })
    }

    /// The addresses, or `None` if the deadline came first.
    pub(crate) fn addresses(
        self: &Arc<Self>,
        deadline: Instant,
        gate: &Gate,
    ) -> Result<Option<Vec<IpAddr>>, Error> {
        if let Some(ip) = self.literal {
            return Ok(Some(vec![ip]));
        }
        let seen = self.start()?;
        // The lookup's thread cannot wake the gate, which may be gone by then, so look at it every few milliseconds.
        // Names are looked up once per connection, and usually answered within the first of these waits.
        let mut pause = std::time::Duration::from_micros(50);
        loop {
            {
                let state = self.state.lock();
                if state.ended != seen {
                    return match &state.answer {
                        Some(Ok(found)) if !found.is_empty() => Ok(Some(found.clone())),
                        Some(Err(why)) => Err(fault::lookup(&self.host, why, self.knob)),
                        _ => Err(fault::lookup(&self.host, "the name service answered with none", self.knob)),
                    };
                }
            }
            if gate.is_closed() || Instant::now() >= deadline {
                return Ok(None);
            }
            gate.wait_until((Instant::now() + pause).min(deadline), || false);
            pause = (pause * 2).min(std::time::Duration::from_millis(5));
        }
    }

    /// Starts a lookup unless one is running; returns how many had ended before.
    fn start(self: &Arc<Self>) -> Result<u64, Error> {
        let mut state = self.state.lock();
        let seen = state.ended;
        if state.running {
            return Ok(seen);
        }
        let this = Arc::clone(self);
        threads::start("dp-lookup", 2 << 20, move || this.run())
            .map_err(|e| Error::new(ErrorKind::Io, format!("no thread for a name lookup: {e}")))?;
        state.running = true;
        Ok(seen)
    }

    fn run(&self) {
        let answer = (self.host.as_str(), 0)
            .to_socket_addrs()
            .map(|found| {
                let mut ips: Vec<IpAddr> = Vec::new();
                for ip in found.map(|a| a.ip()) {
                    if !ips.contains(&ip) && ips.len() < MAX_ADDRESSES {
                        ips.push(ip);
                    }
                }
                ips
            })
            .map_err(|e| e.to_string());
        let mut state = self.state.lock();
        state.running = false;
        state.ended += 1;
        state.answer = Some(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[test]
    fn an_address_needs_no_lookup() {
        let found = Lookup::new("::1", "url").addresses(Instant::now(), &Gate::default()).unwrap();
        assert_eq!(found.unwrap(), [IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])]);
    }

    #[test]
    fn every_call_looks_up_again() {
        let lookup = Lookup::new("localhost", "url");
        for n in 1..=3 {
            assert!(
                lookup.addresses(soon(), &Gate::default()).unwrap().unwrap().iter().any(IpAddr::is_loopback)
            );
            assert_eq!(lookup.state.lock().ended, n);
        }
    }

    #[test]
    fn a_name_without_address_names_the_setting() {
        let e = Lookup::new("no-such-host.invalid", "url").addresses(soon(), &Gate::default()).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::NameNotResolved);
        assert!(e.message().contains("`url`"), "{e}");
    }

    #[test]
    fn a_closed_gate_ends_the_wait() {
        let gate = Gate::default();
        gate.close();
        assert!(matches!(Lookup::new("localhost", "url").addresses(soon(), &gate), Ok(None | Some(_))));
    }
}
