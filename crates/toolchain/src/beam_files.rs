//! Compiled modules (`.beam`): removes the parts that only development tools read, and lists the names that a module
//! mentions.
//!
//! A module is an IFF file: `FOR1`, the size of the rest, `BEAM`, and chunks. A chunk has a name of four
//! bytes, the size of its content, and the content, padded to a multiple of four bytes. Numbers are
//! big-endian. Source: `lib/stdlib/src/beam_lib.erl` of OTP.

use crate::replace_file::replace_file;
use flate2::read::{GzDecoder, ZlibDecoder};
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use walkdir::WalkDir;

/// The chunks that compilers write and `mix release` doesn't keep: debug information of OTP before and from
/// 20, options of the compiler, documentation, types for Elixir's compiler, and names of local functions.
///
/// Mix keeps `beam_lib:significant_chunks/0` and `Attr` (`Mix.Release.strip_beam/2`, in `lib/mix/lib/mix/release.ex`
/// of Elixir). Here all other chunks stay too, since newer versions of Erlang may need new chunks.
const REMOVED: [&[u8]; 6] = [b"Abst", b"Dbgi", b"CInf", b"Docs", b"ExCk", b"LocT"];

/// The size of a number, and of a name.
const WORD: usize = 4;

/// Removes the chunks that only development tools read from all modules below `dir`. Returns the bytes saved.
///
/// A file is replaced, never edited, and keeps its mode and modification time, as does its directory. Compressed modules stay as
/// they are, and so do files that aren't modules.
pub fn strip(dir: &Path) -> io::Result<u64> {
    let mut saved = 0;
    for entry in WalkDir::new(dir) {
        let entry = entry?;
        if entry.file_type().is_file() && is_module(entry.path()) {
            saved += strip_file(entry.path())?;
        }
    }
    Ok(saved)
}

/// Returns whether a file is a compiled module, by its name.
#[must_use]
pub fn is_module(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "beam")
}

fn strip_file(path: &Path) -> io::Result<u64> {
    let content = fs::read(path)?;
    let Some(stripped) = stripped(&content) else {
        return Ok(0);
    };
    replace_file(path, |file| file.write_all(&stripped))?;
    Ok((content.len() - stripped.len()) as u64)
}

/// Returns a module without [`REMOVED`] chunks, or `None` if it stays as it is.
fn stripped(module: &[u8]) -> Option<Vec<u8>> {
    let chunks = chunks(module)?;
    let kept = chunks.iter().filter(|chunk| !REMOVED.contains(&chunk.name));
    let kept: Vec<&[u8]> = kept.map(|chunk| chunk.whole).collect();
    let body = kept.concat();
    let size = u32::try_from(body.len() + WORD).ok()?;
    let stripped = [b"FOR1", &size.to_be_bytes()[..], b"BEAM", &body].concat();
    (stripped.len() < module.len()).then_some(stripped)
}

/// The highest number of an instruction that the VM of an OTP major version knows. Source:
/// `lib/compiler/src/genop.tab` of OTP.
const LAST_INSTRUCTION: [(u32, usize); 3] = [(25, 180), (26, 182), (27, 183)];

/// Returns why the VM of an OTP major version can't load a module, judging by its size and its header. The text
/// completes a sentence that starts with "It".
///
/// The VM checks more than this. Modules that it would load must not be reported: see `iff_init` and
/// `read_code_chunk` in `erts/emulator/beam/beam_file.c` of OTP. Compressed modules aren't read.
#[must_use]
pub fn problem(module: &[u8], otp_major: u32) -> Option<&'static str> {
    if module.starts_with(b"\x1f\x8b") {
        return None;
    }
    let Some((size, rest)) = module.strip_prefix(b"FOR1").and_then(number) else {
        return Some(match module {
            [] => "is empty",
            _ => "isn't a compiled module",
        });
    };
    if size > rest.len() {
        return Some("is truncated");
    }
    let last = LAST_INSTRUCTION.iter().find(|(otp, _)| *otp == otp_major);
    let highest = chunks(module).and_then(|chunks| {
        let code = chunks.iter().find(|chunk| chunk.name == b"Code")?;
        // The sizes of this header and of the set of instructions come first.
        Some(number(code.content.get(2 * WORD..)?)?.0)
    });
    match (last, highest) {
        (Some((_, last)), Some(highest)) if highest > *last => {
            Some("was compiled for a newer Erlang/OTP")
        }
        _ => None,
    }
}

struct Chunk<'a> {
    name: &'a [u8],
    content: &'a [u8],
    /// The chunk with name, size and padding.
    whole: &'a [u8],
}

