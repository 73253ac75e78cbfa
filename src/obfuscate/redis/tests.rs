//! Commands, arguments and texts that are no commands.

use super::*;

fn of(rule: fn(&[u8], &mut Vec<u8>) -> Verdict, text: &str) -> String {
    let mut out = b"x".to_vec();
    match rule(text.as_bytes(), &mut out) {
        Verdict::Keep => {
            assert_eq!(out, b"x");
            text.into()
        }
        _ => String::from_utf8(out.split_off(1)).unwrap(),
    }
}

#[test]
fn a_resource_is_its_commands() {
    for (text, expected) in [
        ("GET k", "GET"),
        ("  get   k \n\n set a b", "GET SET"),
        ("config  set a b", "CONFIG SET"),
        ("config se... a", "..."),
        ("get a\nget b\nget c\nget d", "GET GET GET ..."),
        ("get a\nget...", "GET ..."),
        ("\tget", "\tGET"),
        ("", ""),
    ] {
        assert_eq!(of(quantize, text), expected, "{text}");
    }
}

#[test]
fn hides_the_arguments_that_hold_values() {
    for (text, expected) in [
        ("SET k v EX 5", "SET k ? EX 5"),
        ("set k \"a b\nc\\\" d\" x\nGET k", "set k ? x\nGET k"),
        ("AUTH me secret", "AUTH ?"),
        ("ACL SETUSER a b", "ACL SETUSER ?"),
        ("BITFIELD k SET u8 0 255 SET u8 0 1", "BITFIELD k SET u8 0 ? SET u8 0 1"),
        ("ZADD k NX CH 1 a 2 b", "ZADD k NX CH 1 ? 2 ?"),
        ("MSET a 1 b 2", "MSET a ? b ?"),
        ("GEOADD k 1 2 m 3 4 n", "GEOADD k 1 2 ? 3 4 ?"),
        ("GEORADIUSBYMEMBER k m 1", "GEORADIUSBYMEMBER k ? 1"),
        ("CONFIG set maxmemory 1", "CONFIG set maxmemory ?"),
        ("CONFIG GET a b", "CONFIG GET a b"),
        ("ſet k v", "ſet k ?"),
        (" \n GET   k  \n", "GET k"),
    ] {
        assert_eq!(of(raw_command, text), expected, "{text}");
    }
}

#[test]
fn the_usual_form_is_shown_as_any_other() {
    let words = [
        "SET",
        "k",
        "\"",
        "\\",
        " ",
        " ",
        " ",
        "\n",
        "?",
        "ZADD",
        "AUTH",
        "hmset",
        "CONFIG",
        "vvvvvvvvvvvvvvvv",
        "é",
        "\t",
        "\0",
    ];
    let mut seed = 1_u64;
    let mut below = |n: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % n
    };
    for _ in 0..100_000 {
        // Mostly usual lines, so that long runs of them are met as well.
        let kinds = if below(4) == 0 { words.len() } else { 2 + below(3) };
        let mut text = String::new();
        for _ in 0..below(30) {
            if kinds == words.len() {
                text += words[below(kinds)];
            } else {
                let name =
                    ["SET", "GET", "ZADD", "AUTH", "HMSET", "ACL", "BITFIELD", "CONFIG", "SETEXOFNOCOMMAND"]
                        [below(9)];
                text += name;
                for _ in 0..below(6) {
                    text +=
                        [" k", " NX", " SET", " \"v v\"", " ?", " 0.5", " aLongArgumentWithoutAnyMeaning"]
                            [below(7)];
                }
                text += "\n";
            }
        }
        let trimmed = text::trim(text.as_bytes());
        let slow = |text: &str| {
            let mut out = Vec::new();
            let verdict = slowly(trimmed, &mut out);
            if verdict == Verdict::Keep { text.trim().to_owned() } else { String::from_utf8(out).unwrap() }
        };
        let expected = if trimmed.is_empty() { String::new() } else { slow(&text) };
        assert_eq!(of(raw_command, &text), expected, "{text:?}");
    }
}

#[test]
fn removes_all_arguments() {
    for (text, expected) in [
        ("GET k", "GET ?"),
        ("PING", "PING"),
        ("config get x", "config get ?"),
        ("config foo x", "config ?"),
        ("BITFIELD k SET u8 0 1 get u8 0", "BITFIELD ? SET ? get ?"),
        ("  ", ""),
    ] {
        assert_eq!(of(remove_all, text), expected, "{text}");
    }
}
