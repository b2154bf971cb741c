use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Timeouts and retries. The defaults are for production.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The limit for name lookup, TCP, proxy and TLS together.
    pub connect_timeout: Duration,
    /// The limit from sending the request to the end of the response's head.
    pub response_timeout: Duration,
    /// The longest silence within a response. There is no limit for the whole response, so a slow download may take
    /// any time.
    pub idle_timeout: Duration,
    /// The maximum number of attempts, at least one.
    pub attempts: u32,
    /// The wait before the second attempt. It doubles with each further one. There is no jitter, so the same faults
    /// give the same log.
    pub first_wait: Duration,
    /// The longest wait, even if a host requests more.
    pub longest_wait: Duration,
    /// The maximum number of redirects.
    pub redirects: u32,
    /// The shortest time between two calls of [`Observer::progress`](crate::Observer::progress).
    pub progress_every: Duration,
    /// Ends a transfer with [`Kind::Cancelled`](crate::Kind::Cancelled) before its next read when set, at the latest
    /// after [`Settings::idle_timeout`].
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
