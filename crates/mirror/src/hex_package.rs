//! Packs a directory as a Hex package, like `mix hex.build`: an outer tar of `VERSION`, `CHECKSUM`, `metadata.config`
//! and `contents.tar.gz`.
//!
//! The bytes only depend on the names, contents and execute bits of the files, so a checksum in a committed
//! `mix.lock` is valid on every machine. Therefore nothing is compressed: the output of a compressor changes with its
//! version.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

/// The file with the metadata that `mix hex.build` would read from the project. It isn't packed.
const MANIFEST: &str = "package.toml";

/// The version of the outer archive's format, the content of its `VERSION`.
const TARBALL_VERSION: &str = "3";

/// A package as `/tarballs/NAME-VERSION.tar` serves it.
#[derive(Debug, Clone)]
pub struct HexPackage {
    pub name: String,
    /// A semantic version, such as `1.8.1`.
    pub version: String,
    pub tarball: Vec<u8>,
    /// SHA-256 in lower-case hex of `VERSION`, `metadata.config` and `contents.tar.gz`.
    pub inner_checksum: String,
    /// SHA-256 in lower-case hex of the whole tarball.
    pub outer_checksum: String,
    /// The build tools: `mix`, `rebar3`.
    pub build_tools: Vec<String>,
    /// Sorted by name.
    pub requirements: Vec<Requirement>,
}

/// One dependency of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    pub name: String,
    /// An Elixir version requirement, such as `~> 1.0`.
    pub requirement: String,
    pub optional: bool,
}

/// An error of packing a directory.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error("cannot read {path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{path} does not describe a package: {source}", path = path.display())]
    Manifest {
        path: PathBuf,
        source: Box<toml::de::Error>,
    },
    #[error("{path} is neither a regular file nor a folder, or its name is not UTF-8", path = .0.display())]
    Unpackable(PathBuf),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    name: String,
    version: String,
    description: String,
    build_tools: Vec<String>,
    #[serde(default)]
    requirements: BTreeMap<String, String>,
    #[serde(default)]
    optional_requirements: BTreeMap<String, String>,
}

/// Packs the directory `dir`, which contains the sources of a package and a `package.toml`:
///
/// ```toml
/// name = "jason_lite"
/// version = "1.0.0"
/// description = "…"
/// build_tools = ["mix"]
///
/// [requirements]
/// other = "~> 1.0"
/// ```
///
/// Optional dependencies go into `[optional_requirements]`.
pub fn pack(dir: &Path) -> Result<HexPackage, PackError> {
    let path = dir.join(MANIFEST);
    let text = fs::read_to_string(&path).map_err(|source| PackError::Io {
        path: path.clone(),
        source,
    })?;
    let manifest: Manifest = toml::from_str(&text).map_err(|source| PackError::Manifest {
        path,
        source: Box::new(source),
    })?;
    let files = files(dir)?;
    let requirements = requirements(&manifest);
    let metadata = metadata(&manifest, &requirements, &files);
    let contents = gzip_stored(&tar(&files).map_err(|source| PackError::Io {
        path: dir.to_owned(),
        source,
    })?);

    let mut inner = Sha256::new();
    inner.update(TARBALL_VERSION);
    inner.update(&metadata);
    inner.update(&contents);
    let inner = inner.finalize();

    // `mix hex.build` writes only this checksum in upper case.
    let outer = [
        ("VERSION", TARBALL_VERSION.as_bytes().to_vec()),
        ("CHECKSUM", hex::encode_upper(inner).into_bytes()),
        ("metadata.config", metadata.into_bytes()),
        ("contents.tar.gz", contents),
    ]
    .map(|(name, data)| File {
        name: name.to_owned(),
        mode: 0o644,
        data,
    });
    let tarball = tar(&outer).map_err(|source| PackError::Io {
        path: dir.to_owned(),
        source,
    })?;

    Ok(HexPackage {
        name: manifest.name,
        version: manifest.version,
        inner_checksum: hex::encode(inner),
        outer_checksum: hex::encode(Sha256::digest(&tarball)),
        tarball,
        build_tools: manifest.build_tools,
        requirements,
    })
}

