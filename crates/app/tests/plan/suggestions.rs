//! The pair that the error about a version suggests: if it is written to the named files, a plan can be made.

use super::{Case, ELIXIR_CONFIG, case, list};
use app::plan::{Edit, PlanError, Suggestion};
use std::fs;
use std::path::Path;
use versions::elixir::ElixirListing;
use versions::otp::OtpListing;

const OTP: [&str; 16] = [
    "OTP-24.2",
    "OTP-24.3.4",
    "OTP-24.3.4.17",
    "OTP-25.0",
    "OTP-25.3.2.21",
    "OTP-26.0",
    "OTP-26.2.5.12",
    "OTP-26.2.5.19",
    "OTP-27.0",
    "OTP-27.3.4.18",
    "OTP-28.0",
    "OTP-28.5.0.7",
    "OTP-29.0.1",
    "OTP-30.0-rc1",
    "maint-27",
    "master",
];

/// Versions, and the OTP majors that upstream has built each of them for.
const ELIXIR: [(&str, &[u32]); 20] = [
    ("v1.8.2", &[20, 21, 22]),
    ("v1.9.4", &[20, 21, 22]),
    ("v1.11.4", &[21, 22, 23, 24]),
    ("v1.12.3", &[22, 23, 24]),
    ("v1.13.3", &[22, 23, 24, 25]),
    ("v1.13.4", &[22, 23, 24, 25]),
    ("v1.14.4", &[23, 24, 25, 26]),
    ("v1.14.5", &[23, 24, 25, 26]),
    ("v1.15.8", &[24, 25, 26]),
    ("v1.16.3", &[24, 25, 26]),
    ("v1.17.0-rc.0", &[25, 26, 27]),
    ("v1.17.3", &[25, 26, 27]),
    ("v1.18.3", &[25, 26, 27]),
    ("v1.18.4", &[25, 26, 27, 28]),
    ("v1.19.4", &[26, 27, 28]),
    ("v1.19.5", &[26, 27, 28, 29]),
    ("v1.20.0", &[27, 28, 29]),
    ("v1.20.1", &[27, 28, 29]),
    ("main", &[28, 29]),
    ("v1.20", &[27, 28, 29]),
];

/// The oldest OTP that is built for Ubuntu 22.04, 24.04 and 26.04.
const OLDEST: [&str; 3] = ["24.2", "24.3.4", "26.0"];

const ERLANG_VERSIONS: [Option<&str>; 15] = [
    None,
    Some("21.3"),
    Some("24.2"),
    Some("25.3"),
    Some("26.2.5.99"),
    Some("27"),
    Some("27.0.0"),
    Some("27.9"),
    Some("29.0.1"),
    Some("99"),
    Some("30.0-rc1"),
    Some("27.y"),
    Some("twenty"),
    Some("maint-27"),
    Some("maint-25"),
];

const ELIXIR_VERSIONS: [Option<&str>; 16] = [
    None,
    Some("1.8.2"),
    Some("1.13.3"),
    Some("1.14.4-otp-25"),
    Some("1.14.5"),
    Some("1.17.3-otp-27"),
    Some("1.17.0-rc.0"),
    Some("1.18.3"),
    Some("1.19"),
    Some("1.99.0"),
    Some("~> 1.17"),
    Some("~> 1.99"),
    Some("1.18.3.1"),
    Some("main"),
    Some("branch v1.20"),
    Some("branch gone"),
];

const REQUIREMENTS: [Option<&str>; 6] = [
    None,
    Some("~> 1.9.0"),
    Some("~> 1.14"),
    Some(">= 1.15.0 and < 1.17.0"),
    Some("~> 2.0"),
    Some("== 1.18.3"),
];

/// The app, with lists that have no older OTP than this one.
fn on_stack(oldest: &str, files: &[(&str, &str)]) -> Case {
    let mut case = case(files);
    let older = OTP.iter().position(|name| *name == format!("OTP-{oldest}"));
    case.lists.otp = OtpListing::parse(&list(&OTP[older.expect("it is listed")..]));
    let names = ELIXIR.iter().flat_map(|(version, majors)| {
        let suffixed = majors.iter().map(move |otp| format!("{version}-otp-{otp}"));
        suffixed.collect::<Vec<_>>()
    });
    let names: Vec<String> = names.collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    case.lists.elixir = ElixirListing::parse(&list(&names));
    case
}

