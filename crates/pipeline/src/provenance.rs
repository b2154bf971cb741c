//! The provenance of a build: an in-toto Statement (github.com/in-toto/attestation, spec/v1) with the predicate
//! of SLSA (slsa.dev/spec/v1.1/provenance).
//!
//! It has no build time or number, so the same slug always has the same statement. Names of fields that the
//! specifications don't define begin with `mixpack_`, as they recommend.

use crate::component::{Component, Origin};
use crate::fetched::{ByTool, Fetched};
use crate::sbom;
use app::Plan;
use planning::record::VERSION;
use serde_json::{Map, Value, json};
use std::io;
use store::digest;

/// The statement's place, relative to the app.
pub(crate) const PATH: &str = ".mixpack/provenance.json";

/// A package URL that leads to the description of the statement.
const BUILD_TYPE: &str = "pkg:generic/mixpack#docs/supply-chain.md";

/// The input of a statement.
pub(crate) struct Inputs<'a> {
    pub(crate) plan: &'a Plan,
    /// The files that represent the slug, by path, with their contents.
    pub(crate) subjects: &'a [(&'a str, &'a str)],
    /// The commit of the app, if the platform provides it.
    pub(crate) commit: Option<&'a str>,
    pub(crate) tools: &'a ByTool,
    pub(crate) components: &'a [Component],
    /// The SHA-256 of this executable, in hex.
    pub(crate) executable: Option<&'a str>,
}

/// Returns the statement.
pub(crate) fn statement(inputs: &Inputs<'_>) -> String {
    let plan = inputs.plan;
    let subjects = inputs.subjects.iter().map(
        |(path, text)| json!({"name": path, "digest": {"sha256": digest::sha256(text.as_bytes())}}),
    );
    let mut builder = json!({
        "id": format!("pkg:generic/mixpack@{VERSION}"),
        "version": {"mixpack": VERSION},
    });
    if let Some(sha256) = inputs.executable {
        builder["builderDependencies"] = json!([{"name": "mixpack", "digest": {"sha256": sha256}}]);
    }
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects.collect::<Vec<_>>(),
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "stack": plan.target.stack,
                    "architecture": plan.target.arch.to_string(),
                    "app_dir": plan.app_dir.value,
                    "mix_env": plan.mix_env.value,
                    "release": plan.release,
                    "slim": plan.slim,
                },
                "resolvedDependencies": dependencies(inputs),
            },
            "runDetails": {"builder": builder},
        },
    });
    format!("{statement:#}\n")
}

fn dependencies(inputs: &Inputs<'_>) -> Vec<Value> {
    let commit = inputs
        .commit
        .map(|commit| json!({"name": "app", "digest": {"gitCommit": commit.to_ascii_lowercase()}}));
    let tools = inputs.tools.iter().flat_map(|(name, files)| match files {
        Some(files) => files.iter().map(download).collect(),
        None => vec![json!({
            "name": name,
            "uri": format!("pkg:generic/{name}"),
            "annotations": {
                "mixpack_unknown": "restored from a build cache that doesn't say where this tool is from"
            },
        })],
    });
    let packages = inputs.components.iter().filter_map(package);
    commit.into_iter().chain(tools).chain(packages).collect()
}

fn download(file: &Fetched) -> Value {
    let Fetched {
        name,
        uri,
        mirror,
        digest,
    } = file;
    let mut descriptor = json!({"name": name, "uri": uri});
    let mut annotations = Map::new();
    if let Some(variable) = mirror {
        annotations.insert("mixpack_mirror".to_owned(), json!(variable));
    }
    if digest.is_empty() {
        let reason = "upstream publishes no checksum";
        annotations.insert("mixpack_unverified".to_owned(), json!(reason));
    } else {
        descriptor["digest"] = json!(digest);
    }
    if !annotations.is_empty() {
        descriptor["annotations"] = annotations.into();
    }
    descriptor
}

/// Describes a package from the lockfile.
fn package(component: &Component) -> Option<Value> {
    let mut descriptor = json!({"name": component.name, "uri": sbom::purl(component)});
    let mut digests = Map::new();
    match &component.origin {
        // Toolchains are listed as downloads.
        Origin::Toolchain => return None,
        Origin::Hex {
            inner_sha256,
            sha256,
            ..
        } => {
            digests.extend(
                sha256
                    .iter()
                    .map(|sha256| ("sha256".to_owned(), json!(sha256.to_lowercase()))),
            );
            if let Some(inner) = inner_sha256 {
                descriptor["annotations"] =
                    json!({"mixpack_hexInnerChecksum": inner.to_lowercase()});
            }
        }
        Origin::Git { url } => {
            let commit = component.version.to_ascii_lowercase();
            descriptor["uri"] = format!("git+{url}@{commit}").into();
            digests.insert("gitCommit".to_owned(), commit.into());
        }
        Origin::Npm { integrity } => {
            let integrity = integrity.as_deref().unwrap_or_default();
            digests
                .extend(sbom::digests(integrity).map(|(name, hex)| (name.to_owned(), hex.into())));
        }
    }
    if !digests.is_empty() {
        descriptor["digest"] = digests.into();
    }
    Some(descriptor)
}

/// Returns the SHA-256 of the running executable.
pub(crate) fn executable_sha256() -> io::Result<String> {
    digest::sha256_of(&std::env::current_exe()?)
}
