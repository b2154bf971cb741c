use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::checksum::Algorithm;

/// A transfer that failed for good.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {kind}")]
pub struct FetchError {
    /// The address asked for, as [`redact`](crate::redact) leaves it.
    pub url: String,
    /// Where redirects had led, if anywhere else and if the host there answered; redacted too.
    pub redirected_to: Option<String>,
    /// How many attempts were made.
    pub attempts: u32,
    /// What the last attempt met.
    pub kind: Kind,
}

impl FetchError {
    /// Whose trouble this is.
    #[must_use]
    pub fn class(&self) -> Class {
        self.kind.class()
    }
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Kind {
    /// An answer other than 200.
    #[error("HTTP status {0}")]
    Status(u16),
    /// The host's name could not be looked up.
    #[error("host name lookup failed: {0}")]
    Dns(String),
    /// No connection, or it broke before an answer came. Names the proxy's answer where a proxy
    /// refused.
    #[error("connection failed: {0}")]
    Connect(String),
    /// The TLS handshake failed: certificate, name, protocol.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// Nothing happened for longer than the settings allow.
    #[error("timed out after {seconds} s while {phase}")]
    Timeout { phase: Phase, seconds: f64 },
    /// The body ended early.
    #[error("body ended after {received} bytes{}", of_expected(*.expected))]
    Truncated {
        received: u64,
        /// What the host had announced, if it had; without it the end was found missing by the
        /// archive format.
        expected: Option<u64>,
    },
    /// The answer is not HTTP, or breaks its rules.
    #[error("the answer is not valid HTTP: {0}")]
    Protocol(String),
    /// More redirects than the settings allow.
    #[error("more than {0} redirects")]
    TooManyRedirects(u32),
    /// A redirect from https to http, which is not followed.
    #[error("redirected from https to http")]
    InsecureRedirect,
    /// The address is not an http or https URL.
    #[error("not a valid http or https URL: {0}")]
    BadUrl(String),
    /// The answer was 200, but its first bytes are not those of the archive format.
    #[error("not an archive but {looks_like}")]
    NotAnArchive { looks_like: LooksLike },
    /// It begins like an archive and then breaks the format.
    #[error("corrupt archive: {0}")]
    CorruptArchive(String),
    /// An entry that would reach outside the destination, or is nothing a toolchain needs.
    #[error("unsafe archive entry {entry}: {why}")]
    UnsafeEntry { entry: String, why: &'static str },
    /// Not the bytes that were published. Both sums in lower-case hex.
    #[error("{algorithm} is {actual}, published is {expected}")]
    ChecksumMismatch {
        expected: String,
        actual: String,
        algorithm: Algorithm,
    },
    /// A page, as proxies and sign-in forms send it, where a list was asked for.
    #[error("not a list but an HTML page")]
    Page,
    /// A text that is not UTF-8.
    #[error("text is not UTF-8")]
    NotText,
    /// A text longer than the caller allows.
    #[error("larger than {limit} bytes")]
    TooLarge { limit: u64 },
    /// The file system said no.
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// [`Settings::cancel`](crate::Settings::cancel) was set.
    #[error("cancelled")]
    Cancelled,
}

fn of_expected(expected: Option<u64>) -> String {
    expected.map_or_else(String::new, |bytes| format!(" of {bytes}"))
}

/// Whose trouble a failure is; what a message to a person branches on first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The host cannot be reached: name, connection, TLS, silence.
    Unreachable,
    /// The host was reached and fails: 5xx and other statuses, broken HTTP, bodies cut short,
    /// redirects that lead nowhere.
    Failing,
    /// The host has no such thing: 404, 410.
    Missing,
    /// The host does not let us: 401, 403, 407.
    Refused,
    /// Bytes came and are not what they should be.
    Integrity,
    /// The address itself is no http(s) URL.
    Address,
    /// This machine: its file system.
    Local,
    /// The caller stopped it.
    Cancelled,
}

/// How often a failure may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    Always,
    Once,
    Never,
}

impl Kind {
    fn class(&self) -> Class {
        match self {
            Kind::Dns(_) | Kind::Connect(_) | Kind::Tls(_) | Kind::Timeout { .. } => {
                Class::Unreachable
            }
            Kind::Status(404 | 410) => Class::Missing,
            Kind::Status(401 | 403 | 407) => Class::Refused,
            Kind::Status(_)
            | Kind::Truncated { .. }
            | Kind::Protocol(_)
            | Kind::TooManyRedirects(_)
            | Kind::InsecureRedirect => Class::Failing,
            Kind::NotAnArchive { .. }
            | Kind::CorruptArchive(_)
            | Kind::UnsafeEntry { .. }
            | Kind::ChecksumMismatch { .. }
            | Kind::Page
            | Kind::NotText
            | Kind::TooLarge { .. } => Class::Integrity,
            Kind::BadUrl(_) => Class::Address,
            Kind::Io { .. } => Class::Local,
            Kind::Cancelled => Class::Cancelled,
        }
    }

