//! Whether two slugs of one state of an app are equal, file by file, and in what they may differ.

use super::terms;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// Files whose content may differ between builds: their paths, the reason, and the parts that must still be equal.
struct Permitted {
    applies: fn(&[&str]) -> bool,
    #[expect(dead_code, reason = "documentation")]
    why: &'static str,
    equal: fn(&[u8], &[u8]) -> bool,
}

const PERMITTED: [Permitted; 11] = [
    Permitted {
        applies: |path| {
            matches!(path, [.., "_build", _, "lib", _, "ebin" | "consolidated", file] if is(file, "beam"))
                || matches!(path, [.., "_build", _, "rel", _, "lib", _, "ebin" | "consolidated", file] if is(file, "beam"))
        },
        why: "A VM orders the keys of small maps by when it first met their atoms, so terms of equal value \
              have other bytes in one that has compiled other modules before. The chunks are compared, \
              those that hold terms by value.",
        equal: terms::equal_beams,
    },
    Permitted {
        applies: |path| matches!(path, [.., "_build", _, "lib", _, ".mix", "compile.elixir"]),
        why: "The compiler's manifest holds modification times in seconds, and the exports of path \
              dependencies and the lock as they were when there was last something to compile. Before Elixir \
              1.15, modules and sources are in the order in which they were compiled, at once. All else is \
              compared by value.",
        equal: terms::equal_compiler_manifests,
    },
    Permitted {
        applies: |path| {
            matches!(
                path,
                [.., "_build", _, "lib", _, ".mix", "compile.app_cache"]
            )
        },
        why: "Mix lists the modules of path dependencies as they were before it compiled them.",
        equal: terms::equal_app_caches,
    },
    Permitted {
        applies: |path| {
            matches!(
                path,
                [.., "_build", _, "lib", _, ".mix", "compile.app_tracer"]
            )
        },
        why: "Before Elixir 1.15, Mix writes a table of the VM, with its identifier and owner, and its objects \
              in the order of their hashes. The modules of path dependencies, and which applications \
              there are, are those of when there was last something to compile. All else is compared.",
        equal: terms::equal_app_tables,
    },
    Permitted {
        applies: |path| {
            const MANIFESTS: [&str; 2] = ["compile.erlang", "compile.protocols"];
            // The second is that of an umbrella.
            matches!(path, [.., "_build", _, "lib", _, ".mix", file] | [.., "_build", _, ".mix", file]
                     if MANIFESTS.contains(file))
        },
        why: "Manifests of Mix hold modification times, in seconds. All else is compared by \
              value.",
        equal: terms::equal_but_for_times,
    },
    Permitted {
        applies: |path| matches!(path, [.., ".rebar3", "rebar_compiler_erl", "source.dag"]),
        why: "rebar3's notes on its last compilation stay with the dependency's sources when _build goes. \
              Nothing reads them at run time.",
        equal: |_, _| true,
    },
    Permitted {
        applies: |path| matches!(path, [.., "priv", "static", "cache_manifest.json"]),
        why: "It has the time at which each file was digested, and names digested files of earlier deploys, \
              which stay for pages that are open in browsers. The latest files and their digests are \
              compared.",
        equal: equal_cache_manifests,
    },
    Permitted {
        applies: |path| matches!(path, [.., "_build", _, "rel", _, "releases", "COOKIE"]),
        why: "Mix makes up a cookie for a release that names none; the cache keeps it.",
        equal: |one, other| one.len() == other.len(),
    },
    Permitted {
        applies: |path| matches!(in_app(path), [".mixpack", "provenance.json"]),
        why: "A cached tool keeps the URL and the checksum that it was downloaded with, or has none if its cache \
              doesn't say; a clean build may download it from another host. All else is compared.",
        equal: equal_but_for_tools,
    },
    Permitted {
        applies: |path| matches!(in_app(path), ["deps", _, ".git", "index"]),
        why: "With MIXPACK_SLIM=none the repositories of git dependencies ship, with the times at which git \
              wrote the files. Nothing reads them at run time.",
        equal: |one, other| one.len() == other.len(),
    },
    Permitted {
        applies: |path| matches!(in_app(path), ["deps", _, ".git", "logs", ..]),
        why: "git's reflogs hold times, and the commits of earlier deploys. Nothing reads them at run time. The \
              last commits are compared.",
        equal: |one, other| last_commit(one).is_some() && last_commit(one) == last_commit(other),
    },
];

