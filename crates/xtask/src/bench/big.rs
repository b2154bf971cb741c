//! An app as large as a real one: the `phoenix-npm` fixture with generated dependencies and modules.
//! Everything follows from the table below, so the app, its packages and its lockfile are the same
//! wherever they are made.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use mirror::hex_package::{self, HexPackage};

use crate::process::Result;

const FACADE: &str = include_str!("big/facade.ex");
const SCHEMA: &str = include_str!("big/schema.ex");
const MODULE: &str = include_str!("big/module.ex");
const USE: &str = include_str!("big/use.ex");
const FUNCTION: &str = include_str!("big/function.ex");
const ERLANG_FUNCTION: &str = include_str!("big/function.erl");
const MIX_EXS: &str = include_str!("big/mix.exs");
const ITEM: &str = include_str!("big/item.ex");
const RULES: &str = include_str!("big/rules.ex");
const SERVICE: &str = include_str!("big/service.ex");

/// The line of the fixture's `mix.exs` to which generated dependencies are added.
const DEPS_MARK: &str = "{:jason_lite, \"~> 1.0\"}";

/// The package of the fixtures that replaces `jason`.
const JSON: &str = "jason_lite";

/// The size of a generated function's compiled code in kilobytes, with debug information and docs.
const FUNCTION_KILOBYTES: usize = 5;

/// The number of areas of the app, each with an item, rules and [`SERVICES`].
const AREAS: usize = 30;
const SERVICES: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Mix,
    Rebar3,
    /// Built by rebar3. Almost all of it is one module with a function of this many clauses, and one with a third of
    /// that. It keeps a core busy for about 8 seconds.
    Table(usize),
}
use Kind::{Mix, Rebar3, Table};

