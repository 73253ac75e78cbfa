//! An agent without `/info` is asked by trying: an empty payload to one endpoint for traces after the other, until one
//! takes it, as the Java tracer does (`DDAgentFeaturesDiscovery`). Takes the format wanted, gives the endpoints to try
//! and what an answer means; the requests are [`Client`](super::Client)'s.

use crate::error::Error;
use crate::settings::OutputFormat;

/// The only endpoint of the oldest agents. Its bodies are those of v0.4.
pub(super) const V03: &str = "/v0.3/traces";
pub(super) const V04: &str = "/v0.4/traces";

/// Two empty arrays in one: two empty traces for v0.3 and v0.4, no texts and no traces for v0.5. The Java tracer's.
const ARRAYS: &[u8] = &[0x92, 0x90, 0x90];
/// A v1 payload is a map.
const MAP: &[u8] = &[0x80];

/// The endpoints, in the order of the Java tracer: the format wanted, then what is older. An agent that does not say
/// what it has is not one for AUTO to find v1 at.
pub(super) fn candidates(wanted: OutputFormat, auto: bool) -> &'static [&'static str] {
    match wanted {
        _ if auto => &[V04, V03],
        OutputFormat::V1 => &["/v1.0/traces", V04, V03],
        OutputFormat::V05 => &["/v0.5/traces", V04, V03],
        OutputFormat::V04 => &[V04, V03],
    }
}

/// The payload without traces for an endpoint.
pub(super) fn body(endpoint: &str) -> &'static [u8] {
    if endpoint == OutputFormat::V1.path() { MAP } else { ARRAYS }
}

/// Statuses of an endpoint that is not there, or does not take such requests: another one may.
pub(super) fn is_elsewhere(status: u16) -> bool {
    matches!(status, 404 | 405 | 415)
}

/// What trying has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// This endpoint takes payloads.
    Endpoint(&'static str),
    /// None of them is there.
    Nothing,
}

impl Found {
    /// The endpoint, if there is one.
    pub(super) fn endpoint(self) -> Option<&'static str> {
        match self {
            Self::Endpoint(endpoint) => Some(endpoint),
            Self::Nothing => None,
        }
    }
}

/// For people.
impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Endpoint(endpoint) => write!(f, "it takes traces at {endpoint}"),
            Self::Nothing => f.write_str("no endpoint for traces was found either"),
        }
    }
}

/// Tries one after the other by `request`, which gives the status of the answer, until one is there. The first answer
/// that is none ends it: whoever cannot be reached at one endpoint cannot at the next.
///
/// # Errors
/// What `request` ran into, and a status that says nothing of endpoints (5xx, a redirect, credentials wanted).
pub(super) fn search(
    endpoints: &[&'static str],
    mut request: impl FnMut(&'static str) -> Result<(u16, Error), Error>,
) -> Result<Found, Error> {
    for endpoint in endpoints {
        match request(endpoint)? {
            (status, _) if is_elsewhere(status) => {}
            // What a peer thinks of an empty payload shows that it reads payloads there.
            (200..=299 | 400 | 408 | 413 | 429, _) => return Ok(Found::Endpoint(endpoint)),
            (_, refusal) => return Err(refusal),
        }
    }
    Ok(Found::Nothing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn found(endpoints: &[&'static str], answers: &[u16]) -> (Result<Found, Error>, usize) {
        let mut asked = 0;
        let result = search(endpoints, |_| {
            asked += 1;
            let status = answers[asked - 1];
            let error = Error::new(ErrorKind::HttpStatus, "no").with_status(status);
            if status == 0 { Err(error) } else { Ok((status, error)) }
        });
        (result, asked)
    }

    #[test]
    fn the_first_that_is_there_is_taken_and_an_answer_of_trouble_ends_the_search() {
        let v1 = candidates(OutputFormat::V1, false);
        assert_eq!(found(v1, &[200]), (Ok(Found::Endpoint("/v1.0/traces")), 1));
        assert_eq!(found(v1, &[404, 405, 415]), (Ok(Found::Nothing), 3));
        assert_eq!(found(v1, &[404, 404, 400]), (Ok(Found::Endpoint(V03)), 3));
        for trouble in [0, 301, 401, 500, 503] {
            let (result, asked) = found(v1, &[404, trouble]);
            assert!(result.is_err() && asked == 2, "{trouble}");
        }
        for (wanted, auto, first) in [
            (OutputFormat::V04, false, V04),
            (OutputFormat::V05, false, "/v0.5/traces"),
            (OutputFormat::V04, true, V04),
        ] {
            let all = candidates(wanted, auto);
            assert_eq!((all[0], all[all.len() - 1]), (first, V03));
        }
        assert_eq!((body(V03), body("/v1.0/traces")), (&[0x92, 0x90, 0x90][..], &[0x80][..]));
    }
}
