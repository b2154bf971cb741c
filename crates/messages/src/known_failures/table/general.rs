//! Failures that others may lead to. They only count if no other failure matches.

use super::Known;
use super::Sign::Line;
use super::Tool::{Any, Mix};
use crate::Fault::User;

pub(super) const KNOWN: &[Known] = &[
    Known {
        code: "import-not-found",
        fault: User,
        tool: Any,
        signs: &[
            Line("[ERROR] Could not resolve \"{}\""),
            Line("Module not found: Error: Can't resolve '{}'"),
        ],
        title: "the bundler can't resolve \"{0}\"",
        cause: &[],
        cure: &[
            "If it is a path (`./` or `../`), check that the file is committed, that upper and lower case match, and that .gitignore doesn't list it.",
            "If it is a package, add it to package.json. For phoenix, phoenix_html and phoenix_live_view, set NODE_PATH to deps, or use `file:../deps/…` in package.json.",
        ],
    },
    Known {
        code: "mix-task-not-found",
        fault: User,
        tool: Mix,
        signs: &[Line("** (Mix) The task \"{}\" could not be found")],
        title: "mix task {0} not found",
        cause: &[
            "Dependencies provide mix tasks, and one with `only: :dev` is not available in {mix env}.",
        ],
        cure: &[
            "In mix.exs, replace `only: :dev` of the dependency that provides the task with `runtime: Mix.env() == :dev`: that keeps it in the build, and out of the running app.",
        ],
    },
    Known {
        code: "tzdata-cannot-write",
        fault: User,
        tool: Mix,
        signs: &[
            Line("could not write to file \"*/tzdata-{}\": read-only file system"),
            Line("could not write to file \"*/tzdata-{}\": permission denied"),
        ],
        title: "tzdata can't write to its data directory",
        cause: &["tzdata stores updates next to its own code, which is read-only here."],
        cure: &[
            "Turn off the updates in config/config.exs, to use the data of the package's version:",
            "  config :tzdata, :autoupdate, :disabled",
            "Or set a directory that the app can write to in config/runtime.exs:",
            "  config :tzdata, :data_dir, \"/tmp/tzdata\"",
        ],
    },
    Known {
        code: "command-not-found",
        fault: User,
        tool: Any,
        signs: &[
            Line("sh: 1: exec: {}: not found"),
            Line("sh: 1: {}: not found"),
            Line("bash: line *: {}: command not found"),
        ],
        // Without the command: a title is kept in the build's report, and a hook may have run the value of
        // a config var as a command.
        title: "command not found",
        cause: &["There is no `{0}` on PATH."],
        cure: &[
            "If an npm script calls it, add its package to dependencies or devDependencies in package.json; both are installed. In a hook, Node.js is only on PATH if the app has a package.json.",
            "If a dependency calls it, install it before this buildpack runs, with another buildpack such as {apt}.",
        ],
    },
    Known {
        code: "dependency-does-not-compile",
        fault: User,
        tool: Mix,
        signs: &[Line("ould not compile dependency :{},")],
        title: "the dependency {0} does not compile",
        cause: &[],
        cure: &[
            "Check that it supports the versions of Elixir and Erlang/OTP that the log shows under Planning. To update it:",
            "  mix deps.update {0}",
            "If it compiles on your machine, compare your versions (elixir --version) with those in the log.",
        ],
    },
];
