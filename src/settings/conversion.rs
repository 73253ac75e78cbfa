//! What a conversion without an exporter shall do.

use super::{FilterRules, InputFormat, OnMalformed, OutputFormat};
use crate::error::{Error, ErrorKind};

/// What a conversion shall do.
#[derive(Clone, Debug, Default)]
pub struct Conversion {
    /// The format of the payload.
    pub from: InputFormat,
    /// The format wanted.
    pub to: OutputFormat,
    /// Mark top-level spans (`_top_level`).
    pub top_level: bool,
    /// Leave out what sampling has rejected.
    pub drop_p0: bool,
    /// Traces to leave out.
    pub filters: FilterRules,
    /// What becomes of input that an agent would refuse.
    pub on_malformed: OnMalformed,
}

impl Conversion {
    /// Reads what a command line asks for: `from=` and `to=` with `v0.4`, `v0.5`, `v1` (or `from=auto`), `top-level`,
    /// `drop-p0`, `on-malformed=` with `repair`, `drop` or `fail`, `filter=` with a rule ([`FilterRules::add`]).
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for anything else.
    pub fn read<'t>(words: impl Iterator<Item = &'t str>) -> Result<Self, Error> {
        let mut wanted = Self { from: InputFormat::Auto, ..Self::default() };
        for word in words {
            match word.split_once('=').unwrap_or((word, "")) {
                ("from", name) => wanted.from = format_named(name, &InputFormat::NAMES)?,
                ("to", name) => wanted.to = format_named(name, &AGENTS)?,
                ("on-malformed", name) => wanted.on_malformed = policy_named(name)?,
                ("filter", rule) => wanted.filters.add(rule)?,
                ("top-level", "") => wanted.top_level = true,
                ("drop-p0", "") => wanted.drop_p0 = true,
                _ => {
                    return Err(Error::new(ErrorKind::InvalidArgument, format!("{word:?} is no option")));
                }
            }
        }
        Ok(wanted)
    }
}

/// What an agent takes.
const AGENTS: [(&str, OutputFormat); 3] =
    [("v0.4", OutputFormat::V04), ("v0.5", OutputFormat::V05), ("v1", OutputFormat::V1)];

fn format_named<T: Copy>(name: &str, known: &[(&str, T)]) -> Result<T, Error> {
    let found = known.iter().find(|(known, _)| *known == name);
    found.map(|(_, format)| *format).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        let text = format!("the format {name:?} is none of {}", names.join(", "));
        Error::new(ErrorKind::InvalidArgument, text)
    })
}

fn policy_named(name: &str) -> Result<OnMalformed, Error> {
    let found = OnMalformed::ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, policy)| *policy).ok_or_else(|| {
        let text = format!("on-malformed is {name:?}; it must be repair, drop or fail");
        Error::new(ErrorKind::InvalidArgument, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_read_or_named() {
        let read = |words: &str| Conversion::read(words.split_terminator(' '));
        let plain = read("to=v1").unwrap();
        assert_eq!((plain.from, plain.to), (InputFormat::Auto, OutputFormat::V1));
        assert!(!plain.top_level && !plain.drop_p0 && plain.filters.is_empty());
        let all = read("to=v0.5 from=v0.4 top-level drop-p0 filter=reject:a=b filter=ignore:x").unwrap();
        assert_eq!((all.from, all.to), (InputFormat::V04, OutputFormat::V05));
        assert!(all.top_level && all.drop_p0);
        assert_eq!(all.on_malformed, OnMalformed::Repair);
        assert_eq!(read("to=v1 on-malformed=fail").unwrap().on_malformed, OnMalformed::Fail);
        assert_eq!((&all.filters.reject[0][..], &all.filters.ignore_resources[0][..]), ("a=b", "x"));
        for (words, why) in [
            ("to=auto", "the format \"auto\" is none of v0.4, v0.5, v1"),
            ("to=V1", "the format \"V1\" is none of v0.4, v0.5, v1"),
            ("from=", "the format \"\" is none of v0.4, v0.5, v1, auto"),
            ("on-malformed=keep", "on-malformed is \"keep\"; it must be repair, drop or fail"),
            ("drop-p0=no", "\"drop-p0=no\" is no option"),
            ("filter=keep:a", "the rule \"keep:a\" is none of require:KEY"),
        ] {
            let e = read(words).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::InvalidArgument);
            assert!(e.message().starts_with(why), "{e}");
        }
    }
}
