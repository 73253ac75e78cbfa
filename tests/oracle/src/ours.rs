//! Our side of a conversion, by the crate's public API, as the exporter does it.

use data_pipeline::convert::{Conversion, convert_to};
use data_pipeline::format::{v1, v04, v05};
use data_pipeline::normalize::Normalizer;
use data_pipeline::obfuscate::{ObfuscationConfig, Obfuscator};
use data_pipeline::rewrite::{Memory, Rewriter};
use data_pipeline::settings::{InputFormat, Metadata, OtherFormat};
use data_pipeline::trace::{
    Arena, Interest, OnMalformed, P0_SLOTS, Payload, SampledOut, TOP_LEVEL_SLOTS, TopLevel, drop_p0,
};
use std::sync::Arc;

/// A v0.4 payload in the format `to` (`v0.4`, `v0.5`, `v1.0` or one of [`beyond`]), repaired as the default policy does
/// it.
pub fn convert(bytes: &[u8], to: &str) -> Result<Vec<u8>, String> {
    match to {
        "v0.4" => repaired(bytes),
        "v0.5" => to_v05(&repaired(bytes)?),
        "v1.0" => to_v1(&repaired(bytes)?),
        other if other_format(other).is_some() => beyond(bytes, other, &Metadata::default()),
        other => Err(format!("no format {other}")),
    }
}

fn other_format(name: &str) -> Option<OtherFormat> {
    OtherFormat::NAMES.iter().find(|(known, _)| *known == name).map(|(_, format)| *format)
}

/// A v0.4 payload for a peer that is no agent: `otlp-proto`, `otlp-json`, `intake`, `log`.
pub fn beyond(bytes: &[u8], to: &str, metadata: &Metadata) -> Result<Vec<u8>, String> {
    let format = other_format(to).ok_or_else(|| format!("no format {to}"))?;
    let wanted = Conversion { from: InputFormat::V04, ..Conversion::default() };
    convert_to(bytes, &format.into(), &wanted, metadata).map(|made| made.body).map_err(|e| e.to_string())
}

/// v0.4 to v0.4, normalized and obfuscated as by a packaged agent.
pub fn rewritten(bytes: &[u8], language: &str) -> Result<Vec<u8>, String> {
    let obfuscator = Obfuscator::new(&ObfuscationConfig::agent()).map_err(|e| e.to_string())?;
    let rewriter = Rewriter::new(Some(Normalizer::new(language.as_bytes())), Some(Arc::new(obfuscator)))
        .ok_or("no rules")?;
    let mut arena = Arena::new();
    let mut payload = scan(bytes, &mut arena, &Rewriter::interest(Interest::none()))?;
    rewriter.apply(&mut payload, &mut Memory::default());
    let mut encoder = v04::Encoder::default();
    encoder.begin();
    encoder.add(&mut payload);
    Ok(encoder.finish().to_vec())
}

/// v0.4 to v0.4. The other encoders take no payload with edits, so repairs are made first, in a pass of their own.
pub fn repaired(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut arena = Arena::new();
    let mut payload = scan(bytes, &mut arena, &Interest::none())?;
    let mut encoder = v04::Encoder::default();
    encoder.begin();
    encoder.add(&mut payload);
    Ok(encoder.finish().to_vec())
}

pub fn to_v05(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut arena = Arena::new();
    let payload = scan(bytes, &mut arena, &Interest::none())?;
    let mut encoder = v05::Encoder::default();
    encoder.begin();
    encoder.add(&payload);
    Ok(encoder.finish().to_vec())
}

pub fn to_v1(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut arena = Arena::new();
    let payload = scan(bytes, &mut arena, &Interest::none())?;
    let mut encoder = v1::Encoder::default();
    encoder.begin();
    encoder.add(&payload);
    Ok(encoder.finish(bytes, &Metadata::default()).to_vec())
}

/// Top level marked, p0 dropped, v0.4 out.
pub fn stages(bytes: &[u8]) -> Result<(Vec<u8>, SampledOut), String> {
    let mut arena = Arena::new();
    let mut payload = scan(bytes, &mut arena, &Interest::none().slots(TOP_LEVEL_SLOTS).slots(P0_SLOTS))?;
    TopLevel { mark: true }.apply(&mut payload);
    let sampled_out = drop_p0(&mut payload);
    let mut encoder = v04::Encoder::default();
    encoder.begin();
    encoder.add(&mut payload);
    Ok((encoder.finish().to_vec(), sampled_out))
}

fn scan<'a>(bytes: &'a [u8], arena: &'a mut Arena, interest: &Interest) -> Result<Payload<'a>, String> {
    Payload::scan(bytes, arena, interest, OnMalformed::Repair).map_err(|e| e.to_string())
}
