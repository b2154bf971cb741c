//! The faults: data.

use std::time::Duration;

use mirror::faults::{Behaviour, Framing};

use crate::artifacts::{Artifact, Form, Mirror};

/// How long a fault lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lasts {
    /// The first request meets it, later ones do not.
    Once,
    Always,
}

/// The file with the fault: the artifact, or the list with its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Where {
    Itself,
    ItsList,
}

/// A row of the table.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) lasts: &'static [Lasts],
    pub(crate) place: Where,
    pub(crate) on: fn(Artifact) -> bool,
    /// All artifacts must have the same result.
    pub(crate) variants: Vec<Make>,
    /// The fault isn't visible in every artifact.
    pub(crate) may_hide: bool,
}

const BOTH: &[Lasts] = &[Lasts::Once, Lasts::Always];
const ALWAYS: &[Lasts] = &[Lasts::Always];

fn any(_: Artifact) -> bool {
    true
}

fn checked(artifact: Artifact) -> bool {
    artifact.listed_in().is_some()
}

/// The timeout in these tests, and pauses well below it.
pub(crate) const PATIENCE: Duration = Duration::from_millis(700);
const PAUSE: Duration = Duration::from_millis(60);

pub(crate) const HTML: &[u8] =
    b"<!doctype html>\n<html><body><h1>Sign in, please</h1></body></html>\n";

/// The body with 200 of its bytes replaced.
fn garbage(body: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = body.to_vec();
    let at = at.min(bytes.len().saturating_sub(200));
    for (n, byte) in bytes[at..].iter_mut().take(200).enumerate() {
        *byte = 0x80 | (n as u8).wrapping_mul(31);
    }
    bytes
}

/// The response for an artifact.
pub(crate) type Make = Box<dyn Fn(&Mirror, Artifact) -> Behaviour + Sync>;

/// A behaviour made of the body.
fn of(make: impl Fn(Vec<u8>) -> Behaviour + Sync + 'static) -> Make {
    Box::new(move |mirror, artifact| make(mirror.bytes(artifact)))
}

fn chain(status: u16) -> Make {
    Box::new(move |mirror, artifact| {
        let path = artifact.path(&mirror.target);
        Behaviour::FailTimes(
            3,
            Box::new(Behaviour::Redirect(status, format!("{path}?moved"))),
            Box::new(Behaviour::Ok(mirror.bytes(artifact))),
        )
    })
}

