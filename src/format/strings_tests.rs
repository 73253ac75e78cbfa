//! Tests of the string table.

use super::super::code::MARKED;
use super::*;

fn number(t: &mut StringTable, src: &[u8], at: usize, len: usize) -> (u64, bool) {
    match t.intern(src, at, len) {
        Interned::Known(c) => (c.0, false),
        Interned::New(c) | Interned::NewOwned(c, _) => (c.0, true),
    }
}

#[test]
fn equal_texts_have_one_number_whatever_their_length_and_place() {
    let mut t = StringTable::default();
    let mut src = Vec::new();
    let longest = if cfg!(miri) { 40usize } else { 200 };
    for len in 0..longest {
        src.extend((0..len).map(|i| b'a' + (i % 7) as u8));
    }
    let twice = [src.clone(), src.clone()].concat();
    let mut at = 0;
    for len in 0..longest {
        let first = number(&mut t, &twice, at, len);
        let again = number(&mut t, &twice, at + src.len(), len);
        assert_eq!((first.0, first.1, again.1), (again.0, len > 0, false), "{len}");
        at += len;
    }
    assert_eq!(t.len() as usize, longest);
}

#[test]
fn ten_thousand_texts_survive_growth_and_a_cleared_table_knows_none() {
    let mut src = Vec::new();
    let places: Vec<_> = (0..if cfg!(miri) { 200 } else { 10_000 })
        .map(|i| {
            let text = format!("some prefix that is long {i:05} and a long end too");
            let at = src.len();
            src.extend_from_slice(text.as_bytes());
            (at, text.len())
        })
        .collect();
    let mut t = StringTable::default();
    for round in 0..3 {
        let codes: Vec<_> = places.iter().map(|&(at, len)| number(&mut t, &src, at, len)).collect();
        assert!(codes.iter().all(|c| c.1), "round {round}");
        for (&(at, len), code) in places.iter().zip(&codes) {
            assert_eq!(number(&mut t, &src, at, len), (code.0, false));
        }
        t.clear();
    }
}

#[test]
fn texts_that_are_not_utf8_share_the_number_of_their_repaired_form() {
    let mut t = StringTable::default();
    let src = b"a\xffb a\xfeb a\xef\xbf\xbdb";
    let first = number(&mut t, src, 0, 3);
    assert!(first.1);
    assert_eq!(number(&mut t, src, 4, 3), (first.0, false));
    assert_eq!(number(&mut t, src, 8, 5), (first.0, false));
    assert_eq!(number(&mut t, src, 0, 3), (first.0, false));
}

#[test]
fn marked_texts_have_their_marks_and_no_others_do() {
    let mut t = StringTable::default();
    let others: [&[u8]; 5] = [b"environment", b"_dd.p.ti", b"_dd.p.tidy", b"_sampling_priority_v2", b"x"];
    for round in 0..if cfg!(miri) { 2 } else { 5000 } {
        for (i, text) in MARKED.iter().chain(&others).enumerate() {
            let src = [text, &b"################"[..]].concat();
            let want = if i < MARKED.len() { i + 1 } else { 0 };
            // Twice: new and known. The table knows texts by place, so each source is a payload of its own.
            let Interned::New(new) = t.intern(&src, 0, text.len()) else { panic!("{round}: {text:?}") };
            let Interned::Known(known) = t.intern(&src, 0, text.len()) else { panic!("{text:?}") };
            assert_eq!((new, new.mark()), (known, want), "{text:?}");
            t.clear();
        }
    }
}

#[test]
fn numbers_take_their_smallest_form() {
    for (id, bytes) in [
        (0u32, &[0][..]),
        (127, &[127]),
        (128, &[0xcc, 128]),
        (256, &[0xcd, 1, 0]),
        (70_000, &[0xce, 0, 1, 0x11, 0x70]),
    ] {
        let c = Code::of(id);
        assert_eq!(&c.0.to_le_bytes()[..c.width()], bytes);
    }
}
