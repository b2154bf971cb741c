//! Hides the directories of tools from programs that scan the app for sources.
//!
//! Tailwind CSS 4 treats every file below the app as a source, except those in a `.gitignore`, even without a
//! repository (its crate oxide uses ripgrep's `ignore`). Class names in Node's and Elixir's own code would end up in
//! the app's CSS.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use store::tree::TreeError;

const NAME: &str = ".gitignore";

/// Hides the directories until it is dropped.
#[derive(Debug)]
pub struct HiddenDirectories(Vec<PathBuf>);

impl HiddenDirectories {
    /// Hides `directories` of the app that only contain tools. An existing `.gitignore` stays.
    pub fn hide(app: &Path, directories: &[&str]) -> Result<Self, TreeError> {
        let mut written = Self(Vec::new());
        for directory in directories {
            let path = app.join(directory).join(NAME);
            match fs::File::create_new(&path).and_then(|mut file| {
                written.0.push(path.clone());
                file.write_all(b"*\n")
            }) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(TreeError::at(&path, "write")(error)),
            }
        }
        Ok(written)
    }
}

impl Drop for HiddenDirectories {
    fn drop(&mut self) {
        for path in &self.0 {
            // A hook may have removed it, or the directory.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn existing_gitignore_is_not_touched() {
        let app = tempfile::tempdir().unwrap();
        for directory in [".heroku", ".platform_tools"] {
            fs::create_dir(app.path().join(directory)).unwrap();
        }
        let own = app.path().join(".heroku/.gitignore");
        fs::write(&own, "cache\n").unwrap();
        let hidden = HiddenDirectories::hide(app.path(), &[".heroku", ".platform_tools"]).unwrap();
        let other = app.path().join(".platform_tools/.gitignore");
        assert_eq!(fs::read_to_string(&other).unwrap(), "*\n");
        drop(hidden);
        assert!(!other.exists());
        assert_eq!(fs::read_to_string(&own).unwrap(), "cache\n");
    }
}
