use super::*;
use crate::account::{DroppedP0, Past};
use std::fs::{self, OpenOptions};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A directory of its own, gone with the test.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::SeqCst);
        let dir = std::env::temp_dir().join(format!("dp-spool-{}-{n}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        Self(dir)
    }

    fn open(&self) -> Spool {
        Spool::open(&self.0, 2 << 20).unwrap()
    }

    fn refusal(&self) -> String {
        Spool::open(&self.0, 2 << 20).unwrap_err()
    }

    fn segments(&self) -> Vec<PathBuf> {
        let mut all: Vec<_> = fs::read_dir(&self.0).unwrap().map(|e| e.unwrap().path()).collect();
        all.retain(|p| p.extension().is_some_and(|e| e == "seg"));
        all.sort();
        all
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn record(n: u64, size: usize) -> Record {
    let n = n.min(size as u64);
    Record {
        payload: vec![n as u8; size],
        meta: Meta {
            counts: Counts { traces: n, spans: n / 2, bytes: size as u64 },
            dropped: DroppedP0 { traces: n + 1, spans: n + 2 },
            past: Past::from_bits(n as u8 % 8),
        },
    }
}

fn take(spool: &mut Spool, max_bytes: usize) -> Vec<Record> {
    loop {
        match spool.take_records(max_bytes).unwrap() {
            Taken::Records(records) => return records,
            Taken::Nothing => return Vec::new(),
            Taken::NotYet => {}
        }
    }
}

fn one(spool: &mut Spool) -> Option<Record> {
    let mut all = take(spool, 1);
    assert!(all.len() <= 1);
    all.pop()
}

/// Takes the next one and is done with it.
fn drain(spool: &mut Spool) -> Option<Record> {
    let next = one(spool);
    confirm(spool);
    next
}

fn confirm(spool: &mut Spool) {
    let n = spool.taken.len();
    spool.settle_records((0..n).map(|_| Left::Done).collect());
}

fn rest(spool: &mut Spool) -> Vec<Record> {
    std::iter::from_fn(|| drain(spool)).collect()
}

#[test]
fn what_goes_in_comes_out_oldest_first_also_in_a_later_process() {
    let dir = Dir::new();
    let mut spool = dir.open();
    for n in 0..50 {
        spool.push(&record(n, 10_000)).unwrap();
    }
    assert!(dir.segments().len() > 2);
    assert_eq!(spool.held().payloads, 50);
    for n in 0..20 {
        assert_eq!(drain(&mut spool), Some(record(n, 10_000)));
    }
    assert_eq!(one(&mut spool), Some(record(20, 10_000)), "taken and never confirmed");
    drop(spool);
    let mut spool = dir.open();
    let held = spool.held();
    assert_eq!((held.payloads, held.counts.bytes), (30, 300_000));
    spool.push(&record(50, 100)).unwrap();
    for n in 20..50 {
        assert_eq!(drain(&mut spool), Some(record(n, 10_000)));
    }
    assert_eq!(drain(&mut spool), Some(record(50, 100)));
    assert_eq!(drain(&mut spool), None);
    assert_eq!((spool.held(), dir.segments().len()), (Held::default(), 0));
    spool.push(&record(51, 100)).unwrap();
    drop(spool);
    let mut spool = dir.open();
    assert_eq!(
        one(&mut spool),
        Some(record(51, 100)),
        "although the position is behind the first segment of old"
    );
}

#[test]
fn several_are_taken_and_put_back_together_with_what_was_learned() {
    let dir = Dir::new();
    let mut spool = dir.open();
    for n in 0..10 {
        spool.push(&record(n, 100)).unwrap();
    }
    let mut taken = take(&mut spool, 450);
    assert_eq!((taken.len(), spool.held().payloads), (4, 6));
    taken[1].meta.counts.spans = 99;
    taken[1].meta.past.counted ^= true;
    let again = |r: &Record| Left::Again(r.clone());
    spool.settle_records(vec![Left::Done, again(&taken[1]), Left::Done, again(&taken[3])]);
    let held = spool.held();
    assert_eq!((held.payloads, held.counts.spans), (8, 99 + 1 + (4..10).map(|n| n / 2).sum::<u64>()));
    // A killed process leaves the same to the next.
    for _ in 0..2 {
        assert_eq!(take(&mut spool, 200), [taken[1].clone(), taken[3].clone()]);
        drop(spool);
        spool = dir.open();
        assert_eq!(spool.held(), held);
    }
    let left = rest(&mut spool);
    assert_eq!(left.len(), 8);
    assert_eq!(left[0], taken[1]);
}

#[test]
fn what_is_left_of_a_record_takes_its_place_at_the_end_or_the_whole_stays() {
    let dir = Dir::new();
    let mut spool = Spool::open(&dir.0, 1 << 20).unwrap();
    spool.push(&record(1, 900_000)).unwrap();
    spool.push(&record(2, 100)).unwrap();
    one(&mut spool).unwrap();
    let part = Record { payload: vec![5; 300_000], ..record(3, 300_000) };
    spool.settle_records(vec![Left::Rest(part.clone())]);
    let whole = one(&mut spool).unwrap();
    assert_eq!((whole.payload.len(), whole.meta.counts), (900_000, part.meta.counts), "there was no room");
    assert!(whole.meta.past.possibly_arrived);
    let part = Record { payload: vec![5; 1000], ..record(3, 1000) };
    spool.settle_records(vec![Left::Rest(part.clone())]);
    assert_eq!(rest(&mut spool), [record(2, 100), part]);
    assert_eq!((spool.held(), spool.changes()), (Held::default(), Changes::default()));
}

#[test]
fn a_torn_last_record_costs_only_itself() {
    for cut in 1..=HEAD + 100 {
        let dir = Dir::new();
        let mut spool = dir.open();
        for n in 0..3 {
            spool.push(&record(n, 100)).unwrap();
        }
        drop(spool);
        let path = dir.segments().pop().unwrap();
        let size = fs::metadata(&path).unwrap().len();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(size - cut as u64).unwrap();
        let mut spool = dir.open();
        assert_eq!(spool.held().payloads, 2, "cut {cut}");
        if cut % 2 == 1 {
            spool.push(&record(7, 50)).unwrap();
        }
        let mut expected = vec![record(0, 100), record(1, 100)];
        expected.extend((cut % 2 == 1).then(|| record(7, 50)));
        assert_eq!(rest(&mut spool), expected, "cut {cut}");
        assert_eq!(dir.segments().len(), 0, "cut {cut}");
    }
}

#[test]
fn a_flipped_bit_costs_only_its_record_and_is_counted() {
    for at in SEGMENT_HEAD..SEGMENT_HEAD + 3 * (HEAD + 100) {
        for later in [false, true] {
            let dir = Dir::new();
            let mut spool = dir.open();
            for n in 0..3 {
                spool.push(&record(n, 100)).unwrap();
            }
            let path = dir.segments().pop().unwrap();
            let mut bytes = fs::read(&path).unwrap();
            bytes[at] ^= 0x10;
            fs::write(&path, bytes).unwrap();
            if later {
                drop(spool);
                spool = dir.open();
            }
            let (hit, in_head) =
                ((at - SEGMENT_HEAD) / (HEAD + 100), (at - SEGMENT_HEAD) % (HEAD + 100) < HEAD);
            let before = spool.held();
            let left: Vec<u64> = rest(&mut spool).iter().map(|r| r.meta.counts.traces).collect();
            let expected: Vec<u64> = (0..3).filter(|n| *n != hit as u64).collect();
            assert_eq!(left, expected, "byte {at}");
            assert_eq!(spool.held().damaged, 1);
            let changes = spool.changes();
            if later && in_head {
                // Nothing was known of it, and what stands behind it was found.
                assert_eq!(changes.lost, Counts::default());
                assert_eq!(
                    (before.payloads + changes.found_payloads, before.unknown),
                    (2, true),
                    "byte {at}"
                );
            } else {
                assert_eq!(changes.lost, record(hit as u64, 100).meta.counts, "byte {at}");
            }
        }
    }
}

#[test]
fn recovery_is_linear_and_a_record_in_a_payload_is_none() {
    let dir = Dir::new();
    let mut spool = Spool::open(&dir.0, 64 << 20).unwrap();
    // A payload of nothing but heads that reach to the file's end, and one that holds a record of this very segment.
    let mut heads = Record { payload: Vec::new(), ..record(1, 1) };
    for i in 0..80_000_u32 {
        heads.payload.extend(record::MARK);
        heads.payload.extend((80_000 * 12 - i * 12).to_le_bytes());
        heads.payload.extend([0xef; 4]);
    }
    spool.push(&record(9, 50)).unwrap();
    spool.push(&heads).unwrap();
    let path = dir.segments().pop().unwrap();
    let inner = fs::read(&path).unwrap()[SEGMENT_HEAD..][..HEAD + 50].to_vec();
    spool.push(&Record { payload: inner.repeat(100), ..record(2, 100) }).unwrap();
    spool.push(&record(3, 50)).unwrap();
    drop(spool);
    // The heads of both are damaged.
    let mut bytes = fs::read(&path).unwrap();
    let first = SEGMENT_HEAD + HEAD + 50;
    bytes[first + 5] ^= 1;
    bytes[first + HEAD + heads.payload.len() + 5] ^= 1;
    bytes.truncate(bytes.len() - 1);
    fs::write(&path, bytes).unwrap();
    let started = Instant::now();
    let mut spool = Spool::open(&dir.0, 64 << 20).unwrap();
    assert_eq!(rest(&mut spool), [record(9, 50)]);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!((spool.held().payloads, dir.segments().len()), (0, 0));
}

#[test]
fn a_damaged_position_sends_again_and_loses_nothing() {
    let dir = Dir::new();
    let mut spool = dir.open();
    for n in 0..3 {
        spool.push(&record(n, 100)).unwrap();
    }
    drain(&mut spool);
    drop(spool);
    assert_eq!(dir.open().held().payloads, 2);
    fs::write(dir.0.join("position"), b"nonsense").unwrap();
    assert_eq!(dir.open().held().payloads, 3);
}

#[test]
fn the_limit_counts_everything_on_disk() {
    let dir = Dir::new();
    let mut spool = Spool::open(&dir.0, 1 << 20).unwrap();
    let mut random = 7_u64;
    let mut expected = VecDeque::new();
    for n in 0..5_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let size = (random >> 33) as usize % 30_000;
        if random >> 62 == 0 {
            match drain(&mut spool) {
                Some(next) => assert_eq!(Some(next), expected.pop_front()),
                None => assert!(expected.is_empty()),
            }
        } else if random >> 61 == 7 {
            drop(spool);
            spool = Spool::open(&dir.0, 1 << 20).unwrap();
        } else {
            match spool.push(&record(n, size)) {
                Ok(()) => expected.push_back(record(n, size)),
                Err(e) => assert_eq!(e, PushError::Full),
            }
        }
        let disk: u64 = dir.segments().iter().map(|p| fs::metadata(p).unwrap().len()).sum();
        assert!(disk <= 1 << 20);
        assert_eq!(disk, spool.held().disk_bytes);
        assert_eq!(spool.held().payloads, expected.len() as u64);
    }
}

#[test]
fn a_directory_is_used_once_at_a_time_and_foreign_files_stay() {
    let dir = Dir::new();
    let spool = dir.open();
    assert!(dir.refusal().contains("another process"), "{}", dir.refusal());
    drop(spool);
    fs::write(dir.0.join("0000000000000000.seg"), b"somebody else's").unwrap();
    fs::write(dir.0.join("0000000000000001.seg"), b"DPSPOOL").unwrap();
    fs::write(dir.0.join("ffffffffffffffff.seg"), b"somebody else's").unwrap();
    fs::write(dir.0.join("notes.txt"), b"mine").unwrap();
    fs::create_dir(dir.0.join("0000000000000002.seg")).unwrap();
    let mut spool = dir.open();
    assert!(!dir.0.join("0000000000000001.seg").exists(), "cut off when it was made");
    for n in 0..4 {
        spool.push(&record(n, 150_000)).unwrap();
    }
    for n in 0..4 {
        assert_eq!(drain(&mut spool), Some(record(n, 150_000)));
    }
    assert_eq!(fs::read(dir.0.join("0000000000000000.seg")).unwrap(), b"somebody else's");
    assert!(dir.0.join("notes.txt").exists() && dir.0.join("0000000000000002.seg").is_dir());
    fs::write(dir.0.join("file"), b"").unwrap();
    assert!(Spool::open(&dir.0.join("file"), 2 << 20).unwrap_err().contains("no directory"));
}

#[test]
#[cfg(unix)]
fn a_directory_that_is_not_ours_alone_is_refused_with_the_reason() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let dir = Dir::new();
    fs::create_dir(&dir.0).unwrap();
    for mode in [0o755, 0o770, 0o701] {
        fs::set_permissions(&dir.0, fs::Permissions::from_mode(mode)).unwrap();
        assert!(dir.refusal().contains(&format!("mode {mode:o}")), "{}", dir.refusal());
        let below = Spool::open(&dir.0.join(format!("below-{mode:o}")), 2 << 20);
        assert!(below.is_ok(), "what we make is ours");
    }
    fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o700)).unwrap();
    let link = Dir::new();
    symlink(&dir.0, &link.0).unwrap();
    assert!(link.refusal().contains("link"), "{}", link.refusal());
    let slash = Spool::open(&link.0.join(""), 2 << 20).unwrap_err();
    assert!(slash.contains("link"), "{slash}");
    fs::remove_file(&link.0).unwrap();
    symlink(dir.0.join("elsewhere"), dir.0.join("lock")).unwrap();
    assert!(dir.refusal().contains("no regular file"), "{}", dir.refusal());
    fs::remove_file(dir.0.join("lock")).unwrap();
    fs::create_dir(dir.0.join("position")).unwrap();
    assert!(dir.refusal().contains("no regular file"), "{}", dir.refusal());
}

