//! Every way of failing, against everything that can be fetched.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use fetch::{
    Algorithm, Archive, Checksum, Class, FetchError, Format, Kind, LooksLike, Phase, Settings,
};
use mirror::faults::{Behaviour, FaultServer, Framing};
use mirror::noise::noise;

use crate::support::{
    Place, Recorder, ZipEntry, client, file, gzip, published, settings, sha256, tar, zip,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    TarGz,
    Zip,
    File,
    Text,
}

impl What {
    const ALL: [What; 4] = [What::TarGz, What::Zip, What::File, What::Text];

    fn body(self) -> Vec<u8> {
        let content = noise(0, 20_000);
        match self {
            What::TarGz => gzip(&tar(&[file("top/content", &content)])),
            What::Zip => zip(&[ZipEntry::File("top/content", 0o644, &content)]),
            What::File => content,
            What::Text => hex::encode(content).into_bytes(),
        }
    }

    fn fetch(self, url: &str, place: &Place, seen: &Recorder) -> Result<(), FetchError> {
        let dest = place.dest();
        let checksum = Some(published(&self.body()));
        let archive = |format| {
            let (url, checksum) = (url.to_owned(), checksum.clone());
            let archive = Archive {
                url,
                format,
                strip_components: 1,
                checksum,
            };
            let unpacked = client().archive(&archive, &dest, seen)?;
            assert_eq!(fs::read(dest.join("content")).unwrap(), noise(0, 20_000));
            assert_eq!(
                place.listing(),
                ["inner", "inner/dest", "inner/dest/content"]
            );
            assert_eq!(unpacked.sha256, sha256(&self.body()));
            assert_eq!(
                (unpacked.bytes, unpacked.entries),
                (self.body().len() as u64, 1)
            );
            fs::remove_dir_all(&dest).unwrap();
            Ok(())
        };
        match self {
            What::TarGz => archive(Format::TarGz),
            What::Zip => archive(Format::Zip),
            What::File => {
                let fetched = client().file(url, checksum.as_ref(), &dest, 0o755, seen)?;
                assert_eq!(fs::read(&dest).unwrap(), self.body());
                assert_eq!(place.listing(), ["inner", "inner/dest"]);
                assert_eq!(fetched.sha256, sha256(&self.body()));
                assert_eq!(fetched.bytes, self.body().len() as u64);
                fs::remove_file(&dest).unwrap();
                Ok(())
            }
            What::Text => {
                let text = client().text(url, 1_000_000, seen)?;
                assert_eq!(text.into_bytes(), self.body());
                Ok(())
            }
        }
    }
}

/// A fault, what it is reported as, and how many attempts it is worth.
struct Fault {
    behaviour: fn(Vec<u8>) -> Behaviour,
    on: &'static [What],
    is_expected: fn(&Kind) -> bool,
    class: Class,
    attempts: u32,
}

const ARCHIVES: &[What] = &[What::TarGz, What::Zip];
const AT: usize = 7_000;

