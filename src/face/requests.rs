//! What is asked about payloads without an exporter: a request is words with NUL between them.

use crate::convert::{convert, convert_to};
use crate::error::Error;
use crate::obfuscate::{Request, one_text};
use crate::settings::{Conversion, Metadata, OtherFormat};

fn words(request: &[u8]) -> impl Iterator<Item = &str> {
    request.split(|b| *b == 0).map(|word| std::str::from_utf8(word).unwrap_or(""))
}

/// A payload in another format. The request holds the words of [`Conversion::read`]; `to=` may also have one of
/// [`OtherFormat::NAMES`]. The answer is one line, a JSON object of what became of it, and then the body.
pub(crate) fn conversion(request: &[u8], payload: &[u8]) -> Result<Vec<u8>, Error> {
    let other = |word: &str| {
        let name = word.strip_prefix("to=")?;
        OtherFormat::NAMES.iter().find(|(known, _)| *known == name).map(|(_, format)| *format)
    };
    let wanted = Conversion::read(words(request).filter(|word| other(word).is_none()))?;
    let made = match words(request).find_map(other) {
        None => convert(payload, &wanted)?,
        Some(format) => convert_to(payload, &format.into(), &wanted, &Metadata::default())?,
    };
    let mut answer = made.to_json().into_bytes();
    answer.push(b'\n');
    answer.extend_from_slice(&made.body);
    Ok(answer)
}

/// One text as it would leave the process. The request holds the names of type, dialect, mode and preset.
pub(crate) fn obfuscation(request: &[u8], text: &[u8]) -> Result<Vec<u8>, Error> {
    let mut names = words(request);
    let mut next = || names.next().unwrap_or("");
    let request = Request { kind: next(), dbms: next(), mode: next(), preset: next() };
    one_text(request, text)
}

/// A payload as JSON lines.
pub(crate) fn lines(payload: &[u8]) -> Result<String, Error> {
    let mut text = String::new();
    crate::show::json_lines(payload, &mut text)?;
    Ok(text)
}
