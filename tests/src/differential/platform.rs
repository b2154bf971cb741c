//! The interface of platforms that sequences use.

use super::host::Host;
use super::subject::Subject;
use crate::Deploy;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// The result of a build.
pub(super) struct Built {
    pub(super) succeeded: bool,
    pub(super) log: String,
    pub(super) took: Duration,
    /// The slug, or the image's directories of the app and of Mixpack.
    pub(super) slug: PathBuf,
    pub(super) kept: Kept,
}

/// Keeps the directory of a slug for as long as it is needed.
pub(super) enum Kept {
    BuildDir(Box<Deploy>),
    Copy(#[expect(dead_code, reason = "dropping it removes the slug")] TempDir),
}

/// The name of clean builds.
pub(super) const CLEAN: &str = "clean";

/// An app that is built several times.
pub(super) trait Platform {
    /// The app's source.
    fn source(&self) -> &Path;

    /// Builds the app as it is. `build` is a name that no other build has.
    fn deploy(&self, subject: &Subject, build: &str) -> Built;

    /// Builds the state that `subject` is in as an app that was never built. With `entirely` even
    /// toolchains, Hex and Mixpack's own tasks are made again.
    fn deploy_clean(&self, subject: &Subject, entirely: bool) -> Built;

    /// Starts a build and kills it.
    fn kill(&self, subject: &Subject, after: Duration);

    /// Packs and unpacks the cache.
    fn move_cache(&self, times: bool);

    fn lose_cache(&self);

    /// The app's response once it has booted.
    fn answer(&self, built: Built) -> String;

    /// Removes the result of a build.
    fn discard(&self, built: Built);
}

/// The variables of a build: those of the app, and the URLs of hosts.
pub(super) fn variables(subject: &Subject, build: &str) -> Vec<(String, String)> {
    let url = Host::shared().server.url();
    let hosts = [
        ("HEX_BUILDS_URL", url.clone()),
        ("HEX_MIRROR", format!("{url}/hex")),
        ("HEX_UNSAFE_REGISTRY", "1".to_owned()),
        ("NODEJS_ORG_MIRROR", format!("{url}/dist")),
        ("NPM_CONFIG_REGISTRY", crate::npm_registry()),
        ("GIT_CONFIG_COUNT", "1".to_owned()),
        ("GIT_CONFIG_KEY_0", format!("url.{url}/git/.insteadOf")),
        (
            "GIT_CONFIG_VALUE_0",
            "https://git.example.invalid/".to_owned(),
        ),
    ];
    let hosts = hosts.map(|(name, value)| (name.to_owned(), value));
    // Clean builds compile dependencies as mix does, in one VM.
    let vms = if build == CLEAN { "1" } else { "2" };
    let vms = (
        "MIX_OS_DEPS_COMPILE_PARTITION_COUNT".to_owned(),
        vms.to_owned(),
    );
    // They also compile everything themselves.
    let store = [
        ("MIXPACK_STORE", "/tmp/shared"),
        ("MIXPACK_STORE_SECRET", "a secret of these tests"),
        (
            "MIXPACK_STORE_SIGNING_KEY",
            "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=",
        ),
    ];
    let store = store
        .into_iter()
        .filter(|_| build != CLEAN)
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let of_the_app = subject.variables.iter().map(|(name, value)| {
        // Another directory in each build.
        let value = match name.as_str() {
            "BUILD_DIR" => format!("{value}-{build}"),
            _ => value.clone(),
        };
        (name.clone(), value)
    });
    let set_up = hosts.into_iter().chain([vms]).chain(store);
    set_up.chain(of_the_app).collect()
}
