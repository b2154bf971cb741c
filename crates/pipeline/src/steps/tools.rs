//! Erlang, Elixir, Node, Hex and rebar3: from the store, or from upstream.

use crate::context::Context;
use crate::kept_lists::or_kept;
use app::plan::{Slim, StepName};
use app::{Asked, Origin};
use exec::log::{StepLog, seconds};
use exec::progress::{DownloadProgress, megabytes};
use fetch::{Observer, Unpacked};
use messages::Error;
use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
use store::tree::{self, TreeError};
use store::{Key, Tool};
use toolchain::error::OtherPlace;
use toolchain::install::{Extent, Run};
use toolchain::installers::{Chosen, Signed, Wanted};
use toolchain::lists::{ListText, Signature};
use toolchain::signature::Keys;
use toolchain::{ToolchainError, install, installers, lists};
use versions::ElixirVersion;
use versions::otp::{OtpBuild, OtpListing, Publisher};
use versions::target::Basis;

fn key(parts: &[(&str, &str)]) -> Key {
    parts
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

impl Context<'_> {
    pub(crate) fn erlang(&self) -> Result<(), Error> {
        let (plan, client) = (self.plan, self.client);
        let log = self
            .log
            .step(&format!("Installing Erlang/OTP {}", plan.erlang.version));
        let build = &plan.erlang.build;
        let place = &self.workspace.places.erlang;
        let root = Path::new(&plan.runtime_path).join(place);
        let mut key = key(&[
            ("otp", &build.reference),
            ("os", &plan.target.os.to_string()),
            ("arch", &plan.target.arch.to_string()),
            ("root", &root.to_string_lossy()),
            ("extent", self.extent_name()),
        ]);
        // Two places publish the same release, each with a checksum of its own: what came from one
        // stays when the other answers. The commit tells what a branch holds, whoever built it.
        if build.version.is_none() {
            key.insert("commit".to_owned(), build.git_sha.clone());
        }
        self.keep(StepName::Erlang, &key, place, &log, &|dest| {
            let progress = DownloadProgress::to(&log);
            let run = |command: &mut Command| self.cancel.output(command);
            let how = (self.extent(), &run as Run<'_>);
            let source = install::otp_source(self.hosts, &plan.target, build);
            let (source, unpacked) =
                match install::otp(client, &source, &root, dest, how, &progress) {
                    Ok(unpacked) => (source, unpacked),
                    Err(first) => {
                        let (first, other) = self.otp_elsewhere(first, &progress)?;
                        let url = fetch::redact(&other.url);
                        log.warning(&format!("{first}; continuing with {url}"));
                        let unpacked = install::otp(client, &other, &root, dest, how, &progress);
                        let unpacked = unpacked.map_err(|error| both_places(first, error))?;
                        (other, unpacked)
                    }
                };
            say_fetched(&log, &source, &unpacked);
            if plan.target.basis != Basis::Stack {
                install::start_otp(dest, &plan.target.stack, &run)?;
            }
            Ok(())
        })?;
        self.has_erlang.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Where else the OTP of this plan can be had from, after the place that lists it did not give
    /// it. Of a branch only the same commit will do.
    fn otp_elsewhere(
        &self,
        first: ToolchainError,
        progress: &dyn Observer,
    ) -> Result<(ToolchainError, install::Source), ToolchainError> {
        let (client, hosts, target) = (self.client, self.hosts, &self.plan.target);
        let wanted = &self.plan.erlang.build;
        if wanted.publisher == Publisher::Erlef || !first.is_of_upstream() {
            return Err(first);
        }
        let Some(list) = lists::other_otp(client, hosts, target, progress) else {
            return Err(first);
        };
        let text = match list.text {
            Ok(text) => text,
            Err(error) => return Err(both_places(first, error)),
        };
        let same = |build: &&OtpBuild| build.version.is_some() || build.git_sha == wanted.git_sha;
        let listing = OtpListing::parse_csv(&text).unwrap_or_default();
        match listing.get(&wanted.reference).filter(same) {
            Some(build) => Ok((first, install::otp_source(hosts, target, build))),
            None => Err(ToolchainError::BothPlaces {
                first: Box::new(first),
                other: OtherPlace::NotListed {
                    url: list.url,
                    only_branches: listing.only_branches(),
                },
            }),
        }
    }

    pub(crate) fn elixir(&self) -> Result<(), Error> {
        let plan = self.plan;
        let log = self
            .log
            .step(&format!("Installing Elixir {}", plan.elixir.version));
        let build = &plan.elixir.build;
        let source = install::elixir_source(self.hosts, build);
        let key = key(&[
            ("elixir", &build.reference),
            ("build", build.sha256.as_deref().unwrap_or(&build.built_at)),
            ("extent", self.extent_name()),
        ]);
        let place = &self.workspace.places.elixir;
        self.keep(StepName::Elixir, &key, place, &log, &|dest| {
            let progress = DownloadProgress::to(&log);
            let unpacked = install::elixir(self.client, &source, dest, self.extent(), &progress)?;
            say_fetched(&log, &source, &unpacked);
            Ok(())
        })
    }

    pub(crate) fn node(&self) -> Result<(), Error> {
        let Some(node) = &self.plan.node else {
            return Ok(());
        };
        if self.plan.node_given {
            let log = self.log.step(&format!("Using Node.js {}", node.version));
            log.detail("installed by an earlier buildpack");
            drop(log);
            return self.package_managers();
        }
        let log = self
            .log
            .step(&format!("Installing Node.js {}", node.version));
        let (client, hosts, target) = (self.client, self.hosts, &self.plan.target);
        let key = key(&[
            ("node", &node.version),
            ("arch", &target.arch.to_string()),
            ("extent", self.extent_name()),
        ]);
        let source = |progress: &dyn Observer| {
            install::node_source(client, hosts, target, &node.build, progress)
        };
        let place = &self.workspace.places.node;
        self.keep(StepName::Node, &key, place, &log, &|dest| {
            let progress = DownloadProgress::to(&log);
            let source = source(&progress)?;
            let unpacked =
                install::node(client, &source, target.arch, dest, self.extent(), &progress)?;
            say_fetched(&log, &source, &unpacked);
            Ok(())
        })?;
        drop(log);
        self.package_managers()
    }

    pub(crate) fn hex(&self) -> Result<(), Error> {
        let log = self.log.step("Installing Hex and rebar3");
        let (client, hosts) = (self.client, self.hosts);
        let progress = DownloadProgress::to(&log);
        let elixir = self.elixir_version()?;
        let otp = self.otp_major();
        let keys = Keys::of(&self.mix_home());
        let read = |url: &str| {
            let fetched =
                lists::installers(client, url, hosts.signature(&elixir), &keys, &progress);
            self.installer_list(url, fetched, &log)
        };
        let wanted = Wanted {
            hex: self.wanted(self.plan.hex.as_ref()),
            rebar3: self.wanted(self.plan.rebar3.as_ref()),
        };
        let (hex, rebar3) = installers::choose(hosts, &elixir, otp, wanted, &read)?;
        listed("Hex", self.plan.hex.as_ref(), &hex, &elixir)?;
        listed("rebar3", self.plan.rebar3.as_ref(), &rebar3, &elixir)?;
        let key = key(&[
            ("hex", &hex.sha512),
            ("rebar3", &rebar3.sha512),
            ("elixir", &format!("{}.{}", elixir.major(), elixir.minor())),
            ("otp", &otp.to_string()),
        ]);
        let prepared = Path::new(".mixpack/installers");
        self.keep(StepName::Hex, &key, prepared, &log, &|dest| {
            installers::install(client, &hex, &rebar3, &elixir, otp, dest, &progress)?;
            let verified = match (hosts.signature(&elixir), hex.signed && rebar3.signed) {
                (Signature::Unasked, _) => "sha512 verified",
                (_, true) => "sha512 and signature verified",
                (_, false) => "sha512 verified; the lists are not signed",
            };
            let host = hosts.installers(&elixir);
            log.detail(&format!("fetched from {host}, {verified}"));
            Ok(())
        })?;
        let prepared = self.workspace.real(prepared);
        install::into_mix_home(&prepared, &self.mix_home())?;
        tree::remove(&prepared)?;
        log.detail(&format!("Hex {}, rebar3 {}", hex.version, rebar3.version));
        for (name, asked, chosen) in [
            ("Hex", &self.plan.hex, &hex),
            ("rebar3", &self.plan.rebar3, &rebar3),
        ] {
            if let Some(asked) = asked.as_ref().filter(|_| chosen.version != chosen.newest) {
                log.detail(&newer(name, asked, &chosen.newest));
            }
        }
        let tools = &mut self.record().tools;
        tools.insert("hex".to_owned(), hex.version);
        tools.insert("rebar3".to_owned(), rebar3.version);
        Ok(())
    }

    /// A clean build keeps to nothing of the last build.
    fn wanted<'a>(&self, asked: Option<&'a Asked>) -> Option<&'a str> {
        let stays = |asked: &&Asked| self.plan.clean.is_none() || asked.origin != Origin::LastBuild;
        asked.filter(stays).map(|asked| asked.value.as_str())
    }

    /// A list of installers, or that of the last build where it cannot be had now.
    fn installer_list(
        &self,
        url: &str,
        fetched: ListText,
        log: &StepLog<'_>,
    ) -> Result<Signed, Error> {
        let file = url.rsplit('/').next().unwrap_or_default();
        let list = or_kept(
            Some(self.workspace.store),
            &format!("list-{file}.json"),
            fetched,
        )?;
        if let Some(outdated) = list.outdated {
            log.warning(&outdated.warning);
        }
        Ok((list.text, list.signed))
    }

    fn extent(&self) -> Extent {
        match self.plan.slim {
            Slim::None => Extent::Whole,
            Slim::Standard | Slim::Full => Extent::Needed,
        }
    }

    fn extent_name(&self) -> &'static str {
        match self.extent() {
            Extent::Whole => "whole",
            Extent::Needed => "needed",
        }
    }

    /// Reads the version of a branch from what was unpacked.
    fn elixir_version(&self) -> Result<ElixirVersion, Error> {
        let build = &self.plan.elixir.build;
        if let Some(version) = &build.version {
            return Ok(version.clone());
        }
        let folder = self.workspace.real(&self.workspace.places.elixir);
        let file = folder.join("VERSION");
        let text = fs::read_to_string(&file).map_err(TreeError::at(&file, "read"))?;
        ElixirVersion::parse(text.trim()).map_err(|_| {
            let source = install::elixir_source(self.hosts, build);
            let error = ToolchainError::UnexpectedArchive {
                url: fetch::redact(&source.url),
                missing: "VERSION",
            };
            error.into()
        })
    }

    /// Of a branch of OTP, what it calls itself once it is unpacked: mix looks for rebar3 under it.
    fn otp_major(&self) -> u32 {
        let of_branch = || {
            let root = self.workspace.real(&self.workspace.places.erlang);
            install::otp_major(&root)
        };
        match self.plan.erlang.build.version {
            Some(_) => self.plan.otp_major,
            None => of_branch().unwrap_or(self.plan.otp_major),
        }
    }

    fn mix_home(&self) -> std::path::PathBuf {
        self.env
            .get(std::ffi::OsStr::new("MIX_HOME"))
            .map_or_else(|| self.seen(&self.workspace.places.mix_home), Into::into)
    }

    fn keep(
        &self,
        step: StepName,
        key: &Key,
        place: &Path,
        log: &StepLog<'_>,
        make: &dyn Fn(&Path) -> Result<(), ToolchainError>,
    ) -> Result<(), Error> {
        let name = step.as_str();
        let place = self.workspace.real(place);
        let cancelled = Cell::new(false);
        let tool = store::tool(self.workspace.store, name, key, &place, |dest| {
            make(dest).map_err(|error| {
                cancelled.set(self.cancel.is_cancelled());
                Error::from(error)
            })
        });
        if let Ok(tool) = &tool {
            self.report.set(&format!("{name}_cache"), tool.as_str());
        }
        match tool {
            Ok(Tool::Reused) => {
                self.has_kept(step);
                log.detail("restored from cache");
            }
            Ok(Tool::Made) => {}
            Ok(Tool::Remade(reason)) => {
                log.warning(&format!("the cached copy is invalid: {reason}"));
            }
            Err(_) if cancelled.get() => return Err(Error::Cancelled),
            Err(error) => return Err(error),
        }
        log.detail(&format!("done in {}", seconds(log.elapsed())));
        Ok(())
    }
}