fn requiring(requirement: Option<&str>) -> String {
    match requirement {
        Some(requirement) => format!("[app: :shop,\n elixir: \"{requirement}\"]"),
        None => "[app: :shop]".to_owned(),
    }
}

/// The files in which an app may request versions.
#[derive(Debug, Clone, Copy)]
enum Place {
    Config,
    ToolVersions,
    Mise,
    MiseLock,
    ConfigVars,
    SingleFiles,
    /// Erlang in `.tool-versions`, Elixir in `elixir_buildpack.config`.
    Both,
}

const PLACES: [Place; 7] = [
    Place::Config,
    Place::ToolVersions,
    Place::Mise,
    Place::MiseLock,
    Place::ConfigVars,
    Place::SingleFiles,
    Place::Both,
];

fn asking(place: Place, case: Case, erlang: Option<&str>, elixir: Option<&str>) -> Case {
    let of_bash = |version: &str| {
        if version.starts_with("branch ") {
            format!("({version})")
        } else {
            format!("\"{version}\"")
        }
    };
    let of_asdf = |version: &str| version.replace("branch ", "ref:");
    let config = |tool: &str, version: Option<&str>| {
        version.map_or_else(String::new, |v| format!("{tool}_version={}\n", of_bash(v)))
    };
    let tool_versions = |tool: &str, version: Option<&str>| {
        version.map_or_else(String::new, |v| format!("{tool} {}\n", of_asdf(v)))
    };
    let toml = |tool: &str, version: Option<&str>| {
        version.map_or_else(String::new, |v| format!("{tool} = \"{}\"\n", of_asdf(v)))
    };
    match place {
        Place::Config => {
            let text = config("elixir", elixir) + "# pair\n" + &config("erlang", erlang);
            case.file(ELIXIR_CONFIG, &text)
        }
        Place::ToolVersions => {
            let text = tool_versions("erlang", erlang) + &tool_versions("elixir", elixir);
            case.file(".tool-versions", &format!("nodejs 22\n{text}"))
        }
        Place::Mise => {
            let text = toml("erlang", erlang) + &toml("elixir", elixir);
            case.file("mise.toml", &format!("[tools]\n{text}node = \"22\"\n"))
        }
        Place::MiseLock => {
            let locked = |tool: &str, version: Option<&str>| {
                version.map_or_else(String::new, |v| {
                    format!("[[tools.{tool}]]\nversion = \"{}\"\n", of_asdf(v))
                })
            };
            let lock = locked("erlang", erlang) + &locked("elixir", elixir);
            let latest = |version: Option<&str>| version.map(|_| "latest");
            let text = toml("erlang", latest(erlang)) + &toml("elixir", latest(elixir));
            case.file("mise.toml", &format!("[tools]\n{text}"))
                .file("mise.lock", &lock)
        }
        Place::ConfigVars => [("erlang_version", erlang), ("elixir_version", elixir)]
            .into_iter()
            .fold(case, |case, (name, version)| match version {
                Some(version) => case.var(name, version),
                None => case,
            }),
        Place::SingleFiles => [(".erlang-version", erlang), (".elixir-version", elixir)]
            .into_iter()
            .fold(case, |case, (name, version)| match version {
                Some(version) => case.file(name, &format!("{}\n", of_asdf(version))),
                None => case,
            }),
        Place::Both => case
            .file(".tool-versions", &tool_versions("erlang", erlang))
            .file(ELIXIR_CONFIG, &config("elixir", elixir)),
    }
}

fn suggestion(case: &Case) -> Option<Suggestion> {
    match case.plan() {
        Ok(_) => None,
        Err(PlanError::Version { suggestion, .. }) => Some(*suggestion.expect("a suggestion")),
        Err(other) => panic!("{other}"),
    }
}

