use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use ureq::Agent;

use crate::address::Address;
use crate::checksum::Checksum;
use crate::error::{FetchError, Kind, LooksLike, Retry};
use crate::observer::{Observer, Retrying};
use crate::settings::Settings;
use crate::transfer::{self, Body, Failure, expect_magic};
use crate::tree::{Limits, Refusal, Tree, finish_file};
use crate::url::redact;
use crate::{untar, unzip};

/// The prefix of the names of temporary files and directories. They are created next to the destination and removed
/// before a call returns. Leftovers are from killed processes.
const STAGING_PREFIX: &str = ".fetch-";

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
/// The start of a zip: an entry or, if it is empty, the end of its directory.
const ZIP_MAGIC: &[u8] = b"PK";

/// The archive formats of toolchains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    TarGz,
    Zip,
}

/// An archive to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// The URL. It may contain `user:password@`, which is sent as Basic authorization and never shown.
    pub url: String,
    pub format: Format,
    /// The number of leading components to strip from each entry's path, as in `tar --strip-components`. Entries
    /// without remaining components are skipped.
    pub strip_components: usize,
    /// The checksum that upstream publishes. Without one, the content isn't verified.
    pub checksum: Option<Checksum>,
}

/// The result of [`Client::archive`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// The size of the downloaded archive.
    pub bytes: u64,
    /// The checksum of the downloaded archive, in lower-case hex.
    pub sha256: String,
    /// The number of created files, directories and links, without directories that the archive doesn't list.
    pub entries: u64,
    /// The duration, with all attempts and the waits between them.
    pub took: Duration,
}

/// The result of [`Client::file`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub bytes: u64,
    /// In lower-case hex.
    pub sha256: String,
    /// The duration, with all attempts and the waits between them.
    pub took: Duration,
}

/// Fetches over HTTP/1.1 and TLS. Connections are reused, and calls may run in parallel.
///
/// Certificates are checked against the system's roots, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
/// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` are read when the client is created. Redirects are
/// followed, but never from https to http; user info is only sent to the original host.
#[derive(Debug, Clone)]
pub struct Client {
    settings: Settings,
    https: Agent,
    http: Agent,
}

