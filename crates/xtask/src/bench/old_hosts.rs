//! What the shell buildpacks ask upstream for beyond what the mirror has for us (contracts 9),
//! what the deploys of a benchmark need in newer versions, and the npm registry's part of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mirror::authority::SigningKey;
use mirror::hex_package::{self, HexPackage};
use mirror::layout::digest_of;
use mirror::{Override, Server};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::app::Versions;
use super::big;
use crate::archive::{pack_tar_gz, unpack_tar_gz};
use crate::fixtures;
use crate::node;
use crate::parts::Parts;
use crate::process::{Result, ensure, run};
use crate::toolchains::Places;

/// The only stack whose archives the shell buildpacks still find, and its name at builds.hex.pm.
pub(crate) const STACK: &str = "heroku-22";
const OS: &str = "ubuntu-22.04";
/// Where the mirror has the OTP that is published for it there.
const MIRRORED_OS: &str = "ubuntu-24.04";

/// The dependency that is upgraded: the app and Phoenix need it.
const UPGRADED: &str = "jason_lite-1.0.0";

const RECIPE: &str = include_str!("old_hosts.rs");

/// The files of this machine that the answers are made of.
pub(crate) struct Published {
    pub(crate) versions: Versions,
    pub(crate) upgraded: HexPackage,
    /// The archives of the toolchains, as downloaded.
    pub(crate) otp: PathBuf,
    pub(crate) next_otp: PathBuf,
    pub(crate) elixir: PathBuf,
    pub(crate) node: PathBuf,
    /// What the key is that installer lists are signed with.
    pub(crate) public_key: String,
}

/// Adds the answers to `server`, which serves the mirror of `places`.
pub(crate) fn publish(server: &Server, places: &Places) -> Result<Published> {
    let mirror = places.mirror();
    let parts = Parts::at(&places.all().join("bench"))?;
    let otp_lists = mirror.join("builds/otp/amd64").join(MIRRORED_OS);
    let name = last_name(&otp_lists.join("builds.txt"))?;
    let otp = otp_lists.join(format!("{name}.tar.gz"));
    let (next_name, next_otp) = next_patch(&parts, &name, &otp)?;
    let list = [(&name, &otp), (&next_name, &next_otp)]
        .into_iter()
        .map(|(name, file)| {
            let digest = digest_of::<Sha256>(file)?;
            // Neither was made from a commit; the digest's start has the length of one.
            let revision = &digest[..40];
            Ok(format!("{name} {revision} 2025-06-16T09:42:07Z {digest}\n"))
        })
        .collect::<Result<String>>()?;
    // With the architecture in the path for us, without it for them.
    for dir in [
        format!("/builds/otp/amd64/{OS}"),
        format!("/builds/otp/{OS}"),
    ] {
        let list = Override::Body(list.clone().into_bytes());
        server.set_override(format!("{dir}/builds.txt"), list);
        for (name, file) in [(&name, &otp), (&next_name, &next_otp)] {
            let path = format!("{dir}/{name}.tar.gz");
            server.set_override(path, Override::File(file.clone()));
        }
    }

    // Upstream lists each Elixir without a suffix too, which is what the shell buildpack wants to
    // see before it downloads the one with the suffix.
    let list = mirror.join("builds/elixir/builds.txt");
    let with_suffix = last_name(&list)?;
    let plain = with_suffix.split("-otp-").next().unwrap_or(&with_suffix);
    let text = fs::read_to_string(&list)?;
    let line = text.lines().last().unwrap_or_default();
    let plain_line = line.replacen(&with_suffix, plain, 1);
    let text = format!("{text}{plain_line}\n");
    server.set_override("/builds/elixir/builds.txt", Override::Body(text.into()));

    let key = SigningKey::make()?;
    for list in ["hex-1.x.csv", "hex.csv", "rebar3-1.x.csv", "rebar.csv"] {
        let path = format!("installs/{list}");
        let signature = key.sign(&fs::read(mirror.join(&path))?)?;
        server.set_override(format!("/{path}.signed"), Override::Body(signature.into()));
    }

    let node = &node::VERSIONS[0];
    let archive = format!("dist/v{}/{}.tar.gz", node.version, node.name());
    let answer = format!("{} https://nodejs.org/{archive}\n", node.version);
    server.set_override(
        "/nodebin/v1/node/linux-x64/latest.txt",
        Override::Body(answer.into()),
    );

    let upgraded = upgrade(server)?;
    for package in &big::packages()? {
        publish_releases(server, &[package]);
    }
    npm_registry(server, &parts)?;
    Ok(Published {
        versions: Versions {
            otp: name.trim_start_matches("OTP-").to_owned(),
            next_otp: next_name.trim_start_matches("OTP-").to_owned(),
            elixir: plain.trim_start_matches('v').to_owned(),
            node: node.version,
        },
        upgraded,
        otp,
        next_otp,
        elixir: mirror.join(format!("builds/elixir/{with_suffix}.zip")),
        node: mirror.join(archive),
        public_key: key.public()?,
    })
}

