//! A store on an HTTP server that answers GET and PUT, or in an S3 bucket.

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fetch::Phase;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body, SendBody};

use crate::address::{Access, Address};
use crate::budget::{Effect, Fault, Moved};
use crate::directory::read;
use crate::object::MAX_SIZE;
use crate::settings::{READ, WRITE};

/// The maximum number of characters of a reason.
const MAX_REASON: usize = 160;
/// The maximum number of bytes to read from the body of an error.
const ERROR_BODY: u64 = 16 * 1024;

pub(crate) struct Http {
    agent: Agent,
    timeouts: fetch::Settings,
    address: Address,
    /// Whether a response has arrived. If so, a connection may be reused that the server has closed meanwhile.
    has_answered: AtomicBool,
    /// Whether the server ignores `If-None-Match`.
    overwrites: AtomicBool,
}

impl Http {
    pub(crate) fn new(address: Address) -> Self {
        // The budget limits how long a build waits. These timeouts end abandoned requests.
        let timeouts = fetch::Settings {
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_secs(4),
            idle_timeout: Duration::from_secs(4),
            redirects: if address.is_s3() { 0 } else { 3 },
            ..fetch::Settings::default()
        };
        Self {
            agent: fetch::agent(&timeouts, address.is_https()),
            timeouts,
            address,
            has_answered: AtomicBool::default(),
            overwrites: AtomicBool::default(),
        }
    }

    pub(crate) fn get(&self, path: &str, moved: &Moved) -> Result<Option<Vec<u8>>, Fault> {
        let response = self.get_as(Access::Read, path)?;
        if response.status() == StatusCode::OK {
            return self.body(response, moved);
        }
        let error = ErrorResponse::of(response);
        if error.is_missing() {
            Ok(None)
        } else {
            Err(error.of_get())
        }
    }

    fn body(&self, response: Response<Body>, moved: &Moved) -> Result<Option<Vec<u8>>, Fault> {
        let body = response.into_body();
        if body
            .content_length()
            .is_some_and(|length| length > MAX_SIZE)
        {
            return Err(Fault::new(
                Effect::Alone,
                format!("returned an object larger than {MAX_SIZE} bytes"),
            ));
        }
        read(body.into_reader(), moved).map_err(|error| {
            let kind = self.explain(ureq::Error::from(error), Phase::Body);
            Fault::new(Effect::Counts, format!("failed: {}", shortened(&kind)))
        })
    }

    pub(crate) fn put(&self, path: &str, bytes: &[u8], moved: &Moved) -> Result<(), Fault> {
        let mut response = self.put_unless_there(path, bytes, moved)?;
        if response.status() == StatusCode::NOT_IMPLEMENTED
            && !self.overwrites.swap(true, Ordering::Relaxed)
        {
            response = self.put_unless_there(path, bytes, moved)?;
        }
        if response.status().is_success() {
            return Ok(());
        }
        let error = ErrorResponse::of(response);
        if error.is_conflict() {
            return Ok(());
        }
        Err(error.of_put(bytes.len()))
    }

    /// Sends a PUT.
    ///
    /// A server may refuse a large body and close the connection before all of it is sent, so that its response is
    /// lost. A GET then shows whether the object exists already, or why it was refused.
    fn put_unless_there(
        &self,
        path: &str,
        bytes: &[u8],
        moved: &Moved,
    ) -> Result<Response<Body>, Fault> {
        let target = self.address.target("PUT", path, Access::Write);
        let put = || {
            let mut request = self.agent.put(&target.url);
            if let Some(authorization) = &target.authorization {
                request = request.header("authorization", authorization);
            }
            if !self.overwrites.load(Ordering::Relaxed) {
                request = request.header("if-none-match", "*");
            }
            let mut body = Counted { bytes, moved };
            request
                .header("content-type", "application/octet-stream")
                .header("content-length", bytes.len())
                .config()
                .max_redirects(0)
                .build()
                .send(SendBody::from_reader(&mut body))
        };
        let mut sent = put();
        if sent.as_ref().is_err_and(is_closed) {
            let response = self.get_as(Access::Write, path)?;
            if response.status() == StatusCode::OK {
                return Ok(response);
            }
            let error = ErrorResponse::of(response);
            if !error.is_missing() {
                return Err(error.of_put(bytes.len()));
            }
            sent = put();
        }
        self.answered(sent)
    }

    /// Sends a GET, twice if a kept connection turns out to be closed.
    fn get_as(&self, access: Access, path: &str) -> Result<Response<Body>, Fault> {
        let target = self.address.target("GET", path, access);
        let get = || {
            let mut request = self.agent.get(&target.url);
            if let Some(authorization) = &target.authorization {
                request = request.header("authorization", authorization);
            }
            request.call()
        };
        let mut sent = get();
        if self.is_worth_another(&sent) {
            sent = get();
        }
        self.answered(sent)
    }

    /// Returns whether a request may have failed only because the server has closed a kept connection.
    fn is_worth_another(&self, sent: &Result<Response<Body>, ureq::Error>) -> bool {
        sent.as_ref().is_err_and(is_closed) && self.has_answered.load(Ordering::Relaxed)
    }

