//! Documents, parts of documents, and what is none.

use super::*;

fn of(json: &Json, text: &str) -> String {
    let mut out = Vec::new();
    let mut shout = |text: &[u8], out: &mut Vec<u8>| {
        out.push(b'<');
        out.extend_from_slice(text);
        out.push(b'>');
    };
    match json.obfuscate(text.as_bytes(), &mut shout, &mut out) {
        Verdict::Keep => text.into(),
        _ => String::from_utf8(out).unwrap(),
    }
}

#[test]
fn values_go_and_keys_stay() {
    let json = Json::default();
    for (text, expected) in [
        (
            r#"{"a": 1, "b" : [true, "x", {"c": null}], "d":{}}"#,
            r#"{"a":"?","b":["?","?",{"c":"?"}],"d":{}}"#,
        ),
        ("[]", "[]"),
        ("12", r#""?""#),
        ("1 2", r#""?" "#),
        ("{} \n[1]", "{} \n[\"?\"]"),
        ("{} \"secret\"", "{} \"?\""),
        ("", ""),
        ("  ", "..."),
        (r#"{"a":"b"#, r#"{"a":"?"..."#),
        (r#"{"a":tru}"#, r#"{"a":"?"..."#),
        (r#"{"a":1,}"#, r#"{"a":"?",..."#),
        (r#"{"a\x":1}"#, r#"{"a\..."#),
        ("[1}", r#"["?"..."#),
        ("nonsense", r#""?"..."#),
        ("what", "..."),
        ("[01]", r#"["?"..."#),
    ] {
        assert_eq!(of(&json, text), expected, "{text}");
    }
}

#[test]
fn some_values_are_kept_or_transformed() {
    let json = Json::new(&["keep", "both"], &["sql", "both"]);
    for (text, expected) in [
        (r#"{"keep": {"a": [1, "x"]}, "b": 2}"#, r#"{"keep":{"a":[1,"x"]},"b":"?"}"#),
        (r#"{"sql": "a\u00e9\n", "b": 2}"#, "{\"sql\":\"<aé\n>\",\"b\":\"?\"}"),
        (r#"{"sql": {"b": 2}}"#, r#"{"sql":{"b":"?"}}"#),
        (r#"{"sql": 1e3}"#, r#"{"sql":"<1e3>"}"#),
        (r#"{"sql": "a\/b"}"#, r#"{"sql":"<"a\/b">"}"#),
        (r#"{"sql": "secret""#, r#"{"sql":..."#),
        (r#"{"both": 1}"#, r#"{"both":1}"#),
        (r#"{"keep": {"sql": 1, "b": 2}, "c": 3}"#, r#"{"keep":{"sql":"<1>","b":2},"c":"?"}"#),
    ] {
        assert_eq!(of(&json, text), expected, "{text}");
    }
}

#[test]
fn deep_nesting_needs_no_stack() {
    let json = Json::default();
    let text = format!("{}{}", "[{\"a\":".repeat(100_000), "1");
    let out = of(&json, &text);
    assert_eq!(out, text[..text.len() - 1].to_owned() + "\"?\"...");
    let text = format!("{}{}{}", "[".repeat(200), "{\"k\":\"v\"}", "]".repeat(200));
    assert_eq!(of(&json, &text), text.replace("\"v\"", "\"?\""));
}

#[test]
fn strings_of_any_length_end_where_they_do() {
    for length in 0..70 {
        let name = "k".repeat(length);
        for (text, expected) in [
            (format!("{{\"{name}\":1}}"), format!("{{\"{name}\":\"?\"}}")),
            (format!("{{\"{name}\" : \"{name}\", \"b\":2}}"), format!("{{\"{name}\":\"?\",\"b\":\"?\"}}")),
            (format!("[\"{name}\\\"\", \"{name}\"]"), "[\"?\",\"?\"]".to_owned()),
            (format!("[\"{name}\u{1}\", 1]"), "[\"?\"...".to_owned()),
            (format!("[\"{name}"), "[\"?\"...".to_owned()),
            (format!("{{\"{name}\u{1}"), format!("{{\"{name}...")),
        ] {
            assert_eq!(of(&Json::default(), &text), expected, "{text}");
        }
    }
}

#[test]
fn rules_for_other_keys_change_nothing() {
    let parts: Vec<&str> = "{|}|[|]|,|, |:|\"a\"|\"b\":|\"k\": |1|-1.5|01|1e|true|nul|null| |\n|\"a\\\"b\"|\
        \"\\u00e9\"|\"\\x\"|\"|é|\"é\"|\u{1}|\"\u{1}\"|{\"a\":1,\"b\":[1,2,{\"c\":null}]}|[1, \"x\", true]|\
        {}|[]|\"x\": \"y\", |\"x\": 12, |\"a name of about sixteen\": |\
        \"a name of more than thirty-two characters\": |{\"a\": [1, "
        .split('|')
        .collect();
    let mut below = crate::obfuscate::dice();
    let other = Json::new(&["no key"], &["none"]);
    for _ in 0..60_000 {
        let mut text = ["", "{\"a\": [", "[", "{"][below(4)].to_owned();
        for _ in 0..below(40) {
            text.push_str(parts[below(parts.len())]);
        }
        assert_eq!(of(&Json::default(), &text), of(&other, &text), "{text}");
    }
}
