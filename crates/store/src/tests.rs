//! Tests of the store as builds use it.

use super::{CacheDir, Key, Restored, Stamps, Store, TakeResult, Tool, ToolError};
use crate::tree::{self, Amount, Method};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use walkdir::WalkDir;

fn key(version: &str) -> Key {
    Key::from([("version".to_owned(), version.to_owned())])
}

fn make(text: &'static str) -> impl FnMut(&Path) -> Result<(), ToolError> {
    move |place| {
        fs::create_dir_all(place).unwrap();
        fs::write(place.join("file"), text).unwrap();
        Ok(())
    }
}

/// A cached tool must not be built again.
fn never(_: &Path) -> Result<(), ToolError> {
    Err(ToolError::Make)
}

#[test]
fn tool_is_built_once_and_then_linked() {
    let dir = tempfile::tempdir().unwrap();
    let store = CacheDir::open(dir.path()).unwrap();
    let place = dir.path().join("place");
    let first = store.tool("erlang", &key("27"), &place, &mut make("27"));
    assert_eq!(first.unwrap(), Tool::Made);
    // A platform that sets modes in a slug also sets them in the cache, which shares its files.
    let mode = |file: &Path| file.metadata().unwrap().mode() & 0o777;
    let before = mode(&place.join("file"));
    fs::set_permissions(place.join("file"), fs::Permissions::from_mode(0o700)).unwrap();
    tree::remove(&place).unwrap();
    let second = store.tool("erlang", &key("27"), &place, &mut never);
    assert_eq!(second.unwrap(), Tool::Reused);
    assert_eq!(fs::read_to_string(place.join("file")).unwrap(), "27");
    assert_eq!(mode(&place.join("file")), before);
}

#[test]
fn modified_tool_is_rebuilt_with_reason() {
    let dir = tempfile::tempdir().unwrap();
    let store = CacheDir::open(dir.path()).unwrap();
    let place = dir.path().join("place");
    store
        .tool("erlang", &key("27"), &place, &mut make("27"))
        .unwrap();
    fs::write(place.join("file"), "longer than it was").unwrap();
    let second = store.tool("erlang", &key("27"), &place, &mut make("27"));
    assert_eq!(second.unwrap(), Tool::Remade("file was changed".into()));
    assert_eq!(fs::read_to_string(place.join("file")).unwrap(), "27");

    // Changed in place, with the same size.
    fs::write(place.join("file"), "28").unwrap();
    let later = SystemTime::now() + Duration::from_secs(2);
    let file = File::open(place.join("file")).unwrap();
    file.set_modified(later).unwrap();
    let third = store.tool("erlang", &key("27"), &place, &mut make("27"));
    assert_eq!(third.unwrap(), Tool::Remade("file was changed".into()));
}

#[test]
fn moved_cache_is_valid_if_bytes_match() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (dir.path().join("here"), dir.path().join("there"));
    let store = CacheDir::open(&here).unwrap();
    let place = dir.path().join("place");
    let mut made = |place: &Path| -> Result<(), ToolError> {
        make("27")(place)?;
        symlink("file", place.join("link")).unwrap();
        Ok(())
    };
    store.tool("erlang", &key("27"), &place, &mut made).unwrap();
    // As if archived and unpacked: new inodes, but the same times.
    tree::transfer(&here, &there, Method::Copy, |_| true).unwrap();
    let store = CacheDir::open(&there).unwrap();
    for _ in 0..2 {
        let moved = store.tool("erlang", &key("27"), &place, &mut never);
        assert_eq!(moved.unwrap(), Tool::Reused);
    }
    let again = dir.path().join("again");
    tree::transfer(&there, &again, Method::Copy, |_| true).unwrap();
    let store = CacheDir::open(&again).unwrap();
    let file = find(&again, "file");
    let before = file.metadata().unwrap().modified().unwrap();
    fs::write(&file, "72").unwrap();
    fs::File::open(&file).unwrap().set_modified(before).unwrap();
    let flipped = store.tool("erlang", &key("27"), &place, &mut made);
    assert_eq!(flipped.unwrap(), Tool::Remade("file was changed".into()));
    assert_eq!(fs::read_to_string(place.join("file")).unwrap(), "27");
    fs::remove_file(find(&again, "link")).unwrap();
    let unlinked = store.tool("erlang", &key("27"), &place, &mut made);
    assert_eq!(unlinked.unwrap(), Tool::Remade("link was changed".into()));
}

