use fetch::{Class, Format, Kind};
use tar::EntryType;

use crate::support::{Entry, Place, ZipEntry, file, gzip, special, tar, unpack, zip};

/// Checks that the archive is rejected once, because of this entry, and leaves no files.
fn assert_refused(archive: &[u8], format: Format, expected: &str) {
    for strip in [0, 1] {
        let place = Place::new();
        let error = match unpack(archive, format, strip, &place) {
            // Stripping can leave nothing of the entry, which is then skipped like tar does.
            Ok(_) if strip == 1 => {
                assert!(!expected.contains(".."), "{expected}");
                continue;
            }
            result => result.expect_err(expected),
        };
        let Kind::UnsafeEntry { entry, .. } = &error.kind else {
            // Stripping may also have left no entry at all.
            assert!(
                strip == 1 && matches!(error.kind, Kind::CorruptArchive(_)),
                "{error:?}"
            );
            continue;
        };
        assert_eq!(entry, expected);
        assert_eq!(
            (error.class(), error.attempts),
            (Class::Integrity, 1),
            "{error:?}"
        );
        place.assert_untouched(expected);
    }
}

fn assert_tar_refused(entries: &[Entry<'_>], expected: &str) {
    assert_refused(&gzip(&tar(entries)), Format::TarGz, expected);
}

#[test]
fn tar_entry_cannot_escape_destination() {
    for name in ["../evil", "a/../../evil", "/tmp/evil", "a/..", "a/b/../c"] {
        assert_tar_refused(&[file("a/good", b""), file(name, b"evil")], name);
        assert_tar_refused(&[special(EntryType::Directory, name, "")], name);
        assert_tar_refused(&[special(EntryType::Symlink, name, "good")], name);
    }
}

#[test]
fn tar_link_cannot_point_outside() {
    for target in [
        "/etc",
        "..",
        "../..",
        "../../etc",
        "x/../../..",
        "x/..",
        "./../../x",
    ] {
        assert_tar_refused(&[special(EntryType::Symlink, "d/link", target)], {
            // One level down, a single `..` is the archive's own root.
            if target == ".." {
                continue;
            }
            "d/link"
        });
    }
    assert_tar_refused(&[special(EntryType::Symlink, "link", "..")], "link");
}

#[test]
fn tar_entry_cannot_pass_through_link() {
    assert_tar_refused(
        &[
            special(EntryType::Directory, "d/real", ""),
            special(EntryType::Symlink, "d/link", "real"),
            file("d/link/evil", b"evil"),
        ],
        "d/link/evil",
    );
    assert_tar_refused(
        &[
            special(EntryType::Symlink, "d/link", "real"),
            special(EntryType::Directory, "d/link", ""),
        ],
        "d/link",
    );
    assert_tar_refused(
        &[
            special(EntryType::Directory, "d/real", ""),
            special(EntryType::Symlink, "d/real", "x"),
        ],
        "d/real",
    );
}

/// A file written where a link was replaces the link, not what it points at.
#[test]
fn file_replaces_link_of_same_name() {
    let place = Place::new();
    let archive = gzip(&tar(&[
        file("target", b"kept"),
        special(EntryType::Symlink, "link", "target"),
        file("link", b"new"),
        special(EntryType::Link, "twin", "target"),
        file("twin", b"new"),
    ]));
    unpack(&archive, Format::TarGz, 0, &place).unwrap();
    let read = |name: &str| std::fs::read(place.dest().join(name)).unwrap();
    assert_eq!(
        (read("target"), read("link")),
        (b"kept".to_vec(), b"new".to_vec())
    );
}

#[test]
fn hard_link_target_must_be_file_in_archive() {
    for target in ["/etc/passwd", "../../outside", "d/absent", "d", "d/link"] {
        assert_tar_refused(
            &[
                file("d/file", b""),
                special(EntryType::Symlink, "d/link", "file"),
                special(EntryType::Link, "d/e/hard", target),
            ],
            "d/e/hard",
        );
    }
}

#[test]
fn rejects_devices_and_pipes() {
    for kind in [
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
        EntryType::new(b'Z'),
    ] {
        assert_tar_refused(
            &[file("d/good", b""), special(kind, "d/null", "")],
            "d/null",
        );
    }
}

#[test]
fn zip_entry_cannot_escape_or_pass_through_link() {
    let refused = |entries: &[ZipEntry<'_>], name: &str| {
        assert_refused(&zip(entries), Format::Zip, name);
    };
    for name in ["../evil", "a/../../evil", "/tmp/evil"] {
        refused(
            &[
                ZipEntry::File("a/good", 0o644, b""),
                ZipEntry::File(name, 0o644, b"evil"),
            ],
            name,
        );
    }
    for target in ["/etc", "../../..", "x/../../.."] {
        refused(&[ZipEntry::Link("d/link", target)], "d/link");
    }
    refused(
        &[
            ZipEntry::File("d/real/file", 0o644, b""),
            ZipEntry::Link("d/link", "real"),
            ZipEntry::File("d/link/evil", 0o644, b"evil"),
        ],
        "d/link/evil",
    );
}

#[test]
fn empty_archive_is_corrupt() {
    for (archive, format) in [(gzip(&tar(&[])), Format::TarGz), (zip(&[]), Format::Zip)] {
        let place = Place::new();
        let error = unpack(&archive, format, 0, &place).unwrap_err();
        assert!(matches!(error.kind, Kind::CorruptArchive(_)), "{error:?}");
        place.assert_untouched("empty");
    }
}
