//! Checks the lists of a mirror: each listed file exists, and has the listed checksum. Formats: contracts 6.1 (OTP),
//! 6.2 (Elixir), 6.3 (Hex and rebar3), 6.5 (Node).

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256, Sha512};
use walkdir::WalkDir;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}:{line}: not a line of such a list", list.display())]
    Malformed { list: PathBuf, line: usize },
    #[error("{}:{line}: {} has digest {actual}", list.display(), file.display())]
    Digest {
        list: PathBuf,
        line: usize,
        file: PathBuf,
        actual: String,
    },
}

/// Checks all lists below `root`. Returns the number of valid entries.
pub fn check(root: &Path) -> Result<usize, Error> {
    let mut entries = 0;
    for entry in WalkDir::new(root).sort_by_file_name() {
        let entry = entry.map_err(|error| Error::Io {
            path: error.path().unwrap_or(root).to_owned(),
            source: error.into(),
        })?;
        if let Some(kind) = Kind::of(entry.path()) {
            entries += check_list(entry.path(), &kind)?;
        }
    }
    Ok(entries)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind<'list> {
    /// `builds.txt` of OTP archives, next to them.
    Otp,
    /// `builds.txt` of Elixir zips, next to them.
    Elixir,
    /// `installs/hex*.csv` and `installs/rebar*.csv`; the prefix of the files' names.
    Installer(&'static str, &'static str),
    /// `SHASUMS256.txt` of one Node version.
    Node,
    /// `raw/main/builds/TARGET.csv` or `.txt` of `erlef/otp_builds`, beside `releases`.
    Erlef { target: &'list str, is_csv: bool },
}

impl<'list> Kind<'list> {
    fn of(path: &'list Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let parent = path.parent()?;
        match name {
            "builds.txt" if parent.ends_with("builds/elixir") => Some(Self::Elixir),
            "builds.txt" => Some(Self::Otp),
            "hex-1.x.csv" | "hex.csv" => Some(Self::Installer("hex-", ".ez")),
            "rebar3-1.x.csv" | "rebar.csv" => Some(Self::Installer("rebar3-", "")),
            "SHASUMS256.txt" => Some(Self::Node),
            _ if parent.ends_with("otp_builds/raw/main/builds") => {
                name.rsplit_once('.')
                    .map(|(target, extension)| Self::Erlef {
                        target,
                        is_csv: extension == "csv",
                    })
            }
            _ => None,
        }
    }

    /// Returns the file in a line, relative to the list's directory, and its checksum in hex, if the line has one.
    fn entry<'line>(&self, line: &'line str) -> Option<(String, Option<&'line str>)> {
        match *self {
            Self::Otp | Self::Elixir => {
                let mut fields = line.split_whitespace();
                let name = fields.next()?;
                let digest = fields.nth(2);
                let suffix = if *self == Self::Otp { "tar.gz" } else { "zip" };
                Some((format!("{name}.{suffix}"), digest))
            }
            Self::Installer(prefix, suffix) => {
                let fields: Vec<&str> = line.split(',').collect();
                match fields[..] {
                    [version, digest, elixir] => {
                        Some((format!("{elixir}/{prefix}{version}{suffix}"), Some(digest)))
                    }
                    [version, digest, elixir, otp] => Some((
                        format!("{elixir}/{prefix}{version}-otp-{otp}{suffix}"),
                        Some(digest),
                    )),
                    _ => None,
                }
            }
            Self::Node => {
                let (digest, name) = line.split_once("  ")?;
                Some((name.to_owned(), Some(digest)))
            }
            Self::Erlef { target, is_csv } => {
                let separator = if is_csv { ',' } else { ' ' };
                let mut fields = line.split(separator);
                let reference = fields.next()?;
                let digest = fields.nth(2)?;
                let tag = erlef_tag(reference);
                let file = format!("../../../releases/download/{tag}/otp-{target}.tar.gz");
                Some((file, Some(digest)))
            }
        }
    }

    /// Whether the first line names the columns.
    fn has_header(&self) -> bool {
        matches!(self, Self::Erlef { is_csv: true, .. })
    }
}

/// Returns the release of `erlef/otp_builds` with the build `reference`: one with the same name for a git tag, and a
/// release that is updated for a branch.
#[must_use]
pub fn erlef_tag(reference: &str) -> String {
    if reference.starts_with("OTP-") {
        reference.to_owned()
    } else {
        format!("{reference}-latest")
    }
}