/// Packs every directory in `dir` that contains a `package.toml`, sorted by name.
pub fn pack_all(dir: &Path) -> Result<Vec<HexPackage>, PackError> {
    let io = |source| PackError::Io {
        path: dir.to_owned(),
        source,
    };
    let mut folders = fs::read_dir(dir)
        .map_err(io)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(io)?;
    folders.retain(|folder| folder.join(MANIFEST).is_file());
    folders.sort();
    folders.iter().map(|folder| pack(folder)).collect()
}

impl HexPackage {
    /// The last part of the package's URL, such as `phoenix-1.8.1.tar`.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}-{}.tar", self.name, self.version)
    }

    /// The package's line in `mix.lock`, without the newline, exactly as Mix writes it.
    #[must_use]
    pub fn lock_line(&self) -> String {
        let Self {
            name,
            version,
            inner_checksum,
            outer_checksum,
            ..
        } = self;
        let mut tools: Vec<_> = self
            .build_tools
            .iter()
            .map(|tool| format!(":{tool}"))
            .collect();
        tools.sort();
        let tools = tools.join(", ");
        let requirements = self
            .requirements
            .iter()
            .map(|Requirement { name, requirement, optional }| {
                format!("{{:{name}, \"{requirement}\", [hex: :{name}, repo: \"hexpm\", optional: {optional}]}}")
            })
            .collect::<Vec<_>>()
            .join(", ");
        format!(
            "  \"{name}\": {{:hex, :{name}, \"{version}\", \"{inner_checksum}\", [{tools}], \
             [{requirements}], \"hexpm\", \"{outer_checksum}\"}},"
        )
    }
}

/// Returns `/packages/NAME` for the stand-in for Hex: the releases of a package. The format is the stand-in's own
/// (`fixtures/standins/hex/lib/hex/registry.ex`).
pub fn registry_entry<'a>(releases: impl IntoIterator<Item = &'a HexPackage>) -> String {
    let releases = releases
        .into_iter()
        .map(|release| {
            let tools = list(release.build_tools.iter().map(|tool| binary(tool)));
            let requirements = list(release.requirements.iter().map(|it| {
                let (name, requirement) = (binary(&it.name), binary(&it.requirement));
                format!("{{{name},{requirement},{}}}", it.optional)
            }));
            format!(
                "{{{},[{{inner_checksum,{}}},{{outer_checksum,{}}},{{build_tools,{tools}}},\
                 {{requirements,{requirements}}}]}}",
                binary(&release.version),
                binary(&release.inner_checksum),
                binary(&release.outer_checksum),
            )
        })
        .collect::<Vec<_>>();
    format!("[{}].\n", releases.join(",\n "))
}

struct File {
    name: String,
    mode: u32,
    data: Vec<u8>,
}

/// The files below `dir` except its manifest, sorted by name.
fn files(dir: &Path) -> Result<Vec<File>, PackError> {
    let mut files = Vec::new();
    for entry in WalkDir::new(dir).min_depth(1) {
        let entry = entry.map_err(|error| PackError::Io {
            path: error.path().unwrap_or(dir).to_owned(),
            source: error.into(),
        })?;
        if entry.file_type().is_dir() {
            continue;
        }
        let path = entry.path();
        let name = path.strip_prefix(dir).ok().and_then(Path::to_str);
        let (Some(name), true) = (name, entry.file_type().is_file()) else {
            return Err(PackError::Unpackable(path.to_owned()));
        };
        if name == MANIFEST {
            continue;
        }
        let io = |source| PackError::Io {
            path: path.to_owned(),
            source,
        };
        files.push(File {
            name: name.to_owned(),
            mode: mode(path).map_err(io)?,
            data: fs::read(path).map_err(io)?,
        });
    }
    // Sort by the whole path, not by directory, so that the order is simple and stable.
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// Returns the mode that git would store, so that the machine's umask has no effect.
fn mode(path: &Path) -> io::Result<u32> {
    use std::os::unix::fs::PermissionsExt;

    let executable = fs::metadata(path)?.permissions().mode() & 0o100 != 0;
    Ok(if executable { 0o755 } else { 0o644 })
}

fn tar(files: &[File]) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for file in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(file.data.len() as u64);
        header.set_mode(file.mode);
        header.set_mtime(0);
        archive.append_data(&mut header, &file.name, file.data.as_slice())?;
    }
    archive.into_inner()
}

