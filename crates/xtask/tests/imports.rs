//! The direction of imports, read from the code: between crates as in the table of
//! `docs/contributing.md`, within a crate without cycles. Tests may import anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// A path in the code. A module's begins below the root of its crate.
type Names = Vec<String>;
type Modules = BTreeMap<Names, String>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The directories of the crates, by name.
fn crates() -> BTreeMap<String, PathBuf> {
    let entries = fs::read_dir(root().join("crates")).expect("crates/");
    let dirs = entries.map(|entry| entry.expect("a crate").path());
    let name = |dir: &Path| {
        dir.file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned()
    };
    let crates = dirs.map(|dir| (name(&dir), dir));
    let whole_builds = ("whole-builds".to_owned(), root().join("tests"));
    crates.chain([whole_builds]).collect()
}

/// The modules of a crate, except for tests, by path, with their code.
fn modules(crate_dir: &Path) -> Modules {
    let src = crate_dir.join("src");
    let mut modules = Modules::new();
    for file in WalkDir::new(&src) {
        let file = file.expect("a file").into_path();
        if file.extension().is_some_and(|extension| extension == "rs") {
            let place = file
                .strip_prefix(&src)
                .expect("below src")
                .with_extension("");
            let names = place.iter().map(|name| name.to_string_lossy().into_owned());
            let mut module: Names = names.collect();
            module.pop_if(|name| ["lib", "main"].contains(&&**name));
            modules.insert(module, expanded(&fs::read_to_string(&file).expect("text")));
        }
    }
    let is_test = |module: &Names| {
        (1..=module.len()).any(|end| {
            let declared = format!("#[cfg(test)]\nmod {};", module[end - 1]);
            let parent = modules.get(&module[..end - 1]);
            parent.is_some_and(|code| code.contains(&declared))
        })
    };
    let tests: Vec<Names> = modules
        .keys()
        .filter(|module| is_test(module))
        .cloned()
        .collect();
    modules.retain(|module, _| !tests.contains(module));
    modules
}

/// Removes comments and the tests at the end, and writes out `a::{b, c}` as `a::b, a::c`.
fn expanded(text: &str) -> String {
    let text = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split("//").next());
    let mut code = lines.collect::<Vec<_>>().join("\n");
    while let Some(open) = code.rfind("::{") {
        let start = code[..open]
            .rfind(is_no_path)
            .map_or(0, |before| before + 1);
        let close = open + code[open..].find('}').expect("a closing brace");
        let items = code[open + 3..close].split(',').map(str::trim);
        let items = items.filter(|item| !item.is_empty());
        let items: Vec<_> = items
            .map(|item| format!("{}::{item}", &code[start..open]))
            .collect();
        code.replace_range(start..=close, &items.join(", "));
    }
    code
}

fn is_no_path(c: char) -> bool {
    !c.is_alphanumeric() && c != '_' && c != ':'
}

/// The paths in code: words with `::`.
fn paths(code: &str) -> impl Iterator<Item = Names> {
    let words = code.split(is_no_path).filter(|word| word.contains("::"));
    words.map(|word| {
        let names = word
            .split("::")
            .filter(|name| !matches!(*name, "" | "self"));
        names.map(str::to_owned).collect()
    })
}

/// A path that begins with `crate`, `super` or the name of a child, from the root of the crate.
fn from_root(module: &Names, path: &Names, modules: &Modules) -> Option<Names> {
    let supers = path.iter().take_while(|name| *name == "super").count();
    match path.first()?.as_str() {
        "crate" => Some(path[1..].to_vec()),
        "super" => Some([&module[..module.len() - supers], &path[supers..]].concat()),
        name if modules.contains_key(&child(module, name)) => Some([&module[..], path].concat()),
        _ => None,
    }
}

fn child(module: &[String], name: &str) -> Names {
    [module, &[name.to_owned()]].concat()
}

/// The imports between two submodules of a module, including everything below each of them. A module may share what
/// it defines with those in it.
fn imports(modules: &Modules) -> BTreeSet<(Names, Names)> {
    let mut exports = BTreeMap::new();
    let mut imports = Vec::new();
    for (module, code) in modules {
        for statement in code.split(';') {
            let public = ["pub use ", "pub(crate) use ", "pub(super) use "];
            let public = public
                .iter()
                .find_map(|public| statement.split_once(public));
            let (private, exported) = public.unwrap_or((statement, ""));
            let below = |path: Names| from_root(module, &path, modules);
            imports.extend(paths(private).filter_map(below).map(|path| (module, path)));
            for item in exported.split(',') {
                let name = item.rsplit([':', ' ']).next().unwrap_or_default();
                let path = paths(item).next().and_then(below);
                exports.extend(path.map(|path| (child(module, name), path)));
            }
        }
    }
    // A function may have the name of its module.
    exports.retain(|name, _| !modules.contains_key(name));
    let between = imports.into_iter().filter_map(|(module, path)| {
        let target = place(&path, modules, &exports);
        let common = module
            .iter()
            .zip(&target)
            .take_while(|(a, b)| a == b)
            .count();
        let side = |names: &[String]| names.get(..=common).map(<[String]>::to_vec);
        Some((side(module)?, side(&target)?))
    });
    between.collect()
}