#[expect(clippy::too_many_lines, reason = "a table")]
pub(crate) fn all() -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |name, lasts, variants: Vec<Make>| {
        faults.push(Fault {
            name,
            lasts,
            place: Where::Itself,
            on: any,
            variants,
            may_hide: false,
        });
    };
    fault(
        "connection closed before a response",
        BOTH,
        vec![of(|_| Behaviour::CloseBeforeHead)],
    );
    fault(
        "a response that isn't HTTP",
        BOTH,
        vec![of(|_| Behaviour::Garbage)],
    );
    fault(
        "silence before the headers",
        BOTH,
        vec![of(|_| Behaviour::StallBeforeHead)],
    );
    fault(
        "silence in the middle",
        BOTH,
        vec![of(|body| Behaviour::StallAt {
            at: body.len() / 2,
            body,
        })],
    );
    fault(
        "connection reset at each tenth of the body",
        BOTH,
        (0..10)
            .map(|tenth| {
                of(move |body| Behaviour::ResetAt {
                    at: body.len() * tenth / 10,
                    body,
                })
            })
            .collect(),
    );
    let cut = |framing, at: fn(usize) -> usize| {
        of(move |body| Behaviour::TruncateAt {
            at: at(body.len()),
            body,
            framing,
        })
    };
    fault(
        "truncated before its content-length",
        BOTH,
        vec![
            cut(Framing::Length, |_| 0),
            cut(Framing::Length, |length| length / 2),
            cut(Framing::Length, |length| length - 1),
        ],
    );
    fault(
        "truncated, chunked",
        BOTH,
        vec![cut(Framing::Chunked, |length| length / 2)],
    );
    fault(
        "a content-length too large",
        BOTH,
        vec![of(|body| Behaviour::Announced {
            length: body.len() + 100,
            body,
        })],
    );
    for (name, status) in [
        ("403", 403),
        ("404", 404),
        ("408", 408),
        ("500", 500),
        ("502", 502),
        ("503", 503),
        ("504", 504),
    ] {
        fault(
            name,
            BOTH,
            vec![of(move |_| {
                Behaviour::Status(status, b"an error page".into())
            })],
        );
    }
    fault(
        "429 with Retry-After (seconds, a date, nonsense)",
        BOTH,
        ["0", "600", "Wed, 21 Oct 2026 07:28:00 GMT", "soon"]
            .map(|when| of(move |_| Behaviour::RetryAfter(429, when.to_owned())))
            .into(),
    );
    fault(
        "three redirects (301, 302, 307, 308)",
        ALWAYS,
        [301, 302, 307, 308].map(chain).into(),
    );
    fault(
        "a redirect loop (301, 302, 307)",
        ALWAYS,
        [301, 302, 307]
            .map(|status| of(move |_| Behaviour::RedirectLoop(status)))
            .into(),
    );
    fault(
        "an HTML page with status 200",
        BOTH,
        vec![of(|_| Behaviour::Ok(HTML.into()))],
    );
    fault(
        "an empty body with status 200",
        BOTH,
        vec![of(|_| Behaviour::Ok(Vec::new()))],
    );
    fault(
        "corrupted at the start, in the middle, at the end",
        BOTH,
        [0, 1, 2]
            .map(|half| of(move |body| Behaviour::Ok(garbage(&body, body.len() * half / 2))))
            .into(),
    );
    fault(
        "slow, but never silent for long",
        ALWAYS,
        vec![of(|body| Behaviour::SlowDrip {
            chunk: body.len().div_ceil(15),
            body,
            pause: PAUSE,
        })],
    );
    let hidden = [
        Fault {
            name: "truncated, without a length",
            lasts: BOTH,
            place: Where::Itself,
            on: any,
            variants: vec![cut(Framing::Close, |length| length / 2)],
            may_hide: true,
        },
        Fault {
            name: "a content-length too small",
            lasts: BOTH,
            place: Where::Itself,
            on: any,
            variants: vec![of(|body| Behaviour::Announced {
                length: body.len() / 2,
                body,
            })],
            may_hide: true,
        },
        Fault {
            name: "extra bytes at the end",
            lasts: BOTH,
            place: Where::Itself,
            on: checked,
            variants: vec![of(|mut body| {
                body.extend(b"and more");
                Behaviour::Ok(body)
            })],
            may_hide: false,
        },
        Fault {
            name: "a different archive",
            lasts: BOTH,
            place: Where::Itself,
            on: checked,
            variants: vec![Box::new(|mirror, artifact| {
                let other = match artifact.form() {
                    Form::TarGz if artifact == Artifact::Node => Artifact::Otp,
                    Form::TarGz => Artifact::Node,
                    Form::Zip if artifact == Artifact::Hex => Artifact::Elixir,
                    Form::Zip => Artifact::Hex,
                    Form::File | Form::Text => Artifact::Otp,
                };
                Behaviour::Ok(mirror.bytes(other))
            })],
            may_hide: false,
        },
        Fault {
            name: "a wrong checksum in the list",
            lasts: ALWAYS,
            place: Where::ItsList,
            on: checked,
            variants: vec![sums(|artifact| {
                let digits = match artifact {
                    Artifact::Hex | Artifact::Rebar3 => 128,
                    _ => 64,
                };
                Some("a".repeat(digits))
            })],
            may_hide: false,
        },
        Fault {
            name: "a truncated checksum in the list",
            lasts: ALWAYS,
            place: Where::ItsList,
            on: checked,
            variants: vec![sums(|_| Some("a".repeat(60)))],
            may_hide: true,
        },
        Fault {
            name: "no checksum in the list",
            lasts: ALWAYS,
            place: Where::ItsList,
            on: checked,
            variants: vec![sums(|_| None)],
            may_hide: true,
        },
    ];
    faults.extend(hidden);
    faults
}

/// The list of an artifact, with this as the checksum of all its entries.
fn sums(sum: fn(Artifact) -> Option<String>) -> Make {
    Box::new(move |mirror, artifact| {
        let list = artifact.listed_in().unwrap();
        Behaviour::Ok(mirror.list(list, &sum).into_bytes())
    })
}
