//! A store that builds share: a directory, an HTTP server or an S3 bucket.
//!
//! The crate doesn't depend on the stored contents. It reads the store's settings ([`Settings`]), sends requests
//! ([`SharedStore::get`], [`SharedStore::put`]), and returns only objects that a trusted writer has signed for
//! exactly the requested key.
//!
//! # Trust
//!
//! The store itself isn't trusted. An object is at `v1/WRITER/KEY`, where `WRITER` is a hash of the writer's public
//! key, and carries that writer's signature. A build asks for the objects of the writers it trusts, one after the
//! other. An object that is truncated, changed, signed by anybody else or moved from another key counts as missing.
//!
//! # Cost
//!
//! Requests that fail, find nothing or are slow cost a build three seconds at most. Then the store is off: see
//! `budget.rs`. Nothing is retried, except on a kept connection that the server has closed.

#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod address;
mod archive;
mod budget;
mod directory;
mod http;
mod keys;
mod object;
mod settings;
mod sigv4;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::budget::{Budget, Effect, Fault, Moved, Purpose};
use crate::directory::Directory;
use crate::http::Http;
use crate::keys::{Secret, Writer};
use crate::settings::Place;

pub use crate::archive::{pack, unpack};
pub use crate::keys::{Generated, generate, public_key_of};
pub use crate::object::Object;
pub use crate::settings::{Settings, SettingsError, VARIABLES};

/// A shared store during one build.
pub struct SharedStore {
    settings: Settings,
    secret: Secret,
    backend: Arc<Backend>,
    budget: Budget,
}

#[expect(clippy::large_enum_variant, reason = "a build has one")]
enum Backend {
    Directory(Directory),
    Server(Http),
}

impl Backend {
    fn get(&self, path: &str, moved: &Moved) -> Result<Option<Vec<u8>>, Fault> {
        match self {
            Self::Directory(directory) => directory.get(path, moved),
            Self::Server(http) => http.get(path, moved),
        }
    }

    fn put(&self, path: &str, bytes: &[u8], moved: &Moved) -> Result<(), Fault> {
        match self {
            Self::Directory(directory) => directory.put(path, bytes, moved),
            Self::Server(http) => http.put(path, bytes, moved),
        }
    }
}

impl fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedStore")
            .field("settings", &self.settings)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

impl SharedStore {
    /// Prepares the use of a store, without a request. Once `cancel` is set, requests end at once.
    #[must_use]
    pub fn open(settings: Settings, cancel: Arc<AtomicBool>) -> Self {
        let backend = match settings.place.clone() {
            Place::Directory(root) => Backend::Directory(Directory::new(root)),
            Place::Server(address) => Backend::Server(Http::new(address)),
        };
        Self {
            secret: Secret::new(&settings.secret),
            settings,
            backend: Arc::new(backend),
            budget: Budget::new(cancel),
        }
    }

    /// Returns the HMAC-SHA256 of a named value with the shared secret, in hex. Values that may be
    /// secret enter keys only in this form.
    #[must_use]
    pub fn mac(&self, name: &str, value: &[u8]) -> String {
        self.secret.mac(name, value)
    }

    /// Returns the verified object of the first trusted writer that has one for this key of 64 hex digits. `None` is
    /// a miss, or a fault, which [`trouble`](Self::trouble) describes.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Object> {
        if !is_key(key) {
            return None;
        }
        let writers = self.settings.trusted.iter();
        writers
            .into_iter()
            .find_map(|writer| self.get_of(writer, key))
    }

    fn get_of(&self, writer: &Writer, key: &str) -> Option<Object> {
        let backend = Arc::clone(&self.backend);
        let path = path_of(writer, key);
        let bytes = self
            .budget
            .run(Purpose::Read, Option::is_some, move |moved| {
                backend.get(&path, moved)
            })??;
        match object::open(bytes, key, writer) {
            Ok(object) => Some(object),
            Err(invalid) => {
                let text = format!("returned an object that {invalid} (key {key})");
                self.budget.fault(Fault::new(Effect::Alone, text));
                None
            }
        }
    }

    /// Signs and stores an object under a key of 64 hex digits, unless the store already has one of
    /// this writer there. Returns whether the store then has one.
    pub fn put(&self, key: &str, object: &Object) -> bool {
        let Some(signer) = &self.settings.signing_key else {
            return false;
        };
        if !is_key(key) || !self.can_write() {
            return false;
        }
        let Some(bytes) = object::seal(object, key, signer) else {
            return false;
        };
        let backend = Arc::clone(&self.backend);
        let path = path_of(&signer.writer(), key);
        self.budget
            .run(
                Purpose::Write,
                |()| true,
                move |moved| backend.put(&path, &bytes, moved),
            )
            .is_some()
    }

    /// Returns whether this build has a signing key, and the store hasn't refused or failed so far.
    #[must_use]
    pub fn can_write(&self) -> bool {
        self.settings.signing_key.is_some() && !self.budget.is_spent(Purpose::Write)
    }

    /// Returns whether a package is revoked: as `name`, or as `name@version`.
    #[must_use]
    pub fn excepts(&self, name: &str, version: &str) -> bool {
        let excepted = |entry: &String| match entry.split_once('@') {
            None => entry == name,
            Some((name_of_entry, version_of_entry)) => {
                name_of_entry == name && version_of_entry == version
            }
        };
        self.settings.excepted.iter().any(excepted)
    }

    /// Returns a text that changes with the trusted writers.
    #[must_use]
    pub fn writers(&self) -> String {
        let writers = self.settings.trusted.iter();
        let ids: Vec<&str> = writers.map(|writer| writer.id.as_str()).collect();
        ids.join(" ")
    }

    /// Returns the sentence for the log, if something went wrong so far.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.budget.trouble(&self.settings.shown)
    }
}

fn path_of(writer: &Writer, key: &str) -> String {
    format!("v1/{}/{key}", writer.id)
}

fn is_key(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
