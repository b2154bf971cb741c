//! Runs the seeds and findings of fuzzing in `fuzz/corpus` without a fuzzer, unchanged and with some bytes changed.

use proptest::prelude::*;
use seeds::{changed, replay};

#[path = "../../../fuzz/seeds.rs"]
mod seeds;
#[path = "../../../fuzz/targets/app.rs"]
mod targets;

#[test]
fn fuzz_seeds_of_config() {
    replay("config", targets::config);
}

#[test]
fn fuzz_seeds_of_app_files() {
    replay("app_files", targets::app_files);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_fuzz_seeds_of_config(bytes in changed("config")) {
        targets::config(&bytes);
    }

    #[test]
    fn mutated_fuzz_seeds_of_app_files(bytes in changed("app_files")) {
        targets::app_files(&bytes);
    }
}