#[test]
#[cfg(target_os = "linux")]
fn pipes_links_and_holes_neither_hang_nor_fill_memory() {
    let dir = Dir::new();
    let mut spool = dir.open();
    spool.push(&record(1, 100)).unwrap();
    drop(spool);
    let path = dir.segments().pop().unwrap();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(200 << 20).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(dir.0.join("00000000000000aa.seg")).status();
    assert!(pipe.is_ok_and(|s| s.success()));
    std::os::unix::fs::symlink("/dev/zero", dir.0.join("00000000000000ab.seg")).unwrap();
    let mut spool = dir.open();
    assert_eq!(spool.push(&record(1, 1)), Err(PushError::Full), "what lies there counts");
    assert_eq!(one(&mut spool), Some(record(1, 100)));
    confirm(&mut spool);
    let mut steps = 0;
    while spool.take_records(1).unwrap() == Taken::NotYet {
        steps += 1;
    }
    assert!((700..900).contains(&steps), "{steps}: each look is bounded");
    spool.push(&record(2, 10)).unwrap();
    assert_eq!(rest(&mut spool), [record(2, 10)]);
}

#[test]
#[cfg(unix)]
fn a_directory_that_vanishes_is_noticed_at_the_next_write() {
    let dir = Dir::new();
    let gone = Dir::new();
    for moved in [false, true] {
        let mut spool = dir.open();
        spool.push(&record(1, 100)).unwrap();
        spool.push(&record(2, 100)).unwrap();
        let taken = one(&mut spool).unwrap();
        if moved {
            fs::rename(&dir.0, &gone.0).unwrap();
        } else {
            fs::remove_dir_all(&dir.0).unwrap();
        }
        spool.push(&record(3, 100)).unwrap();
        let changes = spool.changes();
        assert_eq!(changes.lost, record(2, 100).meta.counts, "moved: {moved}");
        assert!(changes.notes[0].contains("vanished"), "{changes:?}");
        spool.settle_records(vec![Left::Again(taken.clone())]);
        assert_eq!(rest(&mut spool), [record(3, 100), taken]);
        assert!(dir.segments().is_empty());
    }
    let mut spool = dir.open();
    spool.push(&record(1, 100)).unwrap();
    fs::remove_file(dir.segments().pop().unwrap()).unwrap();
    spool.push(&record(2, 100)).unwrap();
    assert_eq!(spool.changes().lost, record(1, 100).meta.counts, "a file that vanishes, too");
    assert_eq!(rest(&mut spool), [record(2, 100)]);
    // Somebody else takes the place.
    fs::remove_file(dir.0.join("lock")).unwrap();
    let mut other = dir.open();
    let error = spool.push(&record(3, 100)).unwrap_err();
    assert!(matches!(&error, PushError::Io(why) if why.contains("another process")), "{error:?}");
    other.push(&record(4, 100)).unwrap();
    drop(other);
    spool.push(&record(5, 100)).unwrap();
    assert_eq!(spool.changes().found_payloads, 1);
    assert_eq!(rest(&mut spool), [record(4, 100), record(5, 100)]);
}

