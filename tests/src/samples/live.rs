//! Today's files of upstream.

use super::{Format, SAMPLES, Sample, changes};
use fetch::{Archive, Checksum, Client, Settings};
use std::process::Command;
use toolchain::{Hosts, install, lists};
use versions::elixir::ElixirListing;
use versions::installers::{InstallerList, Package, Scheme};
use versions::node::NodeIndex;
use versions::otp::{OtpBuild, OtpListing};
use versions::target::{Arch, OsRelease};
use versions::{ElixirVersion, Target};
use walkdir::WalkDir;

/// Describes each difference between these hosts and the samples in a line.
pub fn changes_at<'a>(hosts: &Hosts, samples: impl Iterator<Item = &'a Sample>) -> Vec<String> {
    let system = OsRelease::parse("");
    let upstream = Upstream {
        client: Client::new(Settings::default()),
        hosts,
        target: Target::resolve(Some("heroku-24"), &system, Arch::Amd64).expect("a stack"),
    };
    let changes = samples.flat_map(|sample| match upstream.serves(sample) {
        Ok(live) => changes(sample, &live),
        Err(why) => vec![format!("{} can't be compared: {why}", sample.name)],
    });
    changes.collect()
}

struct Upstream<'a> {
    client: Client,
    hosts: &'a Hosts,
    target: Target,
}

type Answer<T> = Result<T, String>;

impl Upstream<'_> {
    fn serves(&self, sample: &Sample) -> Answer<String> {
        match sample.name {
            _ if sample.format != Format::Paths => self.list(sample.name),
            "npm-packages.txt" => Ok(npm_packages(sample.text)),
            "otp.paths" => {
                let list = OtpListing::parse(&self.list("otp-builds.txt")?);
                let builds = list.builds().iter();
                self.otp(builds.max_by_key(|build| build.sha256.is_some()))
            }
            "otp_builds.paths" => {
                let list = OtpListing::parse_csv(&self.list("otp_builds.csv")?);
                self.otp(list.unwrap_or_default().get("maint"))
            }
            "elixir.paths" => {
                let list = ElixirListing::parse(&self.list("elixir-builds.txt")?);
                let build = list.builds().first().ok_or("no build is listed")?;
                let source = install::elixir_source(self.hosts, build);
                self.paths(source, fetch::Format::Zip)
            }
            "node.paths" => {
                let index = NodeIndex::parse(&self.list("node-index.json")?);
                let index = index.map_err(|error| error.to_string())?;
                let newest = index
                    .default_lts(self.target.arch)
                    .ok_or("no release is listed")?;
                let (client, version) = (&self.client, &newest.version);
                let source = install::node_source(client, self.hosts, &self.target, version, &());
                self.paths(
                    source.map_err(|error| error.to_string())?,
                    fetch::Format::TarGz,
                )
            }
            _ => {
                let list = self.list("hex.csv")?;
                let list = InstallerList::parse(&list, Package::Hex, Scheme::ByElixirAndOtp);
                let newest = ElixirVersion::release(9999, 0, 0);
                let hex = list.choose(&newest, 9999).ok_or("no Hex is listed")?;
                let source = install::Source {
                    subject: "Hex".to_owned(),
                    url: format!("{}{}", self.hosts.builds, hex.path),
                    sha256: None,
                };
                self.paths(source, fetch::Format::Zip)
            }
        }
    }

    fn list(&self, name: &str) -> Answer<String> {
        let mut samples = SAMPLES.iter();
        let url = samples
            .find(|sample| sample.name == name)
            .expect("a sample")
            .url;
        let upstream = Hosts::new(&|_| None);
        let [other, here] = [&upstream, self.hosts].map(|hosts| hosts.otp_builds.as_deref());
        let url = [
            (upstream.builds.as_str(), Some(self.hosts.builds.as_str())),
            (upstream.node.as_str(), Some(self.hosts.node.as_str())),
            (other.unwrap_or_default(), here),
        ]
        .iter()
        .find_map(|(host, here)| Some(format!("{}{}", (*here)?, url.strip_prefix(host)?)));
        let url = url.ok_or("there is no such host")?;
        let text = self.client.text(&url, lists::LIMIT, &());
        text.map_err(|error| error.to_string())
    }

    fn otp(&self, build: Option<&OtpBuild>) -> Answer<String> {
        let build = build.ok_or("no such build is listed")?;
        let source = install::otp_source(self.hosts, &self.target, build);
        self.paths(source, fetch::Format::TarGz)
    }

    fn paths(&self, source: install::Source, format: fetch::Format) -> Answer<String> {
        let dir = tempfile::tempdir().expect("a folder for an archive");
        let dest = dir.path().join("archive");
        let archive = Archive {
            url: source.url,
            format,
            strip_components: 0,
            checksum: source.sha256.map(Checksum::Sha256),
        };
        let fetched = self.client.archive(&archive, &dest, &());
        fetched.map_err(|error| error.to_string())?;
        let entries = WalkDir::new(&dest).min_depth(1).into_iter();
        let paths = entries.map(|entry| {
            let path = entry.expect("a readable folder").into_path();
            let path = path.strip_prefix(&dest).expect("below it");
            path.display().to_string()
        });
        Ok(paths.collect::<Vec<_>>().join("\n"))
    }
}

/// The lines of the sample, `PACKAGE FILE`, for which the newest package has the file.
fn npm_packages(sample: &str) -> String {
    let has = |line: &&str| {
        let (package, file) = line.split_once(' ').expect("a package and a file");
        let listed = Command::new("npm")
            .args(["pack", "--dry-run", "--json", "--loglevel=error", package])
            .output()
            .expect("npm runs");
        let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap_or_default();
        // npm 12 and newer print an object.
        let package = listed
            .get(0)
            .or_else(|| listed.as_object()?.values().next());
        let files = package.and_then(|package| package["files"].as_array());
        files.is_some_and(|files| files.iter().any(|found| found["path"] == file))
    };
    sample.lines().filter(has).collect::<Vec<_>>().join("\n")
}
