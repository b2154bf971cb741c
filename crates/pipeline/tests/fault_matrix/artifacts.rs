//! All downloads of a toolchain, small and in upstream's layout, and how a build gets each of them.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use exec::cancel::Cancel;
use exec::environment::Environment;
use fetch::{Client, Observer};
use flate2::Compression;
use flate2::write::GzEncoder;
use messages::Error;
use mirror::noise::noise;
use planning::{Platform, Request};
use sha2::{Digest, Sha256, Sha512};
use store::{CacheDir, Key, Store};
use toolchain::hosts::Signature;
use toolchain::install::Extent;
use toolchain::installers::Wanted;
use toolchain::signature::Keys;
use toolchain::{Hosts, install, installers, lists};
use versions::Target;
use versions::target::{Arch, OsRelease};

const OTP: &str = "27.3.4";
/// Only in the list of the second source.
const OTHER_OTP: &str = "26.2.5.1";
const ELIXIR: &str = "v1.18.3-otp-27";
/// Runs on either.
const OTHER_ELIXIR: &str = "v1.18.3-otp-26";
const NODE: &str = "22.17.0";
const HEX: &str = "2.2.1";
const REBAR3: &str = "3.25.0";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// One that is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Artifact {
    OtpList,
    Otp,
    OtherOtpList,
    OtherOtp,
    ElixirList,
    Elixir,
    HexList,
    Hex,
    Rebar3List,
    Rebar3,
    NodeList,
    NodeSums,
    Node,
}

/// The format of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    TarGz,
    Zip,
    File,
    Text,
}

impl Artifact {
    pub(crate) const ALL: [Self; 13] = [
        Self::OtpList,
        Self::Otp,
        Self::OtherOtpList,
        Self::OtherOtp,
        Self::ElixirList,
        Self::Elixir,
        Self::HexList,
        Self::Hex,
        Self::Rebar3List,
        Self::Rebar3,
        Self::NodeList,
        Self::NodeSums,
        Self::Node,
    ];

    /// Its name in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OtpList => "OTP's list",
            Self::Otp => "OTP",
            Self::OtherOtpList => "OTP's second list",
            Self::OtherOtp => "OTP of erlef/otp_builds",
            Self::ElixirList => "Elixir's list",
            Self::Elixir => "Elixir",
            Self::HexList => "Hex's list",
            Self::Hex => "Hex",
            Self::Rebar3List => "rebar3's list",
            Self::Rebar3 => "rebar3",
            Self::NodeList => "Node's list",
            Self::NodeSums => "Node's checksums",
            Self::Node => "Node",
        }
    }

    pub(crate) fn form(self) -> Form {
        match self {
            Self::Otp | Self::OtherOtp | Self::Node => Form::TarGz,
            Self::Elixir | Self::Hex => Form::Zip,
            Self::Rebar3 => Form::File,
            Self::OtpList
            | Self::OtherOtpList
            | Self::ElixirList
            | Self::HexList
            | Self::Rebar3List
            | Self::NodeList
            | Self::NodeSums => Form::Text,
        }
    }

    /// The list that has its checksum.
    pub(crate) fn listed_in(self) -> Option<Self> {
        match self {
            Self::Otp => Some(Self::OtpList),
            Self::OtherOtp => Some(Self::OtherOtpList),
            Self::Elixir => Some(Self::ElixirList),
            Self::Hex => Some(Self::HexList),
            Self::Rebar3 => Some(Self::Rebar3List),
            Self::Node => Some(Self::NodeSums),
            _ => None,
        }
    }

    /// A list for planning. Builds cache it in case it becomes unavailable.
    pub(crate) fn is_planned_with(self) -> bool {
        matches!(
            self,
            Self::OtpList | Self::OtherOtpList | Self::ElixirList | Self::NodeList
        )
    }

    /// Below the root of the mirror.
    pub(crate) fn path(self, target: &Target) -> String {
        let builds = target.otp_directory();
        let name = target.otp_builds_name();
        let arch = target.arch.node_name();
        match self {
            Self::OtpList => format!("{builds}/builds.txt"),
            Self::Otp => format!("{builds}/OTP-{OTP}.tar.gz"),
            Self::OtherOtpList => format!("/erlef/otp_builds/raw/main/builds/{name}.csv"),
            Self::OtherOtp => {
                format!("/erlef/otp_builds/releases/download/OTP-{OTHER_OTP}/otp-{name}.tar.gz")
            }
            Self::ElixirList => "/builds/elixir/builds.txt".to_owned(),
            Self::Elixir => format!("/builds/elixir/{ELIXIR}.zip"),
            Self::HexList => "/installs/hex.csv".to_owned(),
            Self::Hex => format!("/installs/1.18.0/hex-{HEX}-otp-27.ez"),
            Self::Rebar3List => "/installs/rebar.csv".to_owned(),
            Self::Rebar3 => format!("/installs/1.18.3/rebar3-{REBAR3}-otp-27"),
            Self::NodeList => "/dist/index.json".to_owned(),
            Self::NodeSums => format!("/dist/v{NODE}/SHASUMS256.txt"),
            Self::Node => format!("/dist/v{NODE}/node-v{NODE}-linux-{arch}.tar.gz"),
        }
    }
}

