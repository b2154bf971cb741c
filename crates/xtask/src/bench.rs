//! `cargo xtask bench`: deploys the fixtures with Mixpack, with other buildpacks and by hand, on the same machine
//! from the same hosts, one after the other in every round.

mod app;
mod big;
mod by_hand;
mod contestant;
mod measure;
mod old_hosts;
mod sandbox;
mod table;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use mirror::{Server, Stack, Upstream};
use rustix::fs::{FsWord, statfs};
use rustix::process::geteuid;

use self::app::{App, Change, FIXTURES};
use crate::process::{Result, ensure};
use crate::toolchains::{self, Places};
use by_hand::Tools;
use contestant::{Contestant, EXECUTABLE_NAME, Mixpack, Pack, Place, Surroundings};
use table::{Detect, Fixture, Level, Run, Sample, Unpacked};

const USAGE: &str = "usage: cargo xtask bench [--rounds N] [--fixture NAME,…] [--only DEPLOY,…] \
                     [--against COMMIT|DIR,…] [--with NAME=VALUE] [--write]";

/// The type of a memory-backed file system (statfs(2)).
const TMPFS_MAGIC: FsWord = 0x0102_1994;

/// The number of starts of the executable to measure `detect`.
const STARTS: usize = 200;

#[derive(Debug, PartialEq, Eq)]
struct Options {
    rounds: usize,
    fixtures: Vec<&'static str>,
    changes: Vec<Change>,
    /// Directories of buildpacks, or a commit.
    against: Vec<String>,
    /// Config vars.
    with: Vec<(String, String)>,
    write: bool,
}

impl Options {
    fn parse(args: &[OsString]) -> Option<Self> {
        let mut options = Self {
            rounds: 3,
            fixtures: FIXTURES.to_vec(),
            changes: Change::ALL.to_vec(),
            against: Vec::new(),
            with: Vec::new(),
            write: false,
        };
        let mut args = args.iter().map(|arg| arg.to_str());
        while let Some(option) = args.next() {
            if option? == "--write" {
                options.write = true;
                continue;
            }
            let value = args.next()??;
            let list = value.split(',');
            match option? {
                "--rounds" => options.rounds = value.parse().ok().filter(|&rounds| rounds > 0)?,
                "--fixture" => {
                    let known = |name| FIXTURES.into_iter().find(|known| *known == name);
                    options.fixtures = list.map(known).collect::<Option<_>>()?;
                }
                "--only" => options.changes = list.map(Change::named).collect::<Option<_>>()?,
                "--against" => options.against.push(value.to_owned()),
                "--with" => {
                    let (name, value) = value.split_once('=')?;
                    options.with.push((name.to_owned(), value.to_owned()));
                }
                _ => return None,
            }
        }
        options.changes.sort_unstable();
        Some(options)
    }
}

pub(crate) fn bench(args: &[OsString]) -> Result {
    let options = Options::parse(args).ok_or(USAGE)?;
    if !geteuid().is_root() {
        return Err("deploys run in namespaces of their own, which needs root".into());
    }
    let places = Places::of_this_workspace()?;
    let earlier = tempfile::tempdir()?;
    let contestants = contestants(&options, &places, earlier.path())?;
    ensure("openssl", "openssl")?;
    toolchains::make()?;

    let upstream = Upstream::start(Server::start(places.mirror())?)?;
    let published = old_hosts::publish(&upstream.server, &places)?;
    let stack = Stack::at(places.stack())?;
    let tools = Tools::install(&stack, &upstream, &published)?;
    let all = Surroundings {
        stack,
        upstream,
        published,
        tools,
    };
    let fixtures = options
        .fixtures
        .iter()
        .map(|name| measure(name, &options, &contestants, &all))
        .collect::<Result<Vec<_>>>()?;
    let identities = contestants
        .iter()
        .map(Contestant::identity)
        .collect::<Result<Vec<_>>>()?;
    let run = Run {
        changes: &options.changes,
        identities: &identities,
        rounds: options.rounds,
        cores: std::thread::available_parallelism()?.get(),
        in_memory: statfs(std::env::temp_dir())?.f_type == TMPFS_MAGIC,
    };
    let report = table::report(&fixtures, &run, detect(&contestants[0])?);
    if options.write {
        let file = places.root().join("docs/performance.md");
        table::write_into(&file, &report)?;
        println!("written into {}", file.display());
    } else {
        println!("\n{report}");
    }
    Ok(())
}

