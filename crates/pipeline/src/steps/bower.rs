//! bower, which fetched browser packages for Phoenix up to 1.2: the app's own bower, or one from the npm registry.

use crate::context::Context;
use crate::steps::package_managers;
use app::Origin;
use app::facts::join;
use app::plan::Assets;
use exec::Action;
use exec::command::Tool;
use exec::environment::{default, prepend_path};
use exec::log::StepLog;
use messages::Error;
use std::path::{Path, PathBuf};
use store::Key;
use store::tree::TreeError;

/// The last major version of bower, which is no longer developed.
const FROM_NPM: &str = "bower@1";

/// Installs the components in the assets' `bower.json`. Runs after the JavaScript packages, since they may include
/// bower.
pub(crate) fn bower(ctx: &Context<'_>, assets: &Assets, log: &StepLog<'_>) -> Result<(), Error> {
    let dir = &assets.assets_dir;
    let file = join(dir, "bower.json");
    log.detail(&format!("{file} is there"));
    let folder = ctx.workspace.real(Path::new(dir));
    let bins = assets.bins().into_iter();
    let mut path: Vec<PathBuf> = bins
        .map(|bin| ctx.workspace.real(Path::new(&bin)))
        .collect();
    if !path.iter().any(|bin| bin.join("bower").exists()) {
        path.push(bower_of_the_registry(ctx, &file, log)?);
    }
    let mut env = ctx.env.clone();
    prepend_path(&mut env, &path);
    // bower always writes to this directory, and `/app/.config` would ship.
    let config = ctx.workspace.store.scratch("bower")?.join("config");
    default(&mut env, "XDG_CONFIG_HOME", config);
    // Flags instead of variables, since bower treats the text `false` in a variable as true.
    let args = [
        "install",
        "--allow-root",
        "--config.interactive=false",
        "--config.analytics=false",
    ];
    log.detail(&format!("$ bower install  (in {dir})"));
    let mut tool = Tool::new("bower", &args, &folder, &env);
    "bower install".clone_into(&mut tool.shown);
    ctx.run_tool(Action::Bower { file }, &tool, log)
}

/// Installs bower from the npm registry. Returns the directory of its executable.
fn bower_of_the_registry(
    ctx: &Context<'_>,
    file: &str,
    log: &StepLog<'_>,
) -> Result<PathBuf, Error> {
    let store = ctx.workspace.store;
    let place = store.scratch("managers")?.join("bower");
    let key = Key::from([("package".to_owned(), FROM_NPM.to_owned())]);
    store::tool(store, "bower", &key, &place, |dest| {
        let scratch = tempfile::tempdir()
            .map_err(TreeError::at(&std::env::temp_dir(), "create a folder in"))?;
        let requester = Origin::file(file, 0);
        package_managers::fetch_program(ctx, FROM_NPM, &requester, scratch.path(), dest, log)
            .map(drop)
    })?;
    Ok(place.join("bin"))
}
