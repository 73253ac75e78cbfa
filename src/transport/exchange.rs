//! One request and its answer over ureq: no repetition, no policy. Says of a failure what the policy needs to know: was
//! it a kept connection, was the request sent whole, did an answer begin.

use super::outgoing::Body;
use super::{Call, closed, fault};
use crate::error::{Error, ErrorKind};
use std::io::Read;
use ureq::SendBody;
use ureq::http::header::CONTENT_LENGTH;
use ureq::http::response::Parts;
use ureq::http::{HeaderMap, HeaderValue, Method, Request, Uri};

/// More of a body is not read. The largest honest answers are rates of thousands of services, far below.
pub(crate) const MAX_BODY: usize = 4 * 1024 * 1024;
/// What an ordinary answer fits into without a buffer of its own.
const SMALL: usize = 2048;

/// One request.
pub(crate) struct Exchange<'a> {
    pub(crate) method: Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: &'a [u8],
}

/// An answer with its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) parts: Parts,
    small: [u8; SMALL],
    len: usize,
    large: Vec<u8>,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.parts.status.as_u16()
    }

    pub(crate) fn body(&self) -> &[u8] {
        if self.large.is_empty() { &self.small[..self.len] } else { &self.large }
    }

    /// Puts another text into the place of the body. An empty one leaves it.
    pub(super) fn set_body(&mut self, body: Vec<u8>) {
        self.large = body;
    }
}

/// Why there is no usable answer.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// The request went over a kept connection that turned out dead: nothing was wrong but its age.
    pub(crate) stale: bool,
    /// The request was written whole and nothing says that it was refused.
    pub(crate) possibly_arrived: bool,
    /// The status of an answer whose body could not be read.
    pub(crate) status: Option<u16>,
    /// The answer began and broke off before its status was known to be one.
    pub(crate) broke_off: bool,
}

impl Exchange<'_> {
    /// Makes the request; `call` limits it in time.
    pub(crate) fn run(self, agent: &ureq::Agent, call: Call, address: &str) -> Result<Answer, Failure> {
        let mut status = None;
        let (result, after) = call.run(|| self.talk(agent, &mut status));
        result.map_err(|e| {
            // What was read of a head that is too much for us still says whether the request was taken.
            let status = status.or(if is_too_much(&e) { after.status } else { None });
            let error = explain(e, address, &after);
            let lost = error.kind() == ErrorKind::ConnectionReset;
            Failure {
                stale: !after.fresh && !after.answered && lost,
                possibly_arrived: after.sent && status.is_none_or(|s: u16| (200..300).contains(&s)),
                broke_off: after.broke_off && status.is_none(),
                error,
                status,
            }
        })
    }

    fn talk(self, agent: &ureq::Agent, status: &mut Option<u16>) -> Result<Answer, ureq::Error> {
        let has_body = self.method != Method::GET;
        let mut request = Request::new(());
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers;
        let response = if has_body {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(self.body.len()));
            let mut body = Body::new(self.body);
            agent.run(request.map(|()| SendBody::from_reader(&mut body)))?
        } else {
            agent.run(request)?
        };

        let (parts, mut body) = response.into_parts();
        *status = Some(parts.status.as_u16());
        if body.content_length().is_some_and(|n| n > MAX_BODY as u64) {
            return Err(too_long());
        }
        let mut answer = Answer { parts, small: [0; SMALL], len: 0, large: Vec::new() };
        let mut reader = body.as_reader();
        while answer.len < SMALL {
            match reader.read(&mut answer.small[answer.len..])? {
                0 => return Ok(answer),
                n => answer.len += n,
            }
        }
        // Grows with what really comes, never with what a header announces.
        answer.large.extend_from_slice(&answer.small);
        (&mut reader).take((MAX_BODY - SMALL + 1) as u64).read_to_end(&mut answer.large)?;
        if answer.large.len() > MAX_BODY { Err(too_long()) } else { Ok(answer) }
    }
}

/// Whether the head is one of an answer, and only has more headers than we take. (One that never ends is none.)
fn is_too_much(e: &ureq::Error) -> bool {
    // The HTTP parser's own kind is in no crate that we use.
    matches!(e, ureq::Error::Protocol(e) if e.to_string().contains("too many headers"))
}

fn too_long() -> ureq::Error {
    ureq::Error::BodyExceedsLimit(MAX_BODY as u64)
}

/// Our own errors come through ureq unharmed; what it found itself is put into words here.
fn explain(e: ureq::Error, address: &str, call: &Call) -> Error {
    use ureq::Error as U;
    if let U::Io(e) = &e
        && let Some(ours) = fault::ours(e)
    {
        return ours;
    }
    match e {
        U::Other(inner) => match inner.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(other) => Error::new(ErrorKind::Io, format!("talking to {address} failed: {other}")),
        },
        U::Io(e) => match e.kind() {
            std::io::ErrorKind::UnexpectedEof if call.answered => {
                fault::answer(address, "the connection was closed in the middle of it")
            }
            std::io::ErrorKind::UnexpectedEof => Error::new(
                ErrorKind::ConnectionReset,
                format!("{address} closed the connection before it had answered"),
            ),
            // The pool says so after a shutdown.
            std::io::ErrorKind::NotConnected => closed(),
            _ => Error::new(ErrorKind::Io, format!("talking to {address} failed: {e}")),
        },
        U::Protocol(e) => fault::answer(address, &format!("it is not HTTP ({e})")),
        U::LargeResponseHeader(..) => fault::answer(address, "its head is far too long"),
        U::BodyExceedsLimit(n) => fault::answer(address, &format!("its body is larger than {n} bytes")),
        U::BodyStalled => fault::answer(address, "its body stalls"),
        U::Timeout(_) => {
            Error::new(ErrorKind::TimedOut, format!("{address} did not answer in time (`sendTimeout`)"))
        }
        other => Error::new(ErrorKind::Internal, format!("the HTTP client failed toward {address}: {other}")),
    }
}