#[test]
fn non_utf_8_names_are_cached_with_mtimes() {
    let then = UNIX_EPOCH + Duration::new(1_700_000_000, 5);
    for stamps in [Stamps::Preserved, Stamps::Lost] {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        fs::create_dir(&from).unwrap();
        let odd = OsStr::from_bytes(b"caf\xe9.txt");
        fs::write(from.join(odd), "x").unwrap();
        symlink(odd, from.join(OsStr::from_bytes(b"\xff"))).unwrap();
        let set_time = |path: &Path| File::open(path).unwrap().set_modified(then).unwrap();
        set_time(&from.join(odd));

        let store = CacheDir::open_at(dir.path().join("cache"), stamps).unwrap();
        store.put("modules", &key("1"), &from).unwrap();
        store.save("_build", &key("1"), &from, &[]).unwrap();
        if stamps == Stamps::Lost {
            let cached = dir.path().join("cache/state/_build/tree").join(odd);
            File::open(cached)
                .unwrap()
                .set_modified(SystemTime::now())
                .unwrap();
        }
        let place = dir.path().join("tool");
        let taken = store.take("modules", &key("1"), &place).unwrap();
        assert_eq!(taken, TakeResult::Yes, "{stamps:?}");
        let place = dir.path().join("state");
        let restored = store.restore("_build", &key("1"), &place).unwrap();
        assert!(matches!(restored, Restored::Copied(_)), "{restored:?}");
        let time = place.join(odd).metadata().unwrap().modified().unwrap();
        assert_eq!(time, then, "{stamps:?}");
    }
}

fn find(below: &Path, name: &str) -> PathBuf {
    WalkDir::new(below)
        .into_iter()
        .filter_map(Result::ok)
        .find(|entry| entry.file_name() == name)
        .unwrap()
        .into_path()
}

#[test]
fn saving_again_writes_only_changed_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = CacheDir::open(dir.path()).unwrap();
    let from = dir.path().join("_build");
    fs::create_dir_all(from.join("lib/.mix")).unwrap();
    for (name, text) in [("a.beam", "a"), ("b.beam", "b"), (".mix/compile", "1")] {
        fs::write(from.join("lib").join(name), text).unwrap();
    }
    let cached = dir.path().join("mixpack/state/_build/tree/lib");
    let inodes = || -> Vec<u64> {
        ["a.beam", "b.beam", ".mix/compile"]
            .map(|name| cached.join(name).metadata().unwrap().ino())
            .into()
    };
    let first = store.save("_build", &key("1"), &from, &[]).unwrap();
    let before = inodes();
    let again = store.save("_build", &key("1"), &from, &[]).unwrap();
    assert_eq!((again, inodes()), (first, before.clone()));

    // mix gives its manifest a time in whole seconds.
    let manifest = from.join("lib/.mix/compile");
    let time = manifest.metadata().unwrap().modified().unwrap();
    fs::write(&manifest, "2").unwrap();
    let file = fs::File::open(&manifest).unwrap();
    file.set_modified(time).unwrap();
    fs::write(from.join("lib/b.beam"), "changed").unwrap();
    store.save("_build", &key("1"), &from, &[]).unwrap();
    let after = inodes();
    assert_eq!(after[0], before[0]);
    assert!(after[1] != before[1] && after[2] != before[2]);
    assert_eq!(
        fs::read_to_string(cached.join(".mix/compile")).unwrap(),
        "2"
    );
    fs::remove_file(from.join("lib/a.beam")).unwrap();
    store.save("_build", &key("1"), &from, &[]).unwrap();
    assert!(!cached.join("a.beam").exists());
    assert_eq!(
        fs::read_to_string(cached.join("b.beam")).unwrap(),
        "changed"
    );
}

#[test]
fn failed_tool_leaves_no_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = CacheDir::open(dir.path()).unwrap();
    let place = dir.path().join("place");
    let mut fails = |place: &Path| -> Result<(), ToolError> {
        fs::create_dir_all(place).unwrap();
        Err(ToolError::Make)
    };
    assert!(
        store
            .tool("erlang", &key("27"), &place, &mut fails)
            .is_err()
    );
    assert!(!place.exists());
    let tools: Vec<_> = fs::read_dir(dir.path().join("mixpack/tools"))
        .unwrap()
        .collect();
    assert!(tools.is_empty());
    let staged: Vec<_> = fs::read_dir(dir.path().join("mixpack/staging"))
        .unwrap()
        .collect();
    assert!(staged.is_empty());
}

