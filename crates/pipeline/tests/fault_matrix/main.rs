//! Every artifact of a toolchain with every fault of the network and of hosts. The fetch recovers, or fails in time
//! with its own message. The cache is unchanged, and the next fetch succeeds. docs/reliability.md has the table of
//! results.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test, and its helpers"
)]

mod artifacts;
mod faults;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fetch::{Client, Observer, Retrying, Settings};
use messages::explain;
use mirror::authority::Authority;
use mirror::faults::{Behaviour, FaultServer};
use mirror::proxy::{Manner, Proxy};
use mirror::server::{Route, Server};

use artifacts::{Artifact, Had, Mirror, Place};
use faults::{Fault, Lasts, PATIENCE, Where};

/// The number of parallel cells. Most of them wait.
const AT_ONCE: usize = 24;

fn settings() -> Settings {
    Settings {
        connect_timeout: Duration::from_secs(4),
        response_timeout: PATIENCE,
        idle_timeout: PATIENCE,
        attempts: 3,
        first_wait: Duration::from_millis(2),
        longest_wait: Duration::from_millis(20),
        redirects: 5,
        ..Settings::default()
    }
}

/// The longest time until a transfer without any progress fails with these settings: all attempts with their waits.
fn longest(settings: &Settings) -> Duration {
    let attempt = settings.connect_timeout + settings.response_timeout + settings.idle_timeout;
    settings.attempts * attempt + (settings.attempts - 1) * settings.longest_wait
}

/// Counts the retries.
#[derive(Default)]
struct Retries(AtomicU32);

impl Observer for Retries {
    fn retrying(&self, _: &Retrying<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The result of a fetch, as in the table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Succeeds,
    Recovers,
    /// Another version than with complete lists, or one that isn't published.
    Undetected,
    /// By the code of the error.
    Ends(String),
}

impl Outcome {
    fn text(&self) -> String {
        match self {
            Self::Succeeds => "succeeds".to_owned(),
            Self::Recovers => "recovers".to_owned(),
            Self::Undetected => "isn't detected".to_owned(),
            Self::Ends(code) => format!("`{code}`"),
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "succeeds" => Self::Succeeds,
            "recovers" => Self::Recovers,
            "isn't detected" => Self::Undetected,
            code => Self::Ends(code.trim_matches('`').to_owned()),
        }
    }
}

/// The hosts of a cell's fetch: intact lists, the artifact itself, and how to repair it.
struct Way<'a> {
    lists: &'a str,
    from: &'a str,
    mended: &'a dyn Fn() -> String,
    /// Brings the fault back, to test the cached list.
    broken: Option<&'a dyn Fn()>,
    /// The error need not name the host.
    may_hide: bool,
}

/// Fetches an artifact with a fault, checks everything that must hold after any fault, and returns the result.
fn fetch_with_fault(cell: &str, artifact: Artifact, way: &Way<'_>) -> Outcome {
    let client = Client::new(settings());
    let place = Place::new(artifact);
    let before = place.cached();
    let retries = Retries::default();
    let begun = Instant::now();
    let result = place.fetch(artifact, way.lists, way.from, &client, &retries);
    let took = begun.elapsed();
    // At most the lists of both sources and the archive.
    let limit = longest(&settings()) + Duration::from_secs(5);
    assert!(took < limit, "{cell}: took {took:?}, may take {limit:?}");
    let outcome = match &result {
        Ok(Had::Right) if retries.0.load(Ordering::Relaxed) == 0 => Outcome::Succeeds,
        Ok(Had::Right) => Outcome::Recovers,
        Ok(Had::Other) => Outcome::Undetected,
        Ok(Had::Kept) => panic!("{cell}: goes by a list that was never read"),
        Err(error) => {
            let explanation = explain(error);
            let text = explanation.lines().join("\n");
            let host = way.from.split("://").nth(1).unwrap();
            assert!(
                way.may_hide || text.replace('\n', " ").contains(host),
                "{cell}: does not name {host}:\n{text}"
            );
            assert_eq!(place.cached(), before, "{cell}: the cache has changed");
            Outcome::Ends(explanation.code.to_owned())
        }
    };
    let mended = (way.mended)();
    let next = place.fetch(artifact, &mended, &mended, &client, &());
    let next = next.unwrap_or_else(|error| panic!("{cell}: the next fetch: {error}"));
    assert_eq!(next, Had::Right, "{cell}: the next fetch");
    if let Some(broken) = way
        .broken
        .filter(|_| result.is_err() && artifact.is_planned_with())
    {
        broken();
        let kept = place.fetch(artifact, way.lists, way.from, &client, &());
        let kept = kept.unwrap_or_else(|error| panic!("{cell}: with the list kept: {error}"));
        assert_eq!(kept, Had::Kept, "{cell}: with the list kept");
    }
    outcome
}

