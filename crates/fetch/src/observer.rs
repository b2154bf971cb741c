use std::time::Duration;

/// Gets events of a running transfer. By default, methods do nothing. `()` is an observer that ignores all events.
///
/// URLs are passed through [`redact`](crate::redact).
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

/// The progress of the current attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    pub url: &'a str,
    /// Bytes of the body so far. Each attempt starts from zero.
    pub received: u64,
    /// Bytes of the whole body, if the host announced them.
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
    /// The reason for the failure, as a phrase.
    pub reason: String,
    /// The wait before the attempt.
    pub wait: Duration,
}
