//! Archives that no archiver would create, written byte by byte. Each is rejected once, with its own message, and
//! leaves no files, or is unpacked correctly.

use fetch::{Class, FetchError, Format, Kind};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use tar::EntryType;

use crate::support::{Entry, Place, ZipEntry, empty, file, gzip, special, tar, unpack, zip};

/// One header block, its fields as given, and the content.
struct Block<'a> {
    kind: u8,
    name: &'a [u8],
    link: &'a [u8],
    /// The content of the field, in octal digits or otherwise.
    size: &'a [u8],
    gnu: bool,
    /// Other bytes of the header, by offset.
    other: &'a [(usize, &'a [u8])],
    content: &'a [u8],
}

const PLAIN: Block<'_> = Block {
    kind: b'0',
    name: b"d/file",
    link: b"",
    size: b"",
    gnu: true,
    other: &[],
    content: b"",
};

impl Block<'_> {
    /// The header of POSIX.1-2017 (pax, "ustar Interchange Format"), then the content in blocks.
    fn bytes(&self) -> Vec<u8> {
        let mut header = [0_u8; 512];
        let length = format!("{:011o}", self.content.len());
        let size = if self.size.is_empty() {
            length.as_bytes()
        } else {
            self.size
        };
        let magic: &[u8] = if self.gnu {
            b"ustar  \0"
        } else {
            b"ustar\x0000"
        };
        let fields: [(usize, &[u8]); 9] = [
            (0, self.name),
            (100, b"0000644"),
            (108, b"0000000"),
            (116, b"0000000"),
            (124, size),
            (136, b"14524770400"),
            (156, std::slice::from_ref(&self.kind)),
            (157, self.link),
            (257, magic),
        ];
        for (at, bytes) in fields.iter().chain(self.other) {
            header[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let mut bytes = header.to_vec();
        bytes.extend(self.content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }
}

fn archive(blocks: &[Block<'_>]) -> Vec<u8> {
    let mut bytes: Vec<u8> = blocks.iter().flat_map(Block::bytes).collect();
    bytes.resize(bytes.len() + 1024, 0);
    gzip(&bytes)
}

/// `KEY=VALUE` as a pax record, its own length in front.
fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length.to_string().len() + rest != length {
        length += 1;
    }
    let mut bytes = format!("{length} {key}=").into_bytes();
    bytes.extend(value);
    bytes.push(b'\n');
    bytes
}

fn pax(content: &[u8]) -> Block<'_> {
    Block {
        kind: b'x',
        name: b"PaxHeaders/file",
        gnu: false,
        content,
        ..PLAIN
    }
}

fn gnu_long(kind: u8, content: &[u8]) -> Block<'_> {
    Block {
        kind,
        name: b"././@LongLink",
        content,
        ..PLAIN
    }
}

#[track_caller]
fn refused(bytes: &[u8], format: Format) -> FetchError {
    let place = Place::new();
    let error = unpack(bytes, format, 0, &place).expect_err("must be refused");
    place.assert_untouched(&error.to_string());
    assert_eq!(error.class(), Class::Integrity, "{error:?}");
    error
}

/// Checks that the archive is rejected for this entry and reason.
#[track_caller]
fn unsafe_entry(bytes: &[u8], format: Format, expected: &str, reason: &str) {
    let error = refused(bytes, format);
    let Kind::UnsafeEntry { entry, why } = &error.kind else {
        panic!("{error:?}");
    };
    assert_eq!((entry.as_str(), *why), (expected, reason));
    assert_eq!(error.attempts, 1);
}