impl Client {
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let https = transfer::agent(&settings, true);
        let http = transfer::agent(&settings, false);
        Self {
            settings,
            https,
            http,
        }
    }

    /// Fetches a text, such as a list of versions. An empty text is not an error.
    ///
    /// A text has no checksum. If it is sent without a length, truncation can't be detected.
    ///
    /// # Errors
    ///
    /// Besides the errors of any transfer: [`Kind::TooLarge`] above `max_bytes`, [`Kind::Page`], [`Kind::NotText`].
    pub fn text(
        &self,
        url: &str,
        max_bytes: u64,
        observer: &dyn Observer,
    ) -> Result<String, FetchError> {
        self.attempts(url, None, observer, |body| {
            let (bytes, body) = receive(body, max_bytes)?;
            if LooksLike::of(&bytes) == LooksLike::Html {
                return Err(body.fail(Kind::Page));
            }
            String::from_utf8(bytes).map_err(|_| body.fail(Kind::NotText))
        })
    }

    /// Fetches a small file into memory, for a caller that verifies it.
    ///
    /// # Errors
    ///
    /// Besides the errors of any transfer: [`Kind::TooLarge`] above `max_bytes`.
    pub fn bytes(
        &self,
        url: &str,
        max_bytes: u64,
        observer: &dyn Observer,
    ) -> Result<Vec<u8>, FetchError> {
        self.attempts(url, None, observer, |body| {
            receive(body, max_bytes).map(|(bytes, _)| bytes)
        })
    }

    /// Fetches an archive and unpacks it as the new directory `dest`, whose parent exists.
    ///
    /// A tar archive is unpacked while it arrives, and never saved to disk. A zip archive has its directory at the
    /// end, so it is saved to a temporary file and verified before it is opened. Until the checksum has been
    /// verified, everything is in a directory next to `dest` that only this user can enter.
    ///
    /// Entries keep their permission bits, but not their owners. Set-user-id, set-group-id and sticky bits are
    /// dropped; the owner can always read and write, others can never write. Rejected entries, each with its name in
    /// the error: absolute paths and paths with `..`, paths through a link, links that could lead outside, devices
    /// and pipes, names that no file system accepts, and the entry that exceeds the size limits of an archive.
    ///
    /// # Errors
    ///
    /// `dest` is then untouched: absent, or what it was before ([`Kind::Io`] if it exists).
    pub fn archive(
        &self,
        archive: &Archive,
        dest: &Path,
        observer: &dyn Observer,
    ) -> Result<Unpacked, FetchError> {
        let started = Instant::now();
        let published = archive.checksum.as_ref();
        let without_request = |kind| FetchError::without_request(&archive.url, kind);
        let parent = parent_of(dest);
        ensure_absent(dest).map_err(without_request)?;
        let (bytes, sha256, entries) =
            self.attempts(&archive.url, published, observer, |body| {
                let staging = tempfile::Builder::new()
                    .prefix(STAGING_PREFIX)
                    .tempdir_in(parent)
                    .map_err(|source| Kind::Io {
                        path: parent.to_owned(),
                        source,
                    })?;
                // One level down, since only this user can enter the staging directory.
                let root = staging.path().join("tree");
                let mut tree = Tree::create(root, archive.strip_components, Limits::default())?;
                let (bytes, sha256) = match archive.format {
                    Format::TarGz => receive_tar_gz(body, published, &mut tree)?,
                    Format::Zip => receive_zip(body, published, &mut tree, staging.path())?,
                };
                if tree.entries() == 0 {
                    return Err(Kind::CorruptArchive("it contains no entries".to_owned()).into());
                }
                // A rename would silently replace an empty directory.
                ensure_absent(dest)?;
                fs::rename(tree.root(), dest).map_err(|source| Kind::Io {
                    path: dest.to_owned(),
                    source,
                })?;
                Ok((bytes, sha256, tree.entries()))
            })?;
        Ok(Unpacked {
            bytes,
            sha256,
            entries,
            took: started.elapsed(),
        })
    }

    /// Fetches a single file as `dest`, whose parent exists, with the permission bits `mode`. It is written next to
    /// `dest` and renamed after verification, replacing an existing file.
    ///
    /// # Errors
    ///
    /// `dest` is then as it was.
    pub fn file(
        &self,
        url: &str,
        checksum: Option<&Checksum>,
        dest: &Path,
        mode: u32,
        observer: &dyn Observer,
    ) -> Result<Fetched, FetchError> {
        let started = Instant::now();
        let parent = parent_of(dest);
        let (bytes, sha256) = self.attempts(url, checksum, observer, |mut body| {
            let mut temporary = tempfile::Builder::new()
                .prefix(STAGING_PREFIX)
                .tempfile_in(parent)
                .map_err(|source| Kind::Io {
                    path: parent.to_owned(),
                    source,
                })?;
            if let Err(kind) = spool(&[], &mut body, temporary.as_file_mut(), dest) {
                return Err(body.fail(kind));
            }
            let (bytes, sha256) = body.finish(checksum)?;
            let local = |source| Kind::Io {
                path: dest.to_owned(),
                source,
            };
            finish_file(temporary.as_file(), mode, None).map_err(local)?;
            temporary
                .persist(dest)
                .map_err(|error| local(error.error))?;
            Ok((bytes, sha256))
        })?;
        Ok(Fetched {
            bytes,
            sha256,
            took: started.elapsed(),
        })
    }

    /// Sends the request and passes the body to `receive`. Retries after temporary errors.
    fn attempts<T>(
        &self,
        url: &str,
        published: Option<&Checksum>,
        observer: &dyn Observer,
        mut receive: impl FnMut(Body<'_>) -> Result<T, Failure>,
    ) -> Result<T, FetchError> {
        let address = Address::parse(url).map_err(|kind| FetchError::without_request(url, kind))?;
        let agent = if address.is_https {
            &self.https
        } else {
            &self.http
        };
        let settings = &self.settings;
        let mut attempt = 1;
        // After corrupt content, retry once, since another node may respond.
        let mut was_corrupt = false;
        loop {
            let failure = match transfer::open(agent, &address, settings, published, observer)
                .and_then(&mut receive)
            {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            let last = match failure.kind.retry() {
                Retry::Always => settings.attempts,
                Retry::Once if !was_corrupt => settings.attempts.min(attempt + 1),
                Retry::Once | Retry::Never => attempt,
            };
            was_corrupt |= failure.kind.retry() == Retry::Once;
            let error = |kind| FetchError {
                url: address.shown.clone(),
                redirected_to: failure.redirected_to.clone(),
                attempts: attempt,
                kind,
            };
            if attempt >= last {
                return Err(error(failure.kind));
            }
            let wait = failure
                .retry_after
                .unwrap_or_else(|| settings.back_off(attempt));
            let wait = wait.min(settings.longest_wait);
            observer.retrying(&Retrying {
                url: &address.shown,
                attempt: attempt + 1,
                of: last,
                reason: failure.kind.to_string(),
                wait,
            });
            transfer::pause(wait, &settings.cancel).map_err(error)?;
            attempt += 1;
        }
    }
}

impl FetchError {
    /// A failure before the first request.
    fn without_request(url: &str, kind: Kind) -> Self {
        Self {
            url: redact(url),
            redirected_to: None,
            attempts: 0,
            kind,
        }
    }
}

/// Unpacks a `tar.gz` in memory as the new directory `dest`, whose parent exists, with the rules and limits of
/// [`Client::archive`]. An archive without entries creates an empty directory.
///
/// # Errors
///
/// `dest` is then untouched: absent, or what it was before ([`Kind::Io`] if it exists).
pub fn unpack_tar_gz(archive: &[u8], dest: &Path) -> Result<(), Kind> {
    ensure_absent(dest)?;
    expect_magic(archive, GZIP_MAGIC)?;
    let parent = parent_of(dest);
    let local = |path: &Path, source| Kind::Io {
        path: path.to_owned(),
        source,
    };
    let staging = tempfile::Builder::new()
        .prefix(STAGING_PREFIX)
        .tempdir_in(parent)
        .map_err(|source| local(parent, source))?;
    let mut tree = Tree::create(staging.path().join("tree"), 0, Limits::default())?;
    untar::unpack(MultiGzDecoder::new(archive), &mut tree).map_err(|refusal| match refusal {
        Refusal::Final(kind) => kind,
        Refusal::Unreadable(error) => Kind::CorruptArchive(error.to_string()),
    })?;
    ensure_absent(dest)?;
    fs::rename(tree.root(), dest).map_err(|source| local(dest, source))
}

/// Reads the whole body.
fn receive(mut body: Body<'_>, max_bytes: u64) -> Result<(Vec<u8>, Body<'_>), Failure> {
    if body.total().is_some_and(|total| total > max_bytes) {
        return Err(body.fail(Kind::TooLarge { limit: max_bytes }));
    }
    let mut bytes = Vec::new();
    if let Err(error) = (&mut body)
        .take(max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
    {
        let kind = body.cause_of(&error);
        return Err(body.fail(kind));
    }
    if bytes.len() as u64 > max_bytes {
        return Err(body.fail(Kind::TooLarge { limit: max_bytes }));
    }
    Ok((bytes, body))
}

/// HTTP -> hash -> gunzip -> untar in one pass.
fn receive_tar_gz(
    mut body: Body<'_>,
    published: Option<&Checksum>,
    tree: &mut Tree,
) -> Result<(u64, String), Failure> {
    let unpacked = body.head().and_then(|head| {
        expect_magic(&head, GZIP_MAGIC)?;
        let stream = MultiGzDecoder::new(head.as_slice().chain(&mut body));
        untar::unpack(stream, tree).map_err(|refusal| cause_of(refusal, &mut body))?;
        body.drain()
    });
    match unpacked {
        Ok(()) => body.finish(published),
        Err(kind) => Err(body.fail(kind)),
    }
}

fn receive_zip(
    mut body: Body<'_>,
    published: Option<&Checksum>,
    tree: &mut Tree,
    staging: &Path,
) -> Result<(u64, String), Failure> {
    let mut file = tempfile::tempfile_in(staging).map_err(|source| Kind::Io {
        path: staging.to_owned(),
        source,
    })?;
    let spooled = body.head().and_then(|head| {
        expect_magic(&head, ZIP_MAGIC)?;
        spool(&head, &mut body, &mut file, staging)
    });
    if let Err(kind) = spooled {
        return Err(body.fail(kind));
    }
    let verified = body.finish(published)?;
    unzip::unpack(file, tree).map_err(|refusal| match refusal {
        Refusal::Final(kind) => kind,
        Refusal::Unreadable(error) => Kind::CorruptArchive(error.to_string()),
    })?;
    Ok(verified)
}

fn cause_of(refusal: Refusal, body: &mut Body<'_>) -> Kind {
    match refusal {
        Refusal::Final(kind) => kind,
        Refusal::Unreadable(error) => body.cause_of(&error),
    }
}

/// Writes the body to a file, after the part that was already read.
fn spool(head: &[u8], body: &mut Body<'_>, file: &mut File, path: &Path) -> Result<(), Kind> {
    let local = |source| Kind::Io {
        path: path.to_owned(),
        source,
    };
    file.write_all(head).map_err(local)?;
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match body.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => file.write_all(&buffer[..count]).map_err(local)?,
            Err(error) => return Err(body.cause_of(&error)),
        }
    }
}

/// Returns the directory of a path, or the current one for a bare name.
fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn ensure_absent(dest: &Path) -> Result<(), Kind> {
    let source = match dest.symlink_metadata() {
        Ok(_) => io::Error::from(ErrorKind::AlreadyExists),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => error,
    };
    Err(Kind::Io {
        path: dest.to_owned(),
        source,
    })
}
