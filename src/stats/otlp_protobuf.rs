//! OTLP metrics in protobuf, from the same request that is written in JSON (`otlp_metrics.rs`): one place says what is
//! in it. Stats go out every few seconds, so a tree of values costs nothing that matters.

use serde_json::Value;

/// A request in the form of OTLP/JSON as protobuf.
pub(super) fn encode(request: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for resource in list(&request["resourceMetrics"]) {
        message(&mut out, 1, |out| {
            message(out, 1, |out| attributes(out, 1, &resource["resource"]["attributes"]));
            for scope in list(&resource["scopeMetrics"]) {
                message(out, 2, |out| {
                    message(out, 1, |out| {
                        text(out, 1, &scope["scope"]["name"]);
                        text(out, 2, &scope["scope"]["version"]);
                    });
                    list(&scope["metrics"])
                        .iter()
                        .for_each(|metric| message(out, 2, |out| histogram(out, metric)));
                });
            }
        });
    }
    out
}

fn histogram(out: &mut Vec<u8>, metric: &Value) {
    text(out, 1, &metric["name"]);
    text(out, 3, &metric["unit"]);
    message(out, 9, |out| {
        for point in list(&metric["histogram"]["dataPoints"]) {
            message(out, 1, |out| {
                fixed(out, 2, integer(&point["startTimeUnixNano"]));
                fixed(out, 3, integer(&point["timeUnixNano"]));
                fixed(out, 4, integer(&point["count"]));
                fixed(out, 5, double(&point["sum"]));
                packed(out, 6, list(&point["bucketCounts"]).iter().map(integer));
                packed(out, 7, list(&point["explicitBounds"]).iter().map(double));
                attributes(out, 9, &point["attributes"]);
                fixed(out, 11, double(&point["min"]));
                fixed(out, 12, double(&point["max"]));
            });
        }
        key(out, 2, 0);
        varint(out, integer(&metric["histogram"]["aggregationTemporality"]));
    });
}

fn attributes(out: &mut Vec<u8>, number: u64, all: &Value) {
    for attribute in list(all) {
        message(out, number, |out| {
            text(out, 1, &attribute["key"]);
            message(out, 2, |out| value(out, &attribute["value"]));
        });
    }
}

fn value(out: &mut Vec<u8>, v: &Value) {
    let Some((kind, v)) = v.as_object().and_then(|fields| fields.iter().next()) else { return };
    match kind.as_str() {
        "boolValue" => {
            key(out, 2, 0);
            varint(out, u64::from(v.as_bool().unwrap_or_default()));
        }
        "intValue" => {
            key(out, 3, 0);
            varint(out, integer(v));
        }
        "arrayValue" => message(out, 5, |out| {
            list(&v["values"]).iter().for_each(|v| message(out, 1, |out| value(out, v)));
        }),
        _ => text(out, 1, v),
    }
}

fn list(v: &Value) -> &[Value] {
    v.as_array().map_or(&[], Vec::as_slice)
}

/// An integer, which JSON has as text.
fn integer(v: &Value) -> u64 {
    match v.as_str() {
        Some(text) => text.parse::<i64>().map_or_else(|_| text.parse().unwrap_or_default(), |v| v as u64),
        None => v.as_u64().unwrap_or_default(),
    }
}

fn double(v: &Value) -> u64 {
    v.as_f64().unwrap_or_default().to_bits()
}

fn key(out: &mut Vec<u8>, number: u64, wire: u64) {
    varint(out, number << 3 | wire);
}

fn text(out: &mut Vec<u8>, number: u64, v: &Value) {
    let text = v.as_str().unwrap_or_default();
    key(out, number, 2);
    varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn fixed(out: &mut Vec<u8>, number: u64, bits: u64) {
    key(out, number, 1);
    out.extend_from_slice(&bits.to_le_bytes());
}

fn packed(out: &mut Vec<u8>, number: u64, all: impl Iterator<Item = u64>) {
    let bytes: Vec<u8> = all.flat_map(u64::to_le_bytes).collect();
    key(out, number, 2);
    varint(out, bytes.len() as u64);
    out.extend(bytes);
}

fn message(out: &mut Vec<u8>, number: u64, write: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    write(&mut inner);
    key(out, number, 2);
    varint(out, inner.len() as u64);
    out.extend(inner);
}

fn varint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}