/// Name, build tool, number of modules, kilobytes of compiled code, and required packages.
type Dependency = (&'static str, Kind, usize, usize, &'static [&'static str]);

/// The production dependencies of `mix phx.new` 1.8.9, from its `mix.lock` of November 2026, with the
/// version in each row. Counted in their sources: modules (`defmodule`, `defimpl`, `defprotocol`, or files
/// of Erlang) and requirements that are not optional. The size is that of `_build/prod/lib/NAME` with
/// Elixir 1.18.3 and OTP 27. Requirements come first.
#[rustfmt::skip]
const DEPENDENCIES: [Dependency; 33] = [
    ("telemetry", Rebar3, 7, 76, &[]),                       // 1.4.1
    ("telemetry_poller", Rebar3, 4, 52, &["telemetry"]),     // 1.3.0
    ("idna", Table(7_500), 8, 968, &[]),                    // 7.1.0
    ("mime", Mix, 1, 48, &[]),                               // 2.0.7
    ("hpax", Mix, 4, 116, &[]),                              // 1.0.4
    ("plug_crypto", Mix, 5, 76, &[]),                        // 2.1.1
    ("thousand_island", Mix, 25, 312, &["telemetry"]),       // 1.5.0
    ("websock", Mix, 1, 36, &[]),                            // 0.5.3
    ("decimal", Mix, 7, 208, &[]),                           // 3.1.1
    ("dns_cluster", Mix, 2, 52, &[]),                        // 0.2.0
    ("db_connection", Mix, 27, 400, &["telemetry"]),         // 2.10.2
    ("ecto", Mix, 161, 1900, &["decimal", "telemetry"]),     // 3.14.2
    ("ecto_sql", Mix, 43, 552, &["ecto", "db_connection", "decimal", "telemetry"]), // 3.14.0
    ("expo", Mix, 23, 384, &[]),                             // 1.1.1
    ("gettext", Mix, 37, 272, &["expo"]),                    // 1.0.2
    ("mint", Mix, 19, 524, &["hpax"]),                       // 1.9.3
    ("nimble_options", Mix, 3, 100, &[]),                    // 1.1.1
    ("nimble_pool", Mix, 2, 80, &[]),                        // 1.1.0
    ("finch", Mix, 25, 368, &["nimble_options", "mime", "mint", "nimble_pool", "telemetry"]), // 0.23.0
    ("plug", Mix, 77, 964, &["mime", "plug_crypto", "telemetry"]), // 1.19.2
    ("websock_adapter", Mix, 4, 48, &["plug", "websock"]),   // 0.6.0
    ("phoenix_pubsub", Mix, 15, 244, &[]),                   // 2.2.0
    ("phoenix_html", Mix, 19, 164, &[]),                     // 4.3.0
    ("phoenix_template", Mix, 6, 68, &[]),                   // 1.0.4
    ("bandit", Mix, 77, 896, &["plug", "hpax", "telemetry", "thousand_island", "websock"]), // 1.12.5
    ("phoenix", Mix, 121, 1532, &["plug", "phoenix_pubsub", "phoenix_template", "plug_crypto",
                                  "telemetry", "websock_adapter"]), // 1.8.9
    ("phoenix_ecto", Mix, 14, 140, &["ecto", "plug"]),       // 4.7.0
    ("phoenix_live_view", Mix, 107, 1820, &["phoenix", "phoenix_html", "phoenix_template", "plug",
                                            "telemetry"]), // 1.2.10
    ("telemetry_metrics", Mix, 9, 88, &["telemetry"]),       // 1.1.0
    ("phoenix_live_dashboard", Mix, 47, 1244, &["phoenix_live_view", "mime", "telemetry_metrics"]), // 0.8.7
    ("postgrex", Mix, 98, 2268, &["db_connection", "decimal"]), // 0.22.2
    ("req", Mix, 34, 496, &["finch", JSON, "mime"]),         // 0.7.3
    ("swoosh", Mix, 114, 840, &["idna", JSON, "mime", "telemetry"]), // 1.26.3
];

/// The generated packages.
pub(crate) fn packages() -> Result<Vec<HexPackage>> {
    let sources = tempfile::tempdir()?;
    for dependency in &DEPENDENCIES {
        let dir = sources.path().join(dependency.0);
        for (path, text) in package(dependency) {
            write(&dir.join(path), &text)?;
        }
    }
    Ok(hex_package::pack_all(sources.path())?)
}

/// Writes the app to `dir`: the fixture `phoenix-npm` with more dependencies and modules.
pub(crate) fn generate(fixtures: &Path, dir: &Path) -> Result {
    whole_builds::copy(&fixtures.join("phoenix-npm"), dir);
    let mix_exs = dir.join("mix.exs");
    let text = fs::read_to_string(&mix_exs)?;
    let required: BTreeSet<_> = DEPENDENCIES.iter().flat_map(|it| it.4).collect();
    let direct = DEPENDENCIES.iter().filter(|it| !required.contains(&it.0));
    let deps = direct.fold(DEPS_MARK.to_owned(), |mut deps, (name, ..)| {
        let _ = write!(deps, ",\n      {{:{}, \"~> 1.0\"}}", application(name));
        deps
    });
    if !text.contains(DEPS_MARK) {
        return Err(format!("{} has no {DEPS_MARK}", mix_exs.display()).into());
    }
    write(&mix_exs, &text.replacen(DEPS_MARK, &deps, 1))?;
    for (path, text) in (0..AREAS).flat_map(area) {
        write(&dir.join("lib/phoenix_npm").join(path), &text)?;
    }
    let lock = dir.join("mix.lock");
    let text = fs::read_to_string(&lock)?;
    write(&lock, &locked(&text, &packages()?))
}

/// The lockfile `text` with `packages` added, sorted as Mix sorts.
fn locked(text: &str, packages: &[HexPackage]) -> String {
    let kept = text.lines().filter(|line| line.starts_with("  \""));
    let lines: BTreeMap<_, _> = kept
        .map(str::to_owned)
        .chain(packages.iter().map(HexPackage::lock_line))
        .map(|line| (line.split("\": ").next().map(str::to_owned), line))
        .collect();
    let lines: Vec<_> = lines.into_values().collect();
    format!("%{{\n{}\n}}\n", lines.join("\n"))
}

/// The name of a generated package, which doesn't exist on hex.pm.
fn application(name: &str) -> String {
    if name == JSON {
        name.to_owned()
    } else {
        format!("big_{name}")
    }
}

/// Returns a module name, such as `BigPhoenixHtml`.
fn module(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    });
    words.fold("Big".to_owned(), |text, word| text + &word)
}

