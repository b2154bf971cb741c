//! Finds values of config vars in compiled modules, releases and assets.
//!
//! Code that reads a config var at compile time contains its value, often by mistake. Anyone with the slug then has the
//! secret, and a new value takes effect only after a new build.

use exec::log::Log;
use exec::secrets::Secret;
use flate2::read::{GzDecoder, ZlibDecoder};
use memchr::memmem::Finder;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use store::tree;
use walkdir::{DirEntry, WalkDir};

/// In bytes. Larger files are data or programs, and weren't generated from the app's code.
const LARGEST: u64 = 32 << 20;
/// The extensions of compressed files. They aren't searched, since their uncompressed versions ship too.
const COMPRESSED: [&str; 12] = [
    "gz", "br", "zst", "ez", "zip", "png", "jpg", "jpeg", "gif", "webp", "woff", "woff2",
];

/// The files that contain a secret: the path of the first, relative to the app, and their number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    first: PathBuf,
    files: usize,
}

/// Searches bytes for secrets.
pub struct Finders<'a> {
    finders: Vec<(&'a str, Finder<'a>, Finder<'static>)>,
}

impl<'a> Finders<'a> {
    #[must_use]
    pub fn of(secrets: &'a [Secret]) -> Self {
        let finders = secrets.iter().map(|secret| {
            let numbers = Finder::new(&numbers(&secret.text)).into_owned();
            (secret.name.as_str(), Finder::new(&secret.text), numbers)
        });
        Self {
            finders: finders.collect(),
        }
    }

    /// Returns the names of the secrets in a file with this content.
    fn find_names(&self, path: &Path, bytes: Vec<u8>) -> impl Iterator<Item = &'a str> {
        let texts = if self.finders.is_empty() {
            Vec::new()
        } else {
            texts(bytes)
        };
        let is_config = path
            .extension()
            .is_some_and(|extension| extension == "config");
        let finders = self.finders.iter();
        finders.filter_map(move |(name, as_text, as_numbers)| {
            let holds = |text: &Vec<u8>| {
                as_text.find(text).is_some() || is_config && as_numbers.find(text).is_some()
            };
            texts.iter().any(holds).then_some(*name)
        })
    }

    /// Returns the name of the first secret in a file with this content.
    #[must_use]
    pub fn find_first(&self, path: &Path, bytes: Vec<u8>) -> Option<&'a str> {
        self.find_names(path, bytes).next()
    }
}