#[test]
fn unused_tools_are_removed_and_other_buildpacks_files_stay() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("node")).unwrap();
    let place = dir.path().join("place");
    let store = CacheDir::open(dir.path()).unwrap();
    store
        .tool("erlang", &key("26"), &place, &mut make("26"))
        .unwrap();
    let store = CacheDir::open(dir.path()).unwrap();
    store
        .tool("erlang", &key("27"), &place, &mut make("27"))
        .unwrap();
    store.forget_unused().unwrap();
    let tools = fs::read_dir(dir.path().join("mixpack/tools"))
        .unwrap()
        .count();
    assert_eq!(tools, 1);
    store.clear().unwrap();
    assert!(dir.path().join("node").exists());
}

#[test]
fn state_is_restored_if_key_matches_and_else_discarded_with_reasons() {
    let dir = tempfile::tempdir().unwrap();
    let store = CacheDir::open(dir.path()).unwrap();
    let from = dir.path().join("_build");
    fs::create_dir_all(from.join("prod/lib")).unwrap();
    fs::create_dir_all(from.join("prod/rel")).unwrap();
    fs::write(from.join("prod/lib/a.beam"), "beam").unwrap();
    fs::write(from.join("prod/rel/b"), "release").unwrap();
    let old = Key::from([
        ("otp".into(), "26".into()),
        ("stack".into(), "heroku-22".into()),
    ]);
    store.save("_build", &old, &from, &["prod/rel"]).unwrap();
    let place = dir.path().join("restored");
    let taken = store.restore("_build", &old, &place).unwrap();
    assert_eq!(taken, Restored::Copied(Amount { files: 1, bytes: 4 }));
    assert!(!place.join("prod/rel").exists());
    assert_eq!(
        store.restore("_build", &old, &place).unwrap(),
        Restored::InApp
    );
    tree::remove(&place).unwrap();
    let new = Key::from([
        ("otp".into(), "27".into()),
        ("stack".into(), "heroku-24".into()),
    ]);
    assert_eq!(
        store.restore("_build", &new, &place).unwrap(),
        Restored::Dropped(vec![
            "otp changed from 26 to 27".into(),
            "stack changed from heroku-22 to heroku-24".into()
        ])
    );
    assert_eq!(
        store.restore("_build", &new, &place).unwrap(),
        Restored::Nothing
    );
    assert!(!place.exists());
}

#[test]
fn repeated_saves_do_not_grow_cache() {
    let dir = tempfile::tempdir().unwrap();
    let store = CacheDir::open(dir.path()).unwrap();
    let from = dir.path().join("deps");
    fs::create_dir_all(&from).unwrap();
    fs::write(from.join("a"), "a").unwrap();
    store.save("deps", &key("1"), &from, &[]).unwrap();
    let once = tree::measure(dir.path());
    for _ in 0..9 {
        store.save("deps", &key("1"), &from, &[]).unwrap();
    }
    assert_eq!(tree::measure(dir.path()), once);
}

/// A cache with one tool and one state entry.
struct CachedBuild {
    dir: tempfile::TempDir,
}

impl CachedBuild {
    fn new() -> Self {
        let cached = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let store = cached.open();
        let place = cached.dir.path().join("place");
        let made = store.tool("erlang", &key("27"), &place, &mut make("27"));
        assert_eq!(made.unwrap(), Tool::Made);
        let from = cached.dir.path().join("from");
        fs::create_dir_all(from.join("lib")).unwrap();
        fs::write(from.join("lib/a.beam"), "beam").unwrap();
        symlink("lib", from.join("link")).unwrap();
        store.save("_build", &key("1"), &from, &[]).unwrap();
        fs::write(cached.dir.path().join("outside"), "precious").unwrap();
        cached
    }

    fn open(&self) -> CacheDir {
        CacheDir::open(&self.dir.path().join("cache")).unwrap()
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join("cache/mixpack").join(below)
    }

    fn tool(&self) -> Tool {
        let store = self.open();
        let place = self.dir.path().join("place");
        let tool = store.tool("erlang", &key("27"), &place, &mut make("27"));
        assert_eq!(fs::read_to_string(place.join("file")).unwrap(), "27");
        assert_eq!(names_in(&place), ["file"]);
        store.forget_unused().unwrap();
        tool.unwrap()
    }

    fn state(&self) -> Restored {
        let place = self.dir.path().join("restored");
        tree::remove(&place).unwrap();
        self.open().restore("_build", &key("1"), &place).unwrap()
    }