/// Returns the chunks of a module that isn't compressed and has nothing after them.
fn chunks(module: &[u8]) -> Option<Vec<Chunk<'_>>> {
    let (size, rest) = number(module.strip_prefix(b"FOR1")?)?;
    let mut rest = Some(rest)
        .filter(|rest| rest.len() == size)?
        .strip_prefix(b"BEAM")?;
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let (size, content) = number(rest.get(WORD..)?)?;
        let end = size.checked_next_multiple_of(WORD)?.checked_add(2 * WORD)?;
        chunks.push(Chunk {
            name: &rest[..WORD],
            content: content.get(..size)?,
            whole: rest.get(..end)?,
        });
        rest = &rest[end..];
    }
    Some(chunks)
}

/// Returns the number at the start, and the bytes after it.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((usize::try_from(u32::from_be_bytes(*number)).ok()?, rest))
}

/// The atoms of a module, in its code and its literals. They include the names of the modules that it calls.
pub struct Atoms(Vec<Table>);

/// Bytes with atoms in them, each after a byte with its length.
struct Table {
    bytes: Vec<u8>,
    /// Lengths below 16 are in the upper half of that byte.
    is_compact: bool,
}

impl Atoms {
    /// Reads a module, which may be compressed. Returns `None` for an invalid one.
    #[must_use]
    pub fn of(module: Vec<u8>) -> Option<Self> {
        let module = if module.starts_with(b"\x1f\x8b") {
            inflated(GzDecoder::new(module.as_slice()))?
        } else {
            module
        };
        let mut tables = Vec::new();
        for chunk in chunks(&module)? {
            match chunk.name {
                // The names of the chunk before and from OTP 20. From OTP 28 on, the number of atoms is negative and
                // the table compact (`beam_asm:build_atom_table/2`).
                b"Atom" | b"AtU8" => tables.push(Table {
                    bytes: chunk.content.to_vec(),
                    is_compact: chunk.content.first().is_some_and(|first| first & 0x80 != 0),
                }),
                b"LitT" => tables.push(Table {
                    // From OTP 28 on, the size is 0 and they aren't compressed.
                    bytes: match number(chunk.content)? {
                        (0, terms) => terms.to_vec(),
                        (_, terms) => inflated(ZlibDecoder::new(terms))?,
                    },
                    is_compact: false,
                }),
                _ => {}
            }
        }
        Some(Self(tables))
    }

    /// Returns whether a text is part of an atom or a literal.
    #[must_use]
    pub fn mention(&self, text: &[u8]) -> bool {
        let mut tables = self.0.iter();
        tables.any(|table| {
            table
                .bytes
                .windows(text.len().max(1))
                .any(|part| part == text)
        })
    }

    /// Iterates over the atoms, and over other bytes that look like atoms after their length.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().flat_map(|table| {
            let bytes = table.bytes.as_slice();
            bytes.iter().enumerate().flat_map(move |(at, byte)| {
                let length = usize::from(*byte);
                let short = (table.is_compact && length % 16 == 0).then_some(length / 16);
                let lengths = [Some(length), short].into_iter().flatten();
                lengths.filter_map(move |length| bytes.get(at + 1..)?.get(..length))
            })
        })
    }
}