#[expect(clippy::too_many_lines, reason = "a table")]
fn faults() -> Vec<Fault> {
    let all: &'static [What] = &What::ALL;
    let fault = |behaviour, on, is_expected, class, attempts| Fault {
        behaviour,
        on,
        is_expected,
        class,
        attempts,
    };
    let on_all = |behaviour, is_expected, class, attempts| {
        fault(behaviour, all, is_expected, class, attempts)
    };
    macro_rules! status {
        ($status:literal, $class:expr, $attempts:literal) => {
            on_all(
                |body| Behaviour::Status($status, body),
                |kind| matches!(kind, Kind::Status($status)),
                $class,
                $attempts,
            )
        };
    }
    vec![
        status!(404, Class::Missing, 1),
        status!(410, Class::Missing, 1),
        status!(401, Class::Refused, 1),
        status!(403, Class::Refused, 1),
        status!(206, Class::Failing, 1),
        status!(400, Class::Failing, 1),
        status!(501, Class::Failing, 1),
        status!(408, Class::Failing, 3),
        status!(500, Class::Failing, 3),
        status!(502, Class::Failing, 3),
        status!(503, Class::Failing, 3),
        status!(504, Class::Failing, 3),
        on_all(
            |_| Behaviour::RetryAfter(429, "0".into()),
            |kind| matches!(kind, Kind::Status(429)),
            Class::Failing,
            3,
        ),
        on_all(
            |_| Behaviour::RedirectLoop(302),
            |k| matches!(k, Kind::TooManyRedirects(4)),
            Class::Failing,
            1,
        ),
        on_all(
            |_| Behaviour::Garbage,
            |k| matches!(k, Kind::Protocol(_)),
            Class::Failing,
            3,
        ),
        on_all(
            |_| Behaviour::CloseBeforeHead,
            |k| matches!(k, Kind::Connect(_)),
            Class::Unreachable,
            3,
        ),
        on_all(
            |_| Behaviour::StallBeforeHead,
            |k| {
                matches!(
                    k,
                    Kind::Timeout {
                        phase: Phase::Response,
                        seconds: 0.4
                    }
                )
            },
            Class::Unreachable,
            3,
        ),
        on_all(
            |body| Behaviour::StallAt { body, at: AT },
            |k| {
                matches!(
                    k,
                    Kind::Timeout {
                        phase: Phase::Body,
                        seconds: 0.4
                    }
                )
            },
            Class::Unreachable,
            3,
        ),
        on_all(
            |body| Behaviour::ResetAt { body, at: AT },
            |k| {
                matches!(
                    k,
                    Kind::Truncated {
                        expected: Some(_),
                        ..
                    }
                )
            },
            Class::Failing,
            3,
        ),
        on_all(
            |body| Behaviour::TruncateAt {
                body,
                at: AT,
                framing: Framing::Length,
            },
            |k| {
                matches!(
                    k,
                    Kind::Truncated {
                        received: 7_000,
                        expected: Some(20_000..)
                    }
                )
            },
            Class::Failing,
            3,
        ),
        on_all(
            |body| Behaviour::TruncateAt {
                body,
                at: 0,
                framing: Framing::Length,
            },
            |k| {
                matches!(
                    k,
                    Kind::Truncated {
                        received: 0,
                        expected: Some(20_000..)
                    }
                )
            },
            Class::Failing,
            3,
        ),
        on_all(
            |body| Behaviour::TruncateAt {
                body,
                at: AT,
                framing: Framing::Chunked,
            },
            |k| {
                matches!(
                    k,
                    Kind::Truncated {
                        received: 7_000,
                        expected: None
                    }
                )
            },
            Class::Failing,
            3,
        ),
        fault(
            |body| Behaviour::TruncateAt {
                body,
                at: AT,
                framing: Framing::Close,
            },
            &[What::TarGz],
            |k| {
                matches!(
                    k,
                    Kind::Truncated {
                        received: 7_000,
                        expected: None
                    }
                )
            },
            Class::Failing,
            3,
        ),
        fault(
            |body| Behaviour::TruncateAt {
                body,
                at: AT,
                framing: Framing::Close,
            },
            &[What::Zip, What::File],
            |k| matches!(k, Kind::ChecksumMismatch { .. }),
            Class::Integrity,
            2,
        ),
        fault(
            |_| Behaviour::Ok(b"\n<!doctype html><h1>Sign in</h1>".into()),
            ARCHIVES,
            |k| {
                matches!(
                    k,
                    Kind::NotAnArchive {
                        looks_like: LooksLike::Html
                    }
                )
            },
            Class::Integrity,
            2,
        ),
        fault(
            |_| Behaviour::Ok(b"<?xml version='1.0'?><Error>".into()),
            ARCHIVES,
            |k| {
                matches!(
                    k,
                    Kind::NotAnArchive {
                        looks_like: LooksLike::Xml
                    }
                )
            },
            Class::Integrity,
            2,
        ),
        fault(
            |_| Behaviour::Ok(Vec::new()),
            ARCHIVES,
            |k| {
                matches!(
                    k,
                    Kind::NotAnArchive {
                        looks_like: LooksLike::Empty
                    }
                )
            },
            Class::Integrity,
            2,
        ),
        fault(
            |_| Behaviour::Ok(b"<html>".into()),
            &[What::File],
            |k| {
                matches!(
                    k,
                    Kind::ChecksumMismatch {
                        algorithm: Algorithm::Sha256,
                        ..
                    }
                )
            },
            Class::Integrity,
            2,
        ),
        fault(
            |_| Behaviour::Ok(b"\n<!DOCTYPE html><h1>Sign in</h1>".into()),
            &[What::Text],
            |k| matches!(k, Kind::Page),
            Class::Integrity,
            2,
        ),
        fault(
            |_| Behaviour::Ok(vec![0xff; 30]),
            &[What::Text],
            |k| matches!(k, Kind::NotText),
            Class::Integrity,
            2,
        ),
        fault(
            |_| Behaviour::Ok(vec![b'a'; 1_000_001]),
            &[What::Text],
            |k| matches!(k, Kind::TooLarge { limit: 1_000_000 }),
            Class::Integrity,
            1,
        ),
        fault(
            |_| Behaviour::Chunked(vec![b'a'; 1_000_001]),
            &[What::Text],
            |k| matches!(k, Kind::TooLarge { limit: 1_000_000 }),
            Class::Integrity,
            1,
        ),
        fault(
            |_| Behaviour::Ok(gzip(&noise(0, 9_000))),
            &[What::TarGz],
            |k| matches!(k, Kind::CorruptArchive(_)),
            Class::Integrity,
            2,
        ),
        fault(
            // Another archive than the published one, and a good one.
            |_| Behaviour::Ok(gzip(&tar(&[file("top/other", b"evil")]))),
            &[What::TarGz],
            |k| matches!(k, Kind::ChecksumMismatch { .. }),
            Class::Integrity,
            2,
        ),
        fault(
            |_| Behaviour::Ok(zip(&[ZipEntry::File("top/other", 0o644, b"evil")])),
            &[What::Zip],
            |k| matches!(k, Kind::ChecksumMismatch { .. }),
            Class::Integrity,
            2,
        ),
    ]
}