/// A fault of a server's, on one artifact.
fn cell(
    mirror: &Mirror,
    fault: &Fault,
    variant: usize,
    lasts: Lasts,
    artifact: Artifact,
) -> Outcome {
    let name = format!(
        "{} (variant {variant}, {lasts:?}) of {}",
        fault.name,
        artifact.name()
    );
    let broken = match fault.place {
        Where::Itself => artifact,
        Where::ItsList => artifact.listed_in().unwrap(),
    };
    let path = broken.path(&mirror.target);
    let behaviour = || {
        let behaviour = fault.variants[variant](mirror, artifact);
        match lasts {
            Lasts::Always => behaviour,
            Lasts::Once => Behaviour::FailTimes(
                1,
                Box::new(behaviour),
                Box::new(Behaviour::Ok(mirror.bytes(broken))),
            ),
        }
    };
    let server = FaultServer::in_front_of(&mirror.root, [(path.clone(), behaviour())]).unwrap();
    let chained = format!("{path}?moved");
    if let Behaviour::FailTimes(..) = behaviour() {
        server.set(&chained, behaviour());
    }
    let base = server.url("");
    let outcome = fetch_with_fault(
        &name,
        artifact,
        &Way {
            lists: &base,
            from: &base,
            mended: &|| {
                server.clear(&path);
                base.clone()
            },
            // A truncated list that seems complete doesn't make the build use an older one.
            broken: (!fault.may_hide).then_some(&|| {
                server.set(&path, fault.variants[variant](mirror, artifact));
            }),
            may_hide: fault.may_hide,
        },
    );
    assert!(
        fault.may_hide || outcome != Outcome::Undetected,
        "{name}: {outcome:?}"
    );
    outcome
}

/// The result of each artifact, by row of the table and duration of the fault.
type LineInfo = BTreeMap<(usize, Lasts), BTreeMap<Artifact, BTreeSet<Outcome>>>;

fn of_servers(mirror: &Mirror, faults: &[Fault]) -> LineInfo {
    let mut cells = Vec::new();
    for (row, fault) in faults.iter().enumerate() {
        for artifact in Artifact::ALL.into_iter().filter(|it| (fault.on)(*it)) {
            for lasts in fault.lasts {
                for variant in 0..fault.variants.len() {
                    cells.push((row, variant, *lasts, artifact));
                }
            }
        }
    }
    let seen = Mutex::new(LineInfo::new());
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some((row, variant, lasts, artifact)) =
            cells.get(next.fetch_add(1, Ordering::Relaxed))
        {
            let outcome = cell(mirror, &faults[*row], *variant, *lasts, *artifact);
            let mut seen = seen.lock().unwrap();
            let row = seen.entry((*row, *lasts)).or_default();
            row.entry(*artifact).or_default().insert(outcome);
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
    seen.into_inner().unwrap()
}

/// One row's outcomes: what all have in common, or each outcome with its artifacts.
fn outcomes(of: &BTreeMap<Artifact, BTreeSet<Outcome>>) -> String {
    let mut by_outcome: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (artifact, outcomes) in of {
        let text: Vec<String> = outcomes.iter().map(Outcome::text).collect();
        by_outcome
            .entry(text.join(" or "))
            .or_default()
            .push(artifact.name());
    }
    if let [only] = &by_outcome.keys().collect::<Vec<_>>()[..] {
        return (*only).clone();
    }
    let most = by_outcome
        .iter()
        .max_by_key(|(_, artifacts)| artifacts.len())
        .map(|(outcome, _)| outcome.clone())
        .unwrap();
    let mut parts: Vec<String> = by_outcome
        .iter()
        .filter(|(outcome, _)| **outcome != most)
        .map(|(outcome, artifacts)| format!("{}: {outcome}", artifacts.join(", ")))
        .collect();
    parts.push(format!("all others: {most}"));
    parts.join("; ")
}

struct Row {
    name: String,
    once: String,
    always: String,
    cells: usize,
}

fn table(rows: &[Row]) -> String {
    let mut table = String::from("| fault | once | always | fetches |\n|---|---|---|--:|\n");
    for row in rows {
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} |",
            row.name, row.once, row.always, row.cells
        );
    }
    let cells: usize = rows.iter().map(|row| row.cells).sum();
    let _ = writeln!(
        table,
        "\n{cells} fetches with a fault: {} faults, {} artifacts.",
        rows.len(),
        Artifact::ALL.len()
    );
    table
}

