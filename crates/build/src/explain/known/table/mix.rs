//! Failures of mix, and of what it compiles.

use super::Known;
use super::Of::{Any, JavaScript, Mix};
use super::Sign::{Both, Line, Loading, PathDependency};
use crate::explain::Fault::{Machine, User};

pub(super) const KNOWN: &[Known] = &[
    Known {
        code: "path-dependency-empty",
        fault: User,
        of: Mix,
        signs: &[
            PathDependency("the dependency is not available"),
            PathDependency("Could not compile :{0}, no \"mix.exs\""),
        ],
        title: "the directory of the path dependency {0} is missing or empty",
        cause: &["mix.exs names the directory {1} for it, and no mix.exs is in there."],
        cure: &[
            "If .gitmodules lists {1}, it is a submodule that the platform has not fetched: Heroku's GitHub integration and archives of a repository leave submodules empty. Fetch it as a dependency from git instead, in mix.exs:",
            "  {:{0}, git: \"URL\"}",
            "Otherwise commit {1}, inside of the repository, and take it out of .gitignore and {ignore file}.",
        ],
    },
    Known {
        code: "dependency-not-fetched",
        fault: User,
        of: Mix,
        signs: &[Both(
            "Unchecked dependencies for environment {}:",
            "the dependency is not available",
        )],
        title: "a dependency was not fetched",
        cause: &[
            "mix deps.get fetches those of the environment {0}, and this one is not among them.",
        ],
        cure: &[
            "Look at its entry in mix.exs: `only:` without :{0} leaves it out, and a hook that removes deps does too.",
        ],
    },
    Known {
        code: "elixir-not-allowed-by-mix-exs",
        fault: User,
        of: Mix,
        signs: &[Line(
            "You're trying to run :{} on Elixir v{} but it has declared in its mix.exs file it supports only Elixir",
        )],
        title: "Elixir {1} is not what the mix.exs of {0} allows",
        cause: &[],
        cure: &[
            "Change `elixir:` in that mix.exs, or ask for another Elixir in elixir_buildpack.config or in .tool-versions.",
        ],
    },
    Known {
        code: "regex-in-attribute",
        fault: User,
        of: Mix,
        signs: &[
            Line(
                "cannot inject attribute @{} into function/macro because cannot escape #Reference<",
            ),
            Line(
                "cannot inject attribute @{} into function/macro because *contains a reference (#Reference<",
            ),
            Line("** (ArgumentError) cannot escape #Reference<"),
        ],
        title: "a regular expression in a module attribute does not compile on Erlang/OTP 28",
        cause: &[
            "From OTP 28 on, a compiled regular expression holds a reference, and code cannot hold one.",
            "The attribute @{0} holds one, and {place} reads it.",
        ],
        cure: &[
            "Write the expression in the function that uses it, in place of the attribute. If a dependency has it, update that dependency. Until then, pin Erlang/OTP 27 in elixir_buildpack.config, or erlang 27 in .tool-versions:",
            "  erlang_version=27",
        ],
    },
    Known {
        code: "node-name-in-use",
        fault: User,
        of: Mix,
        signs: &[Line(
            "the name {} seems to be in use by another Erlang node",
        )],
        title: "two Erlang VMs of the build have the node name {0}",
        cause: &[
            "ERL_FLAGS, ERL_AFLAGS, ERL_ZFLAGS or ELIXIR_ERL_OPTIONS has -sname or -name, which names every Erlang VM. A build runs several at the same time.",
        ],
        cure: &[
            "Remove -sname and -name from that {config var}. Name the node where the app starts, in the Procfile:",
            "  web: elixir --sname NAME -S mix phx.server",
            "A release takes its name from the {config var} RELEASE_NODE.",
        ],
    },
    Known {
        code: "dependency-needs-other-elixir",
        fault: User,
        of: Mix,
        signs: &[Both(
            "the dependency :{} requires Elixir \"{}\" but you are running on",
            "ould not compile dependency :{0},",
        )],
        title: "the dependency {0} does not compile, and is made for another Elixir",
        cause: &["It asks for Elixir {1}."],
        cure: &[
            "Ask for such an Elixir in elixir_buildpack.config or in .tool-versions; or take a version of {0} that is made for yours:",
            "  mix deps.update {0}",
        ],
    },
    Known {
        code: "c-compiler-missing",
        fault: Machine,
        of: Any,
        signs: &[
            Line("\"make\" not found in the path"),
            Line("exec: make: not found"),
            Line("exec: cc: not found"),
            Line("gyp ERR! stack Error: not found: make"),
            Line("make: cc: No such file or directory"),
            Line("make: gcc: No such file or directory"),
            Line("make: g++: No such file or directory"),
        ],
        title: "a package in C needs make and a C compiler, which are not there",
        cause: &[],
        cure: &[
            "Heroku's build images have both. Elsewhere, build on an image that has them (Debian's package build-essential), or take a release of the package that brings precompiled files for this system.",
        ],
    },
    Known {
        code: "c-header-missing",
        fault: User,
        of: Any,
        signs: &[Both(
            "fatal error: {}: No such file or directory",
            "compilation terminated.",
        )],
        title: "a package in C needs {0}, which is not there",
        cause: &["It is a header of a library that must be installed before this buildpack runs."],
        cure: &[
            "Name the library's Debian package, most often one that ends in -dev, in {apt file}, and put {apt} before this buildpack:",
            "  {add buildpack} {apt}",
        ],
    },
    Known {
        code: "python-missing",
        fault: Machine,
        of: JavaScript,
        signs: &[Line(
            "gyp ERR! stack Error: Could not find any Python installation to use",
        )],
        title: "node-gyp needs Python, which is not there",
        cause: &[
            "A package of {package} has no precompiled file for this Node.js and is compiled here.",
        ],
        cure: &[
            "Which one it is stands in the output (`gyp ERR! cwd`). A newer version of it may bring precompiled files, or need none: node-sass, for one, became sass.",
            "Otherwise put a buildpack that brings Python before this one:",
            "  {add buildpack} heroku/python",
        ],
    },
    Known {
        code: "rust-missing",
        fault: User,
        of: Mix,
        signs: &[Both("System.cmd(\"cargo\",", "Erlang error: :enoent")],
        title: "a package in Rust needs cargo, which is not there",
        cause: &[],
        cure: &[
            "Put a buildpack that brings Rust before this one; or take a release of the package that brings precompiled files (rustler_precompiled).",
        ],
    },
    Known {
        code: "environment-variable-missing",
        fault: User,
        of: Mix,
        signs: &[
            Line("could not fetch environment variable \"{}\" because it is not set"),
            Line("environment variable {} is missing."),
        ],
        title: "the environment variable {0} is not set",
        cause: &["{place} asks for it while the app is built."],
        cure: &[
            "What only a running app needs belongs in config/runtime.exs, behind `if config_env() == :prod do`; config.exs and {mix env}.exs are evaluated when the app is compiled. To have it in the build too:",
            "  {set} {0}=VALUE",
        ],
    },
    Known {
        code: "config-file-missing",
        fault: User,
        of: Mix,
        signs: &[Both(
            "(File.Error) could not read file \"{}\": no such file or directory",
            "Config.__import__!",
        )],
        title: "{path 0} is missing",
        cause: &["{place} imports it."],
        cure: &[
            "Is it in .gitignore? A build has only files that are committed. Move its settings to config/runtime.exs, where each comes from {a config var}, and remove the import:",
            "  config :my_app, key: System.fetch_env!(\"KEY\")",
            "If it holds no secrets, commit it instead, and take it out of {ignore file}.",
        ],
    },
    Known {
        code: "project-not-loaded",
        fault: User,
        of: Mix,
        signs: &[Loading],
        title: "mix cannot load {place}",
        cause: &[],
        cure: &[
            "mix evaluates mix.exs and the files in config/ when it loads the project. They must load in a build, which has only committed files, and may lack programs of your machine. The same on your machine:",
            "  MIX_ENV={mix env} mix app.config",
        ],
    },
    Known {
        code: "compile-env-changed",
        fault: User,
        of: Mix,
        signs: &[Line(
            "the application :{} has a different value set for key {} during runtime compared to compile time",
        )],
        title: "the config of {0} is not what it was compiled with",
        cause: &[
            "{0} reads the key {1} when it is compiled (Application.compile_env), and another value is set at run time.",
        ],
        cure: &[
            "Set it in config/config.exs or config/{mix env}.exs, and not in config/runtime.exs. If it is there: its value depends on something that changed since. To compile everything anew once:",
            "  {set} MIXPACK_CLEAN_BUILD=1",
        ],
    },
];
