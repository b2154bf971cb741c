use super::*;
use crate::mix_info::MixInfo;
use mirror::hex_registry::{Advisory, Release, package, versions};
use mirror::{Override, Server};
use tempfile::TempDir;

const NOW: u64 = 1_800_000_000;

fn plug() -> Release {
    Release {
        package: "plug",
        version: "1.0.0",
        retired: Some((2, "use 1.1")),
        advisories: vec![Advisory {
            id: "EEF-CVE-2026-1",
            alias: "CVE-2026-1",
            summary: "Cookies can be forged",
            url: "https://osv.dev/vulnerability/EEF-CVE-2026-1",
            severity: 3,
        }],
    }
}

fn jason() -> Release {
    Release {
        package: "jason",
        version: "1.4.0",
        retired: Some((3, "")),
        ..Release::default()
    }
}

struct Host {
    server: Server,
    _root: TempDir,
}

/// A registry in which plug and jason are flagged.
fn host() -> Host {
    let root = TempDir::new().unwrap();
    let server = Server::start(root.path()).unwrap();
    let list = versions(&[plug(), jason()]);
    server.set_override("/versions", Override::Body(list));
    for release in [plug(), jason()] {
        let path = format!("/packages/{}", release.package);
        server.set_override(path, Override::Body(package(&release)));
    }
    Host {
        server,
        _root: root,
    }
}

impl Host {
    fn registry(&self) -> Registry {
        let client = Client::new(Settings {
            attempts: 1,
            ..Settings::default()
        });
        Registry::new(client, &self.server.url(), false)
    }

    fn note(&self) -> Note {
        Note::read(None, &self.server.url())
    }

    fn take_requests(&self) -> Vec<String> {
        let requests = self.server.requests();
        self.server.forget_requests();
        requests.into_iter().map(|request| request.path).collect()
    }
}

fn locked(releases: &[(&str, &str)]) -> Vec<Locked> {
    let release = |(package, version): &(&str, &str)| Locked {
        package: (*package).to_owned(),
        version: (*version).to_owned(),
    };
    releases.iter().map(release).collect()
}

fn lines(note: &Note, locked: &[Locked], ignored: &str) -> String {
    let checked = Check {
        locked: locked.to_vec(),
        note: note.clone(),
        request: None,
    };
    checked.lines(&MixInfo::parse(ignored).ignored).join("\n")
}

#[test]
fn registry_answer_lasts_a_day_across_lockfile_changes() {
    let host = host();
    let first = locked(&[("plug", "1.0.0"), ("jason", "1.4.4"), ("ecto", "3.0.0")]);
    let note = host.note();
    assert!(note.is_due(&first, NOW));
    let note = note.refresh(&host.registry(), &first, NOW).unwrap();
    assert_eq!(host.take_requests(), ["/versions", "/packages/plug"]);
    assert!(!note.is_due(&first, NOW + DAY - 1));
    let warning = lines(&note, &first, "");
    assert!(
        warning.contains("plug 1.0.0") && !warning.contains("jason"),
        "{warning}"
    );

    // Another version of jason: only the details of that release are missing.
    let second = locked(&[("plug", "1.1.0"), ("jason", "1.4.0")]);
    assert!(note.is_due(&second, NOW + 1));
    let note = note.refresh(&host.registry(), &second, NOW + 1).unwrap();
    assert_eq!(host.take_requests(), ["/packages/jason"]);
    assert!(!note.is_due(&second, NOW + 2) && !note.is_due(&first, NOW + 2));
    let warning = lines(&note, &second, "");
    assert!(
        warning.contains("jason 1.4.0") && !warning.contains("plug"),
        "{warning}"
    );

    assert!(note.is_due(&first, NOW + DAY) && note.is_due(&first, NOW - 1));
    note.refresh(&host.registry(), &first, NOW + DAY).unwrap();
    assert_eq!(host.take_requests(), ["/versions", "/packages/plug"]);
}

#[test]
fn registry_failure_lasts_a_day_and_keeps_known_findings() {
    let host = host();
    let in_use = locked(&[("plug", "1.0.0")]);
    let note = host.note().refresh(&host.registry(), &in_use, NOW).unwrap();
    host.server.set_override("/versions", Override::Status(503));
    let later = NOW + DAY;
    assert!(
        note.clone()
            .refresh(&host.registry(), &in_use, later)
            .is_err()
    );
    let failed = note.clone().with_failure(later);
    let another = locked(&[("plug", "1.0.0"), ("jason", "1.4.0")]);
    for locked in [&in_use, &another] {
        assert!(!failed.is_due(locked, later + DAY - 1));
        assert!(failed.is_due(locked, later + DAY));
    }
    assert_eq!(lines(&failed, &in_use, ""), lines(&note, &in_use, ""));

    host.server.clear_override("/versions");
    let list = Override::Body(versions(&[jason()]));
    host.server.set_override("/versions", list);
    let renewed = failed
        .refresh(&host.registry(), &another, later + DAY)
        .unwrap();
    assert!(!renewed.failed);
    let warning = lines(&renewed, &another, "");
    assert!(
        warning.contains("jason") && !warning.contains("plug"),
        "{warning}"
    );
}

