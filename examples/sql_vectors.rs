//! Answers the SQL case lines of the vectors: reads JSON lines with kind, input, config on standard input and
//! prints one JSON line for each (`output`, `output_b64`, `error` or `outputs`), in order.

use std::io::{BufRead, BufWriter, Write};

use data_pipeline::obfuscate::sql::{SqlConfig, SqlObfuscator};
use serde_json::{Value, json};

fn main() -> std::io::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let answer = match serde_json::from_str::<Value>(&line?) {
            Ok(case) => answer(&case),
            Err(error) => json!({ "error": error.to_string() }),
        };
        writeln!(out, "{answer}")?;
    }
    out.flush()
}

fn answer(case: &Value) -> Value {
    if case["kind"] != "sql" {
        return json!({ "error": "not a case of SQL" });
    }
    let config = match case.get("config") {
        None => SqlConfig::default(),
        Some(config) => match serde_json::from_value(config.clone()) {
            Ok(config) => config,
            Err(error) => return json!({ "error": error.to_string() }),
        },
    };
    let mut obfuscator = SqlObfuscator::new(config);
    let mut one = |statement: &[u8]| {
        let mut out = Vec::new();
        obfuscator.obfuscate(statement, "", &mut out).map(|()| out)
    };
    if let Some(chain) = case["chain"].as_array() {
        let outputs: Vec<String> = chain
            .iter()
            .map(|statement| match one(statement.as_str().unwrap_or_default().as_bytes()) {
                Ok(out) => String::from_utf8_lossy(&out).into_owned(),
                Err(error) => format!("ERROR: {error}"),
            })
            .collect();
        return json!({ "outputs": outputs });
    }
    let input = match case["input_b64"].as_str() {
        Some(text) => base64_bytes(text),
        None => case["input"].as_str().unwrap_or_default().as_bytes().to_vec(),
    };
    match one(&input) {
        Err(error) => json!({ "error": error.to_string() }),
        Ok(out) => match String::from_utf8(out) {
            Ok(text) => json!({ "output": text }),
            Err(bytes) => json!({ "output_b64": base64_text(bytes.as_bytes()) }),
        },
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64_bytes(text: &str) -> Vec<u8> {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for digit in text.bytes().filter_map(|b| DIGITS.iter().position(|&d| d == b)) {
        bits = bits << 6 | digit as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

fn base64_text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, &b| word << 8 | u32::from(b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i)) as usize & 63] as char;
            text.push(if i <= chunk.len() { digit } else { '=' });
        }
    }
    text
}
