//! Another process that is an agent, or any peer that answers 200, so that it can be killed and stopped like one.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, unreachable_pub, missing_docs)]

use crate::support::{Listen, ScriptedAgent, patient, socket_path};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub struct Agent {
    child: Child,
    /// Reads what it prints.
    reader: std::thread::JoinHandle<Arrived>,
}

/// What a process had taken when it was killed.
#[derive(Clone, Debug, Default)]
pub struct Arrived {
    /// Traces, as headers say it.
    pub traces: u64,
    /// The id of each trace of one span, by the bodies.
    pub ids: Vec<u64>,
}

const AS_AGENT: &str = "FAULTS_BE_AN_AGENT";

impl Agent {
    pub fn start(address: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "agent_process::an_agent_process", "--nocapture", "--ignored"])
            .env(AS_AGENT, address)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let out = child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut arrived = Arrived::default();
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if let Some(said) = line.strip_prefix("arrived ") {
                    let mut numbers = said.split(' ').map(|n| n.parse::<u64>().unwrap());
                    arrived.traces += numbers.next().unwrap();
                    arrived.ids.extend(numbers);
                } else if line.contains("listening") {
                    let _ = ready.send(());
                }
            }
            arrived
        });
        is_ready.recv_timeout(patient(Duration::from_secs(10))).expect("the agent process listens");
        Self { child, reader }
    }

    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Kills it and says what it had taken.
    pub fn kill(mut self) -> Arrived {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.reader.join().unwrap()
    }
}

/// Not a test: the process that [`Agent`] starts.
#[test]
#[ignore = "the agent process of the other tests"]
fn an_agent_process() {
    let Ok(address) = std::env::var(AS_AGENT) else { return };
    let agent = match address.parse::<u16>() {
        Ok(port) => ScriptedAgent::tcp(port, []),
        Err(_) => {
            let _ = std::fs::remove_file(&address);
            ScriptedAgent::unix(address.into(), [])
        }
    };
    agent.announce();
    println!("listening");
    loop {
        std::thread::sleep(Duration::from_secs(60));
    }
}

/// An address that a process of ours may listen on, and its URL.
pub fn address(listen: Listen) -> (String, String) {
    match listen {
        Listen::Tcp => {
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            (port.to_string(), format!("http://127.0.0.1:{port}"))
        }
        Listen::Unix => {
            let path = socket_path().display().to_string();
            let url = format!("unix://{path}");
            (path, url)
        }
    }
}
