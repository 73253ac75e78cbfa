//! One captured request as a file: lines that say what it is, then the parts as they were, the body to the byte.
//!
//! ```text
//! data-pipeline capture 1            the format and its version
//! number: 17
//! time: 2026-11-26T21:10:03.123456Z  when the request began
//! peer: http://127.0.0.1:8126        as explain() shows it
//! fate: refused                      accepted, refused, repeated, failed, dry
//! attempt: 1                         of this body
//! took-us: 1234
//! masked: dd-api-key, x-team         headers whose values are not here; may be absent
//! failure: nobody listens at …       why there is no answer; may be absent
//! request-head-bytes: 98
//! answer-head-bytes: 61
//! answer-body-bytes: 12
//! body-bytes: 4711
//!
//! PUT /v0.4/traces HTTP/1.1          then headers, a line each
//! ```
//!
//! Behind the empty line come the four parts, each of the length that its line says and with one line end behind it
//! that does not count, the request's body last and without: `tail -c` gives it. `***` before the path of a request
//! says that the address has a path of its own, which may be a secret. A reader takes lines that it does not know for
//! nothing.
//!
//! **What is masked** says `secrets`: values of headers but those of ours that are harmless, in the answer too.

use super::super::exchange::Answer;
use super::super::secrets::{MASK, Secrets, WELL_KNOWN, is_shown};
use crate::error::Error;
use crate::settings::shown;
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use ureq::http::header::{CONTENT_LENGTH, HOST, LOCATION, SET_COOKIE};
use ureq::http::{HeaderMap, Method};

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The peer took it.
    Accepted,
    /// The peer did not take it, and is not asked again.
    Refused,
    /// It is sent again.
    Repeated,
    /// There is no answer.
    Failed,
    /// It was not sent (`dryRun`).
    Dry,
}

impl Fate {
    pub(super) const ALL: [Self; 5] =
        [Self::Accepted, Self::Refused, Self::Repeated, Self::Failed, Self::Dry];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Repeated => "repeated",
            Self::Failed => "failed",
            Self::Dry => "dry",
        }
    }
}

/// A request and what came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) peer: &'a str,
    pub(crate) method: &'a Method,
    /// The path that was asked for, and the part of it that the peer's address has.
    pub(crate) path: (&'a str, &'a str),
    pub(crate) host: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    pub(crate) began: SystemTime,
    pub(crate) took: Duration,
    pub(crate) attempt: u32,
    pub(crate) fate: Fate,
    pub(crate) answer: Option<&'a Answer>,
    pub(crate) failure: Option<&'a Error>,
}

impl Record<'_> {
    /// Everything before the body.
    pub(super) fn head(&self, number: u64) -> Vec<u8> {
        let mut masked: Vec<&str> = Vec::new();
        let mut secrets = Secrets::of(self.headers);
        let request = self.request_head(&mut masked);
        secrets.add_path(self.path.1);
        let (answer_head, answer_body) = self.answer_parts(&secrets);
        let mut text = format!(
            "data-pipeline capture 1\nnumber: {number}\ntime: {}\npeer: {}\nfate: {}\nattempt: {}\ntook-us: {}\n",
            utc(self.began),
            one_line(self.peer),
            self.fate.name(),
            self.attempt,
            self.took.as_micros()
        );
        if !masked.is_empty() {
            line(&mut text, "masked", &masked.join(", "));
        }
        if let Some(failure) = self.failure {
            let why = secrets.hide(failure.message().as_bytes());
            line(&mut text, "failure", &one_line(&String::from_utf8_lossy(&why)));
        }
        for (name, bytes) in [
            ("request-head-bytes", request.len()),
            ("answer-head-bytes", answer_head.len()),
            ("answer-body-bytes", answer_body.len()),
            ("body-bytes", self.body.len()),
        ] {
            line(&mut text, name, &bytes.to_string());
        }
        let mut out = text.into_bytes();
        for part in [&[][..], &request, &answer_head, &answer_body] {
            out.extend_from_slice(part);
            out.push(b'\n');
        }
        out
    }

    /// The request line, and the headers.
    fn request_head<'s>(&'s self, masked: &mut Vec<&'s str>) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\n", self.method, self.target()).into_bytes();
        if !self.host.is_empty() {
            header(&mut out, HOST.as_str(), self.host.as_bytes());
        }
        for (name, value) in self.headers {
            let (name, value) = (name.as_str(), value.as_bytes());
            if is_shown(name) {
                header(&mut out, name, value);
                continue;
            }
            header(&mut out, name, MASK.as_bytes());
            if !masked.contains(&name) {
                masked.push(name);
            }
        }
        if *self.method != Method::GET {
            header(&mut out, CONTENT_LENGTH.as_str(), self.body.len().to_string().as_bytes());
        }
        out
    }

    /// The path, without what of it may be a secret.
    fn target(&self) -> String {
        let (whole, own) = self.path;
        let rest = whole.strip_prefix(own).unwrap_or(whole);
        if own.is_empty() || WELL_KNOWN.contains(&own) && rest.is_empty() {
            return whole.to_owned();
        }
        let known = WELL_KNOWN.iter().find(|known| rest.is_empty() && own.ends_with(**known));
        format!("{MASK}{}", known.copied().unwrap_or(rest))
    }

    fn answer_parts(&self, secrets: &Secrets<'_>) -> (Vec<u8>, Vec<u8>) {
        let Some(answer) = self.answer else { return Default::default() };
        let mut head = format!("HTTP/1.1 {}\n", answer.status()).into_bytes();
        for (name, value) in &answer.parts.headers {
            let value = if name == SET_COOKIE {
                MASK.as_bytes().to_vec()
            } else if name == LOCATION {
                shown::url(&String::from_utf8_lossy(value.as_bytes())).into_bytes()
            } else {
                secrets.hide(value.as_bytes())
            };
            header(&mut head, name.as_str(), &value);
        }
        (head, secrets.hide(answer.body()))
    }
}

fn header(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\n"] {
        out.extend_from_slice(part);
    }
}

fn line(text: &mut String, name: &str, value: &str) {
    // Writing to a text does not fail.
    let _ = writeln!(text, "{name}: {value}");
}

fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

/// A time as people write it, in UTC.
fn utc(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Years are counted from March on, so that the leap day is the last of one; 400 of them have 146,097 days.
    let day = days + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, year) = if month < 10 { (month + 3, year) } else { (month - 9, year + 1) };
    format!(
        "{:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}.{:06}Z",
        era * 400 + year,
        second / 3600,
        second / 60 % 60,
        second % 60,
        since.subsec_micros()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (951_868_800, "2000-03-01T00:00:00.000000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
            (253_402_300_799, "9999-12-31T23:59:59.000000Z"),
        ] {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
