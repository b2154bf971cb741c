//! Erlang, Elixir, Node, Hex and rebar3: from the store, or from upstream.

use crate::context::Context;
use crate::fetched::Fetched;
use crate::steps::package_managers;
use app::plan::{Slim, StepName};
use app::{Origin, Setting};
use exec::log::{StepLog, seconds};
use exec::progress::{DownloadProgress, megabytes};
use fetch::Observer;
use messages::Error;
use planning::cached_lists::or_cached;
use planning::record::Tools;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use store::tree::{self, TreeError};
use store::{Key, Tool};
use toolchain::ToolchainError;
use toolchain::error::OtherSource;
use toolchain::hosts::Signature;
use toolchain::install::{self, Extent, Installed, Run};
use toolchain::installers::{self, Chosen, Signed, Wanted};
use toolchain::lists::{self, ListText};
use toolchain::packed;
use toolchain::signature::Keys;
use versions::ElixirVersion;
use versions::otp::{OtpBuild, OtpListing, Publisher};
use versions::target::Basis;
use workdir::workspace::is_own;

fn key(parts: &[(&str, &str)]) -> Key {
    parts
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

pub(crate) fn erlang(ctx: &Context<'_>) -> Result<(), Error> {
    let (plan, client) = (ctx.plan, ctx.client);
    let log = ctx
        .log
        .step(&format!("Installing Erlang/OTP {}", plan.erlang.version));
    let build = &plan.erlang.build;
    let place = &ctx.workspace.places.erlang;
    let root = Path::new(&plan.runtime_path).join(place);
    let mut key = key(&[
        ("otp", &build.reference),
        ("os", &plan.target.os.to_string()),
        ("arch", &plan.target.arch.to_string()),
        ("root", &root.to_string_lossy()),
        ("extent", extent_name(ctx)),
    ]);
    // Two hosts publish the same release, each with its own checksum. A release from one host stays valid if the
    // other serves the next build. A branch is identified by its commit.
    if build.version.is_none() {
        key.insert("commit".to_owned(), build.git_sha.clone());
    }
    ensure_tool(ctx, StepName::Erlang, &key, place, &log, &|dest| {
        let progress = DownloadProgress::to(&log);
        let run = |command: &mut Command| ctx.cancel.output(command);
        let options = (extent(ctx), &run as Run<'_>);
        let source = install::otp_source(ctx.hosts, &plan.target, build);
        let (source, installed) =
            match install::otp(client, &source, &root, dest, options, &progress) {
                Ok(installed) => (source, installed),
                Err(first) => {
                    let (first, other) = otp_elsewhere(ctx, first, &progress)?;
                    let url = fetch::redact(&other.url);
                    log.warning(&format!("{first}; continuing with {url}"));
                    let installed = install::otp(client, &other, &root, dest, options, &progress);
                    let installed = installed.map_err(|error| both_sources(first, error))?;
                    (other, installed)
                }
            };
        log_fetched(&log, &source, &installed);
        if plan.target.basis != Basis::Stack {
            install::start_otp(dest, &plan.target.stack, &run)?;
        }
        Ok(vec![fetched_from(ctx, &source)])
    })
}

/// Returns another source of the planned OTP, if the host that lists it doesn't serve it. For a branch, only the same
/// commit is valid.
fn otp_elsewhere(
    ctx: &Context<'_>,
    first: ToolchainError,
    progress: &dyn Observer,
) -> Result<(ToolchainError, install::Source), ToolchainError> {
    let (client, hosts, target) = (ctx.client, ctx.hosts, &ctx.plan.target);
    let wanted = &ctx.plan.erlang.build;
    if wanted.publisher == Publisher::Erlef || !first.is_upstream_fault() {
        return Err(first);
    }
    let Some(list) = lists::other_otp(client, hosts, target, progress) else {
        return Err(first);
    };
    let text = match list.text {
        Ok(text) => text,
        Err(error) => return Err(both_sources(first, error)),
    };
    let same = |build: &&OtpBuild| build.version.is_some() || build.git_sha == wanted.git_sha;
    let listing = OtpListing::parse_csv(&text).unwrap_or_default();
    match listing.get(&wanted.reference).filter(same) {
        Some(build) => Ok((first, install::otp_source(hosts, target, build))),
        None => Err(ToolchainError::BothSources {
            first: Box::new(first),
            other: OtherSource::NotListed {
                url: list.url,
                only_branches: listing.only_branches(),
            },
        }),
    }
}

pub(crate) fn elixir(ctx: &Context<'_>) -> Result<(), Error> {
    let plan = ctx.plan;
    let log = ctx
        .log
        .step(&format!("Installing Elixir {}", plan.elixir.version));
    let build = &plan.elixir.build;
    let source = install::elixir_source(ctx.hosts, build);
    let key = key(&[
        ("elixir", &build.reference),
        ("build", build.sha256.as_deref().unwrap_or(&build.built_at)),
        ("extent", extent_name(ctx)),
    ]);
    let place = &ctx.workspace.places.elixir;
    ensure_tool(ctx, StepName::Elixir, &key, place, &log, &|dest| {
        let progress = DownloadProgress::to(&log);
        let installed = install::elixir(ctx.client, &source, dest, extent(ctx), &progress)?;
        log_fetched(&log, &source, &installed);
        Ok(vec![fetched_from(ctx, &source)])
    })
}

/// Installs Node. Returns the versions of package managers that are installed with it.
pub(crate) fn node(ctx: &Context<'_>) -> Result<Tools, Error> {
    let Some(node) = &ctx.plan.node else {
        return Ok(Tools::new());
    };
    if ctx.plan.node_is_preinstalled {
        let log = ctx.log.step(&format!("Using Node.js {}", node.version));
        log.detail("installed by an earlier buildpack");
        drop(log);
        return package_managers::package_managers(ctx);
    }
    let log = ctx
        .log
        .step(&format!("Installing Node.js {}", node.version));
    let (client, hosts, target) = (ctx.client, ctx.hosts, &ctx.plan.target);
    let place = &ctx.workspace.places.node;
    let mut key = key(&[
        ("node", &node.version),
        ("arch", &target.arch.to_string()),
        ("extent", extent_name(ctx)),
    ]);
    // The file isn't shared between the cache and the slug or a layer, so the cached copy is compressed.
    let is_packed = is_own(place) && !ctx.plan.node_ships();
    if is_packed {
        key.insert("form".to_owned(), "zstd".to_owned());
    }
    let source = |progress: &dyn Observer| {
        install::node_source(client, hosts, target, &node.build, progress)
    };
    let executable = Path::new("bin/node");
    // Outside the directory of Node, which is replaced.
    let spare = ctx.workspace.real(Path::new(".mixpack/node"));
    let is_spare = Cell::new(false);
    let make = |dest: &Path| {
        let progress = DownloadProgress::to(&log);
        let source = source(&progress)?;
        let installed = install::node(client, &source, target.arch, dest, extent(ctx), &progress)?;
        log_fetched(&log, &source, &installed);
        if is_packed {
            // If this fails, so does moving the executable there.
            let _ = spare.parent().map(fs::create_dir_all);
            is_spare.set(packed::pack(&dest.join(executable), &spare)?);
        }
        Ok(vec![fetched_from(ctx, &source)])
    };
    ensure_tool(ctx, StepName::Node, &key, place, &log, &make)?;
    if is_packed {
        let executable = ctx.workspace.real(place).join(executable);
        let unpack = || packed::unpack(&executable, is_spare.get().then_some(spare.as_path()));
        match unpack() {
            // The store compares only sizes and times, so other damage shows here.
            Err(error) if packed::is_damage(&error) => {
                log.warning(&format!("the cached copy is invalid: {error}"));
                let step = StepName::Node;
                ctx.workspace.store.drop_tool(step.as_str(), &key)?;
                ensure_tool(ctx, step, &key, place, &log, &make)?;
                ctx.report.not_reused(step);
                let remade = Tool::Remade(error.to_string());
                ctx.report.set("node_cache", remade.as_str());
                unpack()?;
            }
            unpacked => unpacked?,
        }
    }
    drop(log);
    package_managers::package_managers(ctx)
}

pub(crate) fn hex(ctx: &Context<'_>) -> Result<Tools, Error> {
    let log = ctx.log.step("Installing Hex and rebar3");
    let (client, hosts) = (ctx.client, ctx.hosts);
    let progress = DownloadProgress::to(&log);
    let elixir = elixir_version(ctx)?;
    let otp = otp_major(ctx);
    let keys = Keys::of(&mix_home(ctx));
    let read = |url: &str| {
        let fetched = lists::installers(client, url, hosts.signature(&elixir), &keys, &progress);
        installer_list(ctx, url, fetched, &log)
    };
    let wanted = Wanted {
        hex: wanted(ctx, ctx.plan.hex.as_ref()),
        rebar3: wanted(ctx, ctx.plan.rebar3.as_ref()),
    };
    let (hex, rebar3) = installers::choose(hosts, &elixir, otp, wanted, &read)?;
    listed("Hex", ctx.plan.hex.as_ref(), &hex, &elixir)?;
    listed("rebar3", ctx.plan.rebar3.as_ref(), &rebar3, &elixir)?;
    let key = key(&[
        ("hex", &hex.sha512),
        ("rebar3", &rebar3.sha512),
        ("elixir", &format!("{}.{}", elixir.major(), elixir.minor())),
        ("otp", &otp.to_string()),
    ]);
    let prepared = Path::new(".mixpack/installers");
    ensure_tool(ctx, StepName::Hex, &key, prepared, &log, &|dest| {
        installers::install(client, &hex, &rebar3, &elixir, otp, dest, &progress)?;
        let verified = match (hosts.signature(&elixir), hex.signed && rebar3.signed) {
            (Signature::NotRequired, _) => "sha512 verified",
            (_, true) => "sha512 and signature verified",
            (_, false) => "sha512 verified; the lists are not signed",
        };
        let host = hosts.installers(&elixir);
        log.detail(&format!("fetched from {host}, {verified}"));
        let files = [("Hex", &hex), ("rebar3", &rebar3)];
        let files = files.map(|(name, chosen)| {
            let digest = [("sha512".to_owned(), chosen.sha512.clone())].into();
            fetched(
                ctx,
                format!("{name} {}", chosen.version),
                &chosen.url,
                digest,
            )
        });
        Ok(files.into())
    })?;
    let prepared = ctx.workspace.real(prepared);
    install::into_mix_home(&prepared, &mix_home(ctx))?;
    tree::remove(&prepared)?;
    log.detail(&format!("Hex {}, rebar3 {}", hex.version, rebar3.version));
    for (name, requested, chosen) in [
        ("Hex", &ctx.plan.hex, &hex),
        ("rebar3", &ctx.plan.rebar3, &rebar3),
    ] {
        if let Some(requested) = requested
            .as_ref()
            .filter(|_| chosen.version != chosen.newest)
        {
            log.detail(&newer(name, requested, &chosen.newest));
        }
    }
    Ok(Tools::from([
        ("hex".to_owned(), hex.version),
        ("rebar3".to_owned(), rebar3.version),
    ]))
}

/// Returns the requested version. A clean build ignores the version of the last build.
fn wanted<'a>(ctx: &Context<'_>, requested: Option<&'a Setting>) -> Option<&'a str> {
    let is_valid =
        |requested: &&Setting| ctx.plan.clean.is_none() || requested.origin != Origin::LastBuild;
    requested
        .filter(is_valid)
        .map(|requested| requested.value.as_str())
}

/// Fetches a list of installers, or reads that of the last build if it can't be fetched.
fn installer_list(
    ctx: &Context<'_>,
    url: &str,
    fetched: ListText,
    log: &StepLog<'_>,
) -> Result<Signed, Error> {
    let file = url.rsplit('/').next().unwrap_or_default();
    let list = or_cached(
        Some(ctx.workspace.store),
        &format!("list-{file}.json"),
        fetched,
    )?;
    if let Some(outdated) = list.outdated {
        log.warning(&outdated.warning);
    }
    Ok((list.text, list.signed))
}

fn extent(ctx: &Context<'_>) -> Extent {
    match ctx.plan.slim {
        Slim::None => Extent::Full,
        Slim::Standard | Slim::Full => Extent::Needed,
    }
}

fn extent_name(ctx: &Context<'_>) -> &'static str {
    match extent(ctx) {
        Extent::Full => "whole",
        Extent::Needed => "stripped",
    }
}

/// Reads the version of a branch from the unpacked files.
fn elixir_version(ctx: &Context<'_>) -> Result<ElixirVersion, Error> {
    let build = &ctx.plan.elixir.build;
    if let Some(version) = &build.version {
        return Ok(version.clone());
    }
    let folder = ctx.workspace.real(&ctx.workspace.places.elixir);
    let file = folder.join("VERSION");
    let text = fs::read_to_string(&file).map_err(TreeError::at(&file, "read"))?;
    ElixirVersion::parse(text.trim()).map_err(|_| {
        let source = install::elixir_source(ctx.hosts, build);
        let error = ToolchainError::UnexpectedArchive {
            url: fetch::redact(&source.url),
            missing: "VERSION",
        };
        error.into()
    })
}

/// The major version of OTP, which mix needs to find rebar3. That of a branch is read from the unpacked files.
fn otp_major(ctx: &Context<'_>) -> u32 {
    let of_branch = || {
        let root = ctx.workspace.real(&ctx.workspace.places.erlang);
        install::otp_major(&root)
    };
    match ctx.plan.erlang.build.version {
        Some(_) => ctx.plan.otp_major,
        None => of_branch().unwrap_or(ctx.plan.otp_major),
    }
}

fn mix_home(ctx: &Context<'_>) -> std::path::PathBuf {
    ctx.env
        .get(std::ffi::OsStr::new("MIX_HOME"))
        .map_or_else(|| ctx.mix_path(&ctx.workspace.places.mix_home), Into::into)
}

fn ensure_tool(
    ctx: &Context<'_>,
    step: StepName,
    key: &Key,
    place: &Path,
    log: &StepLog<'_>,
    make: &dyn Fn(&Path) -> Result<Vec<Fetched>, ToolchainError>,
) -> Result<(), Error> {
    let name = step.as_str();
    let place = ctx.workspace.real(place);
    let cancelled = Cell::new(false);
    let mut files = Vec::new();
    let tool = store::tool(ctx.workspace.store, name, key, &place, |dest| {
        files = make(dest).map_err(|error| {
            cancelled.set(ctx.cancel.is_cancelled());
            Error::from(error)
        })?;
        Ok(())
    });
    if let Ok(tool) = &tool {
        let store = ctx.workspace.store;
        ctx.fetched.add(store, name, (tool, key), files);
        ctx.report.set(&format!("{name}_cache"), tool.as_str());
    }
    match tool {
        Ok(Tool::Reused) => {
            ctx.report.reused(step);
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

/// Fails if a setting requests a version that isn't listed.
fn listed(
    name: &'static str,
    requested: Option<&Setting>,
    chosen: &Chosen,
    elixir: &ElixirVersion,
) -> Result<(), Error> {
    let by_setting = requested.filter(|requested| requested.origin != Origin::LastBuild);
    match by_setting.filter(|requested| requested.value != chosen.version) {
        Some(requested) => Err(Error::NoSuchInstaller {
            name,
            requested: requested.clone(),
            elixir: elixir.to_string(),
            newest: chosen.newest.clone(),
        }),
        None => Ok(()),
    }
}

/// Returns the line about a newer version than the one in use.
fn newer(name: &str, requested: &Setting, newest: &str) -> String {
    match &requested.origin {
        Origin::LastBuild => format!(
            "{name} {newest} is available; a clean build or another Elixir version updates it"
        ),
        origin => format!(
            "{name} {newest} is available; {origin} asks for {}",
            requested.value
        ),
    }
}

fn both_sources(first: ToolchainError, other: ToolchainError) -> ToolchainError {
    // If the second error isn't the host's fault, it alone matters.
    if !other.is_upstream_fault() {
        return other;
    }
    ToolchainError::BothSources {
        first: Box::new(first),
        other: OtherSource::Failed(Box::new(other)),
    }
}

fn fetched_from(ctx: &Context<'_>, source: &install::Source) -> Fetched {
    let sha256 = source.sha256.iter();
    let digest = sha256.map(|sha256| ("sha256".to_owned(), sha256.to_ascii_lowercase()));
    fetched(ctx, source.subject.clone(), &source.url, digest.collect())
}

fn fetched(
    ctx: &Context<'_>,
    name: String,
    url: &str,
    digest: BTreeMap<String, String>,
) -> Fetched {
    let (uri, mirror) = ctx.hosts.upstream_url(url);
    Fetched {
        name,
        uri,
        mirror: mirror.map(str::to_owned),
        digest,
    }
}

fn log_fetched(log: &StepLog<'_>, source: &install::Source, installed: &Installed) {
    let url = fetch::redact(&source.url);
    let checked = if source.sha256.is_some() {
        "sha256 verified"
    } else {
        "NOT verified: upstream publishes no checksum of it"
    };
    log.detail(&format!("fetched {url}"));
    let size = megabytes(installed.unpacked.bytes);
    log.detail(&format!("{size}, {checked}"));
    if installed.symbols > 0 {
        let symbols = megabytes(installed.symbols);
        log.detail(&format!("without {symbols} of debug symbols"));
    }
}