/// The name in the last line of a list.
fn last_name(list: &Path) -> Result<String> {
    let text = fs::read_to_string(list)?;
    let name = text.lines().last().and_then(|line| line.split(' ').next());
    name.map(str::to_owned)
        .ok_or_else(|| format!("{} is empty", list.display()).into())
}

/// Stands in for the next patch release of OTP: the same files under its name and with its
/// version, so that whoever looks finds another archive.
fn next_patch(parts: &Parts, name: &str, archive: &Path) -> Result<(String, PathBuf)> {
    let (line, patch) = name.rsplit_once('.').ok_or("OTP has no patch version")?;
    let next = format!("{line}.{}", patch.parse::<u32>()? + 1);
    let digest = digest_of::<Sha256>(archive)?;
    let part = parts.part(
        "otp-next",
        &format!("{next}, made of {name}"),
        &[RECIPE, &digest],
        |work, result| {
            let tree = unpack_tar_gz(archive, &work.join("tree"))?;
            for release in fs::read_dir(tree.join("releases"))? {
                let version = release?.path().join("OTP_VERSION");
                if version.is_file() {
                    fs::write(version, format!("{}\n", next.trim_start_matches("OTP-")))?;
                }
            }
            pack_tar_gz(&tree, &next, &result.join(format!("{next}.tar.gz")))
        },
    )?;
    let file = part.join(format!("{next}.tar.gz"));
    Ok((next, file))
}

/// Publishes the next patch version of a package of the fixtures.
fn upgrade(server: &Server) -> Result<HexPackage> {
    let sources = fixtures::root().join("packages").join(UPGRADED);
    let work = tempfile::tempdir()?;
    let next = work.path().join("next");
    whole_builds::copy(&sources, &next);
    for (file, from, to) in [
        ("package.toml", "version = \"1.0.0\"", "version = \"1.0.1\""),
        ("mix.exs", "version: \"1.0.0\"", "version: \"1.0.1\""),
        (
            "lib/jason_lite.ex",
            "defmodule JasonLite do\n",
            "defmodule JasonLite do\n  def upgraded, do: :yes\n",
        ),
    ] {
        let text = fs::read_to_string(next.join(file))?;
        let changed = text.replacen(from, to, 1);
        if changed == text {
            return Err(format!("{UPGRADED}/{file} does not hold {from:?}").into());
        }
        fs::write(next.join(file), changed)?;
    }
    let (old, new) = (hex_package::pack(&sources)?, hex_package::pack(&next)?);
    publish_releases(server, &[&old, &new]);
    Ok(new)
}

/// Publishes all releases of a package.
fn publish_releases(server: &Server, releases: &[&HexPackage]) {
    for release in releases {
        let entry = hex_package::registry_entry(releases.iter().copied());
        server.set_override(
            format!("/hex/packages/{}", release.name),
            Override::Body(entry.into()),
        );
        server.set_override(
            format!("/hex/tarballs/{}", release.file_name()),
            Override::Body(release.tarball.clone()),
        );
    }
}