fn is_mix(name: &str) -> bool {
    let found = DEPENDENCIES.iter().find(|it| it.0 == name);
    found.is_some_and(|it| it.1 == Mix)
}

fn package(dependency: &Dependency) -> Vec<(PathBuf, String)> {
    let &(name, kind, _, _, requirements) = dependency;
    let tool = if kind == Mix { "mix" } else { "rebar3" };
    let mut manifest = format!(
        "name = \"{}\"\nversion = \"1.0.0\"\ndescription = \"Generated package\"\n\
         build_tools = [\"{tool}\"]\n\n[requirements]\n",
        application(name)
    );
    for name in requirements {
        let _ = writeln!(manifest, "{} = \"~> 1.0\"", application(name));
    }
    let mut files = match kind {
        Mix => mix_package(dependency),
        Rebar3 | Table(_) => rebar3_package(dependency),
    };
    files.push((PathBuf::from("package.toml"), manifest));
    files
}

/// Texts of generated functions, for each of `modules` modules of a package of this size.
fn functions(template: &str, modules: usize, kilobytes: usize) -> impl Iterator<Item = String> {
    let all = (kilobytes / FUNCTION_KILOBYTES).max(modules);
    (0..modules).map(move |index| {
        let numbers = all * index / modules..all * (index + 1) / modules;
        let texts = numbers.map(|number| template.replace("@@N@@", &number.to_string()));
        texts.collect()
    })
}

/// A protocol, a macro that other packages use too, and modules. Every fourth has a struct made by the
/// macro of this package or of one that it requires.
fn mix_package(
    &(name, _, modules, kilobytes, requirements): &Dependency,
) -> Vec<(PathBuf, String)> {
    let (app, module) = (application(name), module(name));
    let fill = |template: &str| {
        template
            .replace("@@MODULE@@", &module)
            .replace("@@APP@@", &app)
    };
    let deps: Vec<_> = requirements
        .iter()
        .map(|name| format!("{{:{}, \"~> 1.0\"}}", application(name)))
        .collect();
    let macros: Vec<_> = requirements
        .iter()
        .copied()
        .filter(|name| is_mix(name))
        .chain([name])
        .map(self::module)
        .collect();
    let lib = |file: &str| PathBuf::from(format!("lib/{app}/{file}.ex"));
    let mut files = vec![
        (
            PathBuf::from("mix.exs"),
            fill(MIX_EXS).replace("@@DEPS@@", &deps.join(", ")),
        ),
        (PathBuf::from(format!("lib/{app}.ex")), fill(FACADE)),
        (lib("schema"), fill(SCHEMA)),
    ];
    let functions = functions(FUNCTION, modules, kilobytes);
    for (index, functions) in functions.enumerate() {
        let mut used = String::new();
        if index.is_multiple_of(4) {
            let macros = &macros[index / 4 % macros.len()];
            used = USE.replace("@@MACROS@@", macros);
        }
        let text = fill(MODULE)
            .replace("@@NAME@@", &format!("Module{index}"))
            .replace("@@USE@@", &used)
            .replace("@@FUNCTIONS@@", &functions);
        files.push((lib(&format!("module_{index}")), text));
    }
    files
}

fn rebar3_package(
    &(name, kind, modules, kilobytes, requirements): &Dependency,
) -> Vec<(PathBuf, String)> {
    let app = application(name);
    let applications = ["kernel", "stdlib"].map(str::to_owned).into_iter();
    let applications: Vec<_> = applications
        .chain(requirements.iter().map(|name| application(name)))
        .collect();
    let app_src = format!(
        "{{application, {app}, [{{description, \"Generated package\"}}, {{vsn, \"1.0.0\"}},\n  \
         {{registered, []}}, {{applications, [{}]}}]}}.\n",
        applications.join(", ")
    );
    let src = |file: &str| PathBuf::from(format!("src/{app}{file}"));
    let mut files = vec![
        (
            PathBuf::from("rebar.config"),
            "{erl_opts, [debug_info]}.\n".to_owned(),
        ),
        (src(".app.src"), app_src),
    ];
    let mut rest = kilobytes;
    if let Table(clauses) = kind {
        files.push((src("_table.erl"), table(&app, clauses)));
        // The other modules are small.
        rest = 0;
    }
    for (index, functions) in functions(ERLANG_FUNCTION, modules, rest).enumerate() {
        let text = format!(
            "-module({app}_{index}).\n-compile(export_all).\n-compile(nowarn_export_all).\n{functions}"
        );
        files.push((src(&format!("_{index}.erl")), text));
    }
    files
}

