//! Properties of unpacking arbitrary bytes, for the fuzzer in `fuzz/` and for tests.

#![expect(
    clippy::missing_panics_doc,
    clippy::unnecessary_debug_formatting,
    reason = "a panic is what a fuzzer looks for"
)]

use std::fs;
use std::io::Cursor;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::error::Kind;
use crate::tree::{Limits, Refusal, Tree};
use crate::{untar, unzip};

const LIMITS: Limits = Limits {
    bytes: 1 << 20,
    entries: 200,
};

/// Unpacks a zip or an uncompressed tar. The first byte selects the format and the number of components to strip.
/// Panics if files outside the tree change, if anything but plain files, directories and links within the tree is
/// created, or if the error blames this machine for the archive's content.
pub fn archive(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else {
        return;
    };
    let place = tempfile::tempdir().expect("a folder");
    let canary = place.path().join("canary");
    fs::write(&canary, "alive").expect("a file");
    let root = place.path().join("tree");
    let strip = usize::from(choice >> 1 & 1);
    let mut tree = Tree::create(root.clone(), strip, LIMITS).expect("a folder");
    let result = if choice & 1 == 0 {
        untar::unpack(with_sums(bytes).as_slice(), &mut tree)
    } else {
        unzip::unpack(Cursor::new(bytes), &mut tree)
    };
    if let Err(Refusal::Final(kind)) = result {
        assert!(matches!(kind, Kind::UnsafeEntry { .. }), "{kind:?}");
    }
    let around: Vec<_> = fs::read_dir(place.path()).expect("a folder").collect();
    assert_eq!(around.len(), 2, "{around:?}");
    let canary_is = canary.metadata().expect("the canary");
    assert_eq!((canary_is.len(), canary_is.nlink()), (5, 1));
    let mut remaining = LIMITS;
    look(
        &root,
        &root.canonicalize().expect("a folder"),
        &mut remaining,
    );
}

/// Corrects the checksum of every header, which a fuzzer would rarely get right.
fn with_sums(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for header in bytes.chunks_exact_mut(512) {
        if header[257..262] == *b"ustar" {
            header[148..156].fill(b' ');
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    bytes
}

fn look(folder: &Path, root: &Path, remaining: &mut Limits) {
    for entry in fs::read_dir(folder).expect("a folder that can be read") {
        let path = entry.expect("an entry").path();
        let found = path.symlink_metadata().expect("an entry");
        remaining.entries = remaining.entries.checked_sub(1).expect("few entries");
        if found.is_symlink() {
            let target = fs::read_link(&path).expect("a link");
            assert!(!target.is_absolute(), "{path:?} {target:?}");
            // The target of a chain of links, if it exists.
            if let Ok(end) = path.canonicalize() {
                assert!(end.starts_with(root), "{path:?} {end:?}");
            }
            continue;
        }
        assert!(found.is_dir() || found.is_file(), "{path:?} {found:?}");
        let mode = found.permissions().mode();
        assert_eq!(
            (mode & 0o7022, mode & 0o600),
            (0, 0o600),
            "{path:?} {mode:o}"
        );
        if found.is_dir() {
            look(&path, root, remaining);
        } else if found.nlink() == 1 {
            remaining.bytes = remaining.bytes.checked_sub(found.len()).expect("few bytes");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    /// Few names, so that entries often conflict as files, directories and links.
    fn path() -> impl Strategy<Value = String> {
        let parts = ["a", "b", "c", ".", "..", "", "/"];
        let parts = prop::collection::vec(prop::sample::select(parts.to_vec()), 1..5);
        parts.prop_map(|parts| parts.join("/"))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn conflicting_entries_unpack_safely(
            entries in prop::collection::vec(
                (prop::sample::select(b"000011222555346Sgx7L".to_vec()), path(), path(), 0..0o7777_u32),
                0..10,
            ),
            strips in any::<bool>(),
        ) {
            let strip = u8::from(strips) * 2;
            let mut tar = vec![strip];
            let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
            for (kind, name, link, mode) in &entries {
                let mut header = tar::Header::new_gnu();
                header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
                header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
                header.set_entry_type(tar::EntryType::new(*kind));
                header.set_mode(*mode);
                header.set_size(0);
                header.set_cksum();
                tar.extend(header.as_bytes());
                // The writer rejects a second entry with the same name.
                let options = zip::write::SimpleFileOptions::default().unix_permissions(*mode);
                let _ = match kind {
                    b'2' => zip.add_symlink(name, link, options),
                    b'5' => zip.add_directory(name, options),
                    _ => zip.start_file(name, options).map(|()| {
                        let _ = zip.write_all(b"content");
                    }),
                };
            }
            tar.resize(tar.len() + 1024, 0);
            archive(&tar);
            let zip = zip.finish().expect("a zip").into_inner();
            archive(&[&[strip | 1], zip.as_slice()].concat());
        }
    }

    /// Unpacks the seeds of the fuzzer, which include its findings.
    #[test]
    fn fuzz_seeds_unpack_safely() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/archive");
        let mut seeds = 0;
        for seed in fs::read_dir(corpus).expect("the corpus") {
            archive(&fs::read(seed.expect("a seed").path()).expect("a seed"));
            seeds += 1;
        }
        assert!(seeds > 5, "{seeds}");
    }
}
