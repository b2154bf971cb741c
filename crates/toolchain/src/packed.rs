//! Compressed executables in the cache. Node's has over 120 MB, and a platform such as Heroku packs and moves the
//! cache in each build.

use crate::ToolchainError;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Replaces an executable with a compressed copy, `NAME.zst`. Returns whether the executable was moved to `spare`,
/// which is only possible on the same file system.
pub fn pack(executable: &Path, spare: &Path) -> Result<bool, ToolchainError> {
    let packed = packed(executable);
    let compress = || {
        compress(executable, &packed)?;
        let is_moved = fs::rename(executable, spare).is_ok();
        if !is_moved {
            fs::remove_file(executable)?;
        }
        Ok(is_moved)
    };
    compress().map_err(ToolchainError::io(executable, "compress"))
}

/// Writes a compressed copy of a file, with its permissions and modification time.
///
/// # Errors
///
/// An error of the operating system.
pub fn compress(from: &Path, to: &Path) -> io::Result<()> {
    let mut from = File::open(from)?;
    let to = File::create(to)?;
    // Higher levels take several times as long to save a few percent.
    let mut to = zstd::Encoder::new(to, zstd::DEFAULT_COMPRESSION_LEVEL)?;
    to.include_checksum(true)?;
    io::copy(&mut from, &mut to)?;
    like(&to.finish()?, &from)
}

/// Decompresses a file that [`compress`] has written.
///
/// # Errors
///
/// An error of the operating system, or of the decompressor, which has no `raw_os_error`.
pub fn expand(from: &Path, to: &Path) -> io::Result<()> {
    let from = File::open(from)?;
    let mut decoder = zstd::Decoder::new(&from)?;
    let mut to = File::create(to)?;
    io::copy(&mut decoder, &mut to)?;
    like(&to, &from)
}

fn like(file: &File, model: &File) -> io::Result<()> {
    let metadata = model.metadata()?;
    file.set_permissions(metadata.permissions())?;
    file.set_modified(metadata.modified()?)
}

/// Replaces the compressed copy with the executable: the one at `spare`, if there is one, to save the time of
/// decompressing. The compressed file may have other names, which keep their content.
pub fn unpack(executable: &Path, spare: Option<&Path>) -> Result<(), ToolchainError> {
    let packed = packed(executable);
    let expand = || {
        if let Some(spare) = spare {
            fs::rename(spare, executable)?;
        } else {
            expand(&packed, executable)?;
        }
        fs::remove_file(&packed)
    };
    expand().map_err(ToolchainError::io(executable, "unpack"))
}

/// Returns whether [`unpack`] failed because the compressed copy is damaged, and not, for example, because the disk is
/// full.
#[must_use]
pub fn is_damage(error: &ToolchainError) -> bool {
    // Only errors of the decompressor aren't from the operating system.
    matches!(error, ToolchainError::Io { source, .. } if source.raw_os_error().is_none())
}

fn packed(executable: &Path) -> PathBuf {
    executable.with_added_extension("zst")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::time::{Duration, SystemTime};

    #[test]
    fn unpacked_executable_equals_the_packed_one_and_leaves_the_cached_copy() {
        let dir = tempfile::tempdir().unwrap();
        let executable = dir.path().join("node");
        let bytes = b"\x7fELF of a program".repeat(10_000);
        fs::write(&executable, &bytes).unwrap();
        fs::set_permissions(&executable, fs::Permissions::from_mode(0o755)).unwrap();
        let modified = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
        let file = File::options().write(true).open(&executable).unwrap();
        file.set_modified(modified).unwrap();

        let spare = dir.path().join("spare");
        assert!(pack(&executable, &spare).unwrap());
        assert!(!executable.exists());
        let cached = dir.path().join("cached");
        fs::hard_link(packed(&executable), &cached).unwrap();
        assert!(cached.metadata().unwrap().len() < bytes.len() as u64 / 10);

        for spare in [Some(spare.as_path()), None] {
            unpack(&executable, spare).unwrap();
            assert_eq!(fs::read(&executable).unwrap(), bytes);
            let mode = executable.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o755);
            let times = [&executable, &cached].map(|path| path.metadata().unwrap().modified());
            assert!(times.into_iter().all(|time| time.unwrap() == modified));
            assert!(cached.exists() && !packed(&executable).exists());
            fs::remove_file(&executable).unwrap();
            fs::hard_link(&cached, packed(&executable)).unwrap();
        }
        assert!(!spare.exists());

        let mut damaged = fs::read(&cached).unwrap();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        unpack(&executable, None).unwrap();
        assert!(!pack(&executable, &dir.path().join("none/spare")).unwrap());
        assert!(!executable.exists());
        let whole = fs::read(packed(&executable)).unwrap();
        let cut_short = &whole[..middle];
        for damaged in [damaged.as_slice(), cut_short] {
            fs::remove_file(packed(&executable)).unwrap();
            fs::write(packed(&executable), damaged).unwrap();
            let error = unpack(&executable, None).unwrap_err();
            assert!(is_damage(&error), "{error}");
        }
        // A directory is in its place.
        fs::remove_file(&executable).unwrap();
        fs::create_dir(&executable).unwrap();
        let error = unpack(&executable, None).unwrap_err();
        assert!(!is_damage(&error), "{error}");
    }
}
