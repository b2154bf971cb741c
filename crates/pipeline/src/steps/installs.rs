//! The files that installing JavaScript packages creates in the app.

use crate::context::Context;
use app::facts::join;
use exec::secrets;
use messages::Error;
use serde::{Deserialize, Serialize};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use store::json::{self, PathText};
use workdir::leaked_secrets::Finders;

/// Returns whether a file is a package manager's own, which the installed packages don't need.
pub(crate) fn is_manager_file(ctx: &Context<'_>, path: &Path) -> bool {
    ctx.plan.assets.iter().any(|assets| {
        let install = assets.install.as_ref();
        let own = install.is_some_and(|install| {
            let mut own = MANAGER_FILES.iter();
            own.any(|own| path.starts_with(join(&install.dir, own)))
        });
        own || path.starts_with(join(&assets.assets_dir, COMPONENTS))
    })
}

/// Returns the files that installing created in earlier builds, or `None` without a note.
pub(crate) fn known_installs(ctx: &Context<'_>) -> Option<Installs> {
    let note = ctx.workspace.store.read_note(INSTALLS)?;
    serde_json::from_str(&note).ok()
}

/// Saves the note on the files that installing created in this build.
pub(crate) fn note_installs<'p>(
    ctx: &Context<'_>,
    touched: impl Iterator<Item = &'p PathBuf>,
    unclear: bool,
) -> Result<(), Error> {
    let mut installs = Installs {
        unclear,
        ..Installs::default()
    };
    let secrets = secrets::uncacheable(&ctx.workspace.environment);
    let finders = Finders::of(&secrets);
    let shown = |path: &PathBuf| {
        let bytes = path.as_os_str().as_bytes().to_vec();
        let is_secret = finders.find_first(Path::new(""), bytes).is_some();
        PathText(if is_secret {
            "a file".into()
        } else {
            path.clone()
        })
    };
    for path in touched {
        let place = if path.iter().any(|part| part == MODULES) {
            &mut installs.modules
        } else {
            &mut installs.outside_modules
        };
        place.get_or_insert_with(|| shown(path));
    }
    let note = json::to_string(&installs, INSTALLS)?;
    Ok(ctx.workspace.store.write_note(INSTALLS, &note)?)
}

/// One example path of each kind of file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Installs {
    /// A file outside any `node_modules`.
    #[serde(rename = "beside")]
    pub(crate) outside_modules: Option<PathText>,
    /// A file in a `node_modules` that isn't cached: that of a linked package.
    pub(crate) modules: Option<PathText>,
    /// Whether compiling may have created them, since it ran at the same time.
    pub(crate) unclear: bool,
}
impl Installs {
    /// Returns why packages have to be installed in spite of a cached `node_modules`.
    pub(crate) fn why(&self) -> Option<String> {
        let path = self.outside_modules.as_ref().or(self.modules.as_ref())?;
        let path = path.0.display();
        Some(if self.unclear {
            format!("it or compiling creates {path}")
        } else {
            format!("it creates {path}")
        })
    }
}

/// The note on files that installing packages creates outside `node_modules`. Installing runs scripts of packages,
/// and restoring a cached `node_modules` doesn't.
pub(crate) const INSTALLS: &str = "installs.json";

/// The directory to which bower installs components in every build.
pub(crate) const COMPONENTS: &str = "bower_components";

/// The files that package managers write next to `package.json`: their state, and new lockfiles.
pub(crate) const MANAGER_FILES: [&str; 10] = [
    ".pnp.cjs",
    ".pnp.data.json",
    ".pnp.loader.mjs",
    ".yarn",
    "bun.lock",
    "bun.lockb",
    "npm-shrinkwrap.json",
    "package-lock.json",
    "pnpm-lock.yaml",
    "yarn.lock",
];

pub(crate) const MODULES: &str = "node_modules";
