//! What a build is made of, each alone: `cargo bench --package whole-builds --features toolchains`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use app::plan::{self, LastBuild, Lists};
use app::{Origin, Plan, Setting, Settings};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use fetch::{Archive, Checksum, Client, Format};
use sha2::{Digest, Sha256};
use store::tree::{self, Method};
use tempfile::TempDir;
use versions::elixir::ElixirListing;
use versions::node::NodeIndex;
use versions::otp::OtpListing;
use versions::target::{Arch, OsRelease, Target};
use versions::{ElixirRequest, OtpRequest};
use walkdir::WalkDir;

/// Where the test mirror has the newest OTP.
const OTP_LIST: &str = "/builds/otp/amd64/ubuntu-24.04";
const COMMIT: &str = "9a1bfc1edd5c687a7d4620ed9bf377074e94c697";
const DIGEST: &str = "905919b09cf6c27decdabc4367af81a9ed248acd340a4b80fa55c3df14489093";

fn main() {
    divan::main();
}

/// An archive of OTP on an artifact host of loopback.
struct Otp {
    host: mirror::Server,
    url: String,
    bytes: Vec<u8>,
    sha256: String,
}

fn otp() -> &'static Otp {
    static OTP: OnceLock<Otp> = OnceLock::new();
    OTP.get_or_init(|| {
        let host = whole_builds::artifact_host();
        let list = get(&format!("{}{OTP_LIST}/builds.txt", host.url()));
        let list = String::from_utf8(list).expect("a list");
        let fields: Vec<&str> = list.lines().last().expect("a line").split(' ').collect();
        let url = format!("{}{OTP_LIST}/{}.tar.gz", host.url(), fields[0]);
        let bytes = get(&url);
        let sha256 = fields[3].to_owned();
        Otp {
            host,
            url,
            bytes,
            sha256,
        }
    })
}

fn get(url: &str) -> Vec<u8> {
    let mut answer = ureq::get(url).call().expect("an answer");
    answer
        .body_mut()
        .with_config()
        .limit(1 << 30)
        .read_to_vec()
        .expect("the file")
}

fn unpack(to: &Path) {
    let otp = otp();
    otp.host.forget_requests();
    let archive = Archive {
        url: otp.url.clone(),
        format: Format::TarGz,
        strip_components: 1,
        checksum: Some(Checksum::Sha256(otp.sha256.clone())),
    };
    Client::new(fetch::Settings::default())
        .archive(&archive, to, &())
        .expect("it is unpacked");
}

/// Download from loopback, checksum, gunzip, untar: one stream.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn unpack_otp(bencher: Bencher) {
    bencher
        .counter(BytesCount::new(otp().bytes.len()))
        .with_inputs(folder)
        .bench_refs(|dir| unpack(&dir.path().join("otp")));
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn hash_otp_archive(bencher: Bencher) {
    let bytes = &otp().bytes;
    bencher
        .counter(BytesCount::new(bytes.len()))
        .bench(|| Sha256::digest(black_box(bytes)));
}

fn unpacked() -> &'static Path {
    static TREE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, tree) = TREE.get_or_init(|| {
        let dir = folder();
        let tree = dir.path().join("otp");
        unpack(&tree);
        (dir, tree)
    });
    tree
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[divan::bench(args = [Method::Link, Method::Copy], sample_count = 10, sample_size = 1)]
fn transfer_otp(bencher: Bencher, method: Method) {
    let tree = unpacked();
    let files = WalkDir::new(tree).into_iter().count();
    bencher
        .counter(ItemsCount::new(files))
        .with_inputs(folder)
        .bench_refs(|dir| tree::transfer(tree, &dir.path().join("otp"), method, |_| true));
}

/// A list of upstream's length: some 170 builds of OTP for a stack.
fn otp_list() -> String {
    let mut text = String::new();
    for major in 24..=29 {
        for minor in 2..=3 {
            for patch in 0..=6 {
                for fix in ["", ".1"] {
                    let name = format!("OTP-{major}.{minor}.{patch}{fix}");
                    let _ = writeln!(text, "{name} {COMMIT} 2026-06-10T08:39:21Z {DIGEST}");
                }
            }
        }
    }
    text
}

/// Some 900 builds of Elixir.
fn elixir_list() -> String {
    let mut text = String::new();
    for minor in 0..=20 {
        for patch in 0..=9 {
            for otp in ["", "-otp-25", "-otp-26", "-otp-27"] {
                let name = format!("v1.{minor}.{patch}{otp}");
                let _ = writeln!(text, "{name} {COMMIT} 2026-06-10T08:39:21Z {DIGEST} ");
            }
        }
    }
    text
}

/// Some 800 releases of Node.
fn node_index() -> String {
    let mut entries = Vec::new();
    for major in (4..=25).rev() {
        let lts = if major % 2 == 0 { "\"Name\"" } else { "false" };
        for minor in (0..=36).rev() {
            entries.push(format!(
                "{{\"version\":\"v{major}.{minor}.0\",\"lts\":{lts},\"date\":\"2025-01-01\",\
                 \"files\":[\"linux-arm64\",\"linux-x64\",\"src\"],\"npm\":\"11.0.0\"}}"
            ));
        }
    }
    format!("[\n{}\n]\n", entries.join(",\n"))
}

fn lists(otp: &str, elixir: &str, node: &str) -> Lists {
    Lists {
        otp: OtpListing::parse(otp),
        elixir: ElixirListing::parse(elixir),
        node: Some(NodeIndex::parse(node).expect("an index")),
    }
}

/// Reading full lists, and choosing from them.
#[divan::bench]
fn resolve_versions(bencher: Bencher) {
    let (otp, elixir, node) = (otp_list(), elixir_list(), node_index());
    let wanted = OtpRequest::parse("27").expect("a request");
    let elixir_wanted = ElixirRequest::parse("1.18").expect("a request");
    bencher.bench(|| {
        let lists = lists(black_box(&otp), black_box(&elixir), black_box(&node));
        let otp = lists.otp.choose(&wanted).expect("an OTP");
        let major = otp.version.as_ref().expect("a release").major();
        let elixir = lists.elixir.choose(&elixir_wanted, major);
        elixir.expect("an Elixir").version.clone()
    });
}

fn read_and_plan(fixture: &Path, lists: &Lists, target: &Target) -> Plan {
    let at_the_top = app::facts::app_dir::resolve(fixture, None).expect("a folder");
    let facts = app::facts::read(fixture, at_the_top, None).expect("an app");
    let settings = Settings::merge(&facts, &|_| None);
    let mix_env = Setting::new("prod".to_owned(), Origin::Default("production".to_owned()));
    let last = LastBuild::default();
    plan::plan(&facts, &settings, target.clone(), mix_env, lists, &last).expect("a plan")
}

/// Reading the app's files, and deciding everything; the lists are there.
#[divan::bench(args = ["plain-otp", "phoenix-npm", "umbrella"])]
fn plan_fixture(bencher: Bencher, name: &str) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let fixture = fs::canonicalize(fixtures.join(name)).expect("a fixture");
    let lists = lists(&otp_list(), &elixir_list(), &node_index());
    let target = Target::resolve(Some("heroku-24"), &OsRelease::parse(""), Arch::Amd64)
        .expect("a stack that exists");
    bencher.bench(|| read_and_plan(&fixture, &lists, &target));
}
