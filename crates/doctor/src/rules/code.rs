//! Rules about the app's code: compile-time values, the disk, and clusters.

use crate::context::Context;
use crate::elixir::value::{Pair, Value};
use crate::finding::Findings;

pub(super) fn check(context: &Context<'_>, out: &mut Findings) {
    attributes(context, out);
    compiled_config(context, out);
    disk(context, out);
    storage(context, out);
    cluster(context, out);
    for (file, line) in &context.sources.unread {
        out.note(
            "config-not-read",
            (file, *line),
            "This file can't be read, so doctor doesn't know what it contains.",
            "Check it by hand.",
        );
    }
}

/// Whether a variable describes the build, so that reading it at compile time is intended.
fn describes_build(name: &str) -> bool {
    let words = [
        "VERSION",
        "COMMIT",
        "SHA",
        "REV",
        "MIX_",
        "BUILD",
        "GIT_",
        "CI",
        "DATE",
        "PRECOMPILED",
    ];
    words.iter().any(|word| name.contains(word))
}

fn attributes(context: &Context<'_>, out: &mut Findings) {
    for place in &context.sources.compile_time {
        let Some((attribute, name)) = place.what.split_once(' ') else {
            continue;
        };
        if describes_build(name) {
            continue;
        }
        out.warning(
            "compile-time-value",
            (&place.file, place.line),
            format!("{attribute} reads {name} when the module is compiled. A later change of the config var has no effect until this file is compiled again, and the value ends up in the slug."),
            format!("Read it in config/runtime.exs, or in a function:\n  System.get_env(\"{name}\")"),
        );
    }
}

/// A release doesn't evaluate these files when it starts.
fn compiled_config(context: &Context<'_>, out: &mut Findings) {
    if !context.release {
        return;
    }
    for setting in context.config.compiled() {
        let (name, file) = (&setting.variable, &setting.file);
        if describes_build(name) {
            continue;
        }
        out.warning(
            "compile-time-value",
            (file, setting.line),
            format!("A release evaluates {file} during the build, so {name} has the value of the build, or none, and that value ends up in the slug."),
            "Move the line to config/runtime.exs.",
        );
    }
}

const LOST: &str = "The disk of a dyno is emptied at each deploy and at least once a day, and no other dyno sees it.";

fn disk(context: &Context<'_>, out: &mut Findings) {
    for place in &context.sources.written {
        out.warning(
            "files-on-disk",
            (&place.file, place.line),
            format!("{} writes below the app's directory. {LOST}", place.what),
            "Store uploads in an object storage such as S3, and temporary files in System.tmp_dir!().",
        );
    }
    for place in &context.sources.databases {
        out.note(
            "database-on-disk",
            (&place.file, place.line),
            format!("{} stores data in a file. {LOST}", place.what),
            "Keep only data there that may be lost.",
        );
    }
}

/// Libraries for uploads that store them on the disk.
const STORAGES: [(&str, &str, &str); 2] = [
    ("waffle", "Waffle.Storage.Local", "Waffle.Storage.S3"),
    ("arc", "Arc.Storage.Local", "Arc.Storage.S3"),
];

fn storage(context: &Context<'_>, out: &mut Findings) {
    for (app, local, other) in STORAGES {
        let Some(set) = context.config.get(app, &["storage"]).set() else {
            continue;
        };
        if *set.value == Value::Module(local.to_owned()) {
            out.warning(
                "files-on-disk",
                set.at(),
                format!("{local} stores uploads on the disk. {LOST}"),
                format!("Store them in an object storage:\n  config :{app}, storage: {other}"),
            );
        }
    }
}

const ALONE: &str =
    "The dynos of Heroku's Common Runtime can't reach each other, so they don't form a cluster.";
const OTHER_WAYS: &str = "Use Phoenix.PubSub.Redis, or PubSub over the database, to reach other dynos. Private Spaces and other platforms can cluster.";

fn cluster(context: &Context<'_>, out: &mut Findings) {
    let query = context
        .config_var("DNS_CLUSTER_QUERY")
        .is_some_and(|query| !query.is_empty());
    let found = context
        .config
        .apps()
        .find_map(|(app, settings, file, is_certain)| {
            let place = |pair: &Pair| Some((file.to_owned(), pair.line));
            match app {
                "libcluster" if is_certain => {
                    let topologies = settings.iter().find(|pair| pair.key == "topologies")?;
                    let is_empty =
                        matches!(&topologies.value, Value::Items(items) if items.is_empty());
                    (!is_empty).then(|| place(topologies))?
                }
                _ if query => place(
                    settings
                        .iter()
                        .find(|pair| pair.key == "dns_cluster_query")?,
                ),
                _ => None,
            }
        });
    if let Some((file, line)) = found {
        out.warning("cluster", (&file, line), ALONE, OTHER_WAYS);
    }
}
