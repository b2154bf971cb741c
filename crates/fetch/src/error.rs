use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::checksum::Algorithm;

/// A transfer that failed for good.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {kind}")]
pub struct FetchError {
    /// The requested URL, as [`redact`](crate::redact) leaves it.
    pub url: String,
    /// The URL that redirects led to, if any and if the host there answered; redacted too.
    pub redirected_to: Option<String>,
    /// How many attempts were made.
    pub attempts: u32,
    /// The error of the last attempt.
    pub kind: Kind,
}

impl FetchError {
    /// Returns who has to act.
    #[must_use]
    pub fn class(&self) -> Class {
        self.kind.class()
    }
}

/// The reason for a failed transfer.
#[derive(Debug, thiserror::Error)]
pub enum Kind {
    /// A status other than 200.
    #[error("HTTP status {0}")]
    Status(u16),
    /// The host's name could not be looked up.
    #[error("host name lookup failed: {0}")]
    Dns(String),
    /// No connection, or one that broke before a response arrived. If a proxy refused, the text has the
    /// proxy's response.
    #[error("connection failed: {0}")]
    Connect(String),
    /// The TLS handshake failed: certificate, name, protocol.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// No progress for longer than the settings allow.
    #[error("timed out after {seconds} s while {phase}")]
    Timeout { phase: Phase, seconds: f64 },
    /// The body ended early.
    #[error("response ended after {received}{} bytes", of_expected(*.expected))]
    Truncated {
        received: u64,
        /// The length that the host announced, if it did. Otherwise the archive format showed that the end
        /// is missing.
        expected: Option<u64>,
    },
    /// The response is not valid HTTP.
    #[error("invalid HTTP response: {0}")]
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
    /// The status was 200, but the first bytes are not those of the archive format.
    #[error("expected an archive, got {looks_like}")]
    NotAnArchive { looks_like: LooksLike },
    /// It starts like an archive, but is malformed.
    #[error("corrupt archive: {0}")]
    CorruptArchive(String),
    /// An entry that points outside the destination, or that no toolchain needs.
    #[error("unsafe archive entry {entry}: {why}")]
    UnsafeEntry { entry: String, why: &'static str },
    /// The checksum is not the published one. Both are in lower-case hex.
    #[error("{algorithm} is {actual}, expected {expected}")]
    ChecksumMismatch {
        expected: String,
        actual: String,
        algorithm: Algorithm,
    },
    /// An HTML page, such as that of a proxy or a login form, instead of a list.
    #[error("expected a list, got an HTML page")]
    Page,
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    NotText,
    /// Text longer than the caller allows.
    #[error("larger than {limit} bytes")]
    TooLarge { limit: u64 },
    /// An error of the file system.
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// [`Settings::cancel`](crate::Settings::cancel) was set.
    #[error("cancelled")]
    Cancelled,
}

fn of_expected(expected: Option<u64>) -> String {
    expected.map_or_else(String::new, |bytes| format!(" of {bytes}"))
}

/// Who has to act on a failure. Messages branch on this first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The host is unreachable: no name, connection, TLS or response.
    Unreachable,
    /// The host failed: 5xx and other statuses, invalid HTTP, truncated bodies, redirect loops.
    Failing,
    /// The host doesn't have it: 404, 410.
    Missing,
    /// The host denied access: 401, 403, 407.
    Refused,
    /// The content is not the expected one.
    Integrity,
    /// The address is not an http(s) URL.
    Address,
    /// The file system of this machine.
    Local,
    /// The caller cancelled it.
    Cancelled,
}

/// How often to retry after a failure.
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

/// The phase in which a transfer timed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Name lookup, TCP, proxy and TLS together.
    Connect,
    /// Waiting for the head of the response.
    Response,
    /// Waiting for more of the body.
    Body,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Connect => "connecting",
            Phase::Response => "waiting for a response",
            Phase::Body => "waiting for the rest of the response",
        })
    }
}

/// The content that the first bytes of an invalid archive suggest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LooksLike {
    Empty,
    Html,
    /// The error format of object stores.
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
            LooksLike::Empty => "an empty response",
            LooksLike::Html => "an HTML page",
            LooksLike::Xml => "an XML document",
            LooksLike::Text => "plain text",
            LooksLike::Other => "unknown data",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_like_recognizes_error_pages() {
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
    fn http_status_maps_to_class_and_retry() {
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
    fn error_message_states_facts() {
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
            "https://host/a.tar.gz: response ended after 10 of 20 bytes"
        );
        let kind = Kind::Timeout {
            phase: Phase::Body,
            seconds: 30.0,
        };
        assert_eq!(
            kind.to_string(),
            "timed out after 30 s while waiting for the rest of the response"
        );
    }
}