#[track_caller]
fn tar_refused(blocks: &[Block<'_>], expected: &str, reason: &str) {
    unsafe_entry(&archive(blocks), Format::TarGz, expected, reason);
}

#[track_caller]
fn corrupt(bytes: &[u8], format: Format, words: &str) {
    let error = refused(bytes, format);
    let Kind::CorruptArchive(said) = &error.kind else {
        panic!("{error:?}");
    };
    assert!(said.contains(words), "{said}");
}

#[test]
fn long_name_cannot_escape_destination() {
    let up = "its path contains `..`";
    let absolute = "its path is absolute";
    for (name, why) in [("../../../evil", up), ("/etc/evil", absolute)] {
        let with_nul = format!("{name}\0");
        let entry = Block {
            name: b"d/harmless",
            content: b"evil",
            ..PLAIN
        };
        tar_refused(
            &[gnu_long(b'L', with_nul.as_bytes()), Block { ..entry }],
            name,
            why,
        );
        let path = record("path", name.as_bytes());
        tar_refused(&[pax(&path), entry], name, why);
    }
    let out = "it is a link out of the archive";
    for target in ["../../evil", "../../../../../../etc/passwd"] {
        let link = Block {
            kind: b'2',
            name: b"d/link",
            link: b"harmless",
            ..PLAIN
        };
        let with_nul = format!("{target}\0");
        tar_refused(
            &[gnu_long(b'K', with_nul.as_bytes()), Block { ..link }],
            "d/link",
            out,
        );
        let record = record("linkpath", target.as_bytes());
        tar_refused(&[pax(&record), link], "d/link", out);
    }
    let hard = Block {
        kind: b'1',
        name: b"d/hard",
        link: b"d/file",
        ..PLAIN
    };
    let record = record("linkpath", b"/etc/passwd");
    let out = "it is a hard link out of the archive";
    tar_refused(&[PLAIN, pax(&record), hard], "d/hard", out);
}

#[test]
fn rejects_name_with_nul_byte() {
    let nul = "its name contains a NUL byte";
    let long = gnu_long(b'L', b"d/good\0/../../../evil\0");
    tar_refused(&[long, PLAIN], "d/good\\0/../../../evil", nul);
    let path = record("path", b"d/good\0x");
    tar_refused(&[pax(&path), PLAIN], "d/good\\0x", nul);
    let target = record("linkpath", b"file\0/../..");
    let link = Block {
        kind: b'2',
        name: b"d/link",
        link: b"x",
        ..PLAIN
    };
    let unusable = "it is a link without a usable target";
    tar_refused(&[pax(&target), link], "d/link", unusable);
}

#[test]
fn rejects_overlong_names_before_writing() {
    let part = "n".repeat(256);
    let long = gnu_long(b'L', part.as_bytes());
    tar_refused(
        &[long, PLAIN],
        &part[..200],
        "a part of its name is longer than 255 bytes",
    );
    let whole = "d/".repeat(1025);
    let long = gnu_long(b'L', whole.as_bytes());
    tar_refused(
        &[long, PLAIN],
        &whole[..200],
        "its name is longer than 2048 bytes",
    );
    let target = vec![b't'; 4096];
    let link = Block {
        kind: b'2',
        name: b"d/link",
        link: b"x",
        ..PLAIN
    };
    let unusable = "it is a link without a usable target";
    tar_refused(&[gnu_long(b'K', &target), link], "d/link", unusable);
    let in_zip = [ZipEntry::File(&part, 0o644, b"")];
    let reason = "a part of its name is longer than 255 bytes";
    unsafe_entry(&zip(&in_zip), Format::Zip, &part[..200], reason);
}

#[test]
fn unpacks_longest_valid_names() {
    let name = format!("{}/{}", "d".repeat(255), "é".repeat(127));
    let place = Place::new();
    let long = gnu_long(b'L', name.as_bytes());
    let bytes = archive(&[
        long,
        Block {
            content: b"x",
            ..PLAIN
        },
    ]);
    unpack(&bytes, Format::TarGz, 0, &place).unwrap();
    assert_eq!(fs::read(place.dest().join(&name)).unwrap(), b"x");
}

/// The archive is 100 KB and would need gigabytes of memory for one name.
#[test]
fn huge_name_does_not_exhaust_memory() {
    let zeros = vec![b'n'; 3 << 20];
    for kind in [b'L', b'K', b'x'] {
        let huge = Block {
            kind,
            size: b"77777777777",
            content: &zeros,
            ..PLAIN
        };
        tar_refused(
            &[PLAIN, huge],
            "d/file",
            "more than 1 MiB of headers follow it",
        );
        let first = Block {
            kind,
            size: b"77777777777",
            content: &zeros,
            ..PLAIN
        };
        tar_refused(
            &[first],
            "(the first)",
            "more than 1 MiB of headers follow it",
        );
    }
}

#[test]
fn rejects_oversized_file_before_writing() {
    let bomb = "with it the archive unpacks to more than 2 GiB";
    // 8 GiB less one byte, and 2^62 in the binary form of GNU.
    let binary: &[u8] = &[0x80, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0];
    for size in [b"77777777777".as_slice(), binary] {
        tar_refused(
            &[
                PLAIN,
                Block {
                    name: b"d/huge",
                    size,
                    ..PLAIN
                },
            ],
            "d/huge",
            bomb,
        );
    }
    let size = record("size", b"9223372036854775000");
    tar_refused(
        &[
            pax(&size),
            Block {
                name: b"d/huge",
                ..PLAIN
            },
        ],
        "d/huge",
        bomb,
    );
}

/// 130 KB that unpack to 128 MB of nothing, behind the archive's end.
#[test]
fn rejects_endless_padding() {
    let mut bytes = PLAIN.bytes();
    bytes.resize(128 << 20, 0);
    let why = "more than 64 MiB follow the archive's end after it";
    unsafe_entry(&gzip(&bytes), Format::TarGz, "d/file", why);
}

/// Parsers that disagree on where an entry ends
/// unpack different archives.
#[test]
fn pax_size_overrides_header_size() {
    let hidden = Block {
        name: b"d/hidden",
        content: b"evil",
        ..PLAIN
    }
    .bytes();
    let size = record("size", hidden.len().to_string().as_bytes());
    let outer = Block {
        size: b"00000000000",
        content: &hidden,
        ..PLAIN
    };
    let place = Place::new();
    unpack(&archive(&[pax(&size), outer]), Format::TarGz, 0, &place).unwrap();
    assert_eq!(fs::read(place.dest().join("d/file")).unwrap(), hidden);
    assert!(!place.dest().join("d/hidden").exists());
}

#[test]
fn non_numeric_sizes_make_archive_corrupt() {
    for size in [b"zzzzzzzzzzz".as_slice(), b"99999999999", b"-0000000001"] {
        corrupt(
            &archive(&[Block { size, ..PLAIN }]),
            Format::TarGz,
            "numeric field",
        );
    }
}

/// GNU's old format: the map is in the header, holes are read as zeros.
#[test]
fn unpacks_sparse_file_and_rejects_false_size() {
    let sparse = |real_size: &'static [u8; 11], other: &'static [u8; 12]| {
        let offset: &[u8] = b"00000001000\0";
        let count: &[u8] = b"00000000004\0";
        let map: Vec<(usize, Vec<u8>)> = vec![
            (386, offset.to_vec()),
            (398, count.to_vec()),
            (410, other.to_vec()),
            (422, b"00000000000\0".to_vec()),
            (483, real_size.to_vec()),
        ];
        let other: Vec<(usize, &[u8])> = map.iter().map(|(at, it)| (*at, it.as_slice())).collect();
        archive(&[Block {
            kind: b'S',
            other: &other,
            content: b"data",
            ..PLAIN
        }])
    };
    let place = Place::new();
    // 516 bytes, the last four of which are there.
    unpack(
        &sparse(b"00000001004", b"00000001004\0"),
        Format::TarGz,
        0,
        &place,
    )
    .unwrap();
    let mut expected = vec![0; 512];
    expected.extend(b"data");
    assert_eq!(fs::read(place.dest().join("d/file")).unwrap(), expected);

    corrupt(
        &sparse(b"00000007777", b"00000001004\0"),
        Format::TarGz,
        "mismatch in sparse file",
    );
    let bomb = sparse(b"70000000000", b"70000000000\0");
    unsafe_entry(
        &bomb,
        Format::TarGz,
        "d/file",
        "with it the archive unpacks to more than 2 GiB",
    );
}

#[test]
fn rejects_pax_sparse_file() {
    let mut records = record("GNU.sparse.major", b"1");
    records.extend(record("GNU.sparse.minor", b"0"));
    records.extend(record("GNU.sparse.name", b"d/file"));
    records.extend(record("GNU.sparse.realsize", b"1048576"));
    let inner = Block {
        name: b"d/GNUSparseFile.0/file",
        content: b"1\n0\n0\n",
        ..PLAIN
    };
    let why = "it is a pax sparse file";
    tar_refused(&[pax(&records), inner], "d/GNUSparseFile.0/file", why);
}

#[test]
fn drops_setuid_bits_and_group_and_other_write() {
    let bytes = gzip(&tar(&[
        empty(EntryType::Directory, "shared/", 0o7777),
        empty(EntryType::Regular, "shared/all", 0o7777),
        empty(EntryType::Regular, "shared/group", 0o2660),
    ]));
    let place = Place::new();
    unpack(&bytes, Format::TarGz, 0, &place).unwrap();
    let mode = |path| place.mode(path);
    assert_eq!(
        [mode("shared"), mode("shared/all"), mode("shared/group")],
        [0o755, 0o755, 0o640]
    );
    let place = Place::new();
    let bytes = zip(&[ZipEntry::File("all", 0o6777, b"x")]);
    unpack(&bytes, Format::Zip, 0, &place).unwrap();
    assert_eq!(place.mode("all"), 0o755);
}

#[test]
fn repeated_entry_replaces_files_and_links_but_no_directory() {
    let kinds = [
        (file("x", b"file"), EntryType::Regular),
        (
            special(EntryType::Symlink, "x", "target"),
            EntryType::Symlink,
        ),
        (special(EntryType::Link, "x", "target"), EntryType::Link),
        (special(EntryType::Directory, "x", ""), EntryType::Directory),
    ];
    for (first, of_first) in &kinds {
        for (second, of_second) in &kinds {
            let copy = |entry: &Entry<'static>| Entry { ..*entry };
            let entries = [file("target", b"kept"), copy(first), copy(second)];
            let bytes = gzip(&tar(&entries));
            let folders = [of_first, of_second]
                .into_iter()
                .filter(|kind| kind.is_dir())
                .count();
            if folders == 1 {
                let why = if of_first.is_dir() {
                    "it would replace a directory"
                } else {
                    "its path passes through a file or a link"
                };
                unsafe_entry(&bytes, Format::TarGz, "x", why);
                continue;
            }
            let place = Place::new();
            unpack(&bytes, Format::TarGz, 0, &place).unwrap();
            let target = fs::read(place.dest().join("target")).unwrap();
            assert_eq!(target, b"kept", "{of_first:?} {of_second:?}");
            let found = place.dest().join("x").symlink_metadata().unwrap();
            assert_eq!(found.is_dir(), of_second.is_dir());
            assert_eq!(found.is_symlink(), of_second.is_symlink());
            let links = if of_second.is_hard_link() { 2 } else { 1 };
            assert!(found.is_dir() || found.nlink() == links);
        }
    }
}

/// Circular links are unpacked as links: the unpacker follows none, and writes through none.
#[test]
fn link_loop_is_not_followed() {
    let a = special(EntryType::Symlink, "d/a", "b");
    let b = special(EntryType::Symlink, "d/b", "a");
    let me = special(EntryType::Symlink, "d/me", "me");
    let bytes = gzip(&tar(&[a, b, me, file("d/me", b"x"), file("d/file", b"x")]));
    let place = Place::new();
    unpack(&bytes, Format::TarGz, 0, &place).unwrap();
    let listing = place.listing();
    let made: Vec<&str> = listing
        .iter()
        .filter_map(|path| path.strip_prefix("inner/dest/d/"))
        .collect();
    assert_eq!(made, ["a", "b", "file", "me"]);
    assert!(
        place
            .dest()
            .join("d/me")
            .symlink_metadata()
            .unwrap()
            .is_file()
    );

    let through = "its path passes through a file or a link";
    let entries = [
        special(EntryType::Symlink, "d/a", "b"),
        special(EntryType::Symlink, "d/b", "a"),
        file("d/a/x", b"evil"),
    ];
    unsafe_entry(&gzip(&tar(&entries)), Format::TarGz, "d/a/x", through);
    let entries = [
        special(EntryType::Symlink, "d/a", "b"),
        special(EntryType::Link, "d/c", "d/a/x"),
    ];
    let no_file = "it is a hard link to no file of the archive";
    unsafe_entry(&gzip(&tar(&entries)), Format::TarGz, "d/c", no_file);
}

/// The unpacker doesn't write through links that a tampered cache contains at the destination.
#[test]
fn destination_link_is_not_followed() {
    let place = Place::new();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), place.dest()).unwrap();
    let error = unpack(&gzip(&tar(&[file("x", b"x")])), Format::TarGz, 0, &place).unwrap_err();
    assert_eq!(error.class(), Class::Local, "{error:?}");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