    fn tool_entry(&self) -> String {
        let name = names_in(&self.path("tools")).remove(0);
        format!("tools/{name}")
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

type Harm<'a> = &'a dyn Fn(&CachedBuild);

const NOT_AS_KEPT: &str = "its files were modified";

#[test]
fn modified_state_is_discarded_with_reason() {
    let file = "state/_build/tree/lib/a.beam";
    let truncate = |cached: &CachedBuild| fs::write(cached.path(file), "be").unwrap();
    let of_another_time = |cached: &CachedBuild| {
        let file = File::options().write(true).open(cached.path(file)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
    };
    let gone = |cached: &CachedBuild| fs::remove_file(cached.path(file)).unwrap();
    let more = |cached: &CachedBuild| fs::write(cached.path("state/_build/tree/more"), "").unwrap();
    let link = |cached: &CachedBuild| {
        fs::remove_file(cached.path(file)).unwrap();
        symlink(cached.dir.path().join("outside"), cached.path(file)).unwrap();
    };
    let led_out = |cached: &CachedBuild| {
        fs::rename(
            cached.path("state/_build/tree"),
            cached.dir.path().join("tree"),
        )
        .unwrap();
        symlink(
            cached.dir.path().join("tree"),
            cached.path("state/_build/tree"),
        )
        .unwrap();
    };
    let no_digest =
        |cached: &CachedBuild| fs::remove_file(cached.path("state/_build/contents")).unwrap();
    let record =
        |cached: &CachedBuild| fs::write(cached.path("state/_build/key.json"), "{\"ver").unwrap();
    let linked = |cached: &CachedBuild| {
        fs::rename(cached.path("state/_build"), cached.dir.path().join("all")).unwrap();
        symlink(cached.dir.path().join("all"), cached.path("state/_build")).unwrap();
    };
    let cases: [(Harm<'_>, &str); 9] = [
        (&truncate, NOT_AS_KEPT),
        (&of_another_time, NOT_AS_KEPT),
        (&gone, NOT_AS_KEPT),
        (&more, NOT_AS_KEPT),
        (&link, NOT_AS_KEPT),
        (&led_out, NOT_AS_KEPT),
        (&no_digest, NOT_AS_KEPT),
        (&record, "its record cannot be read"),
        (&linked, "it is no folder"),
    ];
    for (at, (harm, reason)) in cases.into_iter().enumerate() {
        let cached = CachedBuild::new();
        let amount = Amount { files: 1, bytes: 4 };
        assert_eq!(cached.state(), Restored::Copied(amount), "{at}");
        harm(&cached);
        assert_eq!(
            cached.state(),
            Restored::Dropped(vec![reason.into()]),
            "{at}"
        );
        assert_eq!(cached.state(), Restored::Nothing, "{at}");
        let outside = fs::read_to_string(cached.dir.path().join("outside"));
        assert_eq!(outside.unwrap(), "precious", "{at}");
    }
}

#[test]
fn tool_with_extra_files_or_links_is_rebuilt() {
    let cached = CachedBuild::new();
    let entry = cached.tool_entry();
    symlink("/etc", cached.path(&entry).join("tree/etc")).unwrap();
    let more = "it holds more than was made".to_owned();
    assert_eq!(cached.tool(), Tool::Remade(more));
    let elsewhere = cached.dir.path().join("elsewhere");
    for linked in [format!("{entry}/tree"), entry] {
        fs::rename(cached.path(&linked), &elsewhere).unwrap();
        symlink(&elsewhere, cached.path(&linked)).unwrap();
        let no_folder = "it is no folder".to_owned();
        assert_eq!(cached.tool(), Tool::Remade(no_folder));
        assert!(!names_in(&elsewhere).is_empty());
        tree::remove(&elsewhere).unwrap();
    }
    assert_eq!(cached.tool(), Tool::Reused);
}

#[test]
fn cache_with_outside_links_is_a_miss_and_outside_is_untouched() {
    for folder in ["tools", "state", "staging", "scratch", ""] {
        let cached = CachedBuild::new();
        let elsewhere = cached.dir.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::write(elsewhere.join("precious"), "").unwrap();
        let link = match folder {
            "" => cached.dir.path().join("cache/mixpack"),
            folder => cached.path(folder),
        };
        tree::remove(&link).unwrap();
        symlink(&elsewhere, &link).unwrap();
        let tool = cached.tool();
        let reused = matches!(folder, "state" | "staging" | "scratch");
        assert_eq!(tool == Tool::Reused, reused, "{folder}");
        cached.open().scratch("npm").unwrap();
        cached.open().clear().unwrap();
        assert_eq!(names_in(&elsewhere), ["precious"], "{folder}");
    }
}

#[test]
fn other_cache_format_is_discarded_except_lasting_files() {
    const LASTING: [&str; 4] = [
        "report.json",
        "report-previous.json",
        "last-build.json",
        "cookie-shop",
    ];
    let old = |cached: &CachedBuild| fs::write(cached.path("format"), "2").unwrap();
    let newer = |cached: &CachedBuild| fs::write(cached.path("format"), "4711").unwrap();
    let half_gone = |cached: &CachedBuild| fs::remove_file(cached.path("format")).unwrap();
    let cases: [Harm<'_>; 3] = [&old, &newer, &half_gone];
    for harm in cases {
        let cached = CachedBuild::new();
        for name in LASTING.into_iter().chain(["variables-prod.json"]) {
            cached.open().write_note(name, "kept").unwrap();
        }
        assert_eq!(cached.open().dropped(), None);
        harm(&cached);
        let store = cached.open();
        assert!(store.dropped().is_some());
        for name in LASTING {
            assert_eq!(store.read_note(name).as_deref(), Some("kept"), "{name}");
        }
        assert_eq!(store.read_note("variables-prod.json"), None);
        assert_eq!(cached.state(), Restored::Nothing);
        assert_eq!(cached.tool(), Tool::Made);
        assert_eq!(cached.open().dropped(), None);
    }
}

#[test]
fn second_build_waits_for_first_unless_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let cancelled = AtomicBool::new(false);
    let never = || panic!("nobody else is there");
    let first = CacheDir::open_exclusive(dir.path(), &cancelled, never).unwrap();
    // The staged entry of the first build must stay.
    let making = first.staging("deps").unwrap();
    fs::create_dir_all(&making).unwrap();
    let (told, waits) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| {
            CacheDir::open_exclusive(dir.path(), &cancelled, || told.send(()).unwrap()).unwrap()
        });
        waits.recv().unwrap();
        assert!(making.exists());
        drop(first);
        let second = second.join().unwrap();
        assert!(!making.exists());
        cancelled.store(true, Ordering::SeqCst);
        let third = CacheDir::open_exclusive(dir.path(), &cancelled, || {});
        assert_eq!(third.unwrap_err().source.kind(), io::ErrorKind::Interrupted);
        drop(second);
    });
}

#[test]
fn cache_miss_names_differences_to_last_tool() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("place");
    let from = dir.path().join("from");
    make("1")(&from).unwrap();
    let open = || CacheDir::open(dir.path()).unwrap();
    let take = |name: &str, version: &str| open().take(name, &key(version), &place).unwrap();
    let none = Vec::new;
    assert_eq!(take("node_modules-a", "1"), TakeResult::No(none()));
    open().put("node_modules-a-b", &key("0"), &from).unwrap();
    assert_eq!(take("node_modules-a", "1"), TakeResult::No(none()));
    open().put("node_modules-a", &key("1"), &from).unwrap();
    assert_eq!(take("node_modules-a", "1"), TakeResult::Yes);
    let changed = vec!["version changed from 1 to 2".to_owned()];
    assert_eq!(take("node_modules-a", "2"), TakeResult::No(changed));
}

