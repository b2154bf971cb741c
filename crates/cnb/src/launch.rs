//! The process types of an image, and their variables.

use app::facts::Procfile;
use app::text_file;
use libcnb::data::launch::{self as cnb, LaunchBuilder, Process, ProcessBuilder, ProcessType};
use libcnb::layer_env::{LayerEnv, ModificationBehavior as Behavior, Scope};
use pipeline::git;
use pipeline::profile::Launch;
use planning::record::Record;
use std::path::Path;

/// Returns the process types: those of `bin/release`, overridden by those of the `Procfile`, in the form of
/// heroku/procfile. If that buildpack comes later, it sets the same ones.
pub(crate) fn processes(app: &Path, record: &Record, tests_only: bool) -> cnb::Launch {
    let mut launch = LaunchBuilder::new();
    if tests_only {
        let args = record.test_args.as_deref().unwrap_or_default();
        let args = shell_words::split(args).unwrap_or_default();
        let words = ["mix".to_owned(), "test".to_owned()];
        add(&mut launch, "test", |kind| {
            ProcessBuilder::new(kind, words)
                .args(args)
                .default(true)
                .build()
        });
        return launch.build();
    }
    let procfile = text_file::read(&app.join("Procfile")).unwrap_or_default();
    let Procfile(of_procfile) = Procfile::parse(&procfile);
    for (name, command) in &record.processes {
        if !of_procfile.contains_key(name) {
            // A default command contains no shell syntax.
            let words = shell_words::split(command).unwrap_or_default();
            add(&mut launch, name, |kind| {
                ProcessBuilder::new(kind, words)
                    .default(name == "web")
                    .build()
            });
        }
    }
    for (name, line) in &of_procfile {
        add(&mut launch, name, |kind| {
            ProcessBuilder::new(kind, ["bash", "-c"])
                .arg(line)
                .default(name == "web")
                .build()
        });
    }
    launch.build()
}

fn add(launch: &mut LaunchBuilder, name: &str, process: impl FnOnce(ProcessType) -> Process) {
    // Every name in a Procfile is also valid here.
    if let Ok(kind) = name.parse() {
        launch.process(process(kind));
    }
}

/// Returns the default variables of processes, which those of the running container override. `mix_layer` is the
/// `MIX_HOME`.
pub(crate) fn variables(app: &Path, launch: &Launch, mix_layer: &Path) -> LayerEnv {
    let mut env = LayerEnv::new();
    let mut set = |behavior, name: &str, value: &Path| {
        env.insert(Scope::Launch, behavior, name, value.as_os_str());
    };
    let mix_env = if launch.tests_only {
        Behavior::Override
    } else {
        Behavior::Default
    };
    set(mix_env, "MIX_ENV", Path::new(&launch.mix_env));
    // The VM warns about latin1 file names. C.UTF-8 is the only UTF-8 locale in all images.
    set(Behavior::Default, "LANG", Path::new("C.UTF-8"));
    if launch.phx_server {
        set(Behavior::Default, "PHX_SERVER", Path::new("true"));
    }
    if launch.release_alone {
        // The default is next to the release, where an unprivileged user can't write.
        set(Behavior::Default, "RELEASE_TMP", Path::new("/tmp"));
        return env;
    }
    set(Behavior::Default, "MIX_HOME", &mix_layer.join("home"));
    set(Behavior::Default, "HEX_HOME", &mix_layer.join("hex"));
    if launch.runs_node && !launch.tests_only {
        set(Behavior::Default, "NODE_ENV", Path::new("production"));
    }
    for bin in &launch.node_bins {
        set(Behavior::Delimiter, "PATH", Path::new(":"));
        set(Behavior::Prepend, "PATH", &app.join(bin));
    }
    let behavior = if launch.git_answers {
        Behavior::Prepend
    } else {
        Behavior::Append
    };
    set(Behavior::Delimiter, "PATH", Path::new(":"));
    set(behavior, "PATH", &app.join(git::FOLDER));
    env
}