/// The module that a path leads to, through exports.
fn place(path: &[String], modules: &Modules, exports: &BTreeMap<Names, Names>) -> Names {
    let mut ends = (0..=path.len()).rev().map(|end| &path[..end]);
    let found = ends.find(|path| exports.contains_key(*path) || modules.contains_key(*path));
    let found = found.unwrap_or_default();
    let exported = exports.get(found).map(|path| place(path, modules, exports));
    exported.unwrap_or_else(|| found.to_vec())
}

/// The imports on the way from one cycle to itself or another.
fn cycles(modules: &Modules) -> Vec<String> {
    let mut imports = imports(modules);
    loop {
        let leads_on = |(from, to): &&(Names, Names)| {
            imports.iter().any(|(next, _)| next == to)
                && imports.iter().any(|(_, last)| last == from)
        };
        let left: BTreeSet<_> = imports.iter().filter(leads_on).cloned().collect();
        if left.len() == imports.len() {
            let line =
                |(from, to): &(Names, Names)| format!("{} -> {}", from.join("::"), to.join("::"));
            return left.iter().map(line).collect();
        }
        imports = left;
    }
}

#[test]
fn modules_have_no_import_cycles() {
    for (name, dir) in crates() {
        let cycles = cycles(&modules(&dir));
        assert!(cycles.is_empty(), "{name}: {cycles:#?}");
    }
}

#[test]
fn detects_import_cycle_through_reexport() {
    let modules = |of_c: &str| -> Modules {
        let code = [
            ("", "pub use a::{One, b::Two as Three};"),
            ("a", "pub(crate) use b::Two;"),
            ("a::b", "use super::One; use crate::{c, d};"),
            ("c", of_c),
            ("d", "fn d() -> std::io::Result<()> { crate::c::c() }"),
        ];
        let names = |path: &str| paths(&format!("{path}::")).next().unwrap_or_default();
        code.map(|(path, code)| (names(path), expanded(code)))
            .into()
    };
    assert!(cycles(&modules("use crate::e::{self, F};")).is_empty());
    let found = cycles(&modules("use crate::{\n    e, Three,\n};"));
    assert_eq!(found, ["a -> c", "a -> d", "c -> a", "d -> c"]);
}

#[test]
fn crate_imports_match_table() {
    let page = fs::read_to_string(root().join("docs/contributing.md")).expect("the page");
    let rows = page
        .lines()
        .skip_while(|line| !line.starts_with("| crate |"));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    let names = |cell: &str| -> BTreeSet<String> {
        let names = cell.split('`').skip(1).step_by(2);
        names.map(str::to_owned).collect()
    };
    let table: BTreeMap<String, BTreeSet<String>> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split('|').collect();
            (
                names(cells[1]).pop_first().expect("a crate"),
                names(cells[3]),
            )
        })
        .collect();
    let crates = crates();
    let imported = |name: &String, dir: &PathBuf| -> BTreeSet<String> {
        let modules = modules(dir);
        let paths = modules.iter().flat_map(|(module, code)| {
            let outside = |path: &Names| from_root(module, path, &modules).is_none();
            paths(code).filter(outside).collect::<Vec<_>>()
        });
        // In code, the name of `whole-builds` has an underscore.
        let first = paths.filter_map(|path| {
            let name = path.first()?;
            let known = crates.contains_key(name);
            Some(if known {
                name.clone()
            } else {
                name.replace('_', "-")
            })
        });
        first
            .filter(|first| first != name && crates.contains_key(first))
            .collect()
    };
    let code = crates
        .iter()
        .map(|(name, dir)| (name.clone(), imported(name, dir)));
    assert_eq!(table, code.collect());
    for (name, uses) in table {
        let is_front_end = ["heroku", "cnb", "mixpack"].contains(&&*name);
        let platform = uses
            .iter()
            .find(|uses| ["heroku", "cnb"].contains(&&***uses));
        assert!(
            is_front_end || platform.is_none(),
            "{name} uses {platform:?}"
        );
    }
}