/// The hosts, all with this URL.
pub(crate) fn hosts(base: &str) -> Hosts {
    Hosts::new(&|name| match name {
        "HEX_BUILDS_URL" => Some(base.to_owned()),
        "MIXPACK_OTP_BUILDS_URL" => Some(format!("{base}/erlef/otp_builds")),
        "NODEJS_ORG_MIRROR" => Some(format!("{base}/dist")),
        _ => None,
    })
}

pub(crate) fn target() -> Target {
    let arch = Arch::parse(std::env::consts::ARCH).unwrap();
    Target::resolve(Some("heroku-24"), &OsRelease::parse(""), arch).unwrap()
}

fn content(artifact: Artifact) -> Vec<u8> {
    noise(artifact as u64 + 1, 12_000)
}

fn tar_gz(top: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o755);
        header.set_mtime(1_700_000_000);
        header.set_size(content.len() as u64);
        builder
            .append_data(&mut header, format!("{top}/{name}"), *content)
            .unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn sha512(bytes: &[u8]) -> String {
    hex::encode(Sha512::digest(bytes))
}

/// A mirror on disk.
pub(crate) struct Mirror {
    pub(crate) root: PathBuf,
    pub(crate) target: Target,
}

impl Mirror {
    /// Lists are long enough to be truncated, and the requested versions are at their end.
    pub(crate) fn make(root: &Path) -> Self {
        let target = target();
        let mirror = Self {
            root: root.to_owned(),
            target,
        };
        let erlang = |artifact| {
            let bytes = content(artifact);
            tar_gz(
                "otp",
                &[
                    ("bin/erl", b"#!/bin/sh\n"),
                    ("bin/start.boot", b"boot"),
                    ("lib/content", &bytes),
                ],
            )
        };
        mirror.write(Artifact::Otp, &erlang(Artifact::Otp));
        mirror.write(Artifact::OtherOtp, &erlang(Artifact::OtherOtp));
        let elixir = zip(&[
            ("bin/mix", b"#!/bin/sh\n"),
            ("lib/content", &content(Artifact::Elixir)),
        ]);
        mirror.write(Artifact::Elixir, &elixir);
        let name = format!("hex-{HEX}/ebin/content");
        mirror.write(Artifact::Hex, &zip(&[(&name, &content(Artifact::Hex))]));
        mirror.write(Artifact::Rebar3, &content(Artifact::Rebar3));
        let node = tar_gz(
            "node",
            &[
                ("bin/node", b"#!/bin/sh\n"),
                ("lib/content", &content(Artifact::Node)),
            ],
        );
        mirror.write(Artifact::Node, &node);
        mirror.write_lists(|artifact| mirror.bytes(artifact));
        mirror
    }

    fn write_lists(&self, bytes: impl Fn(Artifact) -> Vec<u8>) {
        for list in Artifact::ALL {
            if list.form() == Form::Text {
                let text = self.list(list, &|artifact| Some(sum(artifact, &bytes(artifact))));
                self.write(list, text.as_bytes());
            }
        }
    }