#[test]
fn closing_removes_only_empty_scratch_directories() {
    let dir = tempfile::tempdir().unwrap();
    let store = CacheDir::open_at(dir.path().join("downloads"), Stamps::Lost).unwrap();
    let empty = store.scratch("npm").unwrap();
    let used = store.scratch("yarn").unwrap();
    fs::write(used.join("package"), "content").unwrap();
    store.close().unwrap();
    assert!(!empty.exists() && used.join("package").exists());
}

#[test]
fn size_is_measured_by_entry_and_counts_a_linked_file_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = CacheDir::open(dir.path()).unwrap();
    let mut make = |place: &Path| {
        fs::create_dir_all(place).unwrap();
        fs::write(place.join("file"), [0; 10_000]).unwrap();
        fs::hard_link(place.join("file"), place.join("other-name")).unwrap();
        Ok(())
    };
    let place = dir.path().join("place");
    store.tool("erlang", &key("27"), &place, &mut make).unwrap();
    fs::write(store.scratch("npm-cache").unwrap().join("a"), [0; 7]).unwrap();
    let held = store.measure();
    assert_eq!(held["npm-cache"], Amount { files: 1, bytes: 7 });
    // The tool's file, and its manifest.
    assert_eq!(held["erlang"].files, 2);
    assert!((10_000..11_000).contains(&held["erlang"].bytes), "{held:?}");
}
