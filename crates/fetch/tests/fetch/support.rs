use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use fetch::{
    Archive, Checksum, Client, FetchError, Format, Observer, Progress, Retrying, Settings, Unpacked,
};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A test's transfer and its destination.
pub(crate) struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("inner")).unwrap();
        Self { directory }
    }

    pub(crate) fn dest(&self) -> PathBuf {
        self.directory.path().join("inner/dest")
    }

    /// The permissions of what is at a path in the destination; a link's own.
    pub(crate) fn mode(&self, path: &str) -> u32 {
        let found = fs::symlink_metadata(self.dest().join(path)).unwrap();
        found.permissions().mode() & 0o7777
    }

    /// Everything in and beside the destination, links not followed, sorted.
    pub(crate) fn listing(&self) -> Vec<String> {
        let mut found = Vec::new();
        list(self.directory.path(), self.directory.path(), &mut found);
        found.sort();
        found
    }

    pub(crate) fn assert_untouched(&self, context: &str) {
        assert_eq!(self.listing(), ["inner"], "{context}");
    }
}

fn list(root: &Path, directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        found.push(
            entry
                .path()
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned(),
        );
        if entry.file_type().unwrap().is_dir() {
            list(root, &entry.path(), found);
        }
    }
}

/// Production settings with shorter waits.
pub(crate) fn settings() -> Settings {
    Settings {
        connect_timeout: Duration::from_secs(2),
        response_timeout: Duration::from_millis(400),
        idle_timeout: Duration::from_millis(400),
        attempts: 3,
        first_wait: Duration::from_millis(4),
        longest_wait: Duration::from_millis(40),
        redirects: 4,
        progress_every: Duration::ZERO,
        ..Settings::default()
    }
}

pub(crate) fn client() -> Client {
    Client::new(settings())
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Retry {
    pub(crate) url: String,
    pub(crate) attempt: u32,
    pub(crate) of: u32,
    pub(crate) reason: String,
    pub(crate) wait: Duration,
}

/// Records the messages.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    retries: Mutex<Vec<Retry>>,
    progress: Mutex<Vec<(String, u64, Option<u64>)>>,
}

impl Recorder {
    pub(crate) fn retries(&self) -> Vec<Retry> {
        self.retries.lock().unwrap().clone()
    }

    pub(crate) fn progress(&self) -> Vec<(String, u64, Option<u64>)> {
        self.progress.lock().unwrap().clone()
    }
}

impl Observer for Recorder {
    fn progress(&self, progress: &Progress<'_>) {
        let Progress {
            url,
            received,
            total,
        } = *progress;
        self.progress
            .lock()
            .unwrap()
            .push((url.to_owned(), received, total));
    }

    fn retrying(&self, retrying: &Retrying<'_>) {
        let Retrying {
            url,
            attempt,
            of,
            reason,
            wait,
        } = retrying.clone();
        let url = url.to_owned();
        self.retries.lock().unwrap().push(Retry {
            url,
            attempt,
            of,
            reason,
            wait,
        });
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

pub(crate) fn published(bytes: &[u8]) -> Checksum {
    Checksum::Sha256(sha256(bytes))
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A tar entry with the given fields, which may be invalid.
pub(crate) struct Entry<'a> {
    pub(crate) kind: EntryType,
    pub(crate) name: &'a str,
    pub(crate) link: &'a str,
    pub(crate) mode: u32,
    pub(crate) content: &'a [u8],
}

pub(crate) fn file<'a>(name: &'a str, content: &'a [u8]) -> Entry<'a> {
    Entry {
        kind: EntryType::Regular,
        name,
        link: "",
        mode: 0o644,
        content,
    }
}

pub(crate) fn special<'a>(kind: EntryType, name: &'a str, link: &'a str) -> Entry<'a> {
    Entry {
        kind,
        name,
        link,
        mode: 0o755,
        content: b"",
    }
}

/// One without content.
pub(crate) fn empty(kind: EntryType, name: &str, mode: u32) -> Entry<'_> {
    Entry {
        kind,
        name,
        link: "",
        mode,
        content: b"",
    }
}

pub(crate) fn tar(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..entry.name.len()].copy_from_slice(entry.name.as_bytes());
        header.as_old_mut().linkname[..entry.link.len()].copy_from_slice(entry.link.as_bytes());
        header.set_entry_type(entry.kind);
        header.set_mode(entry.mode);
        header.set_mtime(1_700_000_000);
        header.set_size(entry.content.len() as u64);
        header.set_cksum();
        builder.append(&header, entry.content).unwrap();
    }
    builder.into_inner().unwrap()
}

pub(crate) enum ZipEntry<'a> {
    File(&'a str, u32, &'a [u8]),
    Link(&'a str, &'a str),
}

pub(crate) fn zip(entries: &[ZipEntry<'_>]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for entry in entries {
        match entry {
            ZipEntry::File(name, mode, content) => {
                let options = SimpleFileOptions::default().unix_permissions(*mode);
                writer.start_file(*name, options).unwrap();
                writer.write_all(content).unwrap();
            }
            ZipEntry::Link(name, target) => {
                writer
                    .add_symlink(*name, *target, SimpleFileOptions::default())
                    .unwrap();
            }
        }
    }
    writer.finish().unwrap().into_inner()
}

/// Serves `bytes` once and unpacks them.
pub(crate) fn unpack(
    bytes: &[u8],
    format: Format,
    strip_components: usize,
    place: &Place,
) -> Result<Unpacked, FetchError> {
    use mirror::faults::{Behaviour, FaultServer};
    let server = FaultServer::start([("/archive", Behaviour::Ok(bytes.to_vec()))]).unwrap();
    let archive = Archive {
        url: server.url("/archive"),
        format,
        strip_components,
        checksum: Some(published(bytes)),
    };
    client().archive(&archive, &place.dest(), &())
}
