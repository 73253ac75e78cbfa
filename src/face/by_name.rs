//! Settings made by name, for faces without a setter for each: the name as the table has it, the value as text. What a
//! setting takes is asked of its type ([`RawConfig`] reads it with serde), so a new one needs no line here.
//!
//! A text is itself; a flag is `true` or `false`; a duration is milliseconds or has a unit (`ms`, `s`, `min`), a number
//! of bytes may have one (`KiB`, `MiB`, `GiB`); several numbers have commas between them. A setting that takes several
//! values gets one more each time. What has parts of its own (`destination`) is JSON, as in
//! `{"otlp":{"url":"http://host:4318"}}`. A setting of two values (`header`: name and value, `spool`: directory and
//! bytes) takes both.

use crate::error::{Error, ErrorKind};
use crate::settings::RawConfig;
use serde::de::value::{Error as Refusal, MapDeserializer, SeqDeserializer};
use serde::de::{Deserialize, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use std::cell::Cell;
use std::vec;

/// One value, and its other half if the setting has two.
type Value = (String, Option<String>);

/// Settings made by name so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named {
    made: Vec<(String, Vec<Value>)>,
}

impl Named {
    /// Makes one setting; `second` is the other half of a setting of two values.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION` if there is no such setting, or the text is no value of its type. Ranges are checked
    /// when the exporter is made.
    pub(crate) fn set(&mut self, name: &str, value: &str, second: Option<&str>) -> Result<(), Error> {
        let wrong = |why: &dyn std::fmt::Display| {
            Error::new(ErrorKind::InvalidConfiguration, format!("the setting {name:?}: {why}"))
        };
        if matches!(name, "origins" | "skipped") {
            return Err(wrong(&"there is none of that name"));
        }
        let value = (value.to_owned(), second.map(str::to_owned));
        let is_list = Cell::new(false);
        let of = Of::Values(std::slice::from_ref(&value));
        read(vec![(name, Text { of, is_list: &is_list })]).map_err(|why| wrong(&why))?;
        match self.made.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) if is_list.get() => values.push(value),
            Some((_, values)) => *values = vec![value],
            None => self.made.push((name.to_owned(), vec![value])),
        }
        Ok(())
    }

    /// Makes a setting as if nobody had made it.
    pub(crate) fn forget(&mut self, name: &str) {
        self.made.retain(|(known, _)| known != name);
    }

    /// All of them.
    ///
    /// # Errors
    /// None: each was read when it was made.
    pub(crate) fn raw(&self) -> Result<RawConfig, Error> {
        let is_list = Cell::new(false);
        let text = |values| Text { of: Of::Values(values), is_list: &is_list };
        read(self.made.iter().map(|(name, values)| (name.as_str(), text(values))).collect())
            .map_err(|why| Error::new(ErrorKind::InvalidConfiguration, why.to_string()))
    }
}

/// The one place that reads settings: what serde makes of it takes some ten thousand bytes of the library.
fn read(entries: Vec<(&str, Text<'_>)>) -> Result<RawConfig, Refusal> {
    RawConfig::deserialize(MapDeserializer::<vec::IntoIter<_>, Refusal>::new(entries.into_iter()))
}

/// A value, to be read as whatever is asked for.
#[derive(Clone, Copy)]
struct Text<'t> {
    of: Of<'t>,
    /// Whether the setting takes several values.
    is_list: &'t Cell<bool>,
}

#[derive(Clone, Copy)]
enum Of<'t> {
    /// All that a setting was given.
    Values(&'t [Value]),
    /// A part of a value.
    Part(&'t str),
}

impl<'t> Text<'t> {
    /// What it says, if it is one value.
    fn single(self) -> Result<&'t str, Refusal> {
        match self.of {
            Of::Part(text) => Ok(text),
            Of::Values([.., (text, None)]) => Ok(text),
            Of::Values(_) => Err(Refusal::custom("it takes one value")),
        }
    }
}

/// A number, perhaps with a unit; times are milliseconds then.
fn number(text: &str) -> Result<u64, Refusal> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..).unwrap_or("") {
        "" | "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        other if !digits.is_empty() => return Err(Refusal::custom(format!("{other:?} is no unit"))),
        _ => 1,
    };
    let number = digits.trim_end().parse::<u64>().ok().and_then(|n| n.checked_mul(unit));
    number.ok_or_else(|| Refusal::custom(format!("{text:?} is no whole number")))
}