/// Searches directories of the app for secrets. Calls `on_file` with the content of each file that it reads: without
/// secrets, only files for which `is_wanted` is true.
pub fn find(
    app: &Path,
    folders: &[PathBuf],
    secrets: &[Secret],
    is_wanted: impl Fn(&Path) -> bool,
    on_file: impl Fn(&Path, &[u8]) + Sync,
) -> BTreeMap<String, Leak> {
    let finders = Finders::of(secrets);
    let found = Mutex::new(BTreeMap::<String, Leak>::new());
    let mut files: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| files(&app.join(folder)))
        .collect();
    if secrets.is_empty() {
        files.retain(|path| is_wanted(path));
    }
    // An unreadable file doesn't ship either.
    let _ = tree::in_parallel(&files, |path| {
        let Ok(bytes) = fs::read(path) else {
            return Ok(());
        };
        on_file(path, &bytes);
        for name in finders.find_names(path, bytes) {
            let path = path.strip_prefix(app).unwrap_or(path);
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            let entry = found.entry(name.to_owned()).or_insert_with(|| Leak {
                first: path.to_owned(),
                files: 0,
            });
            entry.files += 1;
            if path < entry.first {
                path.clone_into(&mut entry.first);
            }
        }
        Ok(())
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the bytes of a text as they appear in a release's `sys.config`: `115,101,99`.
fn numbers(text: &str) -> String {
    let numbers: Vec<String> = text.bytes().map(|byte| byte.to_string()).collect();
    numbers.join(",")
}

/// Logs a warning for each secret, with the name of its config var.
pub fn warn(log: &Log, found: &BTreeMap<String, Leak>) {
    for (name, Leak { first, files }) in found {
        let others = match files {
            1 => String::new(),
            files => format!(" and {} more", files - 1),
        };
        log.warning(&[
            format!("The build wrote the value of {name} into {}{others}", first.display()),
            "The app's code or assets read it during the build. Anyone who can read the built app can read it,".into(),
            "and a new value takes effect only after a new build. If it is a secret, read it in".into(),
            "config/runtime.exs, when the app starts. See docs/security.md.".into(),
        ]);
    }
}

fn files(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    // A release contains a copy of the installed Erlang runtime.
    let is_runtime = |entry: &DirEntry| entry.file_name().to_string_lossy().starts_with("erts-");
    WalkDir::new(folder)
        .into_iter()
        .filter_entry(move |entry| !(entry.file_type().is_dir() && is_runtime(entry)))
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .filter(|entry| entry.metadata().is_ok_and(|found| found.len() <= LARGEST))
        .map(DirEntry::into_path)
        .filter(|path| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            extension.is_none_or(|extension| !COMPRESSED.contains(&extension))
        })
}

/// Returns the content of a file, and of the compressed chunks if it is a compiled module.
fn texts(bytes: Vec<u8>) -> Vec<Vec<u8>> {
    let whole = match bytes {
        // A module that was compiled or stripped with compression.
        bytes if bytes.starts_with(&[0x1f, 0x8b]) => {
            inflated(GzDecoder::new(bytes.as_slice()), bytes.len())
        }
        bytes => bytes,
    };
    let mut texts = chunks(&whole);
    texts.push(whole);
    texts
}

/// Decompresses chunks of a module (The BEAM Book, "BEAM file format"): literals up to OTP 27, which follow their
/// length, and compressed terms in the external format, such as debug info.
fn chunks(beam: &[u8]) -> Vec<Vec<u8>> {
    let mut texts = Vec::new();
    if !(beam.starts_with(b"FOR1") && beam.get(8..12) == Some(b"BEAM")) {
        return texts;
    }
    let mut rest = &beam[12..];
    while let Some((head, after)) = rest.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let data = after.get(..length).unwrap_or(after);
        match (&head[..4], data) {
            // Without compression the length is 0.
            (b"LitT", [a, b, c, d, literals @ ..]) if [a, b, c, d] != [&0; 4] => {
                texts.push(inflated(ZlibDecoder::new(literals), literals.len()));
            }
            (_, [131, 80, _, _, _, _, term @ ..]) => {
                texts.push(inflated(ZlibDecoder::new(term), term.len()));
            }
            _ => {}
        }
        rest = after.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    texts
}

/// Decompresses text. `length` is its compressed length in bytes.
fn inflated(reader: impl Read, length: usize) -> Vec<u8> {
    // Few texts are longer.
    let mut text = Vec::with_capacity(4 * length);
    // Text before an error counts too.
    let _ = reader.take(LARGEST).read_to_end(&mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use std::io::Write;

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn beam(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
        let mut body = b"BEAM".to_vec();
        for (id, data) in chunks {
            body.extend(*id);
            body.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
            body.extend(data);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [b"FOR1".as_slice(), &length, &body].concat()
    }

    #[test]
    fn finds_secret_in_every_shipped_file_type() {
        const TEXT: &str = "a-t3xt-that-is-secret";
        let long = format!("{TEXT} {}", "x".repeat(1000)).into_bytes();
        let literals = [&1021_u32.to_be_bytes(), zlib(&long).as_slice()].concat();
        let of_otp_28 = [&[0; 4], long.as_slice()].concat();
        let term = [&[131, 80, 0, 0, 3, 0xfd], zlib(&long).as_slice()].concat();
        let code = (b"Code", vec![1, 2, 3]);
        let compressed = beam(&[code.clone(), (b"LitT", literals)]);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&compressed).unwrap();
        let cut = compressed[..compressed.len() - 9].to_vec();
        let dir = tempfile::tempdir().unwrap();
        let app = dir.path();
        for (path, bytes, expected) in [
            ("b/plain.js", long.clone(), true),
            ("b/literals.beam", compressed, true),
            (
                "b/otp28.beam",
                beam(&[code.clone(), (b"LitT", of_otp_28)]),
                true,
            ),
            ("b/debug.beam", beam(&[code, (b"Dbgi", term)]), true),
            ("b/gzip.beam", gzip.finish().unwrap(), true),
            ("b/cut.beam", cut, true),
            ("b/rel/x/releases/0.1.0/sys.config", long.clone(), true),
            (
                "b/rel/x/releases/0.2.0/sys.config",
                format!("<<{}>>", numbers(TEXT)).into(),
                true,
            ),
            ("b/not.beam", beam(&[(b"LitT", vec![0, 0, 0, 9, 1])]), false),
            ("b/x.js.gz", long.clone(), false),
            ("b/rel/x/erts-15/bin/beam.smp", long.clone(), false),
            ("lib/source.ex", long, false),
        ] {
            let file = app.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, bytes).unwrap();
            let secret = Secret {
                name: "NAME".to_owned(),
                text: TEXT.to_owned(),
            };
            let found = find(
                app,
                &["b".into(), "no-such".into()],
                &[secret],
                |_| false,
                |_, _| {},
            );
            let one = Leak {
                first: path.into(),
                files: 1,
            };
            assert_eq!(found.get("NAME"), expected.then_some(&one), "{path}");
            fs::remove_file(file).unwrap();
        }
    }
}