/// Follows the instructions of the message.
fn follow(case: Case, suggestion: &Suggestion) -> Case {
    let mut case = case;
    for edit in &suggestion.edits {
        match edit {
            Edit::File {
                path,
                numbers,
                lines,
            } => write_lines(&case.dir.path().join(path), numbers, lines),
            Edit::ConfigVars(vars) => {
                for (name, value) in vars {
                    case.config_vars.insert(name.clone(), value.clone());
                }
            }
            Edit::MiseUse(tools) => mise_use(case.dir.path(), tools),
        }
    }
    if !suggestion.conflicts.is_empty() {
        let mix_exs = requiring(Some(&suggestion.requirement));
        case = case.file("mix.exs", &mix_exs);
    }
    case
}

fn write_lines(path: &Path, numbers: &[u32], lines: &[String]) {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut written = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        if numbers.first() == Some(&number) {
            written.extend_from_slice(lines);
        }
        if !numbers.contains(&number) {
            written.push(line.to_owned());
        }
    }
    if numbers.is_empty() {
        written.extend_from_slice(lines);
    }
    fs::write(path, written.join("\n") + "\n").expect("a file");
}

/// `mise use` writes the request to mise.toml and locks what answers it.
fn mise_use(dir: &Path, tools: &[String]) {
    let mut lock = fs::read_to_string(dir.join("mise.lock")).expect("a lockfile");
    let mut text = fs::read_to_string(dir.join("mise.toml")).expect("a file");
    for tool in tools {
        let (tool, version) = tool.split_once('@').expect("a version");
        text = text.replace(&format!("{tool} = \"latest\"\n"), "")
            + &format!("{tool} = \"{version}\"\n");
        let entry = format!("[[tools.{tool}]]\nversion = \"");
        if let Some((before, rest)) = lock.split_once(&entry) {
            let (_, after) = rest.split_once("\"\n").expect("a line");
            lock = format!("{before}{entry}{version}\"\n{after}");
        }
    }
    fs::write(dir.join("mise.toml"), text).expect("a file");
    fs::write(dir.join("mise.lock"), lock).expect("a file");
}

#[test]
fn suggestions_for_rejected_versions_lead_to_a_plan() {
    let mut at = 0;
    let mut refused = 0;
    for (turn, requirement) in REQUIREMENTS.into_iter().enumerate() {
        for erlang in ERLANG_VERSIONS {
            for elixir in ELIXIR_VERSIONS {
                // Each pair and each requirement meets each stack; places take turns.
                at += 1;
                let oldest = OLDEST[(at + turn) % OLDEST.len()];
                let place = PLACES[at % PLACES.len()];
                let what = format!("{erlang:?} {elixir:?} {requirement:?} {oldest} {place:?}");
                let case = on_stack(oldest, &[("mix.exs", &requiring(requirement))]);
                let case = asking(place, case, erlang, elixir);
                let Some(suggestion) = suggestion(&case) else {
                    continue;
                };
                refused += 1;
                assert_eq!(suggestion.oldest_otp, oldest, "{what}");
                let lines = suggestion.edits.iter().map(|edit| match edit {
                    Edit::File { lines, .. } => lines.len(),
                    Edit::ConfigVars(vars) => vars.len(),
                    Edit::MiseUse(tools) => tools.len(),
                });
                let asks = erlang.is_some() || elixir.is_some();
                assert_eq!(lines.sum::<usize>(), if asks { 2 } else { 0 }, "{what}");
                let followed = follow(case, &suggestion);
                match followed.plan() {
                    Ok(plan) if asks => {
                        assert_eq!(plan.elixir.version, suggestion.elixir, "{what}");
                    }
                    Ok(_) => {}
                    Err(error) => panic!("{what}: {error}\n{suggestion:#?}"),
                }
            }
        }
    }
    assert!(refused > 1000, "only {refused} of {at} were refused");
}

/// The lines to write, by place, and why.
fn suggested(files: &[(&str, &str)], oldest: &str) -> (Vec<String>, String) {
    let suggestion = suggestion(&on_stack(oldest, files)).expect("must be refused");
    let edits = suggestion.edits.iter().map(|edit| match edit {
        Edit::File {
            path,
            numbers,
            lines,
        } => format!("{path}:{numbers:?} {}", lines.join(" / ")),
        Edit::ConfigVars(vars) => format!("{vars:?}"),
        Edit::MiseUse(tools) => format!("mise use {}", tools.join(" ")),
    });
    (edits.collect(), suggestion.why)
}

