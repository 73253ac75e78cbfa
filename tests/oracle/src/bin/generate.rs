//! Writes generated payloads for the agent oracle.
//!
//! usage: `generate OUT COUNT [SEED]`: writes `OUT/NNNN.msgpack`; the same seed (0 if not given) gives the
//! same payloads.

use data_pipeline_oracle::generate;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, count, seed @ ..] = arguments.as_slice() else {
        eprintln!("usage: generate OUT COUNT [SEED]");
        std::process::exit(2);
    };
    let count: usize = count.parse().expect("COUNT is a number");
    let seed: u64 = seed.first().map_or(0, |seed| seed.parse().expect("SEED is a number"));
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    std::fs::create_dir_all(out).expect("OUT can be made");
    for i in 0..count {
        let payload =
            generate::payload(4).new_tree(&mut runner).expect("the strategy rejects nothing").current();
        std::fs::write(format!("{out}/{i:04}.msgpack"), payload).expect("OUT can be written");
    }
    println!("{count} payloads of seed {seed} in {out}");
}
