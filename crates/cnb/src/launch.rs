//! The process types of an image, and their variables.

use app::facts::Procfile;
use app::text_file;
use libcnb::data::launch::{self as cnb, LaunchBuilder, Process, ProcessBuilder, ProcessType};
use libcnb::layer_env::{LayerEnv, ModificationBehavior as Behavior, Scope};
use pipeline::git;
use pipeline::profile::Launch;
use planning::record::Record;
use std::path::Path;

/// The process types: those that `bin/release` would name, and over them those of the `Procfile`,
/// in the way that heroku/procfile has them. It may come after us, and makes the same of it.
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
            // A default command holds no syntax of a shell.
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
    // Every name of a Procfile is one here too.
    if let Ok(kind) = name.parse() {
        launch.process(process(kind));
    }
}

/// The variables that processes start with, each giving way to one that is set when the image is
/// run. `mix_layer` has what mix wants to find.
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
    // The VM warns when file names are latin1, and C.UTF-8 is the one UTF-8 locale of every image.
    set(Behavior::Default, "LANG", Path::new("C.UTF-8"));
    if launch.phx_server {
        set(Behavior::Default, "PHX_SERVER", Path::new("true"));
    }
    if launch.release_alone {
        // Beside the release, where mix would have it, an unprivileged user cannot write.
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
