use std::time::Duration;

/// Hears about a transfer while it runs. Every method does nothing unless implemented, and `()` is
/// the observer that listens to nothing.
///
/// Addresses are shown as [`redact`](crate::redact) leaves them.
pub trait Observer: Sync {
    /// Bytes have arrived. Called at most once per [`Settings::progress_every`], so a short
    /// transfer may never report.
    ///
    /// [`Settings::progress_every`]: crate::Settings::progress_every
    fn progress(&self, _progress: &Progress<'_>) {}

    /// An attempt failed and another follows after [`Retrying::wait`].
    fn retrying(&self, _retrying: &Retrying<'_>) {}
}

impl Observer for () {}

/// How far the current attempt has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    pub url: &'a str,
    /// Bytes of the body so far; starts from zero with each attempt.
    pub received: u64,
    /// Bytes of the whole body, where the host has said.
    pub total: Option<u64>,
}

/// An attempt that failed, and the one that follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retrying<'a> {
    pub url: &'a str,
    /// The attempt about to be made; the first retry is attempt 2.
    pub attempt: u32,
    /// The last attempt that may be made for this kind of failure.
    pub of: u32,
    /// The reason for the failure, in words.
    pub reason: String,
    /// How long nothing happens before the attempt.
    pub wait: Duration,
}