impl<'de> IntoDeserializer<'de, Refusal> for Text<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Text<'de> {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_str(self.single()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_some(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.single()? {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            other => Err(Refusal::custom(format!("{other:?} is neither true nor false"))),
        }
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_u64(number(self.single()?)?)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let Of::Values(values) = self.of else { return Err(Refusal::custom("it takes one value")) };
        self.is_list.set(true);
        visitor
            .visit_seq(SeqDeserializer::new(values.chunks(1).map(|one| Self { of: Of::Values(one), ..self })))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refusal> {
        let parts = match self.of {
            Of::Values([.., (first, Some(second))]) => vec![first.as_str(), second],
            _ if len == 2 => return Err(Refusal::custom("it takes two values")),
            _ => self.single()?.split(',').collect(),
        };
        let part = |text| Self { of: Of::Part(text), ..self };
        visitor.visit_seq(SeqDeserializer::new(parts.into_iter().map(part)))
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 u8 u16 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct tuple_struct
        map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_type_of_the_table_is_read() {
        let mut named = Named::default();
        for (name, value) in [
            ("service", "shop"),
            ("sendTimeout", "1500"),
            ("sendBudget", "5 s"),
            ("asyncBudget", "2min"),
            ("queueBytes", "64 MiB"),
            ("senders", "3"),
            ("discovery", "false"),
            ("outputFormat", "V1"),
            ("peerTag", "db.name"),
            ("peerTag", "a,b"),
            ("statsLimits", "1,2,3,4,5"),
            ("statsLimits", "6,7,8,9,10"),
            ("service", "cart"),
        ] {
            named.set(name, value, None).unwrap();
        }
        let otlp = r#"{"otlp":{"url":"http://h:4318","encoding":"JSON"}}"#;
        named.set("destination", otlp, None).unwrap();
        named.set("header", "X-A", Some("1=2")).unwrap();
        named.set("header", "X-B", Some("3")).unwrap();
        named.set("spool", "/var/x=1", Some("16MiB")).unwrap();
        named.set("hostname", "x", None).unwrap();
        named.forget("hostname");
        let raw = named.raw().unwrap();
        assert_eq!(raw.hostname, None);
        assert_eq!(serde_json::to_string(&raw.destination[0]).unwrap().get(..9), otlp.get(..9));
        assert_eq!(raw.service.as_deref(), Some("cart"));
        assert_eq!(raw.send_timeout, Some(Duration::from_millis(1500)));
        assert_eq!(raw.send_budget, Some(Duration::from_secs(5)));
        assert_eq!(raw.async_budget, Some(Duration::from_secs(120)));
        assert_eq!((raw.queue_bytes, raw.senders, raw.discovery), (Some(64 << 20), Some(3), Some(false)));
        assert_eq!(raw.output_format.as_deref(), Some("V1"));
        assert_eq!(raw.peer_tag, ["db.name", "a,b"]);
        assert_eq!(raw.stats_limits, Some([6, 7, 8, 9, 10]));
        assert_eq!(raw.header, [("X-A".into(), "1=2".into()), ("X-B".into(), "3".into())]);
        assert_eq!(raw.spool, Some(("/var/x=1".into(), 16 << 20)));
    }

    #[test]
    fn every_setting_of_the_table_is_made_by_its_name() {
        let table = include_str!("../settings/table.toml");
        let field = |entry: &str, name: &str| {
            let text = entry.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_prefix("= "))?;
            Some(text.trim_matches(['"', '[', ']']).to_owned())
        };
        let mut made = 0;
        for entry in table.split("[[setting]]").skip(1) {
            let entry = entry.split("\n[").next().unwrap();
            let (name, kind) = (field(entry, "name").unwrap(), field(entry, "type").unwrap());
            let least = field(entry, "least").unwrap_or_else(|| "1".to_owned());
            let (first, second) = match &*kind {
                "flag" => ("true", None),
                "count" => ("1", None),
                "bytes" => (&*least, None),
                "duration" => ("2 s", None),
                "choice" => ("AUTO", None),
                "limits" => ("1,2,3,4,5", None),
                "headers" | "variables" | "certificate" => ("a", Some("b")),
                "directory" => ("/a", Some(&*least)),
                "destinations" => (r#"{"agent":{"url":"http://a:1"}}"#, None),
                "json" => ("{}", None),
                _ => ("a", None),
            };
            let mut named = Named::default();
            let result = named.set(&name, first, second);
            if kind.starts_with("java:") {
                assert!(result.is_err(), "{name} is Java's alone");
                continue;
            }
            result.unwrap();
            assert_eq!(RawConfig::default().differences(&named.raw().unwrap()), [&*name]);
            made += 1;
        }
        assert!(made > 70, "{made}");
    }

    #[test]
    fn what_cannot_be_is_named_and_changes_nothing() {
        let mut named = Named::default();
        for (name, value, second, why) in [
            ("nothing", "x", None, "the setting \"nothing\": "),
            ("origins", "x", None, "the setting \"origins\": there is none"),
            ("senders", "many", None, "the setting \"senders\": \"many\" is no whole number"),
            ("senders", "-1", None, "the setting \"senders\": \"-1\" is no whole number"),
            ("senders", "4294967296", None, "the setting \"senders\": "),
            ("sendBudget", "5 h", None, "the setting \"sendBudget\": \"h\" is no unit"),
            ("discovery", "yes", None, "the setting \"discovery\": \"yes\" is neither"),
            ("header", "X-A", None, "the setting \"header\": it takes two values"),
            ("service", "a", Some("b"), "the setting \"service\": it takes one value"),
            ("statsLimits", "1,2", None, "the setting \"statsLimits\": "),
            ("destination", "http://x", None, "the setting \"destination\": "),
            ("destination", r#"{"moon":{}}"#, None, "the setting \"destination\": "),
            ("spool", "/x", Some("much"), "the setting \"spool\": \"much\" is no"),
        ] {
            let e = named.set(name, value, second).unwrap_err();
            assert!(e.message().starts_with(why), "{e}");
            assert_eq!(named.raw().unwrap(), RawConfig::default());
        }
    }
}
