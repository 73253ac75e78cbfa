//! Reads [`RawConfig`] from the map that callers in other languages hand over. One function for all settings of one
//! type: what serde would make of a struct with so many fields is five times larger.

use super::{Destination, RawConfig};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::fmt;
use std::time::Duration;

/// The place of a setting, by its type.
#[derive(PartialEq)]
pub(super) enum Slot<'a> {
    Flag(&'a mut Option<bool>),
    Count(&'a mut Option<u32>),
    Bytes(&'a mut Option<u64>),
    Duration(&'a mut Option<Duration>),
    Text(&'a mut Option<String>),
    Texts(&'a mut Vec<String>),
    Pairs(&'a mut Vec<(String, String)>),
    Limits(&'a mut Option<[u32; 5]>),
    Directory(&'a mut Option<(String, u64)>),
    Certificate(&'a mut Option<(String, String)>),
    Destinations(&'a mut Vec<Destination>),
}

impl Slot<'_> {
    /// As if it had not been set.
    pub(super) fn clear(self) {
        match self {
            Self::Flag(to) => *to = None,
            Self::Count(to) => *to = None,
            Self::Bytes(to) => *to = None,
            Self::Duration(to) => *to = None,
            Self::Text(to) => *to = None,
            Self::Texts(to) => to.clear(),
            Self::Pairs(to) => to.clear(),
            Self::Limits(to) => *to = None,
            Self::Directory(to) => *to = None,
            Self::Certificate(to) => *to = None,
            Self::Destinations(to) => to.clear(),
        }
    }

    fn read<'de, A: MapAccess<'de>>(self, map: &mut A) -> Result<(), A::Error> {
        match self {
            Self::Flag(to) => *to = map.next_value()?,
            Self::Count(to) => *to = map.next_value()?,
            Self::Bytes(to) => *to = map.next_value()?,
            Self::Duration(to) => *to = map.next_value::<Option<u64>>()?.map(Duration::from_millis),
            Self::Text(to) => *to = map.next_value()?,
            Self::Texts(to) => *to = map.next_value()?,
            Self::Pairs(to) => *to = map.next_value()?,
            Self::Limits(to) => *to = map.next_value()?,
            Self::Directory(to) => *to = map.next_value()?,
            Self::Certificate(to) => *to = map.next_value()?,
            Self::Destinations(to) => *to = map.next_value()?,
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for RawConfig {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Settings)
    }
}

struct Settings;

impl<'de> Visitor<'de> for Settings {
    type Value = RawConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of settings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawConfig, A::Error> {
        let mut raw = RawConfig::default();
        while let Some(name) = map.next_key::<String>()? {
            match raw.slot(&name) {
                Some(slot) => slot.read(&mut map)?,
                None => return Err(A::Error::custom(format_args!("there is no setting {name:?}"))),
            }
        }
        Ok(raw)
    }
}
