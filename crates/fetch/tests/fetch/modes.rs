//! What a good archive looks like on disk.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use fetch::{Archive, Format};
use mirror::faults::{Behaviour, FaultServer};
use mirror::noise::noise;
use tar::EntryType;

use crate::support::{
    Place, ZipEntry, client, empty, file, gzip, published, sha256, special, tar, unpack, zip,
};

#[test]
fn tar_keeps_execute_bits_links_and_times_and_drops_setuid_bits() {
    let archive = gzip(&tar(&[
        empty(EntryType::Directory, "./", 0o777),
        empty(EntryType::Directory, "node/", 0o555),
        empty(EntryType::Directory, "node/shut/", 0o000),
        file("node/shut/inside", b"x"),
        empty(EntryType::Regular, "node/bin/node", 0o4755),
        empty(EntryType::Regular, "node/readonly", 0o2444),
        empty(EntryType::Regular, "node/old-style/", 0o755),
        special(
            EntryType::Symlink,
            "node/bin/npm",
            "../lib/npm/bin/npm-cli.js",
        ),
        special(EntryType::Link, "node/bin/nodejs", "node/bin/node"),
        file("node/lib/npm/bin/npm-cli.js", b"first"),
        file("node/lib/npm/bin/npm-cli.js", b"second"),
        file("skipped-by-strip", b""),
    ]));
    let place = Place::new();
    let unpacked = unpack(&archive, Format::TarGz, 1, &place).unwrap();

    assert_eq!(unpacked.entries, 9);
    for (path, expected) in [
        ("", 0o755),
        ("shut", 0o700),
        ("shut/inside", 0o644),
        ("bin", 0o755),
        ("bin/node", 0o755),
        ("readonly", 0o644),
        ("old-style", 0o755),
    ] {
        assert_eq!(place.mode(path), expected, "{path}");
    }
    let dest = place.dest();
    assert_eq!(fs::read(dest.join("bin/npm")).unwrap(), b"second");
    assert!(dest.join("old-style").is_dir());
    assert!(!dest.join("skipped-by-strip").exists());
    let node = fs::metadata(dest.join("bin/node")).unwrap();
    assert_eq!((node.mtime(), node.nlink()), (1_700_000_000, 2));
    assert_eq!(
        place
            .listing()
            .iter()
            .filter(|path| path.starts_with("inner/.fetch"))
            .count(),
        0
    );
}

#[test]
fn zip_keeps_execute_bits_and_links() {
    let archive = zip(&[
        ZipEntry::File("bin/elixir", 0o755, b"#!/bin/sh"),
        ZipEntry::File("lib/ebin/a.beam", 0o600, &noise(0, 300_000)),
        ZipEntry::Link("bin/link", "../lib/ebin/a.beam"),
    ]);
    let place = Place::new();
    let unpacked = unpack(&archive, Format::Zip, 0, &place).unwrap();
    assert_eq!(
        (unpacked.entries, unpacked.bytes),
        (3, archive.len() as u64)
    );
    assert_eq!(place.mode("bin/elixir"), 0o755);
    assert_eq!(place.mode("lib/ebin/a.beam"), 0o600);
    assert_eq!(place.mode("lib/ebin"), 0o755);
    assert_eq!(
        fs::read(place.dest().join("bin/link")).unwrap(),
        noise(0, 300_000)
    );
}

#[test]
fn file_gets_requested_mode() {
    let server = FaultServer::start([("/rebar3", Behaviour::Ok(b"escript".into()))]).unwrap();
    let place = Place::new();
    let dest = place.dest();
    client()
        .file(
            &server.url("/rebar3"),
            Some(&published(b"escript")),
            &dest,
            0o755,
            &(),
        )
        .unwrap();
    assert_eq!(
        fs::metadata(dest).unwrap().permissions().mode() & 0o7777,
        0o755
    );
}

#[test]
fn long_names_are_not_truncated() {
    let name = format!("{}/{}", "d".repeat(120), "n".repeat(180));
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o644);
    builder
        .append_data(&mut header, &name, b"x".as_slice())
        .unwrap();
    let place = Place::new();
    unpack(
        &gzip(&builder.into_inner().unwrap()),
        Format::TarGz,
        0,
        &place,
    )
    .unwrap();
    assert_eq!(fs::read(place.dest().join(name)).unwrap(), b"x");
}

/// The sum is over every byte, also over those behind the end that the archive format knows.
#[test]
fn padding_after_tar_end_is_hashed() {
    let mut padded = tar(&[file("a", b"content")]);
    padded.extend(vec![0; 3_000_000]);
    // Several members, as parallel compressors write; the last holds nothing but padding.
    let mut archive = gzip(&padded[..700]);
    archive.extend(gzip(&padded[700..]));
    archive.extend(gzip(&noise(0, 100_000)));
    let place = Place::new();
    let unpacked = unpack(&archive, Format::TarGz, 0, &place).unwrap();
    assert_eq!(unpacked.sha256, sha256(&archive));
    assert_eq!(unpacked.bytes, archive.len() as u64);
    assert_eq!(fs::read(place.dest().join("a")).unwrap(), b"content");
}

#[test]
fn bare_destination_is_in_current_directory() {
    let server = FaultServer::start([("/it", Behaviour::Status(404, vec![]))]).unwrap();
    let archive = Archive {
        url: server.url("/it"),
        format: Format::Zip,
        strip_components: 0,
        checksum: None,
    };
    let error = client()
        .archive(&archive, "no-such-destination".as_ref(), &())
        .unwrap_err();
    assert!(matches!(error.kind, fetch::Kind::Status(404)), "{error:?}");
}