#[test]
#[cfg(unix)]
fn what_cannot_be_opened_now_is_kept_and_comes_later() {
    let dir = Dir::new();
    let mut spool = dir.open();
    for n in 0..100 {
        spool.push(&record(n, 10_000)).unwrap();
    }
    drop(spool);
    // A right that is missing does not stop root, so the file is out of the way for a while, as something else.
    let path = dir.segments()[0].clone();
    let aside = dir.0.join("aside");
    let mut spool = dir.open();
    let held = spool.held();
    fs::rename(&path, &aside).unwrap();
    fs::create_dir(&path).unwrap();
    for _ in 0..3 {
        spool.take_records(1 << 20).unwrap_err();
        assert_eq!((spool.held(), spool.changes().lost), (held, Counts::default()));
    }
    fs::remove_dir(&path).unwrap();
    fs::rename(&aside, &path).unwrap();
    assert_eq!(rest(&mut spool).len(), 100);
}

#[test]
fn released_it_has_no_file_open_and_goes_on_afterwards() {
    let dir = Dir::new();
    let mut spool = dir.open();
    for n in 0..3 {
        spool.push(&record(n, 100)).unwrap();
    }
    let taken = one(&mut spool).unwrap();
    spool.settle_records(vec![Left::Again(taken)]);
    spool.release();
    if cfg!(target_os = "linux") {
        let open =
            fs::read_dir("/proc/self/fd").unwrap().flatten().filter_map(|f| fs::read_link(f.path()).ok());
        assert_eq!(open.filter(|p| p.starts_with(&dir.0)).count(), 0);
    }
    assert!(matches!(spool.push(&record(9, 9)), Err(PushError::Io(why)) if why.contains("suspended")));
    assert_eq!(spool.take_records(1).unwrap(), Taken::Nothing);
    spool.attach_again();
    spool.push(&record(3, 100)).unwrap();
    assert_eq!(rest(&mut spool), (0..4).map(|n| record(n, 100)).collect::<Vec<_>>());
    assert_eq!(spool.changes(), Changes::default());
}