    fn write(&self, artifact: Artifact, bytes: &[u8]) {
        let path = self.file(artifact);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn file(&self, artifact: Artifact) -> PathBuf {
        self.root.join(&artifact.path(&self.target)[1..])
    }

    pub(crate) fn bytes(&self, artifact: Artifact) -> Vec<u8> {
        fs::read(self.file(artifact)).unwrap()
    }

    /// The text of a list with these checksums, or with none.
    pub(crate) fn list(&self, list: Artifact, sum: &dyn Fn(Artifact) -> Option<String>) -> String {
        let build = |name: &str, digest: Option<String>| {
            let digest = digest.map_or_else(String::new, |digest| format!(" {digest}"));
            format!("{name} {COMMIT} 2025-06-01T00:00:00Z{digest}\n")
        };
        let older = |name: &dyn Fn(u8) -> String| -> String {
            (0..40)
                .map(|n| build(&name(n), Some(sha256(&[n]))))
                .collect()
        };
        let row = |version: &str, digest: Option<String>, elixir: &str| {
            format!("{version},{},{elixir},27\n", digest.unwrap_or_default())
        };
        let rows = |elixir: &str| -> String {
            (0..20_u8)
                .map(|n| row(&format!("1.0.{n}"), Some(sha512(&[n])), elixir))
                .collect()
        };
        match list {
            Artifact::OtpList => {
                older(&|n| format!("OTP-25.0.{n}"))
                    + &build(&format!("OTP-{OTP}"), sum(Artifact::Otp))
            }
            Artifact::OtherOtpList => {
                let row = |name: &str, digest: Option<String>| {
                    format!(
                        "{name},{COMMIT},2025-06-01T00:00:00Z,{},3.0.0,3.2.0\n",
                        digest.unwrap_or_default()
                    )
                };
                let header = "ref_name,ref,datetime,sha256,openssl,wxwidgets\n";
                let older = (0..40).map(|n| row(&format!("OTP-25.1.{n}"), Some(sha256(&[n]))));
                let wanted = row(&format!("OTP-{OTHER_OTP}"), sum(Artifact::OtherOtp));
                header.to_owned() + &older.collect::<String>() + &wanted
            }
            Artifact::ElixirList => {
                older(&|n| format!("v1.13.{n}-otp-25"))
                    + &build(OTHER_ELIXIR, Some(sha256(b"other")))
                    + &build(ELIXIR, sum(Artifact::Elixir))
            }
            Artifact::HexList => rows("1.18.0") + &row(HEX, sum(Artifact::Hex), "1.18.0"),
            Artifact::Rebar3List => rows("1.18.3") + &row(REBAR3, sum(Artifact::Rebar3), "1.18.3"),
            Artifact::NodeList => {
                let release = |version: String| {
                    serde_json::json!({
                        "version": version, "date": "2025-06-01", "lts": "Jod", "npm": "10.9.2",
                        "files": ["linux-x64", "linux-arm64"],
                    })
                };
                let older = (0..40).map(|n| release(format!("v20.0.{n}")));
                let all: Vec<_> = older.chain([release(format!("v{NODE}"))]).collect();
                serde_json::to_string(&all).unwrap()
            }
            Artifact::NodeSums => {
                let line = |digest: &str, file: &str| format!("{digest}  {file}\n");
                let older: String = (0..40)
                    .map(|n| line(&sha256(&[n]), &format!("other-{n}.tar.gz")))
                    .collect();
                let file = self.file(Artifact::Node);
                let name = file.file_name().unwrap().to_str().unwrap();
                let wanted = sum(Artifact::Node).map(|digest| line(&digest, name));
                older + &wanted.unwrap_or_default()
            }
            archive => unreachable!("{archive:?} is no list"),
        }
    }
}

/// Its checksum as upstream publishes it.
fn sum(artifact: Artifact, bytes: &[u8]) -> String {
    match artifact {
        Artifact::Hex | Artifact::Rebar3 => sha512(bytes),
        _ => sha256(bytes),
    }
}

/// An app, and a cache with files of another build.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    store: CacheDir,
}