    fn answered(&self, sent: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>, Fault> {
        let error = match sent {
            Ok(response) => {
                self.has_answered.store(true, Ordering::Relaxed);
                return Ok(response);
            }
            Err(error) => error,
        };
        let kind = self.explain(error, Phase::Response);
        let is_unreachable = matches!(
            kind,
            fetch::Kind::Connect(_)
                | fetch::Kind::Dns(_)
                | fetch::Kind::Tls(_)
                | fetch::Kind::Timeout {
                    phase: Phase::Connect,
                    ..
                }
        );
        let effect = if is_unreachable && !self.has_answered.load(Ordering::Relaxed) {
            Effect::Off
        } else {
            Effect::Counts
        };
        let text = format!("can't be reached: {}", shortened(&kind));
        Err(Fault::new(effect, text))
    }

    fn explain(&self, error: ureq::Error, phase: Phase) -> fetch::Kind {
        fetch::explain(error, phase, self.address.is_https(), &self.timeouts)
    }
}

/// A certificate for another host lists all its names in the error.
fn shortened(kind: &fetch::Kind) -> String {
    let text = kind.to_string();
    match text.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn is_closed(error: &ureq::Error) -> bool {
    let ureq::Error::Io(error) = error else {
        return false;
    };
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
    )
}

/// The body of a PUT, which counts the bytes read from it.
struct Counted<'a> {
    bytes: &'a [u8],
    moved: &'a Moved,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        self.moved.add(count);
        Ok(count)
    }
}

/// An error response.
struct ErrorResponse {
    status: u16,
    /// The `Code` in the XML of an error of S3.
    code: Option<String>,
}

impl ErrorResponse {
    fn of(response: Response<Body>) -> Self {
        let status = response.status().as_u16();
        let mut body = Vec::new();
        // Reading it all leaves the connection usable.
        let read = response
            .into_body()
            .into_reader()
            .take(ERROR_BODY)
            .read_to_end(&mut body);
        let text = String::from_utf8_lossy(&body);
        let code = read.is_ok().then(|| code_in(&text)).flatten();
        Self { status, code }
    }

    fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }

    /// S3 denies access to a missing key if the credentials don't include `s3:ListBucket`.
    fn is_missing(&self) -> bool {
        match self.status {
            // Other codes are `NoSuchBucket`, and those of some servers for an unknown access key.
            404 | 410 => matches!(self.code(), "" | "NoSuchKey"),
            403 => self.code() == "AccessDenied",
            _ => false,
        }
    }

    /// Whether the object exists already, or is being written.
    fn is_conflict(&self) -> bool {
        self.status == 412 || (self.status == 409 && self.code() == "ConditionalRequestConflict")
    }

    fn of_get(&self) -> Fault {
        match self.status {
            401 | 403 | 407 => Fault::new(
                Effect::Off,
                format!("denies access with {self}: check {READ}"),
            ),
            300..=399 => Fault::new(Effect::Off, self.moved()),
            400 | 404 | 410 => Fault::new(Effect::Off, format!("refuses requests with {self}")),
            _ => Fault::new(Effect::Counts, format!("failed with {self}")),
        }
    }

    fn of_put(&self, length: usize) -> Fault {
        match self.status {
            401 | 403 | 407 => Fault::new(
                Effect::NoWrites,
                format!("denies writing with {self}: check {WRITE}"),
            ),
            409 => Fault::new(
                Effect::NoWrites,
                format!(
                    "can't create the directory of an object ({self}): let it create directories \
                     (nginx: create_full_put_path)"
                ),
            ),
            413 => Fault::new(
                Effect::Alone,
                format!(
                    "refuses an object of {length} bytes with {self}: raise its limit (nginx: \
                     client_max_body_size)"
                ),
            ),
            405 | 501 => Fault::new(
                Effect::NoWrites,
                format!("doesn't accept PUT requests ({self})"),
            ),
            // nginx also returns this if it isn't allowed to create a directory.
            500 => Fault::new(
                Effect::Counts,
                format!("failed to write with {self}: check its log (nginx: create_full_put_path)"),
            ),
            507 => Fault::new(Effect::NoWrites, format!("is full ({self})")),
            300..=399 => Fault::new(Effect::NoWrites, self.moved()),
            400 | 404 | 410 => {
                Fault::new(Effect::NoWrites, format!("refuses to write with {self}"))
            }
            _ => Fault::new(Effect::Counts, format!("failed to write with {self}")),
        }
    }

    fn moved(&self) -> String {
        if self.code.is_some() {
            format!("is in another region or at another endpoint ({self})")
        } else {
            format!("is at another address ({self})")
        }
    }
}

impl fmt::Display for ErrorResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP status {}", self.status)?;
        self.code
            .as_ref()
            .map_or(Ok(()), |code| write!(f, " {code}"))
    }
}

/// Finds the code in an error of S3, such as `<Error><Code>AccessDenied</Code>…`.
fn code_in(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let is_code =
        (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_code.then(|| code.to_owned())
}
