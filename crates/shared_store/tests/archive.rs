//! Archives of directories: the preserved metadata, and rejected files.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::{self, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use shared_store::{pack, unpack};

fn sample() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let at = |path: &str| directory.path().join(path);
    fs::create_dir_all(at("ebin/empty")).unwrap();
    fs::create_dir(at("priv")).unwrap();
    fs::write(at("ebin/Elixir.Plug.beam"), "beam").unwrap();
    fs::write(at("priv/run"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(at("priv/run"), Permissions::from_mode(0o755)).unwrap();
    fs::write(at(&format!("priv/{}", "long".repeat(50))), "x").unwrap();
    fs::hard_link(at("priv/run"), at("priv/same")).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_700);
    let beam = File::options()
        .append(true)
        .open(at("ebin/Elixir.Plug.beam"));
    beam.unwrap().set_modified(time).unwrap();
    directory
}

fn keep_all(_: &Path) -> bool {
    false
}

#[test]
fn unpacked_directory_is_as_packed() {
    let (from, parent) = (sample(), tempfile::tempdir().unwrap());
    let dest = parent.path().join("dest");
    unpack(&pack(from.path(), &keep_all).unwrap(), &dest).unwrap();
    let beam = fs::metadata(dest.join("ebin/Elixir.Plug.beam")).unwrap();
    let modified = beam
        .modified()
        .unwrap()
        .duration_since(SystemTime::UNIX_EPOCH);
    assert_eq!(modified.unwrap(), Duration::from_secs(1_700_000_000));
    let mode = |path| fs::metadata(dest.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("priv/run"), 0o755);
    assert_eq!(mode("ebin/Elixir.Plug.beam") & 0o111, 0);
    assert_eq!(
        fs::read_to_string(dest.join("priv/same")).unwrap(),
        "#!/bin/sh\n"
    );
    assert!(dest.join("ebin/empty").is_dir());
    assert!(dest.join("priv").join("long".repeat(50)).is_file());
    let names = fs::read_dir(parent.path()).unwrap().count();
    assert_eq!(names, 1);
}

#[test]
fn same_files_give_same_bytes() {
    let from = sample();
    let copy = tempfile::tempdir().unwrap();
    let dest = copy.path().join("dest");
    let packed = pack(from.path(), &keep_all).unwrap();
    unpack(&packed, &dest).unwrap();
    assert_eq!(pack(&dest, &keep_all).unwrap(), packed);
}

#[test]
fn skipped_paths_are_left_out() {
    let (from, parent) = (sample(), tempfile::tempdir().unwrap());
    let dest = parent.path().join("dest");
    let skip = |path: &Path| path == Path::new("priv") || path.ends_with("empty");
    unpack(&pack(from.path(), &skip).unwrap(), &dest).unwrap();
    assert!(dest.join("ebin/Elixir.Plug.beam").exists());
    assert!(!dest.join("priv").exists() && !dest.join("ebin/empty").exists());
}

#[test]
fn links_are_refused_by_name() {
    let from = sample();
    symlink("run", from.path().join("priv/link")).unwrap();
    let error = pack(from.path(), &keep_all).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("priv/link"), "{error}");
    let skip = |path: &Path| path.ends_with("link");
    assert!(pack(from.path(), &skip).is_ok());
}

#[test]
fn archive_cannot_lead_out_of_its_directory() {
    let parent = tempfile::tempdir().unwrap();
    let dest = parent.path().join("dest");
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.as_mut_bytes()[..7].copy_from_slice(b"../evil");
    header.set_cksum();
    tar.append(&header, b"evil".as_slice()).unwrap();
    let archive = tar.into_inner().unwrap().finish().unwrap();
    let error = unpack(&archive, &dest).unwrap_err().to_string();
    assert!(error.contains("../evil"), "{error}");
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn failed_unpacking_leaves_nothing() {
    let (from, parent) = (sample(), tempfile::tempdir().unwrap());
    let packed = pack(from.path(), &keep_all).unwrap();
    let dest = parent.path().join("dest");
    for bytes in [&packed[..packed.len() / 2], b"", b"not gzip"] {
        assert!(unpack(bytes, &dest).is_err());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
    fs::create_dir(&dest).unwrap();
    assert!(unpack(&packed, &dest).is_err());
    assert_eq!(fs::read_dir(&dest).unwrap().count(), 0);
}