    pub(crate) fn retry(&self) -> Retry {
        match self {
            Kind::Dns(_)
            | Kind::Connect(_)
            | Kind::Tls(_)
            | Kind::Timeout { .. }
            | Kind::Truncated { .. }
            | Kind::Protocol(_)
            | Kind::Status(408 | 429 | 500 | 502 | 503 | 504) => Retry::Always,
            Kind::NotAnArchive { .. }
            | Kind::CorruptArchive(_)
            | Kind::ChecksumMismatch { .. }
            | Kind::Page
            | Kind::NotText => Retry::Once,
            Kind::Status(_)
            | Kind::TooManyRedirects(_)
            | Kind::InsecureRedirect
            | Kind::BadUrl(_)
            | Kind::UnsafeEntry { .. }
            | Kind::TooLarge { .. }
            | Kind::Io { .. }
            | Kind::Cancelled => Retry::Never,
        }
    }
}

/// What was being waited for when time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Name lookup, TCP, proxy and TLS together.
    Connect,
    /// The request was sent, the head of the answer was awaited.
    Response,
    /// The body had begun and fell silent.
    Body,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Connect => "connecting",
            Phase::Response => "waiting for an answer",
            Phase::Body => "waiting for the rest of the body",
        })
    }
}

/// What the first bytes of something that is not an archive look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LooksLike {
    Empty,
    Html,
    /// As object stores write their errors.
    Xml,
    Text,
    Other,
}

impl LooksLike {
    pub(crate) fn of(head: &[u8]) -> Self {
        let head = head
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(head)
            .trim_ascii_start();
        let begins = |with: &str| {
            head.get(..with.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()))
        };
        // The head may end within a character, so text is judged by its control bytes.
        let is_text = |byte: &u8| *byte >= 0x20 && *byte != 0x7f || byte.is_ascii_whitespace();
        if head.is_empty() {
            LooksLike::Empty
        } else if ["<!doctype html", "<html", "<head", "<body"]
            .into_iter()
            .any(begins)
        {
            LooksLike::Html
        } else if head.starts_with(b"<") {
            LooksLike::Xml
        } else if head.is_ascii() && head.iter().all(is_text) {
            LooksLike::Text
        } else {
            LooksLike::Other
        }
    }
}

impl fmt::Display for LooksLike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LooksLike::Empty => "empty",
            LooksLike::Html => "an HTML page",
            LooksLike::Xml => "an XML document",
            LooksLike::Text => "plain text",
            LooksLike::Other => "something else",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_like_names_what_error_pages_are_made_of() {
        let cases: &[(&[u8], LooksLike)] = &[
            (b"", LooksLike::Empty),
            (b"  \n", LooksLike::Empty),
            (b"\n<!DOCTYPE html><html>", LooksLike::Html),
            (b"\xef\xbb\xbf<HTML>", LooksLike::Html),
            (
                b"<?xml version=\"1.0\"?><Error><Code>NoSuchKey",
                LooksLike::Xml,
            ),
            (b"<Error>", LooksLike::Xml),
            (b"Not Found\r\n", LooksLike::Text),
            (b"\x28\xb5\x2f\xfd", LooksLike::Other),
            (b"ab\0cd", LooksLike::Other),
        ];
        for (head, expected) in cases {
            assert_eq!(LooksLike::of(head), *expected, "{}", head.escape_ascii());
        }
    }

    #[test]
    fn a_status_is_classed_by_what_it_says_of_the_host() {
        for (status, class, retry) in [
            (404, Class::Missing, Retry::Never),
            (410, Class::Missing, Retry::Never),
            (401, Class::Refused, Retry::Never),
            (403, Class::Refused, Retry::Never),
            (400, Class::Failing, Retry::Never),
            (408, Class::Failing, Retry::Always),
            (429, Class::Failing, Retry::Always),
            (500, Class::Failing, Retry::Always),
            (501, Class::Failing, Retry::Never),
            (503, Class::Failing, Retry::Always),
        ] {
            let kind = Kind::Status(status);
            assert_eq!((kind.class(), kind.retry()), (class, retry), "{status}");
        }
    }

    #[test]
    fn an_error_reads_as_facts() {
        let error = FetchError {
            url: "https://host/a.tar.gz".into(),
            redirected_to: None,
            attempts: 4,
            kind: Kind::Truncated {
                received: 10,
                expected: Some(20),
            },
        };
        assert_eq!(
            error.to_string(),
            "https://host/a.tar.gz: body ended after 10 bytes of 20"
        );
        let kind = Kind::Timeout {
            phase: Phase::Body,
            seconds: 30.0,
        };
        assert_eq!(
            kind.to_string(),
            "timed out after 30 s while waiting for the rest of the body"
        );
    }
}