/// Fails where a setting asks for a version that isn't there.
fn listed(
    name: &'static str,
    asked: Option<&Asked>,
    chosen: &Chosen,
    elixir: &ElixirVersion,
) -> Result<(), Error> {
    let by_setting = asked.filter(|asked| asked.origin != Origin::LastBuild);
    match by_setting.filter(|asked| asked.value != chosen.version) {
        Some(asked) => Err(Error::NoSuchInstaller {
            name,
            asked: asked.clone(),
            elixir: elixir.to_string(),
            newest: chosen.newest.clone(),
        }),
        None => Ok(()),
    }
}

/// Says that there is a newer version than the one that stays.
fn newer(name: &str, asked: &Asked, newest: &str) -> String {
    match &asked.origin {
        Origin::LastBuild => format!(
            "{name} {newest} is available; a clean build or another Elixir version updates it"
        ),
        origin => format!(
            "{name} {newest} is available; {origin} asks for {}",
            asked.value
        ),
    }
}

fn both_places(first: ToolchainError, other: ToolchainError) -> ToolchainError {
    // What is not the other place's doing is told alone.
    if !other.is_of_upstream() {
        return other;
    }
    ToolchainError::BothPlaces {
        first: Box::new(first),
        other: OtherPlace::Failed(Box::new(other)),
    }
}

fn say_fetched(log: &StepLog<'_>, source: &install::Source, unpacked: &Unpacked) {
    let url = fetch::redact(&source.url);
    let checked = if source.sha256.is_some() {
        "sha256 verified"
    } else {
        "NOT verified: upstream publishes no checksum of it"
    };
    log.detail(&format!("fetched {url}"));
    log.detail(&format!("{}, {checked}", megabytes(unpacked.bytes)));
}
