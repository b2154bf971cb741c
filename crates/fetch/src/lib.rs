//! Downloads, verifies and unpacks files from HTTP hosts, in one stream.
//!
//! [`Client::archive`] reads a response once: every byte is hashed as it arrives, decompressed and unpacked to a
//! staging directory next to the destination, which is renamed to the destination only if the published checksum
//! matches. [`Client::file`] does the same for a single file, and [`Client::text`] reads a list into memory. After an
//! error, the destination is unchanged and no files are left next to it.
//!
//! The crate doesn't depend on what it fetches, and prints nothing: it reports progress and retries to an
//! [`Observer`], and errors as [`FetchError`]s with facts.
//!
//! # Retries
//!
//! | error | retried |
//! |---|---|
//! | failed name lookup, connection or TLS, a timeout, a truncated body, an invalid HTTP response | up to [`Settings::attempts`] |
//! | status 408, 429, 500, 502, 503, 504 (with the wait in `Retry-After`, up to [`Settings::longest_wait`]) | likewise |
//! | a wrong checksum, a corrupt archive, a page instead of an archive or a list (as from a bad node of a CDN) | once |
//! | any other status, an unsafe archive entry, an error of this machine | never |
//!
//! Each attempt starts over: partial downloads are discarded.

#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod address;
mod checksum;
mod client;
mod digests;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod observer;
mod settings;
mod transfer;
mod tree;
mod untar;
mod unzip;
mod url;

pub use crate::checksum::{Algorithm, Checksum};
pub use crate::client::{Archive, Client, Fetched, Format, Unpacked, unpack_tar_gz};
pub use crate::error::{Class, FetchError, Kind, LooksLike, Phase};
pub use crate::observer::{Observer, Progress, Retrying};
pub use crate::settings::Settings;
pub use crate::transfer::{agent, explain};
pub use crate::url::{Url, UserInfo, redact};