#[test]
fn warning_names_each_release_and_fix() {
    let host = host();
    let in_use = locked(&[("plug", "1.0.0"), ("jason", "1.4.0")]);
    let note = host.note().refresh(&host.registry(), &in_use, NOW).unwrap();
    let warning = lines(&note, &in_use, "");
    let page = include_str!("../../../../docs/supply-chain.md");
    let of_plug = warning
        .lines()
        .take(4)
        .map(|line| format!(" !     {line}\n"));
    assert!(page.contains(&of_plug.collect::<String>()), "{warning}");
    insta::assert_snapshot!(warning);
}

#[test]
fn ignored_advisories_and_retirements_are_omitted() {
    let host = host();
    let in_use = locked(&[("plug", "1.0.0"), ("jason", "1.4.0")]);
    let note = host.note().refresh(&host.registry(), &in_use, NOW).unwrap();
    let no_advisory = lines(&note, &in_use, "ignored_advisory\tcve-2026-1\n");
    assert!(!no_advisory.contains("CVE") && no_advisory.contains("plug 1.0.0: retired"));
    for name in ["plug", "plug@1.0.0"] {
        let warning = lines(&note, &in_use, &format!("ignored_retirement\t{name}\n"));
        assert!(
            warning.contains("CVE") && !warning.contains("plug 1.0.0: retired"),
            "{warning}"
        );
    }
    let other = lines(&note, &in_use, "ignored_retirement\tplug@1.0.1\n");
    assert_eq!(other, lines(&note, &in_use, ""));
    let all =
        "ignored_advisory\tEEF-CVE-2026-1\nignored_retirement\tplug\nignored_retirement\tjason\n";
    assert_eq!(lines(&note, &in_use, all), "");
}

#[test]
fn requests_are_limited_and_the_rest_counted() {
    let host = host();
    let mut note = Note {
        requested_at: NOW,
        ..host.note()
    };
    let mut all = locked(&[("plug", "1.0.0")]);
    note.flagged.insert("plug".into(), ["1.0.0".into()].into());
    for number in 0..MAX_LOOKUPS + 2 {
        let release = Locked {
            package: "jason".into(),
            version: format!("1.0.{number}"),
        };
        let versions = note.flagged.entry("jason".into()).or_default();
        versions.insert(release.version.clone());
        all.push(release);
    }
    let note = note.refresh(&host.registry(), &all, NOW).unwrap();
    assert_eq!(host.take_requests().len(), MAX_LOOKUPS);
    assert!(!note.is_due(&all, NOW));
    let warning = lines(&note, &all, "");
    assert!(
        warning.contains("\n  and 3 more, which `mix hex.audit` lists\n"),
        "{warning}"
    );
}

#[test]
fn offline_build_sends_no_request_and_repeats_known_findings() {
    let host = host();
    let in_use = locked(&[("plug", "1.0.0")]);
    let url = host.server.url();
    let begin = |variables: &[(&str, &str)], note: Note| {
        let variables = variables.iter();
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let environment = Environment::new(BTreeMap::new(), variables.collect());
        Check::begin_with(&environment, &url, note, in_use.clone())
    };
    assert!(
        begin(&[("HEX_OFFLINE", "1")], host.note())
            .request
            .is_none()
    );
    assert!(host.take_requests().is_empty());
    let online = [("HEX_OFFLINE", "0"), ("HEX_UNSAFE_REGISTRY", "1")];
    let request = begin(&online, host.note()).request.unwrap();
    let old = request.answer.recv().unwrap().unwrap();
    // Verified by default.
    let request = begin(&[], host.note()).request.unwrap();
    let error = request.answer.recv().unwrap().unwrap_err();
    assert!(matches!(error, RegistryError::NotSigned { .. }), "{error}");

    let old = Note {
        requested_at: 1,
        ..old
    };
    let check = begin(&[("HEX_OFFLINE", "true")], old);
    assert!(check.request.is_none());
    assert!(lines(&check.note, &in_use, "").contains("plug 1.0.0"));
}

#[test]
fn note_of_other_registry_or_format_is_discarded() {
    let url = "https://me:s3cr3t@mirror.example";
    let kept = Note {
        requested_at: NOW,
        ..Note::read(None, url)
    };
    let json = json::to_string(&kept, NOTE).unwrap();
    assert!(!json.contains("s3cr3t"), "{json}");
    assert_eq!(Note::read(Some(&json), url), kept);
    assert_eq!(
        Note::read(Some(&json), "https://repo.hex.pm").requested_at,
        0
    );
    assert_eq!(Note::read(Some("{\"shape\": 1}"), url).requested_at, 0);
}

#[test]
fn hex_reports_advisories_since_2_5() {
    for (version, reports) in [
        ("2.4.2", false),
        ("2.5.0", true),
        ("2.10.0", true),
        ("3.0.0-rc.1", true),
        ("", false),
    ] {
        assert_eq!(reports_advisories(version), reports, "{version}");
    }
}