/// Returns Mixpack first, then other buildpacks, and by hand last. `dir` gets the files of earlier commits.
fn contestants(options: &Options, places: &Places, dir: &Path) -> Result<Vec<Contestant>> {
    let bin = places.root().join("bin");
    let executable = std::env::var_os("MIXPACK_EXE")
        .map_or_else(|| bin.join(EXECUTABLE_NAME), PathBuf::from)
        .canonicalize()?;
    let ours = Mixpack {
        name: "Mixpack".to_owned(),
        bin,
        executable,
        config: None,
    };
    let (packs, commits): (Vec<_>, Vec<_>) = options.against.iter().partition(|against| {
        let first = against.split(',').next();
        first.is_some_and(|first| Path::new(first).is_dir())
    });
    let mut contestants = vec![Contestant::Mixpack(ours.clone())];
    for dirs in packs {
        let packs = dirs.split(',').map(|dir| Pack::at(Path::new(dir)));
        contestants.push(Contestant::Packs(packs.collect::<Result<_>>()?));
    }
    for commit in commits {
        let mixpack = Mixpack::at_commit(places.root(), commit, &dir.join(commit))?;
        contestants.push(Contestant::Mixpack(mixpack));
    }
    for (name, value) in &options.with {
        contestants.push(Contestant::Mixpack(Mixpack {
            name: format!("Mixpack, {name}={value}"),
            config: Some((name.clone(), value.clone())),
            ..ours.clone()
        }));
    }
    contestants.push(Contestant::ByHand);
    Ok(contestants)
}

fn measure(
    name: &str,
    options: &Options,
    contestants: &[Contestant],
    all: &Surroundings,
) -> Result<Fixture> {
    let mut fixture = Fixture {
        name: name.to_owned(),
        contestants: Vec::new(),
        has_packs: matches!(contestants[1], Contestant::Packs(_)),
        samples: Vec::new(),
        unpacked: Vec::new(),
        boots: Vec::new(),
        levels: Vec::new(),
    };
    for round in 1..=options.rounds {
        let sources = tempfile::tempdir()?;
        let app = App::check_out(name, &sources.path().join("app"), &all.published.versions)?;
        let places = contestants
            .iter()
            .map(|contestant| contestant.place(all, &app))
            .collect::<Result<Vec<_>>>()?;
        let names = contestants.iter().map(|it| it.name(app.is_phoenix));
        fixture.contestants = names.collect();
        for change in Change::ALL {
            // All others need the caches of a first deploy.
            let is_asked_for = options.changes.contains(&change);
            if !is_asked_for && change != Change::Cold {
                continue;
            }
            app.commit(change, &all.published.upgraded)?;
            for (contestant, place) in places.iter().enumerate() {
                let deploy = place.deploy(&app, change)?;
                eprintln!(
                    "{name}, round {round}, {}, {}: {:.2} s",
                    change.name(),
                    fixture.contestants[contestant],
                    deploy.costs.wall.as_secs_f64()
                );
                // The archive is the same in every round, and packing takes longer than some deploys.
                let gzip = (round == 1 && deploy.slug.is_some())
                    .then(|| measure::gzipped(&place.build_dir()))
                    .transpose()?;
                let cache_gzip = (round == 1 && deploy.cache.is_some())
                    .then(|| measure::gzipped(&place.cache_dir()))
                    .transpose()?;
                fixture.samples.push(Sample {
                    change,
                    contestant,
                    deploy,
                    gzip,
                    cache_gzip,
                });
            }
        }
        let unpacking =
            Tools::unpacking(&all.stack, &all.upstream, &all.published, app.is_phoenix)?;
        fixture.unpacked.push(Unpacked {
            otp: unpacking.otp.wall.as_secs_f64(),
            one_by_one: unpacking.one_by_one.wall.as_secs_f64(),
            at_once: unpacking.at_once.wall.as_secs_f64(),
            linked: unpacking.linked.wall.as_secs_f64(),
        });
        if round == options.rounds {
            let boots = places.iter().map(Place::boot);
            fixture.boots = boots.collect::<Result<_>>()?;
            fixture.levels = levels(&places[0], &app)?;
        }
    }
    Ok(fixture)
}