/// Serves, below `/npm`, those packages of the npm registry that an install of the fixture's
/// `package-lock.json` downloads on this platform.
fn npm_registry(server: &Server, parts: &Parts) -> Result {
    let lock = fixtures::root().join("phoenix-npm/assets/package-lock.json");
    let text = fs::read_to_string(lock)?;
    let lock: Value = serde_json::from_str(&text)?;
    let packages = lock["packages"].as_object().ok_or("a lock of packages")?;
    let wanted = wanted(packages);
    let part = parts.part(
        "npm",
        "Packages from the npm registry",
        &[RECIPE, &text],
        |_, result| {
            ensure("npm", "npm")?;
            for (name, entry) in &wanted {
                let version = entry["version"].as_str().unwrap_or_default();
                run(Command::new("npm")
                    .args(["pack", "--silent", &format!("{name}@{version}")])
                    .current_dir(result))?;
            }
            Ok(())
        },
    )?;
    for (name, entry) in wanted {
        let version = entry["version"].as_str().unwrap_or_default();
        let file = name.trim_start_matches('@').replace('/', "-");
        let tarball = format!("/npm/{name}/-/{file}-{version}.tgz");
        let document = document(&name, entry, &format!("{}{tarball}", server.url()));
        let file = part.join(format!("{file}-{version}.tgz"));
        server.set_override(tarball, Override::File(file));
        server.set_override(
            format!("/npm/{}", name.replace('/', "%2f")),
            Override::Body(document.to_string().into()),
        );
    }
    Ok(())
}

/// The entries of a `package-lock.json` that are installed from the registry on this platform.
fn wanted(packages: &Map<String, Value>) -> BTreeMap<String, &Value> {
    let fits = |entry: &Value, field: &str, value: &str| {
        entry[field]
            .as_array()
            .is_none_or(|list| list.contains(&value.into()))
    };
    packages
        .iter()
        .filter_map(|(path, entry)| Some((path.strip_prefix("node_modules/")?.to_owned(), entry)))
        .filter(|(_, entry)| entry["link"] != true)
        .filter(|(_, entry)| fits(entry, "os", "linux") && fits(entry, "cpu", "x64"))
        .collect()
}

/// What the registry says of a package with one version.
fn document(name: &str, entry: &Value, tarball: &str) -> Value {
    let mut manifest = entry.clone();
    let version = entry["version"].as_str().unwrap_or_default();
    manifest["name"] = name.into();
    manifest["dist"] = json!({"tarball": tarball, "integrity": entry["integrity"]});
    json!({"name": name, "dist-tags": {"latest": version}, "versions": {version: manifest}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_has_packages_for_this_platform() {
        let lock = json!({
            "": {"name": "app"},
            "node_modules/esbuild": {"version": "0.25.4", "integrity": "sha512-a"},
            "node_modules/@esbuild/linux-x64": {"version": "0.25.4", "os": ["linux"], "cpu": ["x64"]},
            "node_modules/@esbuild/linux-arm": {"version": "0.25.4", "os": ["linux"], "cpu": ["arm"]},
            "node_modules/phoenix": {"link": true},
        });
        let wanted = wanted(lock.as_object().unwrap());
        let names: Vec<_> = wanted.keys().map(String::as_str).collect();
        assert_eq!(names, ["@esbuild/linux-x64", "esbuild"]);
        let document = document("esbuild", wanted["esbuild"], "http://x/esbuild.tgz");
        let dist = &document["versions"]["0.25.4"]["dist"];
        assert_eq!(dist["integrity"], "sha512-a");
        assert_eq!(document["dist-tags"]["latest"], "0.25.4");
    }

    #[test]
    fn next_patch_reports_its_own_version() {
        let dir = tempfile::tempdir().unwrap();
        let release = dir.path().join("tree/releases/27");
        fs::create_dir_all(&release).unwrap();
        fs::write(release.join("OTP_VERSION"), "27.3.9\n").unwrap();
        let archive = dir.path().join("a.tar.gz");
        pack_tar_gz(&dir.path().join("tree"), "OTP-27.3.9", &archive).unwrap();
        let parts = Parts::at(&dir.path().join("parts")).unwrap();
        let (name, file) = next_patch(&parts, "OTP-27.3.9", &archive).unwrap();
        let tree = unpack_tar_gz(&file, &dir.path().join("unpacked")).unwrap();
        assert!(tree.ends_with("OTP-27.3.10") && name == "OTP-27.3.10");
        let version = fs::read_to_string(tree.join("releases/27/OTP_VERSION")).unwrap();
        assert_eq!(version, "27.3.10\n");
    }
}
