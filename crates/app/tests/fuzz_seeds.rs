//! What fuzzing began with and what it has found, in `fuzz/corpus`: run here too, without a fuzzer.

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/targets/app.rs"]
mod targets;

fn replay(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let seeds = fs::read_dir(corpus.join(target)).expect("the corpus");
    let mut count = 0;
    for seed in seeds {
        let path = seed.expect("a seed").path();
        eprintln!("{}", path.display());
        check(&fs::read(path).expect("a seed"));
        count += 1;
    }
    assert!(count > 5, "{count}");
}

#[test]
fn seeds_of_config() {
    replay("config", targets::config);
}

#[test]
fn seeds_of_app_files() {
    replay("app_files", targets::app_files);
}