/// With `MIXPACK_SLIM=none`, the packages that Hex fetched in this build ship. Nothing reads them at run time.
const FETCHED: &str = ".hex";

/// Before Elixir 1.15, `mix deps.get` touches `deps/NAME/.fetch`, and compiles the dependency if that is newer
/// than `_build` (`recently_fetched?` in lib/mix/lib/mix/dep/loader.ex). Dependencies that another Elixir
/// fetched stay without it, or keep it. An absent one means the same as an old one.
fn marks_a_fetch(path: &Path) -> bool {
    matches!(in_app(&parts(path)), ["deps", _, ".fetch"])
}

/// With `MIXPACK_SLIM=none`, the repository of a git dependency also has the objects of commits that earlier
/// deploys used: git keeps them until it collects garbage. Nothing reads them at run time.
fn is_in_objects_of_git(path: &Path) -> bool {
    matches!(in_app(&parts(path)), ["deps", _, ".git", "objects", _, ..])
}

fn parts(path: &Path) -> Vec<&str> {
    path.iter().filter_map(|part| part.to_str()).collect()
}

/// A path relative to the app, which an image has in a directory of its own.
fn in_app<'a, 'p>(path: &'a [&'p str]) -> &'a [&'p str] {
    match path {
        ["workspace", rest @ ..] => rest,
        _ => path,
    }
}

fn is(file: &str, extension: &str) -> bool {
    Path::new(file)
        .extension()
        .is_some_and(|found| found == extension)
}

/// The metadata of each path in a slug, without following links.
fn entries(slug: &Path) -> BTreeMap<PathBuf, Metadata> {
    WalkDir::new(slug)
        .min_depth(1)
        .into_iter()
        .map(|entry| {
            let entry = entry.expect("a readable slug");
            let path = entry.path().strip_prefix(slug).expect("below it");
            (path.to_owned(), entry.metadata().expect("metadata"))
        })
        .collect()
}

/// Every difference between the slug of an incremental build and that of a clean build, in words.
/// `old_digests` are the digested files of earlier deploys, which only the first may have.
pub fn differences(
    incremental: &Path,
    clean: &Path,
    old_digests: &BTreeSet<PathBuf>,
) -> Vec<String> {
    let [ours, theirs] = [incremental, clean].map(entries);
    let mut found = Vec::new();
    let only = |path: &&PathBuf| {
        !ours.contains_key(*path) && !path.starts_with(FETCHED) && !marks_a_fetch(path)
    };
    for path in theirs.keys().filter(only) {
        found.push(format!("{}: only in the clean slug", path.display()));
    }
    for (path, metadata) in &ours {
        let Some(other) = theirs.get(path) else {
            let is_old = in_static(path).is_some_and(|file| old_digests.contains(file));
            if !is_old && !marks_a_fetch(path) && !is_in_objects_of_git(path) {
                found.push(format!("{}: only in the incremental slug", path.display()));
            }
            continue;
        };
        let files = [incremental, clean].map(|slug| slug.join(path));
        if let Some(what) = difference(path, [metadata, other], &files) {
            found.push(format!("{}: {what}", path.display()));
        }
    }
    found
}

