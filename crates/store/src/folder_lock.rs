//! A lock for one build at a time in a directory.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Locks the directory itself, so that no lock file is left in it. Returns [`io::ErrorKind::Interrupted`] if the
/// build was cancelled meanwhile.
pub fn lock(folder: &Path, cancelled: &AtomicBool, waiting: impl FnOnce()) -> io::Result<File> {
    let file = File::open(folder)?;
    let mut waiting = Some(waiting);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if cancelled.load(Ordering::SeqCst) => {
                return Err(io::ErrorKind::Interrupted.into());
            }
            Err(TryLockError::WouldBlock) => {
                if let Some(waiting) = waiting.take() {
                    waiting();
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    }
}
