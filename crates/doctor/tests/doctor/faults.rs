//! One fault for each rule. The twin is the same app without it, or with something similar.

mod endpoints;
mod repository;
mod settings;

use crate::Repository;
use crate::shop::{VARS, shop};
use std::collections::BTreeSet;

/// A fault: the finding that is expected, and the changes that make it.
struct Fault {
    /// `error code`.
    finding: &'static str,
    /// The file, and a text of the line.
    at: (&'static str, &'static str),
    /// Replaces a text of a file, or writes the file if the text is empty.
    edits: &'static [(&'static str, &'static str, &'static str)],
    /// The changes of the twin.
    twin: &'static [(&'static str, &'static str, &'static str)],
}

const fn fault(
    finding: &'static str,
    at: (&'static str, &'static str),
    edits: &'static [(&'static str, &'static str, &'static str)],
    twin: &'static [(&'static str, &'static str, &'static str)],
) -> Fault {
    Fault {
        finding,
        at,
        edits,
        twin,
    }
}

const RUNTIME: &str = "config/runtime.exs";
const PROD: &str = "config/prod.exs";
const ENDPOINT: &str = "lib/shop_web/endpoint.ex";
const UPLOAD: &str = "lib/shop/upload.ex";
const BUILDPACK: &str = "elixir_buildpack.config";
const RELEASE: (&str, &str, &str) = (BUILDPACK, "elixir_version", "release=true\nelixir_version");

fn changed(edits: &[(&str, &str, &str)]) -> Repository {
    let mut repository = shop();
    for (path, from, to) in edits {
        repository = match (*from, *to) {
            ("", "") => repository.remove(path),
            ("", text) => repository.files(&[(path, text)]),
            (from, to) => repository.edit(path, from, to),
        };
    }
    repository
}

fn all() -> impl Iterator<Item = &'static Fault> {
    endpoints::FAULTS
        .iter()
        .chain(settings::FAULTS)
        .chain(repository::FAULTS)
}

#[test]
fn each_fault_is_found_in_its_line_and_its_twin_has_none() {
    let mut wrong = Vec::new();
    for fault in all() {
        let repository = changed(fault.edits);
        let (file, text) = fault.at;
        let expected = format!(
            "{} {file}:{}",
            fault.finding,
            repository.line_of(file, text)
        );
        let found = repository.codes();
        if !found.contains(&expected) {
            wrong.push(format!("expected {expected}, found {found:#?}"));
        }
        if fault.finding == "note config-vars" && fault.twin.is_empty() {
            continue;
        }
        let (_, code) = fault.finding.split_once(' ').unwrap();
        let of_twin = changed(fault.twin).codes();
        let is_same =
            |line: &&String| line.starts_with(fault.finding) && line.contains(&format!("{code} "));
        if let Some(found) = of_twin.iter().find(is_same) {
            wrong.push(format!("the twin of {expected} has {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Findings that need more than files.
const ELSEWHERE: [&str; 3] = ["config-var-missing", "end-of-life", "env-file-committed"];

#[test]
fn every_rule_has_a_fault() {
    let faults = all().map(|fault| fault.finding.split_once(' ').unwrap().1);
    let covered: BTreeSet<&str> = faults.chain(ELSEWHERE).collect();
    let codes: BTreeSet<&str> = doctor::rules().map(|rule| rule.code).collect();
    assert_eq!(covered, codes);
}

#[test]
fn page_lists_every_code() {
    let page = include_str!("../../../../docs/doctor.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let listed: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    let codes: Vec<&str> = doctor::rules().map(|rule| rule.code).collect();
    assert_eq!(listed, codes);
}

#[test]
fn config_vars_turn_notes_into_facts() {
    let of = |repository: Repository, vars: &[(&str, &str)]| {
        let found = repository.config_vars(vars).codes();
        found.join("\n")
    };
    let without = |name: &str| -> Vec<(&str, &str)> {
        VARS.into_iter()
            .filter(|(known, _)| *known != name)
            .collect()
    };
    assert_eq!(
        of(shop(), &without("SECRET_KEY_BASE")),
        "error config-var-missing config/runtime.exs:26"
    );
    assert_eq!(
        of(shop(), &without("PHX_HOST")),
        "warning url-host config/runtime.exs:30"
    );
    let ssl = |text: &str| shop().edit(RUNTIME, "    ssl: [verify: :verify_none],\n", text);
    assert_eq!(
        of(ssl(""), &VARS),
        "error database-without-tls config/runtime.exs:21"
    );
    assert_eq!(
        of(ssl("    ssl: true,\n"), &VARS),
        "error database-certificate config/runtime.exs:21"
    );
    let elsewhere = [
        VARS[1],
        VARS[2],
        ("DATABASE_URL", "postgres://u:p@db.internal/d"),
    ];
    assert_eq!(of(ssl(""), &elsewhere), "");
    let small = [&VARS[..], &[("POOL_SIZE", "40")]].concat();
    assert_eq!(of(shop(), &small), "note pool-size config/runtime.exs:23");
    let private = || shop().edit("mix.lock", "https://example.com/", "git@example.com:");
    assert_eq!(of(private(), &VARS), "error git-dependency mix.lock:3");
    let key = [&VARS[..], &[("GIT_SSH_KEY", "k")]].concat();
    assert_eq!(of(private(), &key), "");
    let cluster = [&VARS[..], &[("DNS_CLUSTER_QUERY", "shop.internal")]].concat();
    let clustered = || {
        shop().edit(PROD, "import Config\n", "import Config\nconfig :shop, :dns_cluster_query, System.get_env(\"DNS_CLUSTER_QUERY\")\n")
    };
    assert_eq!(
        of(clustered(), &cluster),
        "warning cluster config/prod.exs:2"
    );
    assert_eq!(of(clustered(), &VARS), "");
}
