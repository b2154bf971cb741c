//! What takes long is made in parts, each once: a part is made anew when the recipe it was made
//! from has changed. It is made under another name first, so a part that is there is whole.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::process::Result;

const STAMP: &str = "stamp";
const WORK: &str = "work-";

/// A directory of parts.
pub(crate) struct Parts {
    dir: PathBuf,
}

impl Parts {
    /// To be called by one process at a time: what interrupted ones left is removed.
    pub(crate) fn at(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir)?;
        remove_left_over(dir, WORK)?;
        Ok(Self {
            dir: dir.canonicalize()?,
        })
    }

    /// The directory of the part `name`, made from `recipe` by `make` unless it is there.
    ///
    /// `make` gets a directory to work in, which goes away afterwards, and one for the result.
    pub(crate) fn part(
        &self,
        name: &str,
        what: &str,
        recipe: &[&str],
        make: impl FnOnce(&Path, &Path) -> Result,
    ) -> Result<PathBuf> {
        let part = self.dir.join(name);
        let stamp = stamp_of(recipe);
        if fs::read_to_string(part.join(STAMP)).is_ok_and(|made| made == stamp) {
            return Ok(part);
        }
        step(what, || {
            let work = TempDir::with_prefix_in(WORK, &self.dir)?;
            let result = work.path().join("result");
            fs::create_dir(&result)?;
            make(work.path(), &result)?;
            fs::write(result.join(STAMP), &stamp)?;
            if part.exists() {
                fs::rename(&part, work.path().join("replaced"))?;
            }
            fs::rename(&result, &part)?;
            Ok(())
        })?;
        Ok(part)
    }
}

/// Returns a digest that changes with any of the texts, but not with the tests in them.
pub(crate) fn stamp_of(texts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        let text = text.split("\n#[cfg(test)]").next().unwrap_or(text);
        hasher.update(text.len().to_le_bytes());
        hasher.update(text);
    }
    hex::encode(hasher.finalize())
}

/// Removes the temporary directories of this prefix that an interrupted run left in `dir`.
pub(crate) fn remove_left_over(dir: &Path, prefix: &str) -> Result {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Does `work`, saying what it is and how many seconds it took.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    print!("{what} ... ");
    io::stdout().flush()?;
    let start = Instant::now();
    let result = work();
    let seconds = start.elapsed().as_secs_f64();
    match &result {
        Ok(_) => println!("{seconds:.1} s"),
        Err(_) => println!("failed after {seconds:.1} s"),
    }
    result
}

/// All files of a directory tree as one text to make a stamp from.
pub(crate) fn tree_text(dir: &Path) -> Result<String> {
    let mut text = String::new();
    for entry in walkdir::WalkDir::new(dir).sort_by_file_name() {
        let entry = entry?;
        if entry.file_type().is_file() {
            text.push_str(&entry.path().strip_prefix(dir)?.to_string_lossy());
            text.push('\0');
            text.push_str(&hex::encode(Sha256::digest(fs::read(entry.path())?)));
            text.push('\n');
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn part_is_built_once_per_recipe() {
        let dir = TempDir::new().unwrap();
        let parts = Parts::at(dir.path()).unwrap();
        let times = Cell::new(0);
        let make = |recipe: &str| {
            parts.part("a", "A part", &["common", recipe], |_, result| {
                times.set(times.get() + 1);
                Ok(fs::write(result.join("file"), recipe)?)
            })
        };
        make("one").unwrap();
        let part = make("one").unwrap();
        assert_eq!(
            (times.get(), fs::read_to_string(part.join("file")).unwrap()),
            (1, "one".into())
        );
        let part = make("two").unwrap();
        assert_eq!(
            (times.get(), fs::read_to_string(part.join("file")).unwrap()),
            (2, "two".into())
        );
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing else is left"
        );
    }

    #[test]
    fn failed_part_leaves_no_files() {
        let dir = TempDir::new().unwrap();
        let parts = Parts::at(dir.path()).unwrap();
        let result = parts.part("a", "A part", &[], |_, result| {
            fs::write(result.join("half"), "")?;
            Err("no network".into())
        });
        assert_eq!(result.unwrap_err().to_string(), "no network");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn leftovers_of_interrupted_run_are_removed() {
        let dir = TempDir::new().unwrap();
        for name in ["work-x1", "otp"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        Parts::at(dir.path()).unwrap();
        assert!(!dir.path().join("work-x1").exists());
        assert!(dir.path().join("otp").exists());
    }
}
