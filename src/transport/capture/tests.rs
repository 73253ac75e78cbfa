use super::record::{Fate, Record};
use super::*;
use std::fs;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, SystemTime};
use ureq::http::{HeaderMap, Method};

struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let n = NEXT.fetch_add(1, Ordering::SeqCst);
        Self(std::env::temp_dir().join(format!("dp-capture-unit-{}-{n}", std::process::id())))
    }

    fn open(&self, max_bytes: u64) -> Capture {
        Capture::open(&self.0, max_bytes).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "lock")
            .collect();
        names.sort();
        names
    }

    /// Bytes of all files, as they are charged.
    fn charged(&self) -> u64 {
        self.names().iter().map(|name| blocks(fs::metadata(self.0.join(name)).unwrap().len())).sum()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn keep(capture: &Capture, fate: Fate, body: &[u8]) -> bool {
    capture.keep(&Record {
        peer: "http://peer:1",
        method: &Method::PUT,
        path: ("/v0.4/traces", ""),
        host: "peer:1",
        headers: &HeaderMap::new(),
        body,
        began: SystemTime::UNIX_EPOCH,
        took: Duration::from_millis(2),
        attempt: 1,
        fate,
        answer: None,
        failure: None,
    })
}

#[test]
fn the_bound_holds_the_newest_stay_and_refused_ones_longest() {
    let dir = Dir::new();
    let capture = dir.open(1 << 20);
    for _ in 0..3 {
        assert!(!keep(&capture, Fate::Refused, &[1; 100_000]));
    }
    let mut random = 1u64;
    for _ in 0..500 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let size = (random >> 33) as usize % 60_000;
        assert!(!keep(&capture, [Fate::Accepted, Fate::Failed, Fate::Repeated][size % 3], &vec![7; size]));
        assert!(dir.charged() <= 1 << 20, "{}", dir.charged());
    }
    let (names, report) = (dir.names(), capture.report());
    assert!(names[..3].iter().all(|name| name.ends_with("-refused.capture")), "{names:?}");
    assert!(names.last().unwrap().starts_with("0000000502-"), "the newest is there: {names:?}");
    assert_eq!((report.bytes, report.files, report.refused), (dir.charged(), names.len() as u64, 3));
    assert_eq!((report.written, report.overwritten), (503, 503 - report.files));
    // Where all is refused, the oldest goes.
    for _ in 0..20 {
        assert!(!keep(&capture, Fate::Refused, &[2; 100_000]));
    }
    let names = dir.names();
    assert!(names.len() == 10 && names.iter().all(|name| name.ends_with("-refused.capture")), "{names:?}");
    assert!(names[9].starts_with("0000000522-"));
    capture.set_max_bytes(300_000);
    assert!(dir.charged() <= 300_000 && dir.names().len() == 2);
}

#[test]
fn what_an_earlier_process_has_left_counts_and_what_is_not_ours_stays() {
    let dir = Dir::new();
    let capture = dir.open(1 << 20);
    assert!(!keep(&capture, Fate::Refused, b"a"));
    assert!(!keep(&capture, Fate::Accepted, b"b"));
    assert!(Capture::open(&dir.0, 1 << 20).unwrap_err().contains("another process or exporter"));
    capture.release();
    assert!(!keep(&capture, Fate::Accepted, b"nobody writes"));
    assert_eq!(dir.names().len(), 2);
    for name in ["notes.txt", "x-accepted.capture", "0000000001-other.capture", "1-accepted.capture"] {
        fs::write(dir.0.join(name), b"mine").unwrap();
    }
    let next = dir.open(1 << 20);
    assert_eq!((next.report().files, next.report().refused), (2, 1));
    assert!(!keep(&next, Fate::Accepted, b"c"));
    assert!(dir.names().contains(&"0000000002-accepted.capture".to_owned()), "{:?}", dir.names());
    for _ in 0..300 {
        assert!(!keep(&next, Fate::Accepted, b"d"));
    }
    let names = dir.names();
    assert!(names.contains(&"notes.txt".to_owned()) && names.contains(&"1-accepted.capture".to_owned()));
    drop(next);
    capture.attach().unwrap();
    assert_eq!(capture.report().files, 256, "each counts as a block at least");
}

