//! Executables that the cache holds compressed. Node's has over 120 MB, and a platform such as Heroku packs and
//! moves the cache in each build.

use crate::ToolchainError;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Replaces an executable with a compressed copy, `NAME.gz`.
pub fn pack(executable: &Path) -> Result<(), ToolchainError> {
    let packed = packed(executable);
    let compress = || {
        let mut from = File::open(executable)?;
        // Better levels take several times as long for a few percent.
        let mut to = GzEncoder::new(File::create(&packed)?, Compression::new(2));
        io::copy(&mut from, &mut to)?;
        to.finish()?;
        fs::set_permissions(&packed, from.metadata()?.permissions())?;
        fs::remove_file(executable)
    };
    compress().map_err(ToolchainError::io(executable, "compress"))
}

/// Replaces the compressed copy with the executable. The compressed file may have other names, which keep
/// their content.
pub fn unpack(executable: &Path) -> Result<(), ToolchainError> {
    let packed = packed(executable);
    let expand = || {
        let mut from = GzDecoder::new(File::open(&packed)?);
        let mut to = File::create(executable)?;
        io::copy(&mut from, &mut to)?;
        to.set_permissions(fs::metadata(&packed)?.permissions())?;
        fs::remove_file(&packed)
    };
    expand().map_err(ToolchainError::io(executable, "unpack"))
}

fn packed(executable: &Path) -> PathBuf {
    executable.with_added_extension("gz")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn unpacked_executable_equals_the_packed_one_and_leaves_the_cached_copy() {
        let dir = tempfile::tempdir().unwrap();
        let executable = dir.path().join("node");
        let bytes = b"\x7fELF of a program".repeat(10_000);
        fs::write(&executable, &bytes).unwrap();
        fs::set_permissions(&executable, fs::Permissions::from_mode(0o755)).unwrap();

        pack(&executable).unwrap();
        assert!(!executable.exists());
        let cached = dir.path().join("cached");
        fs::hard_link(packed(&executable), &cached).unwrap();
        assert!(cached.metadata().unwrap().len() < bytes.len() as u64 / 10);

        unpack(&executable).unwrap();
        assert_eq!(fs::read(&executable).unwrap(), bytes);
        let mode = executable.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
        assert!(cached.exists() && !packed(&executable).exists());

        let mut damaged = fs::read(&cached).unwrap();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        fs::write(packed(&executable), damaged).unwrap();
        assert!(unpack(&executable).is_err());
    }
}