#[test]
#[cfg(unix)]
fn a_directory_that_cannot_be_used_after_a_snapshot_is_tried_again() {
    let (dir, aside) = (Dir::new(), Dir::new());
    let mut spool = dir.open();
    spool.push(&record(1, 100)).unwrap();
    spool.release();
    fs::rename(&dir.0, &aside.0).unwrap();
    fs::write(&dir.0, b"in the way").unwrap();
    spool.attach_again();
    assert!(spool.changes().notes[0].contains("no directory"));
    spool.take_records(1).unwrap_err();
    assert_eq!(spool.held().payloads, 1);
    fs::remove_file(&dir.0).unwrap();
    fs::rename(&aside.0, &dir.0).unwrap();
    assert_eq!(rest(&mut spool), [record(1, 100)]);
}

#[test]
fn opening_reads_heads_only() {
    let dir = Dir::new();
    let mut spool = Spool::open(&dir.0, 1 << 30).unwrap();
    for n in 0..60 {
        spool.push(&record(n, 4 << 20)).unwrap();
    }
    drop(spool);
    let started = Instant::now();
    assert_eq!(Spool::open(&dir.0, 1 << 30).unwrap().held().payloads, 60);
    // 240 MiB took 182 ms when they were read.
    assert!(started.elapsed() < Duration::from_millis(100), "{:?}", started.elapsed());
}

/// Root may write anywhere, so a full disk is played by a small file system where one can be mounted.
#[test]
#[cfg(target_os = "linux")]
fn a_full_or_read_only_disk_refuses_and_harms_nothing() {
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
        let mut spool = Spool::open(&dir.0, 2 << 20).unwrap();
        let mut kept = 0;
        for n in 0..100 {
            match spool.push(&record(n, 7_000)) {
                Ok(()) => kept += 1,
                Err(PushError::Io(_)) => break,
                Err(PushError::Full) => panic!("the disk is full, not the spool"),
            }
        }
        assert!((10..40).contains(&kept), "{kept}");
        for n in 0..kept {
            assert_eq!(drain(&mut spool), Some(record(n, 7_000)));
        }
        assert_eq!(one(&mut spool), None);
        spool.push(&record(3, 7_000)).unwrap();
        assert_eq!(one(&mut spool), Some(record(3, 7_000)));
    }
    let read_only = std::process::Command::new("mount").args(["-o", "remount,ro"]).arg(&dir.0).status();
    if read_only.is_ok_and(|s| s.success()) {
        assert!(dir.refusal().contains("written"), "{}", dir.refusal());
    }
    let _ = std::process::Command::new("umount").arg(&dir.0).status();
}
