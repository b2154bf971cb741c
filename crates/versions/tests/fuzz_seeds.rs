//! Runs the seeds and findings of fuzzing in `fuzz/corpus` without a fuzzer, unchanged and with some bytes changed.

use proptest::prelude::*;
use seeds::{changed, replay};

#[path = "../../../fuzz/seeds.rs"]
mod seeds;
#[path = "../../../fuzz/targets/versions.rs"]
mod targets;

#[test]
fn fuzz_seeds_of_versions() {
    replay("versions", targets::versions);
}

#[test]
fn fuzz_seeds_of_lists() {
    replay("lists", targets::lists);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_fuzz_seeds_of_versions(bytes in changed("versions")) {
        targets::versions(&bytes);
    }

    #[test]
    fn mutated_fuzz_seeds_of_lists(bytes in changed("lists")) {
        targets::lists(&bytes);
    }
}
