//! A store in a directory: which builds can read which objects, and everything that may be wrong with a file.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;

use shared_store::SharedStore;
use walkdir::WalkDir;

use crate::support::{key, object, open, open_as, open_trusting, writer};

fn directory() -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    // The store's own directory doesn't exist yet.
    let place = directory
        .path()
        .join("a/store")
        .to_str()
        .unwrap()
        .to_owned();
    (directory, place)
}

/// The files of a store, with their paths in it.
fn files(place: &str) -> Vec<PathBuf> {
    let entries = WalkDir::new(place).sort_by_file_name().into_iter();
    entries
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect()
}

fn only_file(place: &str) -> PathBuf {
    let mut files = files(place);
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

/// Returns the sentence for the log after a miss.
fn trouble_of_miss(store: &SharedStore, key: &str) -> Option<String> {
    assert_eq!(store.get(key), None);
    store.trouble()
}

#[test]
fn readers_get_objects_of_trusted_writers() {
    let (_directory, place) = directory();
    let writer = writer();
    let build = open_as(&place, &writer);
    assert_eq!(build.get(&key('a')), None);
    assert!(build.put(&key('a'), &object("plug")));
    let reader = open_trusting(&format!("file://{place}"), &writer);
    assert_eq!(reader.get(&key('a')), Some(object("plug")));
    assert_eq!(reader.get(&key('b')), None);
    assert!(!reader.can_write() && !reader.put(&key('b'), &object("jason")));
    assert_eq!(build.trouble(), None);
    assert_eq!(reader.trouble(), None);
    let path = only_file(&place);
    assert!(path.ends_with(key('a')), "{path:?}");
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0, "{mode:o}");
}

#[test]
fn writers_do_not_see_each_other_unless_trusted() {
    let (_directory, place) = directory();
    let (production, review) = (writer(), writer());
    assert!(open_as(&place, &review).put(&key('a'), &object("of review")));
    let build = open_as(&place, &production);
    assert_eq!(trouble_of_miss(&build, &key('a')), None);
    assert!(build.put(&key('a'), &object("of production")));
    assert_eq!(build.get(&key('a')), Some(object("of production")));
    // The order of trust decides between two that have one.
    for (first, second, name) in [
        (&review, &production, "of review"),
        (&production, &review, "of production"),
    ] {
        let trust = format!("{} {}", first.public_key, second.public_key);
        let reader = open(&place, &[("_TRUST", &trust)]);
        assert_eq!(reader.get(&key('a')), Some(object(name)));
    }
}

#[test]
fn existing_object_stays() {
    let (_directory, place) = directory();
    let build = open_as(&place, &writer());
    assert!(build.put(&key('a'), &object("first")));
    assert!(build.put(&key('a'), &object("second")));
    assert_eq!(build.get(&key('a')), Some(object("first")));
    only_file(&place);
}

#[test]
fn writers_and_readers_at_once_never_see_half_an_object() {
    let (_directory, place) = directory();
    let writer = writer();
    let large = object(&"x".repeat(2000));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let build = open_as(&place, &writer);
                for digit in "0123456789abcdef".chars() {
                    if let Some(found) = build.get(&key(digit)) {
                        assert_eq!(found, large);
                    }
                    assert!(build.put(&key(digit), &large));
                    assert_eq!(build.get(&key(digit)).as_ref(), Some(&large));
                }
                assert_eq!(build.trouble(), None);
            });
        }
    });
    assert_eq!(files(&place).len(), 16);
}

#[test]
fn damaged_files_are_misses_with_a_sentence() {
    type Damage = fn(&[u8]) -> Vec<u8>;
    let damages: [(Damage, &str); 5] = [
        (|bytes| bytes[..bytes.len() - 1].to_vec(), "is truncated"),
        (|bytes| bytes[..20].to_vec(), "is truncated"),
        (|_| Vec::new(), "is truncated"),
        (
            |bytes| [&bytes[..bytes.len() - 1], b"!"].concat(),
            "doesn't match its checksum",
        ),
        (|_| b"<html>".to_vec(), "is an HTML page"),
    ];
    for (damage, sentence) in damages {
        let (_directory, place) = directory();
        let writer = writer();
        let build = open_as(&place, &writer);
        assert!(build.put(&key('a'), &object("plug")));
        assert!(build.put(&key('b'), &object("jason")));
        let path = files(&place).remove(0);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, damage(&bytes)).unwrap();
        let trouble = trouble_of_miss(&build, &key('a')).unwrap();
        assert!(trouble.contains(sentence), "{trouble}");
        // Other objects stay valid.
        assert_eq!(build.get(&key('b')), Some(object("jason")));
    }
}

#[test]
fn replayed_and_foreign_objects_are_misses() {
    let (_directory, place) = directory();
    let (victim, attacker) = (writer(), writer());
    assert!(open_as(&place, &victim).put(&key('a'), &object("old")));
    let path = only_file(&place);
    // Under another key of the same writer.
    fs::copy(&path, path.with_file_name(key('b'))).unwrap();
    let trouble = trouble_of_miss(&open_as(&place, &victim), &key('b')).unwrap();
    assert!(trouble.contains("was signed for another key"), "{trouble}");
    // Under the same key of another writer.
    assert!(open_as(&place, &attacker).put(&key('c'), &object("evil")));
    let evil = files(&place)
        .into_iter()
        .find(|path| path.ends_with(key('c')))
        .unwrap();
    fs::copy(evil, path.with_file_name(key('c'))).unwrap();
    let trouble = trouble_of_miss(&open_as(&place, &victim), &key('c')).unwrap();
    assert!(trouble.contains("isn't signed by the writer"), "{trouble}");
    assert!(trouble.starts_with(&format!("The shared store at {place} ")));
}

#[test]
fn unusable_directories_are_reported_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let store = open_as(file.to_str().unwrap(), &writer());
    assert_eq!(trouble_of_miss(&store, &key('a')), None);
    assert!(!store.put(&key('a'), &object("plug")));
    let trouble = store.trouble().unwrap();
    assert!(trouble.contains("can't be written to"), "{trouble}");
    assert!(
        trouble.ends_with("; the build adds nothing more to it."),
        "{trouble}"
    );
    assert!(!store.can_write());
    // An object that is a directory can't be read.
    let place = directory.path().join("store");
    let writer = writer();
    assert!(open_as(place.to_str().unwrap(), &writer).put(&key('a'), &object("plug")));
    let path = only_file(place.to_str().unwrap());
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let trouble = trouble_of_miss(&open_as(place.to_str().unwrap(), &writer), &key('a')).unwrap();
    assert!(trouble.contains("can't be read"), "{trouble}");
}

#[test]
fn packages_are_revoked_by_name_or_version() {
    let vars = [
        ("_TRUST", &*writer().public_key),
        ("_EXCEPT", "plug, jason@1.4.0"),
    ];
    let store = open("/store", &vars);
    assert!(store.excepts("plug", "1.0.0"));
    assert!(store.excepts("jason", "1.4.0"));
    assert!(!store.excepts("jason", "1.4.1"));
    assert!(!store.excepts("plug_cowboy", "1.0.0"));
}

#[test]
fn keys_are_hexadecimal() {
    let (_directory, place) = directory();
    let build = open_as(&place, &writer());
    for bad in [
        "",
        "../../escape",
        &key('A'),
        &key('a')[1..],
        &format!("{}/", &key('a')[1..]),
    ] {
        assert!(!build.put(bad, &object("plug")), "{bad}");
        assert_eq!(build.get(bad), None);
    }
    assert!(!Path::new(&place).exists());
}
