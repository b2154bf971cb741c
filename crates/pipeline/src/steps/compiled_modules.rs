//! The modules that a build has compiled, and why.

use crate::compilation::CompiledModules;
use crate::context::Context;
use crate::steps::keys::unix_seconds;
use exec::output_filter::first_names;
use std::fs;
use std::path::{Path, PathBuf};

/// Lists the modules that are newer than the restored `_build`. `restored` is its time in seconds since 1970.
pub(crate) fn compiled_modules(ctx: &Context<'_>, restored: Option<u64>) -> CompiledModules {
    let lib = format!("_build/{}/lib", ctx.plan.mix_env.value);
    let deps = ctx.workspace.real(&ctx.in_app("deps"));
    let modified = |path: &Path| path.metadata().and_then(|found| found.modified()).ok();
    let is_new = |path: &Path| {
        modified(path).is_some_and(|at| restored.is_none_or(|then| unix_seconds(at) > then))
    };
    let taken = ctx.compilation.state().taken.clone();
    let mut compiled = CompiledModules::default();
    for (name, project) in entries(&ctx.workspace.real(&ctx.in_app(&lib))) {
        let ebin = project.join("ebin");
        if !ctx.tree.deps_are_pushed() && deps.join(&name).is_dir() {
            if is_new(&ebin.join(format!("{name}.app"))) && !taken.contains(&name) {
                compiled.dependencies.push(name);
            }
            continue;
        }
        let beams = entries(&ebin).into_iter().filter_map(|(file, path)| {
            let module = file.strip_suffix(".beam")?;
            let module = module.strip_prefix("Elixir.").unwrap_or(module).to_owned();
            is_new(&path).then_some(module)
        });
        compiled.modules.extend(beams);
    }
    compiled.modules.sort();
    compiled.dependencies.sort();
    compiled.reason = reason(ctx, restored.is_some());
    compiled
}

fn entries(dir: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let entries = entries.filter_map(Result::ok);
    entries
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .collect()
}

fn reason(ctx: &Context<'_>, restored: bool) -> Option<String> {
    if let Some(why) = &ctx.plan.clean {
        return Some(format!("a clean build was requested by {why}"));
    }
    let state = ctx.compilation.state();
    if let Some(reason) = state.reasons.first() {
        return Some(reason.clone());
    }
    if !restored {
        return Some("the build cache had no compiled code".to_owned());
    }
    let changed = |is_code: bool| {
        let files = state.changed_files.iter();
        let files = files.filter(|(path, _)| mix_reads(path) == is_code);
        let texts: Vec<String> = files
            .map(|(path, verb)| format!("{} {verb}", path.display()))
            .collect();
        (!texts.is_empty()).then(|| first_names(&texts))
    };
    changed(true).or_else(|| changed(false))
}

/// Whether mix compiles a file, or recompiles everything if it changes.
fn mix_reads(path: &Path) -> bool {
    const EXTENSIONS: [&str; 9] = [
        "ex", "exs", "erl", "hrl", "xrl", "yrl", "eex", "heex", "leex",
    ];
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension)) || path.ends_with("mix.lock")
}