#[test]
fn permanent_fault_is_reported_and_leaves_nothing() {
    for (index, fault) in faults().iter().enumerate() {
        for &what in fault.on {
            let context = format!("fault {index}, {what:?}");
            let place = Place::new();
            let server = FaultServer::start([("/it", (fault.behaviour)(what.body()))]).unwrap();
            let seen = Recorder::default();

            let error = what.fetch(&server.url("/it"), &place, &seen).unwrap_err();

            assert!((fault.is_expected)(&error.kind), "{context}: {error:?}");
            assert_eq!(error.class(), fault.class, "{context}: {error:?}");
            assert_eq!(error.attempts, fault.attempts, "{context}: {error:?}");
            assert_eq!(error.url, server.url("/it"), "{context}");
            if !matches!(error.kind, Kind::TooManyRedirects(_)) {
                assert_eq!(server.count("/it"), fault.attempts as usize, "{context}");
            }
            assert_eq!(
                seen.retries().len(),
                fault.attempts as usize - 1,
                "{context}"
            );
            place.assert_untouched(&context);

            server.set("/it", Behaviour::Ok(what.body()));
            what.fetch(&server.url("/it"), &place, &Recorder::default())
                .expect(&context);
        }
    }
}

#[test]
fn transient_fault_is_retried_and_reported_once() {
    for (index, fault) in faults()
        .iter()
        .enumerate()
        .filter(|(_, fault)| fault.attempts > 1)
    {
        for &what in fault.on {
            let context = format!("fault {index}, {what:?}");
            let place = Place::new();
            let once = (fault.behaviour)(what.body());
            let then = Behaviour::Ok(what.body());
            let behaviour = Behaviour::FailTimes(1, Box::new(once), Box::new(then));
            let server = FaultServer::start([("/it", behaviour)]).unwrap();
            let seen = Recorder::default();

            what.fetch(&server.url("/it"), &place, &seen)
                .expect(&context);

            assert_eq!(server.count("/it"), 2, "{context}");
            let [retry] = seen.retries().try_into().expect(&context);
            assert_eq!(
                (retry.attempt, retry.url),
                (2, server.url("/it")),
                "{context}"
            );
            assert_eq!(retry.of, fault.attempts, "{context}");
            assert!(!retry.reason.is_empty(), "{context}");
            place.assert_untouched(&context);
        }
    }
}

