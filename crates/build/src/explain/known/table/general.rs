//! What other failures lead to as well: known by these only where none of them is.

use super::Known;
use super::Of::{Any, Mix};
use super::Sign::Line;
use crate::explain::Fault::User;

pub(super) const KNOWN: &[Known] = &[
    Known {
        code: "import-not-found",
        fault: User,
        of: Any,
        signs: &[
            Line("[ERROR] Could not resolve \"{}\""),
            Line("Module not found: Error: Can't resolve '{}'"),
        ],
        title: "the bundler does not find \"{0}\"",
        cause: &[],
        cure: &[
            "A path (`./` or `../`) names a file: is it committed, with upper and lower case as written, and not in .gitignore?",
            "A name is a package: is it in package.json, or, for phoenix, phoenix_html and phoenix_live_view, does NODE_PATH lead to deps, or package.json to `file:../deps/…`?",
        ],
    },
    Known {
        code: "mix-task-not-found",
        fault: User,
        of: Mix,
        signs: &[Line("** (Mix) The task \"{}\" could not be found")],
        title: "there is no mix task {0}",
        cause: &[
            "Tasks come with dependencies, and a dependency with `only: :dev` is not there in {mix env}.",
        ],
        cure: &[
            "Look at the entry in mix.exs of the dependency that brings it: `runtime: Mix.env() == :dev` keeps it in the build and out of the running app; `only: :dev` does not.",
        ],
    },
    Known {
        code: "tzdata-cannot-write",
        fault: User,
        of: Mix,
        signs: &[
            Line("could not write to file \"*/tzdata-{}\": read-only file system"),
            Line("could not write to file \"*/tzdata-{}\": permission denied"),
        ],
        title: "tzdata cannot write where it is installed",
        cause: &["tzdata updates its data beside its own code, which is read-only here."],
        cure: &[
            "Turn the updates off in config/config.exs. The data then comes with each version of the package:",
            "  config :tzdata, :autoupdate, :disabled",
            "Or give it a directory that the app can write to, in config/runtime.exs:",
            "  config :tzdata, :data_dir, \"/tmp/tzdata\"",
        ],
    },
    Known {
        code: "command-not-found",
        fault: User,
        of: Any,
        signs: &[
            Line("sh: 1: exec: {}: not found"),
            Line("sh: 1: {}: not found"),
            Line("bash: line *: {}: command not found"),
        ],
        // Not named here: a title is kept in the build's report, and a hook may have taken the value
        // of a config var for a command.
        title: "a command is not there",
        cause: &["There is no `{0}` on PATH."],
        cure: &[
            "What an npm script calls must be in package.json, under dependencies or devDependencies: both are installed. In a hook, Node.js is on PATH only where the app has a package.json.",
            "What a dependency calls must be installed before this buildpack runs, by another buildpack such as {apt}.",
        ],
    },
    Known {
        code: "dependency-does-not-compile",
        fault: User,
        of: Mix,
        signs: &[Line("ould not compile dependency :{},")],
        title: "the dependency {0} does not compile",
        cause: &[],
        cure: &[
            "Is it made for the Elixir and the Erlang/OTP that the log names under Planning? A newer version of it may be:",
            "  mix deps.update {0}",
            "If it compiles on your machine, compare the versions there (elixir --version) with those of the log.",
        ],
    },
];
