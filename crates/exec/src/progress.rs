//! The progress of a download in the log.

use crate::log::{StepLog, seconds};
use fetch::{Observer, Progress, Retrying};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The interval between progress messages of a long download.
const INTERVAL: Duration = Duration::from_secs(10);

/// Logs retries and the progress of long downloads.
pub struct DownloadProgress<'a> {
    log: &'a StepLog<'a>,
    last: Mutex<Instant>,
}

impl<'a> DownloadProgress<'a> {
    #[must_use]
    pub fn to(log: &'a StepLog<'a>) -> Self {
        Self {
            log,
            last: Mutex::new(Instant::now()),
        }
    }
}

impl Observer for DownloadProgress<'_> {
    fn progress(&self, progress: &Progress<'_>) {
        let of = progress
            .total
            .map_or_else(String::new, |total| format!(" of {}", megabytes(total)));
        let so_far = format!("{}{of}", megabytes(progress.received));
        self.log.progress(&so_far);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= INTERVAL {
            *last = Instant::now();
            self.log.progress_line(&format!("... {so_far}"));
        }
    }

    fn retrying(&self, retrying: &Retrying<'_>) {
        self.log.warning(&format!(
            "{}: {}; attempt {} of {} in {}",
            retrying.url,
            retrying.reason,
            retrying.attempt,
            retrying.of,
            seconds(retrying.wait)
        ));
    }
}

/// `34.2 MB`.
#[must_use]
pub fn megabytes(bytes: u64) -> String {
    // Shown with a precision of a tenth of a megabyte.
    #[allow(clippy::cast_precision_loss)]
    let megabytes = bytes as f64 / 1e6;
    format!("{megabytes:.1} MB")
}
