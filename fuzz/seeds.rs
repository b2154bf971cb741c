//! The seeds in `fuzz/corpus`, for tests that run a fuzzer's targets without a fuzzer.

use proptest::prelude::*;
use proptest::sample::Index;
use std::fs;
use std::path::Path;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let files = fs::read_dir(corpus.join(target)).expect("the corpus");
    let mut paths: Vec<_> = files.map(|file| file.expect("a seed").path()).collect();
    paths.sort();
    assert!(paths.len() > 5, "{paths:?}");
    let read = |path| fs::read(path).expect("a seed");
    paths.into_iter().map(read).collect()
}

/// Runs a target on each of its seeds.
pub(crate) fn replay(target: &str, check: fn(&[u8])) {
    for seed in seeds(target) {
        eprintln!("{}", seed.escape_ascii());
        check(&seed);
    }
}

/// A seed with parts of it replaced by other bytes, or by a part of another seed.
pub(crate) fn changed(target: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let seeds = prop::sample::select(seeds(target));
    let part = (any::<Index>(), 0..9_usize);
    let other = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..5),
        (seeds.clone(), part.clone()).prop_map(|(seed, (at, length))| {
            let at = at.index(seed.len() + 1);
            seed[at..seed.len().min(at + 4 * length)].to_vec()
        }),
    ];
    let changes = prop::collection::vec((part, other), 1..5);
    (seeds, changes).prop_map(|(mut seed, changes)| {
        for ((at, length), bytes) in changes {
            let at = at.index(seed.len() + 1);
            let end = seed.len().min(at + length);
            seed.splice(at..end, bytes);
        }
        seed
    })
}