fn inflated(mut compressed: impl Read) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    compressed.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    fn module(chunks: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut body = b"BEAM".to_vec();
        for (name, content) in chunks {
            body.extend_from_slice(name);
            body.extend_from_slice(&u32::try_from(content.len()).unwrap().to_be_bytes());
            body.extend_from_slice(content);
            body.resize(body.len().next_multiple_of(WORD), 0);
        }
        let size = u32::try_from(body.len()).unwrap();
        [b"FOR1", &size.to_be_bytes()[..], &body].concat()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn names(module: &[u8]) -> Vec<String> {
        let names = chunks(module).unwrap().into_iter();
        names
            .map(|chunk| String::from_utf8(chunk.name.to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn stripped_module_keeps_all_but_debug_info_and_docs() {
        let whole = module(&[
            (b"AtU8", b"12345"),
            (b"Code", b""),
            (b"Attr", b"vsn"),
            (b"Dbgi", b"abstract code"),
            (b"Docs", b"..."),
            (b"ExCk", b"types"),
            (b"CInf", b"options"),
            (b"New1", b"of a later Erlang"),
            (b"Line", b"1"),
        ]);
        let stripped = stripped(&whole).unwrap();
        assert_eq!(names(&stripped), ["AtU8", "Code", "Attr", "New1", "Line"]);
        assert_eq!(chunks(&stripped).unwrap()[0].content, b"12345");
        assert_eq!(super::stripped(&stripped), None);
    }

    #[test]
    fn unusable_modules_are_recognized_by_size_and_instructions() {
        // The size of the header, the set of instructions, the highest instruction.
        let code = [0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 182];
        let whole = module(&[(b"AtU8", b"1234"), (b"Code", &code)]);
        assert_eq!(problem(&whole, 27), None);
        assert_eq!(problem(&whole, 26), None);
        assert_eq!(
            problem(&whole, 25),
            Some("was compiled for a newer Erlang/OTP")
        );
        // A version whose instructions aren't in the table.
        assert_eq!(problem(&whole, 24), None);
        assert_eq!(problem(&whole[..whole.len() - 1], 27), Some("is truncated"));
        assert_eq!(problem(&[whole.as_slice(), b"more"].concat(), 27), None);
        assert_eq!(problem(&gzip(&whole), 27), None);
        assert_eq!(problem(b"", 27), Some("is empty"));
        assert_eq!(problem(b"text", 27), Some("isn't a compiled module"));
    }

    #[test]
    fn compressed_damaged_and_longer_modules_stay() {
        let whole = module(&[(b"Code", b"1234"), (b"Dbgi", b"abstract code")]);
        assert!(stripped(&whole).is_some());
        assert_eq!(stripped(&gzip(&whole)), None);
        assert_eq!(stripped(&[whole.as_slice(), b"more"].concat()), None);
        for length in 0..whole.len() {
            assert_eq!(stripped(&whole[..length]), None, "{length}");
        }
        let mut wrong = whole;
        wrong[16..20].fill(0xff);
        assert_eq!(stripped(&wrong), None);
    }

    #[test]
    fn stripping_replaces_files_and_other_names_keep_their_content() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let whole = module(&[(b"Code", b"1234"), (b"Dbgi", b"abstract code")]);
        let (path, linked) = (dir.path().join("a.beam"), outside.path().join("linked"));
        fs::write(&path, &whole).unwrap();
        fs::hard_link(&path, &linked).unwrap();
        fs::write(dir.path().join("a.other"), &whole).unwrap();
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        for path in [path.as_path(), dir.path()] {
            fs::File::open(path).unwrap().set_modified(time).unwrap();
        }

        let saved = strip(dir.path()).unwrap();

        assert_eq!(saved, 24);
        assert_eq!(fs::read(&path).unwrap(), module(&[(b"Code", b"1234")]));
        for path in [path.as_path(), dir.path()] {
            assert_eq!(path.metadata().unwrap().modified().unwrap(), time);
        }
        assert_eq!(fs::read(&linked).unwrap(), whole);
        assert_eq!(fs::read(dir.path().join("a.other")).unwrap(), whole);
    }

    #[test]
    fn atoms_of_every_format_are_found_and_parts_of_others_are_not() {
        // `{ssh, <<" at 0">>}` in the external term format.
        let literal = b"\0\0\0\x01\0\0\0\x0b\x83h\x02w\x03sshm\0\0\0\x05 at 0";
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(literal).unwrap();
        let compressed = encoder.finish().unwrap();
        let size = u32::try_from(literal.len()).unwrap().to_be_bytes();
        let old = [&size[..], &compressed].concat();
        let new = [&[0; 4], &literal[..]].concat();
        let contains = |module: Vec<u8>, name: &str| {
            let atoms = Atoms::of(module).expect("a module");
            atoms.iter().any(|atom| atom == name.as_bytes())
        };
        for literals in [&old, &new] {
            let module = module(&[(b"LitT", literals)]);
            assert!(contains(module.clone(), "ssh"));
            assert!(!contains(module.clone(), "sh"));
            // After a space, which is 2 << 4.
            assert!(!contains(module, "at"));
        }
        let table: &[u8] = b"\0\0\0\x02\x03ssh\x06sshd_x";
        let compact: &[u8] = b"\xff\xff\xff\xfe\x30ssh\x08\x10ssh_connection_x";
        for name in [b"AtU8", b"Atom"] {
            assert!(contains(module(&[(name, table)]), "ssh"));
            assert!(!contains(module(&[(name, table)]), "sshd"));
        }
        assert!(contains(module(&[(b"AtU8", compact)]), "ssh"));
        assert!(contains(module(&[(b"AtU8", compact)]), "ssh_connection_x"));
        assert!(!contains(module(&[(b"AtU8", compact)]), "ssh_connection"));
        assert!(contains(gzip(&module(&[(b"AtU8", table)])), "ssh"));
        assert!(Atoms::of(b"FOR1".to_vec()).is_none());
    }
}