/// A gzip file (RFC 1952) of stored blocks (RFC 1951, 3.2.4).
pub(crate) fn gzip_stored(data: &[u8]) -> Vec<u8> {
    // Magic, deflate, no flags, no mtime, no extra flags, unknown operating system.
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let mut blocks = data.chunks(usize::from(u16::MAX)).peekable();
    while let Some(block) = blocks.next() {
        // The length of a chunk fits into a u16.
        let len = u16::try_from(block.len()).unwrap_or(u16::MAX);
        gzip.push(u8::from(blocks.peek().is_none()));
        gzip.extend(len.to_le_bytes());
        gzip.extend((!len).to_le_bytes());
        gzip.extend(block);
    }
    let mut crc = flate2::Crc::new();
    crc.update(data);
    gzip.extend(crc.sum().to_le_bytes());
    gzip.extend(crc.amount().to_le_bytes());
    gzip
}

fn requirements(manifest: &Manifest) -> Vec<Requirement> {
    let with = |optional| {
        move |(name, requirement): (&String, &String)| Requirement {
            name: name.clone(),
            requirement: requirement.clone(),
            optional,
        }
    };
    let mut all: Vec<_> = (manifest.requirements.iter().map(with(false)))
        .chain(manifest.optional_requirements.iter().map(with(true)))
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// `metadata.config`: one Erlang term per line.
fn metadata(manifest: &Manifest, requirements: &[Requirement], files: &[File]) -> String {
    let requirements = requirements.iter().map(|it| {
        format!(
            "[{{<<\"name\">>,{name}}},{{<<\"app\">>,{name}}},{{<<\"optional\">>,{optional}}},\
             {{<<\"requirement\">>,{requirement}}},{{<<\"repository\">>,<<\"hexpm\">>}}]",
            name = binary(&it.name),
            optional = it.optional,
            requirement = binary(&it.requirement),
        )
    });
    let fields = [
        ("name", binary(&manifest.name)),
        ("version", binary(&manifest.version)),
        ("description", binary(&manifest.description)),
        ("app", binary(&manifest.name)),
        (
            "build_tools",
            list(manifest.build_tools.iter().map(|tool| binary(tool))),
        ),
        ("requirements", list(requirements)),
        ("files", list(files.iter().map(|file| binary(&file.name)))),
    ];
    fields
        .iter()
        .fold(String::new(), |mut text, (name, value)| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{{{},{value}}}.", binary(name));
            text
        })
}

/// An Erlang binary literal.
fn binary(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    if text.is_ascii() {
        format!("<<\"{escaped}\">>")
    } else {
        format!("<<\"{escaped}\"/utf8>>")
    }
}

