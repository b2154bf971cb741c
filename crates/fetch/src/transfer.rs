//! A single request and its body, with ureq's errors in this crate's terms.

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ureq::config::{AutoHeaderValue, Config, RedirectAuthHeaders};
use ureq::http::Uri;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, BodyReader, ResponseExt as _, Timeout};

use crate::address::Address;
use crate::checksum::Checksum;
use crate::digests::Digests;
use crate::error::{Kind, LooksLike, Phase};
use crate::observer::{Observer, Progress};
use crate::settings::Settings;
use crate::url::redact;

/// Returns an agent for URLs of one scheme, for requests that [`Client`](crate::Client) doesn't support. It doesn't
/// follow redirects from https to http, and error statuses aren't errors.
#[must_use]
pub fn agent(settings: &Settings, is_https: bool) -> Agent {
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    let config = Config::builder()
        .user_agent(AutoHeaderValue::from(concat!(
            "mixpack/",
            env!("CARGO_PKG_VERSION")
        )))
        .http_status_as_error(false)
        .https_only(is_https)
        .tls_config(tls)
        .max_redirects(settings.redirects)
        .redirect_auth_headers(RedirectAuthHeaders::SameHost)
        .timeout_connect(Some(settings.connect_timeout))
        .timeout_resolve(Some(settings.connect_timeout))
        .timeout_recv_response(Some(settings.response_timeout))
        .timeout_per_read(Some(settings.idle_timeout))
        .timeout_per_write(Some(settings.idle_timeout))
        .build();
    Agent::with_parts(
        config,
        DefaultConnector::default(),
        NamingResolver::default(),
    )
}

/// The default resolver, with a distinct error for a failed lookup. ureq returns it as an I/O error, like that of a
/// connection.
#[derive(Debug, Default)]
struct NamingResolver(DefaultResolver);

impl Resolver for NamingResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        self.0
            .resolve(uri, config, timeout)
            .map_err(|error| match error {
                ureq::Error::Io(error) => {
                    ureq::Error::Other(Box::new(LookupFailed(error.to_string())))
                }
                error => error,
            })
    }
}

#[derive(Debug)]
struct LookupFailed(String);

impl fmt::Display for LookupFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LookupFailed {}

/// The reason why an attempt ended.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// The redacted URL of the response, if it isn't the requested one.
    pub(crate) redirected_to: Option<String>,
    /// The host's `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
}

impl From<Kind> for Failure {
    fn from(kind: Kind) -> Self {
        Self {
            kind,
            redirected_to: None,
            retry_after: None,
        }
    }
}

/// Sends a GET for `address`, follows redirects and returns the body of a 200.
pub(crate) fn open<'a>(
    agent: &Agent,
    address: &'a Address,
    settings: &'a Settings,
    published: Option<&Checksum>,
    observer: &'a dyn Observer,
) -> Result<Body<'a>, Failure> {
    if settings.cancel.load(Ordering::Relaxed) {
        return Err(Kind::Cancelled.into());
    }
    let mut request = agent.get(&address.target);
    if let Some(authorization) = &address.authorization {
        request = request.header("authorization", authorization);
    }
    let response = request
        .call()
        .map_err(|error| explain(error, Phase::Response, address.is_https, settings))?;
    let answered = response.get_uri().to_string();
    let redirected_to = (answered != address.target).then(|| redact(&answered));
    if response.status().as_u16() != 200 {
        let retry_after = response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let kind = Kind::Status(response.status().as_u16());
        return Err(Failure {
            kind,
            redirected_to,
            retry_after,
        });
    }
    let total = response.body().content_length();
    Ok(Body {
        reader: response.into_body().into_reader(),
        address,
        settings,
        observer,
        redirected_to,
        total,
        received: 0,
        digests: Digests::new(published),
        reported: Instant::now(),
        failure: None,
        has_ended: false,
    })
}

/// The body of a 200 as it arrives, counted, hashed and reported. Readers get errors as an [`io::Error`], which
/// decoders wrap and reword. The original error is kept for [`Body::cause_of`].
pub(crate) struct Body<'a> {
    reader: BodyReader<'static>,
    address: &'a Address,
    settings: &'a Settings,
    observer: &'a dyn Observer,
    redirected_to: Option<String>,
    total: Option<u64>,
    received: u64,
    digests: Digests,
    reported: Instant,
    failure: Option<Kind>,
    has_ended: bool,
}

