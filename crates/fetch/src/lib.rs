//! Bytes from an HTTP host onto this disk: download, verify, unpack, as one stream.
//!
//! [`Client::archive`] reads a response once: every byte is hashed as it arrives, gunzipped and
//! unpacked into a staging directory beside the destination, which takes the destination's name
//! only after the published checksum matched. [`Client::file`] does the same for a single file and
//! [`Client::text`] reads a list into memory. Whatever goes wrong, the destination is as it was and
//! nothing is left beside it.
//!
//! The crate knows nothing of what it fetches, prints nothing and gives no advice: progress and
//! retries go to an [`Observer`], failures are [`FetchError`]s made of facts.
//!
//! # What is tried again
//!
//! | what happened | tried again |
//! |---|---|
//! | no connection, no name, no TLS, a timeout, a body cut short, an answer that is not HTTP | until [`Settings::attempts`] are used up |
//! | status 408, 429, 500, 502, 503, 504 (`Retry-After` in seconds is honoured up to [`Settings::longest_wait`]) | likewise |
//! | a checksum that does not match, an archive that is none or is corrupt, a page for a list (one bad node of a CDN) | once |
//! | any other status, an unsafe archive entry, an error of this machine | never |
//!
//! An attempt always starts over: nothing of a broken download is kept.

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