/// An Erlang list literal.
fn list(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn sample() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join(MANIFEST),
            "name = \"sample\"\nversion = \"1.2.3\"\ndescription = \"A \\\"sample\\\"\"\n\
             build_tools = [\"rebar3\", \"mix\"]\n[requirements]\nzebra = \"~> 2.0\"\n\
             [optional_requirements]\nadder = \">= 1.0.0\"\n",
        )
        .unwrap();
        fs::write(dir.path().join("mix.exs"), "# mix\n").unwrap();
        fs::create_dir(dir.path().join("lib")).unwrap();
        fs::write(dir.path().join("lib/sample.ex"), "x".repeat(70_000)).unwrap();
        fs::write(dir.path().join("run"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(dir.path().join("run"), fs::Permissions::from_mode(0o700)).unwrap();
        dir
    }

    fn entries(archive: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        tar::Archive::new(archive)
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                assert_eq!(entry.header().mtime().unwrap(), 0);
                let mut data = Vec::new();
                entry.read_to_end(&mut data).unwrap();
                let name = entry.path().unwrap().to_str().unwrap().to_owned();
                (name, entry.header().mode().unwrap(), data)
            })
            .collect()
    }

    #[test]
    fn outer_archive_has_hex_format() {
        let package = pack(sample().path()).unwrap();
        let outer = entries(&package.tarball);
        let names: Vec<_> = outer.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(
            names,
            ["VERSION", "CHECKSUM", "metadata.config", "contents.tar.gz"]
        );
        assert_eq!(outer[0].2, b"3");
        let inner = [&outer[0].2[..], &outer[2].2, &outer[3].2].concat();
        assert_eq!(package.inner_checksum, hex::encode(Sha256::digest(inner)));
        assert_eq!(
            package.inner_checksum.to_uppercase().as_bytes(),
            &outer[1].2[..]
        );
        insta::assert_snapshot!(String::from_utf8(outer[2].2.clone()).unwrap());
    }

    #[test]
    fn contents_unpack_to_the_sources() {
        let package = pack(sample().path()).unwrap();
        let outer = entries(&package.tarball);
        let mut contents = Vec::new();
        // Use another decoder. 70 kB need two stored blocks.
        flate2::read::GzDecoder::new(&outer[3].2[..])
            .read_to_end(&mut contents)
            .unwrap();
        let contents: Vec<_> = entries(&contents)
            .into_iter()
            .map(|(name, mode, data)| (name, mode, data.len()))
            .collect();
        assert_eq!(
            contents,
            [
                ("lib/sample.ex".to_owned(), 0o644, 70_000),
                ("mix.exs".to_owned(), 0o644, 6),
                ("run".to_owned(), 0o755, 10),
            ]
        );
    }

    #[test]
    fn packing_is_reproducible() {
        // Two directories, created at different times and paths.
        assert_eq!(
            pack(sample().path()).unwrap().tarball,
            pack(sample().path()).unwrap().tarball
        );
    }

    #[test]
    fn lock_line_matches_mix_format() {
        let mut package = pack(sample().path()).unwrap();
        package.inner_checksum = "1234".to_owned();
        package.outer_checksum = "5678".to_owned();
        assert_eq!(
            package.lock_line(),
            r#"  "sample": {:hex, :sample, "1.2.3", "1234", [:mix, :rebar3], [{:adder, ">= 1.0.0", [hex: :adder, repo: "hexpm", optional: true]}, {:zebra, "~> 2.0", [hex: :zebra, repo: "hexpm", optional: false]}], "hexpm", "5678"},"#
        );
        assert_eq!(
            registry_entry([&package]),
            "[{<<\"1.2.3\">>,[{inner_checksum,<<\"1234\">>},{outer_checksum,<<\"5678\">>},\
             {build_tools,[<<\"rebar3\">>,<<\"mix\">>]},{requirements,[{<<\"adder\">>,<<\">= 1.0.0\">>,true},\
             {<<\"zebra\">>,<<\"~> 2.0\">>,false}]}]}].\n"
        );
    }

    #[test]
    fn pack_refuses_symlinks() {
        let dir = sample();
        std::os::unix::fs::symlink("mix.exs", dir.path().join("link")).unwrap();
        assert!(matches!(
            pack(dir.path()),
            Err(PackError::Unpackable(path)) if path.ends_with("link")
        ));
    }
}
