//! How long the rules take on the spans of a payload: `cargo run --release --example rules_speed -- PAYLOAD
//! [normalize|all]`.

use data_pipeline::normalize::Normalizer;
use data_pipeline::obfuscate::{ObfuscationConfig, Obfuscator};
use data_pipeline::rewrite::{Memory, Rewriter};
use data_pipeline::trace::{Arena, Interest, OnMalformed, Scanner};
use std::sync::Arc;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let bytes = std::fs::read(arguments.next().ok_or("which payload?")?)?;
    let all = arguments.next().as_deref() == Some("all");
    let obfuscator = if all { Some(Arc::new(Obfuscator::new(&ObfuscationConfig::agent())?)) } else { None };
    let rewriter = Rewriter::new(Some(Normalizer::new(b"java")), obfuscator).ok_or("nothing to do")?;
    let interest = Rewriter::interest(Interest::none());
    let (mut arena, mut memory) = (Arena::new(), Memory::default());
    let (mut scan, mut rules, mut spans) = (0, 0, 0);
    for _ in 0..2_000 {
        let mut scanner = Scanner::new(&bytes, OnMalformed::Repair)?;
        while !scanner.is_done() {
            let start = Instant::now();
            scanner.fill(&mut arena, &interest, 256)?;
            let scanned = Instant::now();
            let mut payload = scanner.payload(&mut arena);
            rewriter.apply(&mut payload, &mut memory);
            scan += (scanned - start).as_nanos();
            rules += scanned.elapsed().as_nanos();
            spans += payload.spans().len() as u128;
        }
    }
    println!("scan {} ns a span, rules {} ns a span", scan / spans, rules / spans);
    Ok(())
}