#[test]
fn unusual_responses_are_accepted() {
    for what in What::ALL {
        let body = what.body();
        let place = Place::new();
        let server = FaultServer::start([
            ("/chunked", Behaviour::Chunked(body.clone())),
            (
                "/unframed",
                Behaviour::TruncateAt {
                    body: body.clone(),
                    at: usize::MAX,
                    framing: Framing::Close,
                },
            ),
            // Longer than any timeout as a whole, shorter in each silence.
            (
                "/slow",
                Behaviour::SlowDrip {
                    chunk: body.len() / 9,
                    body: body.clone(),
                    pause: Duration::from_millis(80),
                },
            ),
            (
                "/moved",
                Behaviour::Redirect(302, "/there?version=1".to_owned()),
            ),
            (
                "/there?version=1",
                Behaviour::Redirect(302, "/ok".to_owned()),
            ),
            ("/ok", Behaviour::Ok(body)),
        ])
        .unwrap();
        for path in ["/chunked", "/unframed", "/slow", "/moved"] {
            let seen = Recorder::default();
            let started = Instant::now();
            what.fetch(&server.url(path), &place, &seen).expect(path);
            assert_eq!(seen.retries(), [], "{path}");
            assert!(path != "/slow" || started.elapsed() > Duration::from_millis(500));
        }
        assert_eq!(server.count("/ok"), 1);
    }
}

#[test]
fn missing_page_after_redirect_names_both_urls() {
    let server =
        FaultServer::start([("/old", Behaviour::Redirect(302, "/new?token=secret".into()))])
            .unwrap();
    let error = client().text(&server.url("/old"), 10, &()).unwrap_err();
    assert!(matches!(error.kind, Kind::Status(404)));
    assert_eq!(error.url, server.url("/old"));
    assert_eq!(error.redirected_to, Some(server.url("/new")));
    assert_eq!(
        error.to_string(),
        format!("{}: HTTP status 404", server.url("/old"))
    );
}

#[test]
fn retry_waits_double_and_honor_capped_retry_after() {
    let waits = |behaviour| {
        let server = FaultServer::start([("/it", behaviour)]).unwrap();
        let seen = Recorder::default();
        let client = fetch::Client::new(Settings {
            attempts: 6,
            ..settings()
        });
        client.text(&server.url("/it"), 10, &seen).unwrap_err();
        seen.retries()
            .iter()
            .map(|retry| retry.wait.as_millis())
            .collect::<Vec<_>>()
    };
    assert_eq!(waits(Behaviour::Status(503, vec![])), [4, 8, 16, 32, 40]);
    assert_eq!(waits(Behaviour::RetryAfter(503, "600".into())), [40; 5]);
    assert_eq!(waits(Behaviour::RetryAfter(503, "0".into())), [0; 5]);
}

#[test]
fn status_503_is_retried_and_progress_restarts() {
    let body = What::TarGz.body();
    let behaviour = Behaviour::FailTimes(
        2,
        Box::new(Behaviour::Status(503, vec![])),
        Box::new(Behaviour::Ok(body.clone())),
    );
    let server = FaultServer::start([("/it", behaviour)]).unwrap();
    let seen = Recorder::default();
    What::TarGz
        .fetch(&server.url("/it"), &Place::new(), &seen)
        .unwrap();
    let told: Vec<_> = seen
        .retries()
        .into_iter()
        .map(|retry| (retry.attempt, retry.of, retry.reason))
        .collect();
    let reason = "HTTP status 503".to_owned();
    assert_eq!(told, [(2, 3, reason.clone()), (3, 3, reason)]);
    let total = body.len() as u64;
    assert_eq!(
        seen.progress().last(),
        Some(&(server.url("/it"), total, Some(total)))
    );
}

#[test]
fn short_transfer_reports_no_progress() {
    let server = FaultServer::start([("/it", Behaviour::Ok(What::Text.body()))]).unwrap();
    let seen = Recorder::default();
    fetch::Client::new(Settings::default())
        .text(&server.url("/it"), 1_000_000, &seen)
        .unwrap();
    assert_eq!(seen.progress(), []);
}

#[test]
fn second_checksum_mismatch_is_reported_with_both_checksums() {
    let body = What::TarGz.body();
    let server = FaultServer::start([("/it", Behaviour::Ok(body.clone()))]).unwrap();
    let place = Place::new();
    let mut archive = Archive {
        url: server.url("/it"),
        format: Format::TarGz,
        strip_components: 0,
        checksum: Some(Checksum::Sha512("AB".repeat(64))),
    };
    let error = client().archive(&archive, &place.dest(), &()).unwrap_err();
    assert_eq!(error.attempts, 2);
    let Kind::ChecksumMismatch {
        expected,
        actual,
        algorithm,
    } = error.kind
    else {
        panic!("{error:?}")
    };
    assert_eq!((expected, algorithm), ("ab".repeat(64), Algorithm::Sha512));
    place.assert_untouched("mismatch");

    archive.checksum = Some(Checksum::Sha512(actual.to_ascii_uppercase()));
    let unpacked = client().archive(&archive, &place.dest(), &()).unwrap();
    assert_eq!(
        unpacked.sha256,
        sha256(&body),
        "the sha256 is told whatever was published"
    );
}