/// Returns functions like those that libraries generate from a table of characters: code points, and ranges, which
/// take the compiler longer.
fn table(app: &str, clauses: usize) -> String {
    let mut text = format!("-module({app}_table).\n-export([lookup/1, range/1]).\n\n");
    for n in 0..clauses {
        let (code, class) = (n * 7 + 160, n % 11);
        let _ = writeln!(
            text,
            "lookup({code}) -> {{<<\"{n:X}\">>, {class}, [{}, {}]}};",
            code + class,
            n * 31 % 9973
        );
    }
    text.push_str("lookup(_) -> false.\n\n");
    for n in 0..clauses / 3 {
        let (first, class) = (n * 7 + 160, n % 11);
        let _ = writeln!(
            text,
            "range(C) when C >= {first}, C =< {} -> {{<<\"{n:X}\">>, {class}, [C - {}]}};",
            first + 3,
            n % 97
        );
    }
    text.push_str("range(_) -> false.\n");
    text
}

fn area(area: usize) -> Vec<(PathBuf, String)> {
    let name = format!("Area{area:02}");
    let folder = PathBuf::from(format!("area_{area:02}"));
    let fill = |template: &str| {
        template
            .replace("@@AREA@@", &name)
            .replace("@@CODES@@", &(20 + area % 7 * 5).to_string())
            .replace("@@SEED@@", &(area * 13 + 7).to_string())
    };
    let mut files = vec![
        (folder.join("item.ex"), fill(ITEM)),
        (folder.join("rules.ex"), fill(RULES)),
    ];
    for service in 0..SERVICES {
        let next = if service + 1 < SERVICES {
            let following = format!("PhoenixNpm.{name}.Service{}", service + 1);
            format!("if(score > {service}, do: {following}.run(item), else: {{:ok, item}})")
        } else {
            "{item, score}".to_owned()
        };
        let text = fill(SERVICE)
            .replace("@@SERVICE@@", &format!("Service{service}"))
            .replace("@@NEXT@@", &next);
        files.push((folder.join(format!("service_{service}.ex")), text));
    }
    files
}

fn write(path: &Path, text: &str) -> Result {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_point_to_earlier_packages() {
        for (index, (name, .., requirements)) in DEPENDENCIES.iter().enumerate() {
            let earlier =
                |it: &&str| *it == JSON || DEPENDENCIES[..index].iter().any(|other| other.0 == *it);
            assert!(requirements.iter().all(earlier), "{name}");
        }
    }

    #[test]
    fn packages_have_modules_of_table() {
        for dependency in &DEPENDENCIES {
            let files = package(dependency);
            let modules = files.iter().filter(|(path, _)| {
                let path = path.to_string_lossy();
                path.contains("/module_") || path.ends_with(".erl") && !path.ends_with("_table.erl")
            });
            assert_eq!(modules.count(), dependency.2, "{}", dependency.0);
            for (path, text) in files {
                assert!(!text.contains("@@"), "{} is not filled in", path.display());
            }
        }
    }

    #[test]
    fn generated_lockfile_is_complete_and_sorted() {
        let dir = tempfile::tempdir().unwrap();
        let app = dir.path().join("app");
        generate(&crate::fixtures::root(), &app).unwrap();
        let lock = fs::read_to_string(app.join("mix.lock")).unwrap();
        let names: Vec<_> = lock
            .lines()
            .filter_map(|line| line.strip_prefix("  \"")?.split('"').next())
            .collect();
        assert_eq!(names.len(), DEPENDENCIES.len() + 2);
        assert!(names.is_sorted(), "Mix writes a sorted lockfile");
        let mix_exs = fs::read_to_string(app.join("mix.exs")).unwrap();
        assert!(
            mix_exs.contains("{:big_phoenix_live_dashboard,"),
            "{mix_exs}"
        );
        assert!(!mix_exs.contains("{:big_plug,"), "{mix_exs}");
    }
}
