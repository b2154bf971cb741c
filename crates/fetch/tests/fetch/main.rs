//! Tests the client with misbehaving hosts and hostile archives.

#![expect(
    clippy::unwrap_used,
    clippy::panic_in_result_fn,
    reason = "helpers of tests may panic"
)]

mod address;
mod cancel;
mod faults;
mod flips;
mod hostile;
mod modes;
mod support;
mod unsafe_entries;