fn check_list(list: &Path, kind: &Kind<'_>) -> Result<usize, Error> {
    let text = fs::read_to_string(list).map_err(|source| Error::Io {
        path: list.to_owned(),
        source,
    })?;
    let dir = list.parent().unwrap_or(Path::new(""));
    let mut entries = 0;
    for (number, line) in text
        .lines()
        .enumerate()
        .skip(usize::from(kind.has_header()))
    {
        let number = number + 1;
        let (name, digest) = kind.entry(line).ok_or_else(|| Error::Malformed {
            list: list.to_owned(),
            line: number,
        })?;
        let file = dir.join(name);
        let actual = match kind {
            Kind::Installer(..) => digest_of::<Sha512>(&file),
            _ => digest_of::<Sha256>(&file),
        }
        .map_err(|source| Error::Io {
            path: file.clone(),
            source,
        })?;
        if digest.is_some_and(|digest| digest != actual) {
            return Err(Error::Digest {
                list: list.to_owned(),
                line: number,
                file,
                actual,
            });
        }
        entries += 1;
    }
    Ok(entries)
}

/// The digest of a file, in lower-case hexadecimal.
pub fn digest_of<D: Digest>(file: &Path) -> io::Result<String> {
    let mut hasher = Hashing(D::new());
    io::copy(&mut File::open(file)?, &mut hasher)?;
    Ok(hex::encode(hasher.0.finalize()))
}

struct Hashing<D>(D);

impl<D: Digest> io::Write for Hashing<D> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const SHA256_OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const SHA512_OF_ABC: &str = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

    fn mirror(files: &[(&str, &str)]) -> TempDir {
        let dir = TempDir::new().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn check_accepts_valid_lists_of_every_kind() {
        let dir = mirror(&[
            (
                "builds/otp/amd64/ubuntu-24.04/builds.txt",
                &format!("OTP-25.0 c d\nOTP-27.0 c d {SHA256_OF_ABC}\n"),
            ),
            ("builds/otp/amd64/ubuntu-24.04/OTP-25.0.tar.gz", "anything"),
            ("builds/otp/amd64/ubuntu-24.04/OTP-27.0.tar.gz", "abc"),
            (
                "builds/elixir/builds.txt",
                &format!("v1.18.3-otp-27 c d {SHA256_OF_ABC} \n"),
            ),
            ("builds/elixir/v1.18.3-otp-27.zip", "abc"),
            (
                "installs/hex.csv",
                &format!("2.1.0,{SHA512_OF_ABC},1.18.0,27\n"),
            ),
            ("installs/1.18.0/hex-2.1.0-otp-27.ez", "abc"),
            (
                "installs/rebar3-1.x.csv",
                &format!("3.1.0,{SHA512_OF_ABC},1.14.0\n"),
            ),
            ("installs/1.14.0/rebar3-3.1.0", "abc"),
            (
                "dist/v24.0.0/SHASUMS256.txt",
                &format!("{SHA256_OF_ABC}  node-v24.0.0-linux-x64.tar.gz\n"),
            ),
            (
                "erlef/otp_builds/raw/main/builds/x86.csv",
                &format!(
                    "ref_name,ref,datetime,sha256\nOTP-27.0,c,d,{SHA256_OF_ABC},,\nmaint-27,c,d,{SHA256_OF_ABC},,\n"
                ),
            ),
            (
                "erlef/otp_builds/releases/download/maint-27-latest/otp-x86.tar.gz",
                "abc",
            ),
            (
                "erlef/otp_builds/releases/download/OTP-27.0/otp-x86.tar.gz",
                "abc",
            ),
            ("dist/v24.0.0/node-v24.0.0-linux-x64.tar.gz", "abc"),
        ]);
        assert_eq!(check(dir.path()).unwrap(), 8);
    }

    #[test]
    fn wrong_checksum_error_names_line() {
        let dir = mirror(&[
            (
                "builds/elixir/builds.txt",
                &format!("v1-otp-1 c d {SHA256_OF_ABC}\nv2-otp-1 c d {SHA256_OF_ABC}\n"),
            ),
            ("builds/elixir/v1-otp-1.zip", "abc"),
            ("builds/elixir/v2-otp-1.zip", "abd"),
        ]);
        let error = check(dir.path()).unwrap_err();
        assert!(matches!(error, Error::Digest { line: 2, .. }), "{error}");
    }

    #[test]
    fn missing_listed_file_is_an_error() {
        let dir = mirror(&[(
            "installs/rebar.csv",
            &format!("3.1.0,{SHA512_OF_ABC},1.18.3,27\n"),
        )]);
        let error = check(dir.path()).unwrap_err();
        assert!(
            matches!(&error, Error::Io { path, .. } if path.ends_with("1.18.3/rebar3-3.1.0-otp-27")),
            "{error}"
        );
    }
}
