//! An incremental build equals a clean one, whatever came before it.
//!
//! `cargo xtask differential` runs other sequences, and longer ones.

use std::time::Duration;
use whole_builds::differential::{Api, check};

/// Chosen so that together they find a fault planted in each mechanism that lets a build skip work.
const SEEDS: [(u64, usize); 1] = [(1, 8)];

#[test]
fn incremental_builds_equal_clean_builds() {
    for (seed, steps) in SEEDS {
        check(Api::Classic, seed, steps, Duration::ZERO, None)
            .unwrap_or_else(|found| panic!("{found}"));
    }
}