#[test]
fn suggestion_uses_syntax_of_requesting_file() {
    let in_config = |config| [(ELIXIR_CONFIG, config)];
    for (files, edit, why) in [
        (
            &in_config("erlang_version=21.3\nelixir_version=1.8.2\n")[..],
            "elixir_buildpack.config:[1, 2] erlang_version=24.3.4.17 / elixir_version=1.11.4",
            "Elixir 1.11.4 on Erlang/OTP 24.3.4.17 is the nearest pair that is built for this stack",
        ),
        (
            &in_config("# pair\nelixir_version=1.18.3\nalways_rebuild=false\nerlang_version=28\n"),
            "elixir_buildpack.config:[2, 4] erlang_version=28 / elixir_version=1.18.4",
            "Elixir 1.18.4 is the nearest version that runs on Erlang/OTP 28.5.0.7",
        ),
        (
            &in_config("elixir_version=(branch main)\nerlang_version=27\n"),
            "elixir_buildpack.config:[1, 2] erlang_version=28.5.0.7 / elixir_version=(branch main)",
            "Erlang/OTP 28.5.0.7 is the nearest version built for this stack that runs Elixir main-otp-28",
        ),
        (
            &[(
                ".tool-versions",
                "erlang 27.9\nnodejs 22\nelixir 1.18.3-otp-27\n",
            )],
            ".tool-versions:[1, 3] erlang 27.3.4.18 / elixir 1.18.3-otp-27",
            "Erlang/OTP 27.3.4.18 is the nearest version built for this stack that runs Elixir 1.18.3",
        ),
        (
            &[(
                "mise.toml",
                "[tools]\nelixir = \"1.14.5\"\nerlang = \"27\"\n",
            )],
            "mise.toml:[2, 3] erlang = \"26.2.5.19\" / elixir = \"1.14.5\"",
            "Erlang/OTP 26.2.5.19 is the nearest version built for this stack that runs Elixir 1.14.5",
        ),
        (
            &[(".elixir-version", "1.9\n")],
            ".erlang-version:[] 24.3.4.17; .elixir-version:[1] 1.11.4",
            "Elixir 1.11.4 is the nearest version that runs on Erlang/OTP 24.3.4.17",
        ),
        (
            &[
                ("mix.exs", "[elixir: \"~> 1.15\"]"),
                (".tool-versions", "erlang 25\nelixir 1.13.4\n"),
            ],
            ".tool-versions:[1, 2] erlang 25 / elixir 1.15.8",
            "Elixir 1.15.8 is the nearest version that mix.exs:1 allows and that runs on Erlang/OTP 25.3.2.21",
        ),
    ] {
        let (edits, reason) = suggested(files, "24.3.4");
        assert_eq!((edits.join("; ").as_str(), reason.as_str()), (edit, why));
    }
}

#[test]
fn suggestions_respect_requirements_of_locked_packages() {
    let lock =
        |version: &str| format!("%{{\n  \"live\": {{:hex, :live, \"{version}\", \"ab\"}},\n}}");
    let refused = |version: &str, requirement: &str| {
        let files = [
            (".tool-versions", "erlang 27\nelixir 1.14.5\n"),
            ("mix.lock", &lock(version)),
        ];
        let mut case = on_stack("24.3.4", &files);
        let known = ("live 1.2.0".to_owned(), requirement.to_owned());
        case.last.elixir_requirements.extend([known]);
        suggestion(&case).expect("must be refused")
    };
    let bound = refused("1.2.0", "~> 1.15");
    assert_eq!(bound.elixir, "1.17.3");
    assert_eq!(
        bound.why,
        "Elixir 1.17.3 is the nearest version that live 1.2.0 allows and that runs on Erlang/OTP 27.3.4.18"
    );
    // Another version may require another Elixir, and mix only warns of one that isn't allowed.
    let conflict = ("live 1.2.0".to_owned(), "~> 2.0".to_owned());
    for (version, requirement, conflicts) in [
        ("1.3.0", "~> 1.15", vec![]),
        ("1.2.0", "~> 2.0", vec![conflict]),
    ] {
        let free = refused(version, requirement);
        assert_eq!(free.elixir, "1.14.5", "{version}");
        assert_eq!(free.conflicting_packages, conflicts);
    }
}