/// The zip of these entries with bytes replaced everywhere: in the entry's own header and in the directory at the
/// end.
fn patched(entries: &[ZipEntry<'_>], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = zip(entries);
    assert_eq!(from.len(), to.len());
    let mut found = 0;
    for at in 0..=bytes.len() - from.len() {
        if &bytes[at..at + from.len()] == from {
            bytes[at..at + from.len()].copy_from_slice(to);
            found += 1;
        }
    }
    assert!(found > 0);
    bytes
}

#[test]
fn rejects_zip_entry_with_false_size() {
    // Sizes stand in the directory as 4 bytes; 0xffffffff there means that zip64 has them.
    let size = 1_234_567_u32.to_le_bytes();
    let content = vec![0; 1_234_567];
    let entries = [ZipEntry::File("d/file", 0o644, &content)];
    let more = patched(&entries, &size, &0xf000_0000_u32.to_le_bytes());
    let why = "with it the archive unpacks to more than 2 GiB";
    unsafe_entry(&more, Format::Zip, "d/file", why);
    let less = patched(&entries, &size, &7_u32.to_le_bytes());
    let error = refused(&less, Format::Zip);
    assert!(matches!(error.kind, Kind::CorruptArchive(_)), "{error:?}");
}

#[test]
fn special_zip_entries_are_rejected_or_harmless() {
    let device = "it is a device or a pipe";
    // The mode is in the upper half of the external attributes (APPNOTE 4.4.15, and Info-ZIP).
    let regular = (0o100_644_u32 << 16).to_le_bytes();
    for kind in [0o010_000_u32, 0o020_000, 0o060_000, 0o140_000] {
        let special = ((kind | 0o644) << 16).to_le_bytes();
        let entries = [ZipEntry::File("d/file", 0o644, b"x")];
        unsafe_entry(
            &patched(&entries, &regular, &special),
            Format::Zip,
            "d/file",
            device,
        );
    }
    // A backslash is an ordinary character, and not a separator.
    let entries = [ZipEntry::File("d/..\\..\\evil", 0o644, b"x")];
    let place = Place::new();
    unpack(&zip(&entries), Format::Zip, 0, &place).unwrap();
    let listing = place.listing().join(" ");
    assert_eq!(
        listing,
        "inner inner/dest inner/dest/d inner/dest/d/..\\..\\evil"
    );
    let entries = [ZipEntry::File("d/good_x", 0o644, b"x")];
    let nul = patched(&entries, b"good_x", b"good\0x");
    unsafe_entry(
        &nul,
        Format::Zip,
        "d/good\\0x",
        "its name contains a NUL byte",
    );
    let up = patched(&entries, b"d/good_x", b"../../ev");
    unsafe_entry(&up, Format::Zip, "../../ev", "its path contains `..`");
}

#[test]
fn encrypted_zip_error_mentions_password() {
    // Bit 0 of the flags, which follow the version needed: 20 in both headers.
    let entries = [ZipEntry::File("d/file", 0o644, b"x")];
    let mut bytes = zip(&entries);
    for signature in [b"PK\x03\x04", b"PK\x01\x02"] {
        let at = bytes.windows(4).position(|four| four == signature).unwrap();
        bytes[at + if signature == b"PK\x03\x04" { 6 } else { 8 }] |= 1;
    }
    corrupt(&bytes, Format::Zip, "assword");
}