fn rows(faults: &[Fault], seen: &LineInfo) -> Vec<Row> {
    let none = BTreeMap::new();
    faults
        .iter()
        .enumerate()
        .map(|(at, fault)| {
            let text = |lasts| match seen.get(&(at, lasts)).unwrap_or(&none) {
                of if of.is_empty() => "—".to_owned(),
                of => outcomes(of),
            };
            let artifacts = Artifact::ALL.iter().filter(|it| (fault.on)(**it)).count();
            Row {
                name: fault.name.to_owned(),
                once: text(Lasts::Once),
                always: text(Lasts::Always),
                cells: artifacts * fault.lasts.len() * fault.variants.len(),
            }
        })
        .collect()
}

// --- Faults of the way to a host, which this process's environment decides on. --------------

/// The host for the process of one such row.
const FROM: &str = "FAULT_MATRIX_FROM";
const MIRROR: &str = "FAULT_MATRIX_MIRROR";
/// The name of the test, which starts itself again in another environment.
const TEST: &str = "fault_matrix_matches_docs";

const ROUTES: [Route; 2] = [
    Route {
        host: "localhost",
        path: "",
        below: "",
    },
    Route {
        host: "mirror.test",
        path: "",
        below: "",
    },
];

/// Fetches every artifact from the given host, in this environment, and prints each result.
fn as_a_child(from: &str, root: &Path) {
    let mirror = Mirror {
        root: root.to_owned(),
        target: artifacts::target(),
    };
    let sound = FaultServer::in_front_of::<String>(&mirror.root, []).unwrap();
    thread::scope(|scope| {
        for artifact in Artifact::ALL {
            let sound = &sound;
            scope.spawn(move || {
                let name = format!("{} from {from}", artifact.name());
                let outcome = fetch_with_fault(
                    &name,
                    artifact,
                    &Way {
                        lists: &sound.url(""),
                        from,
                        mended: &|| sound.url(""),
                        broken: None,
                        may_hide: false,
                    },
                );
                println!("outcome\t{}\t{}", artifact as usize, outcome.text());
            });
        }
    });
}

/// Runs a row in a process of its own.
fn row_of_a_child(name: &str, from: &str, root: &Path, env: &[(&str, &str)]) -> Row {
    let mut command = Command::new(std::env::current_exe().unwrap());
    for name in mirror::stack::NETWORK_VARIABLES {
        command.env_remove(name);
    }
    let output = command
        .args([TEST, "--exact", "--nocapture"])
        .env(FROM, from)
        .env(MIRROR, root)
        // The intact mirror is reached as usual.
        .env("NO_PROXY", "127.0.0.1")
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let all = format!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}:\n{all}");
    let mut seen: BTreeMap<Artifact, BTreeSet<Outcome>> = BTreeMap::new();
    for line in said.lines() {
        if let Some((_, rest)) = line.split_once("outcome\t") {
            let (artifact, outcome) = rest.split_once('\t').unwrap();
            let artifact = Artifact::ALL[artifact.parse::<usize>().unwrap()];
            seen.insert(artifact, [Outcome::parse(outcome)].into());
        }
    }
    assert_eq!(seen.len(), Artifact::ALL.len(), "{name}:\n{all}");
    Row {
        name: name.to_owned(),
        once: "—".to_owned(),
        always: outcomes(&seen),
        cells: seen.len(),
    }
}

/// A row's name, its host, and the environment of the fetch.
type Through<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