impl Body<'_> {
    /// Bytes of the whole body, if the host announced them.
    pub(crate) fn total(&self) -> Option<u64> {
        self.total
    }

    /// Reads up to 512 bytes, enough to recognise the content.
    pub(crate) fn head(&mut self) -> Result<Vec<u8>, Kind> {
        let mut head = Vec::with_capacity(512);
        match self.by_ref().take(512).read_to_end(&mut head) {
            Ok(_) => Ok(head),
            Err(error) => Err(self.cause_of(&error)),
        }
    }

    /// Reads the rest: the checksum covers the whole body, but decoders stop at the end of their format.
    pub(crate) fn drain(&mut self) -> Result<(), Kind> {
        match io::copy(self, &mut io::sink()) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.cause_of(&error)),
        }
    }

    /// Returns the cause of an error while reading or decoding this body: the transfer, if it failed or ended
    /// early, or else the bytes themselves.
    pub(crate) fn cause_of(&mut self, error: &io::Error) -> Kind {
        match self.failure.take() {
            Some(kind) => kind,
            None if self.has_ended && error.kind() == ErrorKind::UnexpectedEof => Kind::Truncated {
                received: self.received,
                expected: None,
            },
            None => Kind::CorruptArchive(error.to_string()),
        }
    }

    /// Ends a failed attempt.
    pub(crate) fn fail(self, kind: Kind) -> Failure {
        Failure {
            kind,
            redirected_to: self.redirected_to,
            retry_after: None,
        }
    }

    /// Ends a complete transfer. Verifies the published checksum, and returns the size and sha256.
    pub(crate) fn finish(self, published: Option<&Checksum>) -> Result<(u64, String), Failure> {
        match self.digests.verify(published) {
            Ok(sha256) => Ok((self.received, sha256)),
            Err(kind) => Err(Failure {
                kind,
                redirected_to: self.redirected_to,
                retry_after: None,
            }),
        }
    }

    fn report(&mut self) {
        if self.reported.elapsed() >= self.settings.progress_every {
            self.reported = Instant::now();
            self.observer.progress(&Progress {
                url: &self.address.shown,
                received: self.received,
                total: self.total,
            });
        }
    }
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.settings.cancel.load(Ordering::Relaxed) {
            self.failure = Some(Kind::Cancelled);
            return Err(io::Error::other("cancelled"));
        }
        match self.reader.read(buffer) {
            Ok(count) => {
                self.has_ended |= count == 0 && !buffer.is_empty();
                self.received += count as u64;
                self.digests.update(&buffer[..count]);
                self.report();
                Ok(count)
            }
            Err(error) => {
                let kind = match ureq::Error::from(error) {
                    ureq::Error::Io(error) if is_end_of_stream(&error) => Kind::Truncated {
                        received: self.received,
                        expected: self.total,
                    },
                    error => explain(error, Phase::Body, self.address.is_https, self.settings),
                };
                let reason = kind.to_string();
                self.failure = Some(kind);
                Err(io::Error::other(reason))
            }
        }
    }
}

fn is_end_of_stream(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
    )
}

/// Rejects a body whose first bytes aren't those of its format.
pub(crate) fn expect_magic(head: &[u8], magic: &[u8]) -> Result<(), Kind> {
    if head.starts_with(magic) {
        Ok(())
    } else {
        Err(Kind::NotAnArchive {
            looks_like: LooksLike::of(head),
        })
    }
}

/// Explains an error of the [`agent`] in this crate's terms, without the URL.
#[must_use]
pub fn explain(error: ureq::Error, phase: Phase, is_https: bool, settings: &Settings) -> Kind {
    use ureq::Error;
    match error {
        Error::Timeout(timeout) => {
            let (phase, limit) = match timeout {
                Timeout::Resolve | Timeout::Connect => (Phase::Connect, settings.connect_timeout),
                Timeout::RecvResponse => (Phase::Response, settings.response_timeout),
                _ => (phase, settings.idle_timeout),
            };
            Kind::Timeout {
                phase,
                seconds: limit.as_secs_f64(),
            }
        }
        Error::HostNotFound => Kind::Dns("the name has no address".to_owned()),
        Error::Other(error) if error.is::<LookupFailed>() => Kind::Dns(error.to_string()),
        // Invalid data below HTTP can only be from a TLS handshake or record.
        Error::Io(error) if is_https && error.kind() == ErrorKind::InvalidData => {
            Kind::Tls(error.to_string())
        }
        Error::Io(error) => Kind::Connect(error.to_string()),
        Error::Rustls(error) => Kind::Tls(error.to_string()),
        Error::Tls(reason) => Kind::Tls(reason.to_owned()),
        Error::ConnectProxyFailed(reason) => Kind::Connect(reason),
        Error::InvalidProxyUrl => Kind::Connect("the proxy's URL is invalid".to_owned()),
        Error::TooManyRedirects => Kind::TooManyRedirects(settings.redirects),
        Error::RequireHttpsOnly(_) => Kind::InsecureRedirect,
        // These may quote the URL with its credentials.
        Error::BadUri(_) | Error::Http(_) => Kind::BadUrl("it is malformed".to_owned()),
        Error::Protocol(error) => Kind::Protocol(error.to_string()),
        Error::LargeResponseHeader(size, limit) => {
            Kind::Protocol(format!("{size} bytes of header are more than {limit}"))
        }
        error => Kind::Protocol(error.to_string()),
    }
}

/// Waits. Returns early if cancelled.
pub(crate) fn pause(wait: Duration, cancel: &Arc<AtomicBool>) -> Result<(), Kind> {
    const SLICE: Duration = Duration::from_millis(50);
    let until = Instant::now() + wait;
    loop {
        if cancel.load(Ordering::Relaxed) {
            return Err(Kind::Cancelled);
        }
        let remaining = until.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            return Ok(());
        }
        std::thread::sleep(remaining.min(SLICE));
    }
}