#[test]
fn second_corruption_ends_retries() {
    let corrupt = || Box::new(Behaviour::Ok(b"<html>".into()));
    let behaviour = Behaviour::FailTimes(
        1,
        corrupt(),
        Box::new(Behaviour::FailTimes(
            1,
            Box::new(Behaviour::CloseBeforeHead),
            corrupt(),
        )),
    );
    let server = FaultServer::start([("/it", behaviour)]).unwrap();
    let archive = Archive {
        url: server.url("/it"),
        format: Format::TarGz,
        strip_components: 0,
        checksum: None,
    };
    let client = fetch::Client::new(Settings {
        attempts: 9,
        ..settings()
    });
    let error = client
        .archive(&archive, &Place::new().dest(), &())
        .unwrap_err();
    assert!(matches!(error.kind, Kind::NotAnArchive { .. }));
    assert_eq!(error.attempts, 3);
}

#[test]
fn missing_host_is_unreachable() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let error = client()
        .text(&format!("http://127.0.0.1:{port}/x"), 10, &())
        .unwrap_err();
    assert!(matches!(error.kind, Kind::Connect(_)), "{error:?}");
    assert_eq!((error.attempts, error.class()), (3, Class::Unreachable));

    let error = client()
        .text("http://no-such-host.invalid/x", 10, &())
        .unwrap_err();
    assert!(matches!(error.kind, Kind::Dns(_)), "{error:?}");
    assert_eq!((error.attempts, error.class()), (3, Class::Unreachable));
}

#[test]
fn host_without_tls_differs_from_missing_host() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/x", listener.local_addr().unwrap());
    let host = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
    });
    let client = fetch::Client::new(Settings {
        attempts: 1,
        ..settings()
    });
    let error = client.text(&url, 10, &()).unwrap_err();
    host.join().unwrap();
    assert!(matches!(error.kind, Kind::Tls(_)), "{error:?}");
    assert_eq!(error.class(), Class::Unreachable);
}

#[test]
fn existing_destination_is_untouched_and_no_request_sent() {
    let server = FaultServer::start([("/it", Behaviour::Ok(What::TarGz.body()))]).unwrap();
    let place = Place::new();
    fs::create_dir(place.dest()).unwrap();
    let error = What::TarGz
        .fetch(&server.url("/it"), &place, &Recorder::default())
        .unwrap_err();
    assert!(
        matches!(&error.kind, Kind::Io { path, .. } if *path == place.dest()),
        "{error:?}"
    );
    assert_eq!((error.attempts, error.class()), (0, Class::Local));
    assert_eq!(server.requests(), []);
    assert_eq!(place.listing(), ["inner", "inner/dest"]);
}

#[test]
fn missing_parent_directory_is_a_local_error() {
    let server = FaultServer::start([("/it", Behaviour::Ok(What::File.body()))]).unwrap();
    let dest = Place::new().dest().join("missing/dest");
    let error = client()
        .file(&server.url("/it"), None, &dest, 0o644, &())
        .unwrap_err();
    assert_eq!((error.attempts, error.class()), (1, Class::Local));
    assert!(!dest.parent().unwrap().exists());
}

#[test]
fn file_is_replaced_only_if_checksum_matches() {
    let place = Place::new();
    fs::write(place.dest(), "before").unwrap();
    let server = FaultServer::start([("/it", Behaviour::Ok(b"after".into()))]).unwrap();
    let fetch = |content: &[u8]| {
        let checksum = published(content);
        client().file(
            &server.url("/it"),
            Some(&checksum),
            &place.dest(),
            0o755,
            &(),
        )
    };

    let error = fetch(b"else").unwrap_err();
    assert_eq!(error.class(), Class::Integrity);
    assert_eq!(fs::read(place.dest()).unwrap(), b"before");
    assert_eq!(place.listing(), ["inner", "inner/dest"]);

    fetch(b"after").unwrap();
    assert_eq!(fs::read(place.dest()).unwrap(), b"after");
    assert_eq!(place.listing(), ["inner", "inner/dest"]);
}