impl Place {
    pub(crate) fn new(artifact: Artifact) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let app = dir.path().join("app");
        fs::create_dir_all(app.join("assets")).unwrap();
        fs::write(app.join("mix.exs"), MIX_EXS).unwrap();
        fs::write(app.join("assets/package.json"), "{}").unwrap();
        let other = matches!(artifact, Artifact::OtherOtp | Artifact::OtherOtpList);
        let (otp, elixir) = if other {
            (OTHER_OTP, OTHER_ELIXIR)
        } else {
            (OTP, ELIXIR)
        };
        let elixir = elixir.trim_start_matches('v');
        let wanted = format!("erlang {otp}\nelixir {elixir}\nnodejs {NODE}\n");
        fs::write(app.join(".tool-versions"), wanted).unwrap();
        let store = CacheDir::open(&dir.path().join("cache")).unwrap();
        store
            .tool("other", &Key::new(), &dir.path().join("other"), &mut |at| {
                fs::create_dir(at).unwrap();
                fs::write(at.join("file"), "of another build").unwrap();
                Ok(())
            })
            .unwrap();
        Self { dir, store }
    }

    /// Every file of the cache with its digest, except for complete lists from other hosts.
    pub(crate) fn cached(&self) -> Vec<(PathBuf, String)> {
        let cache = self.dir.path().join("cache");
        let mut files: Vec<_> = walkdir::WalkDir::new(&cache)
            .into_iter()
            .map(Result::unwrap)
            .filter(|entry| !entry.file_type().is_dir())
            .map(|entry| {
                let path = entry.path().strip_prefix(&cache).unwrap().to_owned();
                (path, sha256(&fs::read(entry.path()).unwrap()))
            })
            .filter(|(path, _)| !path.to_str().unwrap().contains("/list-"))
            .collect();
        files.sort();
        files
    }

    fn plan(
        &self,
        hosts: &Hosts,
        client: &Client,
        told: &dyn Observer,
    ) -> Result<app::Plan, Error> {
        let process = [("STACK".into(), "heroku-24".into())].into();
        planning::plan(Request {
            app: &self.dir.path().join("app"),
            environment: &Environment::new(process, [].into()),
            client,
            hosts,
            last: None,
            store: Some(&self.store),
            platform: &Platform::default(),
            observer: told,
            cancel: &Cancel::default(),
        })
    }

    fn keep(
        &self,
        what: Artifact,
        make: &dyn Fn(&Path) -> Result<(), toolchain::ToolchainError>,
        file: &str,
    ) -> Result<Had, Error> {
        let place = self.dir.path().join("place");
        let key = Key::from([("what".to_owned(), what.name().to_owned())]);
        store::tool(&self.store, "tool", &key, &place, |dest| {
            make(dest).map_err(Error::from)
        })?;
        Ok(if fs::read(place.join(file)).unwrap() == content(what) {
            Had::Right
        } else {
            Had::Other
        })
    }

    /// Gets an artifact like a build: plans, and installs it into the cache. Its list comes from `lists`, and the
    /// artifact from `from`.
    pub(crate) fn fetch(
        &self,
        what: Artifact,
        lists_at: &str,
        from: &str,
        client: &Client,
        told: &dyn Observer,
    ) -> Result<Had, Error> {
        let (listing, hosts) = (hosts(lists_at), hosts(from));
        if what.is_planned_with() {
            let plan = self.plan(&hosts, client, told)?;
            let kept = plan
                .warnings
                .iter()
                .any(|warning| warning.contains("using the copy read on"));
            return Ok(if kept { Had::Kept } else { Had::Right });
        }
        let plan = self.plan(&listing, client, told)?;
        let target = &plan.target;
        match what {
            Artifact::Otp | Artifact::OtherOtp => {
                let source = install::otp_source(&hosts, target, &plan.erlang.build);
                let root = Path::new("/app/.platform_tools/erlang");
                let make = |dest: &Path| {
                    install::otp(
                        client,
                        &source,
                        root,
                        dest,
                        (Extent::Needed, &std::process::Command::output),
                        told,
                    )
                    .map(drop)
                };
                self.keep(what, &make, "lib/content")
            }
            Artifact::Elixir => {
                let source = install::elixir_source(&hosts, &plan.elixir.build);
                let make = |dest: &Path| {
                    install::elixir(client, &source, dest, Extent::Needed, told).map(drop)
                };
                self.keep(what, &make, "lib/content")
            }
            Artifact::NodeSums | Artifact::Node => {
                let version = &plan.node.as_ref().unwrap().build;
                let sums = if what == Artifact::Node {
                    &listing
                } else {
                    &hosts
                };
                let mut source = install::node_source(client, sums, target, version, told)?;
                if what == Artifact::Node {
                    source.url = source.url.replace(&sums.node, &hosts.node);
                }
                let make = |dest: &Path| {
                    install::node(client, &source, target.arch, dest, Extent::Needed, told)
                        .map(drop)
                };
                self.keep(Artifact::Node, &make, "lib/content")
            }
            _ => {
                let elixir = plan.elixir.build.version.clone().unwrap();
                let is_list = what.form() == Form::Text;
                let lists_hosts = if is_list { &hosts } else { &listing };
                let keys = Keys::of(self.dir.path());
                let read = |url: &str| {
                    // Signatures have tests of their own.
                    let list = lists::installers(client, url, Signature::NotRequired, &keys, told);
                    Ok::<_, Error>((list.text?, list.signed))
                };
                let (mut hex, mut rebar3) =
                    installers::choose(lists_hosts, &elixir, 27, Wanted::default(), &read)?;
                if !is_list {
                    let base = lists_hosts.installers(&elixir);
                    for url in [&mut hex.url, &mut rebar3.url] {
                        *url = url.replace(&base, &hosts.installers(&elixir));
                    }
                }
                if hex.version != HEX || rebar3.version != REBAR3 {
                    return Ok(Had::Other);
                }
                let make = |dest: &Path| {
                    installers::install(client, &hex, &rebar3, &elixir, 27, dest, told)
                };
                let (what, file) = match what {
                    Artifact::Rebar3 => (what, "elixir/1-18-otp-27/rebar3".to_owned()),
                    _ => (
                        Artifact::Hex,
                        format!("archives/hex-{HEX}/hex-{HEX}/ebin/content"),
                    ),
                };
                self.keep(what, &make, &file)
            }
        }
    }
}

/// The result of a successful fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Had {
    /// The published artifact.
    Right,
    /// A plan by the list of an earlier build, with a warning.
    Kept,
    /// Another published artifact.
    Other,
}

const MIX_EXS: &str = r#"defmodule Small.MixProject do
  use Mix.Project
  def project, do: [app: :small, version: "0.1.0", elixir: "~> 1.14", deps: []]
end
"#;
