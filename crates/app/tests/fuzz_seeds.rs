//! What fuzzing began with and what it has found, in `fuzz/corpus`: run here too, without a fuzzer,
//! as it is and with some bytes changed.

use proptest::prelude::*;
use proptest::sample::Index;
use std::fs;
use std::path::Path;

#[path = "../../../fuzz/targets/app.rs"]
mod targets;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let files = fs::read_dir(corpus.join(target)).expect("the corpus");
    let mut paths: Vec<_> = files.map(|file| file.expect("a seed").path()).collect();
    paths.sort();
    assert!(paths.len() > 5, "{paths:?}");
    let read = |path| fs::read(path).expect("a seed");
    paths.into_iter().map(read).collect()
}

fn replay(target: &str, check: fn(&[u8])) {
    for seed in seeds(target) {
        eprintln!("{}", seed.escape_ascii());
        check(&seed);
    }
}

/// A seed with parts of it replaced by other bytes, or by a part of another seed.
fn changed(target: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
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

#[test]
fn seeds_of_config() {
    replay("config", targets::config);
}

#[test]
fn seeds_of_app_files() {
    replay("app_files", targets::app_files);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_seeds_of_config(bytes in changed("config")) {
        targets::config(&bytes);
    }

    #[test]
    fn changed_seeds_of_app_files(bytes in changed("app_files")) {
        targets::app_files(&bytes);
    }
}