fn difference(path: &Path, metadata: [&Metadata; 2], files: &[PathBuf; 2]) -> Option<String> {
    let [one, other] = metadata;
    if one.file_type() != other.file_type() {
        return Some("of two types".to_owned());
    }
    let [mode, other_mode] = [one, other].map(|found| found.permissions().mode() & 0o7777);
    if mode != other_mode {
        return Some(format!(
            "mode {mode:o}, and {other_mode:o} in the clean slug"
        ));
    }
    if one.is_symlink() {
        let [to, other_to] = files
            .each_ref()
            .map(|file| fs::read_link(file).expect("a link"));
        return (to != other_to).then(|| {
            format!(
                "leads to {}, and {} in the clean slug",
                to.display(),
                other_to.display()
            )
        });
    }
    if !one.is_file() {
        return None;
    }
    let [bytes, other_bytes] = files.each_ref().map(|file| fs::read(file).expect("a file"));
    if bytes == other_bytes {
        return None;
    }
    let parts = parts(path);
    let permitted = PERMITTED
        .iter()
        .find(|permitted| (permitted.applies)(&parts));
    let equal = permitted.is_some_and(|permitted| (permitted.equal)(&bytes, &other_bytes));
    (!equal).then(|| {
        format!(
            "{} bytes, and other {} in the clean slug",
            bytes.len(),
            other_bytes.len()
        )
    })
}

/// The commit that the last line of a reflog leads to: `OLD NEW NAME <MAIL> TIME ZONE`, a tab and a text.
fn last_commit(reflog: &[u8]) -> Option<&str> {
    let text = str::from_utf8(reflog).ok()?;
    text.lines().last()?.split(' ').nth(1)
}

fn equal_but_for_tools(one: &[u8], other: &[u8]) -> bool {
    let without_tools = |bytes: &[u8]| {
        let mut statement: serde_json::Value = serde_json::from_slice(bytes).expect("JSON");
        let dependencies = &mut statement["predicate"]["buildDefinition"]["resolvedDependencies"];
        let dependencies = dependencies.as_array_mut().expect("a list");
        // `Erlang/OTP 27.3.4.1`, or `pkg:generic/erlang` if its cache doesn't say where it is from.
        dependencies.retain(|one| {
            let text = |key: &str| one[key].as_str().unwrap_or_default();
            !text("name").contains(' ') && !text("uri").starts_with("pkg:generic/")
        });
        statement
    };
    without_tools(one) == without_tools(other)
}

fn equal_cache_manifests(one: &[u8], other: &[u8]) -> bool {
    let latest = |bytes: &[u8]| {
        let mut manifest: serde_json::Value = serde_json::from_slice(bytes).expect("JSON");
        let latest = manifest["latest"].take();
        let digests = manifest["digests"].as_object_mut().expect("an object");
        let names: Vec<&str> = latest
            .as_object()
            .expect("an object")
            .values()
            .filter_map(|name| name.as_str())
            .collect();
        digests.retain(|name, _| names.contains(&name.as_str()));
        for digest in digests.values_mut() {
            digest["mtime"].take();
        }
        (latest.clone(), digests.clone())
    };
    latest(one) == latest(other)
}

/// The part of a path behind `priv/static`, which a release has in another place.
fn in_static(path: &Path) -> Option<&Path> {
    let folder = path
        .ancestors()
        .find(|folder| folder.ends_with("priv/static"))?;
    path.strip_prefix(folder).ok()
}

/// The digested files in a slug, with their compressed forms, relative to `priv/static`.
pub(super) fn digested_files(slug: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    // In a release `priv` is a copy.
    let places = WalkDir::new(slug).into_iter().filter_map(Result::ok);
    for place in places.filter(|entry| entry.file_name() == "cache_manifest.json") {
        let bytes = fs::read(place.path()).expect("the manifest");
        let manifest: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
        for name in manifest["digests"].as_object().expect("an object").keys() {
            found.extend(["", ".gz"].map(|suffix| format!("{name}{suffix}").into()));
        }
    }
    found
}