#[test]
fn the_file_says_what_it_is_and_ends_with_the_body() {
    let dir = Dir::new();
    let capture = dir.open(1 << 20);
    let body: Vec<u8> = (0..=255).cycle().take(1000).collect();
    assert!(!keep(&capture, Fate::Failed, &body));
    let file = fs::read(dir.0.join(&dir.names()[0])).unwrap();
    let (head, rest) = file.split_at(file.len() - body.len());
    assert!(rest == body);
    assert_eq!(
        String::from_utf8(head.to_vec()).unwrap(),
        "data-pipeline capture 1\nnumber: 0\ntime: 1970-01-01T00:00:00.000000Z\npeer: http://peer:1\nfate: failed\n\
         attempt: 1\ntook-us: 2000\nrequest-head-bytes: 60\nanswer-head-bytes: 0\nanswer-body-bytes: 0\n\
         body-bytes: 1000\n\nPUT /v0.4/traces HTTP/1.1\nhost: peer:1\ncontent-length: 1000\n\n\n\n"
    );
}

#[test]
fn what_is_too_large_or_finds_no_place_is_told_once_and_counted() {
    let dir = Dir::new();
    let capture = dir.open(1 << 20);
    assert!(keep(&capture, Fate::Refused, &vec![0; 1 << 20]));
    assert!(capture.trouble().unwrap().contains("does not fit into 1048576"), "{:?}", capture.report());
    assert!(capture.trouble().is_none());
    assert!(!keep(&capture, Fate::Refused, &vec![0; 1 << 20]), "told already");
    assert!(!keep(&capture, Fate::Refused, b"small"));
    let report = capture.report();
    assert_eq!((report.failures, report.written, report.overwritten), (2, 1, 0));
}

#[test]
#[cfg(unix)]
fn links_and_pipes_in_the_way_are_neither_followed_nor_waited_for() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let dir = Dir::new();
    let capture = dir.open(1 << 20);
    let outside = Dir::new();
    symlink(&outside.0, dir.0.join("0000000000-accepted.capture")).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(dir.0.join("0000000001-accepted.capture")).status();
    assert!(pipe.is_ok_and(|s| s.success()));
    assert!(keep(&capture, Fate::Accepted, b"a"));
    assert!(keep(&capture, Fate::Accepted, b"b"));
    assert!(!outside.0.exists());
    assert!(!keep(&capture, Fate::Accepted, b"c"));
    assert_eq!((capture.report().failures, capture.report().files, dir.names().len()), (2, 1, 3));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir.0), mode(&dir.0.join("0000000002-accepted.capture"))), (0o700, 0o600));
    // Somebody moves it away and puts another one there.
    fs::rename(&dir.0, &outside.0).unwrap();
    fs::create_dir(&dir.0).unwrap();
    keep(&capture, Fate::Accepted, b"d");
    assert!(dir.names().is_empty());
    assert!(capture.report().last_failure.unwrap().contains("vanished, or was replaced"));
    assert_eq!(capture.report().bytes, 4096);
}

/// Root may write anywhere, so a full disk is played by a small file system where one can be mounted.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_costs_the_file_and_leaves_no_half_one() {
    let dir = Dir::new();
    fs::create_dir_all(&dir.0).unwrap();
    let mount = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs"])
        .arg(&dir.0)
        .stderr(std::process::Stdio::null())
        .status();
    if !mount.is_ok_and(|s| s.success()) {
        eprintln!("NOT LOOKED AT: no small file system can be mounted here");
        return;
    }
    {
        let capture = dir.open(1 << 20);
        let kept = (0..40).filter(|_| !keep(&capture, Fate::Accepted, &[3; 20_000])).count();
        let report = capture.report();
        assert!(report.failures > 0 && (5..13).contains(&report.files), "{kept} {report:?}");
        assert_eq!(report.bytes, dir.charged(), "nothing half is left");
    }
    let _ = std::process::Command::new("umount").arg(&dir.0).status();
}
