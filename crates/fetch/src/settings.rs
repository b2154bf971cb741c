use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// How long to wait and how often to try. The default is meant for production.
#[derive(Debug, Clone)]
pub struct Settings {
    /// For name lookup, TCP, proxy and TLS together.
    pub connect_timeout: Duration,
    /// From the request sent to the last byte of the answer's head.
    pub response_timeout: Duration,
    /// The longest silence within an answer. There is no limit for the whole: a slow download may
    /// take as long as it needs.
    pub idle_timeout: Duration,
    /// How often at most a transfer is begun, at least once.
    pub attempts: u32,
    /// The wait before the second attempt; it doubles with each further one. Without jitter, so
    /// that the same faults give the same log.
    pub first_wait: Duration,
    /// The longest wait, also for a host that asks for more.
    pub longest_wait: Duration,
    /// How many redirects are followed.
    pub redirects: u32,
    /// The shortest time between two calls of [`Observer::progress`](crate::Observer::progress).
    pub progress_every: Duration,
    /// Set from elsewhere, ends a transfer with [`Kind::Cancelled`](crate::Kind::Cancelled) before its next read, so at the
    /// latest after [`Settings::idle_timeout`].
    pub cancel: Arc<AtomicBool>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(8),
            response_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(30),
            attempts: 4,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(30),
            redirects: 10,
            progress_every: Duration::from_secs(1),
            cancel: Arc::default(),
        }
    }
}

impl Settings {
    /// The wait after the given attempt has failed.
    pub(crate) fn back_off(&self, attempt: u32) -> Duration {
        self.first_wait
            .saturating_mul(2_u32.saturating_pow(attempt - 1))
    }
}