fn of_the_way(root: &Path) -> Vec<Row> {
    let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener().local_addr().unwrap();
    let serve = |authority: &Authority| {
        let listener = listener();
        let address = listener.local_addr().unwrap();
        let config = authority.server_config().unwrap();
        let server = Server::start(root).unwrap();
        let server = server.with_https(listener, config, &ROUTES).unwrap();
        (server, address)
    };
    let dir = tempfile::tempdir().unwrap();
    let trusted = |authority: &Authority, name: &str| {
        let file = dir.path().join(name);
        fs::write(&file, authority.certificate().unwrap()).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let ours = Authority::issue(["localhost", "mirror.test"]).unwrap();
    let (_server, address) = serve(&ours);
    let ours = trusted(&ours, "ours.pem");
    let other = Authority::issue(["elsewhere.test"]).unwrap();
    let (_other_server, other_address) = serve(&other);
    let other = trusted(&other, "other.pem");
    let local = format!("https://localhost:{}", address.port());
    let behind = format!("https://mirror.test:{}", address.port());
    let proxy = Proxy::start(address, Manner::Connects).unwrap();
    let refusing = Proxy::start(address, Manner::Refuses(407)).unwrap();
    let gone = format!("http://{nobody}");
    let wrong_name = format!("https://localhost:{}", other_address.port());
    let both = "127.0.0.1,localhost";
    let rows: [Through<'_>; 9] = [
        ("connection refused", &gone, &[]),
        ("a name that DNS doesn't know", "http://mirror.invalid", &[]),
        ("a certificate of an unknown authority", &local, &[]),
        (
            "a certificate of another name",
            &wrong_name,
            &[("SSL_CERT_FILE", &other)],
        ),
        (
            "a private certificate authority in `SSL_CERT_FILE`",
            &local,
            &[("SSL_CERT_FILE", &ours)],
        ),
        (
            "a host reachable only through `HTTPS_PROXY`",
            &behind,
            &[("SSL_CERT_FILE", &ours), ("HTTPS_PROXY", &proxy.url())],
        ),
        (
            "`HTTPS_PROXY` is down",
            &behind,
            &[("SSL_CERT_FILE", &ours), ("HTTPS_PROXY", &gone)],
        ),
        (
            "`HTTPS_PROXY` refuses (407)",
            &behind,
            &[("SSL_CERT_FILE", &ours), ("HTTPS_PROXY", &refusing.url())],
        ),
        (
            "`HTTPS_PROXY` is down, `NO_PROXY` names the host",
            &local,
            &[
                ("SSL_CERT_FILE", &ours),
                ("HTTPS_PROXY", &gone),
                ("NO_PROXY", both),
            ],
        ),
    ];
    let rows = rows.map(|(name, from, env)| row_of_a_child(name, from, root, env));
    assert!(proxy.requested().len() >= Artifact::ALL.len());
    rows.into()
}

// --- The table. -----------------------------------------------------------------------------

const DOC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reliability.md");

/// The text of the document between two marks.
fn block<'a>(doc: &'a str, name: &str) -> &'a str {
    let (from, to) = (
        format!("<!-- {name} -->\n"),
        format!("<!-- end of {name} -->"),
    );
    let (_, rest) = doc.split_once(&from).unwrap_or_else(|| panic!("no {from}"));
    rest.split_once(&to).unwrap_or_else(|| panic!("no {to}")).0
}

#[test]
fn fault_matrix_matches_docs() {
    if let (Ok(from), Ok(root)) = (std::env::var(FROM), std::env::var(MIRROR)) {
        return as_a_child(&from, Path::new(&root));
    }
    let dir = tempfile::tempdir().unwrap();
    let mirror = Mirror::make(dir.path());
    let faults = faults::all();
    let way = thread::spawn({
        let root = dir.path().to_owned();
        move || of_the_way(&root)
    });
    let seen = of_servers(&mirror, &faults);
    let mut all = way.join().unwrap();
    all.extend(rows(&faults, &seen));
    let table = table(&all);
    let doc = fs::read_to_string(DOC).unwrap();
    let documented: Vec<&str> = block(&doc, "the fault matrix").trim().lines().collect();
    let found: Vec<&str> = table.trim().lines().collect();
    let differing: Vec<String> = found
        .iter()
        .filter(|line| !documented.contains(line))
        .map(|line| format!("happens:    {line}"))
        .chain(
            documented
                .iter()
                .filter(|line| !found.contains(line))
                .map(|line| format!("documented: {line}")),
        )
        .collect();
    assert!(
        documented == found,
        "docs/reliability.md has another table:\n{}\n\nThe whole table:\n{table}",
        differing.join("\n")
    );
}

/// The document mentions the production settings.
#[test]
fn documented_timeouts_match_defaults() {
    let Settings {
        connect_timeout,
        response_timeout,
        idle_timeout,
        attempts,
        first_wait,
        longest_wait,
        redirects,
        ..
    } = Settings::default();
    let waits: Duration = (0..attempts - 1)
        .map(|n| (first_wait * 2_u32.pow(n)).min(longest_wait))
        .sum();
    let silent = attempts * response_timeout + waits;
    let refused = waits;
    let slowest = attempts * (connect_timeout + response_timeout + idle_timeout)
        + (attempts - 1) * longest_wait;
    let expected = format!(
        "| limit | |\n|---|---|\n\
         | DNS, connection, proxy and TLS together | {} s |\n\
         | first line of a response | {} s |\n\
         | silence within a response | {} s |\n\
         | attempts | {attempts} |\n\
         | wait between attempts | {} s, doubling, at most {} s |\n\
         | redirects | {redirects} |\n\
         | a host that refuses connections fails a build after | {} s |\n\
         | a host that accepts and stays silent fails a build after | {} s |\n\
         | a download that stalls fails at the latest after | {} s |\n",
        connect_timeout.as_secs(),
        response_timeout.as_secs(),
        idle_timeout.as_secs(),
        first_wait.as_secs(),
        longest_wait.as_secs(),
        refused.as_secs(),
        silent.as_secs(),
        slowest.as_secs(),
    );
    let doc = fs::read_to_string(DOC).unwrap();
    assert_eq!(block(&doc, "how long we wait"), expected);
}