/// Returns the sizes of Mixpack's slugs at each level of pruning, and with only a release.
fn levels(place: &Place<'_>, app: &App) -> Result<Vec<Level>> {
    [
        ("slim=none", "MIXPACK_SLIM", "none"),
        ("slim=standard", "MIXPACK_SLIM", "standard"),
        ("slim=full", "MIXPACK_SLIM", "full"),
        ("slim=full, release=true", "MIXPACK_RELEASE", "true"),
    ]
    .into_iter()
    .map(|(settings, name, value)| {
        place.set_config(name, value)?;
        let deploy = place.deploy(app, Change::Unchanged)?;
        Ok(Level {
            settings,
            slug: deploy.slug.ok_or("our deploys make slugs")?,
            gzip: measure::gzipped(&place.build_dir())?,
        })
    })
    .collect()
}

/// Measures `detect` of a fixture and `--version` of the same executable, in alternation.
fn detect(ours: &Contestant) -> Result<Detect> {
    let Contestant::Mixpack(Mixpack { executable, .. }) = ours else {
        return Err("the first contestant is us".into());
    };
    let app = crate::fixtures::root().join("phoenix-npm");
    let time = |args: &[&std::ffi::OsStr]| {
        let begun = Instant::now();
        let status = Command::new(executable)
            .args(args)
            .stdout(Stdio::null())
            .status()?;
        if status.success() {
            Ok(begun.elapsed().as_secs_f64())
        } else {
            Err::<_, Box<dyn std::error::Error>>(format!("mixpack ended with {status}").into())
        }
    };
    let (mut detects, mut starts) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        detects.push(time(&["detect".as_ref(), app.as_os_str()])?);
        starts.push(time(&["--version".as_ref()])?);
    }
    let median = |times| table::median(times).ok_or("no start was measured");
    Ok(Detect {
        detect: median(detects)?,
        start: median(starts)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Option<Options> {
        Options::parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn bench_defaults_to_three_rounds_of_everything() {
        let options = parse(&[]).unwrap();
        assert_eq!((options.rounds, options.fixtures.len()), (3, 3));
        assert_eq!(options.changes, Change::ALL);
        assert!(options.against.is_empty() && !options.write);
    }

    #[test]
    fn bench_options_select_changes_fixtures_and_rounds() {
        let options = parse(&[
            "--only",
            "one-file,cold",
            "--fixture",
            "big",
            "--against",
            "a,b",
            "--against",
            "c",
            "--with",
            "NAME=a=b",
            "--rounds",
            "5",
            "--write",
        ])
        .unwrap();
        assert_eq!(options.changes, [Change::Cold, Change::OneFile]);
        assert_eq!(options.fixtures, ["big"]);
        assert_eq!(options.against, ["a,b", "c"]);
        assert_eq!(options.with, [("NAME".to_owned(), "a=b".to_owned())]);
        assert!(options.rounds == 5 && options.write);
    }

    #[test]
    fn rejects_invalid_bench_options() {
        for words in [
            &["--only", "warm"][..],
            &["--fixture", "small"],
            &["--rounds", "0"],
            &["--rounds"],
            &["--with", "NAME"],
            &["--fast", "yes"],
        ] {
            assert_eq!(parse(words), None, "{words:?}");
        }
    }
}
