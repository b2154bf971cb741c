//! Failures of mix and of the code that it compiles.

use super::Known;
use super::Sign::{Both, Line, Loading, PathDependency};
use super::Tool::{Any, JavaScript, Mix};
use crate::Fault::{Machine, User};

pub(super) const KNOWN: &[Known] = &[
    Known {
        code: "path-dependency-empty",
        fault: User,
        tool: Mix,
        signs: &[
            PathDependency("the dependency is not available"),
            PathDependency("Could not compile :{0}, no \"mix.exs\""),
        ],
        title: "the directory of the path dependency {0} is missing or empty",
        cause: &["mix.exs expects it in the directory {1}, which contains no mix.exs."],
        cure: &[
            "If .gitmodules lists {1}, it is a submodule that the platform didn't fetch: Heroku's GitHub integration and archives of a repository leave submodules empty. Use a git dependency in mix.exs instead:",
            "  {:{0}, git: \"URL\"}",
            "Otherwise, commit {1} inside the repository, and remove it from .gitignore and {ignore file}.",
        ],
    },
    Known {
        code: "dependency-not-fetched",
        fault: User,
        tool: Mix,
        signs: &[Both(
            "Unchecked dependencies for environment {}:",
            "the dependency is not available",
        )],
        title: "a dependency was not fetched",
        cause: &[
            "mix deps.get only fetches dependencies of the environment {0}, and this one is not among them.",
        ],
        cure: &[
            "Check its entry in mix.exs: `only:` without :{0} leaves it out. Also check that no hook removes deps.",
        ],
    },
    Known {
        code: "elixir-not-allowed-by-mix-exs",
        fault: User,
        tool: Mix,
        signs: &[Line(
            "You're trying to run :{} on Elixir v{} but it has declared in its mix.exs file it supports only Elixir",
        )],
        title: "the mix.exs of {0} does not allow Elixir {1}",
        cause: &[],
        cure: &[
            "Change `elixir:` in that mix.exs, or request another Elixir in elixir_buildpack.config or .tool-versions.",
        ],
    },
    Known {
        code: "regex-in-attribute",
        fault: User,
        tool: Mix,
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
            "From OTP 28 on, a compiled regular expression contains a reference, which can't be stored in compiled code.",
            "The attribute @{0} contains one, and {place} reads it.",
        ],
        cure: &[
            "Move the expression from the attribute to the function that uses it. If a dependency contains it, update that dependency. Until then, pin erlang 27 in .tool-versions, or Erlang/OTP 27 in elixir_buildpack.config:",
            "  erlang_version=27",
        ],
    },
    Known {
        code: "node-name-in-use",
        fault: User,
        tool: Mix,
        signs: &[Line(
            "the name {} seems to be in use by another Erlang node",
        )],
        title: "two Erlang VMs of the build have the node name {0}",
        cause: &[
            "ERL_FLAGS, ERL_AFLAGS, ERL_ZFLAGS or ELIXIR_ERL_OPTIONS contains -sname or -name, which applies to every Erlang VM, and a build runs several at the same time.",
        ],
        cure: &[
            "Remove -sname and -name from that {config var}, and name the node in the Procfile, where the app starts:",
            "  web: elixir --sname NAME -S mix phx.server",
            "For a release, set the {config var} RELEASE_NODE.",
        ],
    },
    Known {
        code: "dependency-needs-other-elixir",
        fault: User,
        tool: Mix,
        signs: &[Both(
            "the dependency :{} requires Elixir \"{}\" but you are running on",
            "ould not compile dependency :{0},",
        )],
        title: "the dependency {0} does not compile, and requires another Elixir",
        cause: &["It requires Elixir {1}."],
        cure: &[
            "Request such a version in elixir_buildpack.config or .tool-versions, or update {0} to a version that supports your Elixir:",
            "  mix deps.update {0}",
        ],
    },
    Known {
        code: "c-compiler-missing",
        fault: Machine,
        tool: Any,
        signs: &[
            Line("\"make\" not found in the path"),
            Line("exec: make: not found"),
            Line("exec: cc: not found"),
            Line("gyp ERR! stack Error: not found: make"),
            Line("make: cc: No such file or directory"),
            Line("make: gcc: No such file or directory"),
            Line("make: g++: No such file or directory"),
        ],
        title: "make or the C compiler is missing",
        cause: &["A package contains C code, which must be compiled."],
        cure: &[
            "Heroku's build images have both. Elsewhere, install them in the build image (Debian's package build-essential), or use a release of the package with precompiled files for this system.",
        ],
    },
    Known {
        code: "c-header-missing",
        fault: User,
        tool: Any,
        signs: &[Both(
            "fatal error: {}: No such file or directory",
            "compilation terminated.",
        )],
        title: "the C header {0} is missing",
        cause: &[
            "A package with C code needs it. It is part of a library that must be installed before this buildpack runs.",
        ],
        cure: &[
            "List the library's Debian package, whose name usually ends in -dev, in {apt file}, and add {apt} before this buildpack:",
            "  {add buildpack} {apt}",
        ],
    },
    Known {
        code: "python-missing",
        fault: Machine,
        tool: JavaScript,
        signs: &[Line(
            "gyp ERR! stack Error: Could not find any Python installation to use",
        )],
        title: "Python, which node-gyp needs, is missing",
        cause: &[
            "A package in {package} has no precompiled file for this Node.js, so it must be compiled.",
        ],
        cure: &[
            "The output shows the package (`gyp ERR! cwd`). Update it to a version with precompiled files, or replace it with a package that needs none, such as sass for node-sass.",
            "Otherwise, add a buildpack that installs Python before this one:",
            "  {add buildpack} heroku/python",
        ],
    },
    Known {
        code: "rust-missing",
        fault: User,
        tool: Mix,
        signs: &[Both("System.cmd(\"cargo\",", "Erlang error: :enoent")],
        title: "cargo, which a package in Rust needs, is missing",
        cause: &[],
        cure: &[
            "Add a buildpack that installs Rust before this one, or use a release of the package with precompiled files (rustler_precompiled).",
        ],
    },
    Known {
        code: "environment-variable-missing",
        fault: User,
        tool: Mix,
        signs: &[
            Line("could not fetch environment variable \"{}\" because it is not set"),
            Line("environment variable {} is missing."),
        ],
        title: "the environment variable {0} is not set",
        cause: &["{place} reads it during the build."],
        cure: &[
            "Move settings that only the running app needs to config/runtime.exs, inside `if config_env() == :prod do`; config.exs and {mix env}.exs are evaluated when the app is compiled. To set it for the build too:",
            "  {set} {0}=VALUE",
        ],
    },
    Known {
        code: "config-file-missing",
        fault: User,
        tool: Mix,
        signs: &[Both(
            "(File.Error) could not read file \"{}\": no such file or directory",
            "Config.__import__!",
        )],
        title: "{path 0} is missing",
        cause: &["{place} imports it."],
        cure: &[
            "A build only has committed files, so check .gitignore. Move the file's settings to config/runtime.exs, read each from {a config var}, and remove the import:",
            "  config :my_app, key: System.fetch_env!(\"KEY\")",
            "If it contains no secrets, commit it instead, and remove it from {ignore file}.",
        ],
    },
    Known {
        code: "project-not-loaded",
        fault: User,
        tool: Mix,
        signs: &[Loading],
        title: "mix could not load {place}",
        cause: &[],
        cure: &[
            "Fix that line. mix evaluates mix.exs and the files in config/ when it loads the project, also in a build, which only has committed files and may lack programs of your machine. To load the project on your machine:",
            "  MIX_ENV={mix env} mix app.config",
        ],
    },
    Known {
        code: "compile-env-changed",
        fault: User,
        tool: Mix,
        signs: &[Line(
            "the application :{} has a different value set for key {} during runtime compared to compile time",
        )],
        title: "the config of {0} differs from the one it was compiled with",
        cause: &[
            "{0} reads the key {1} at compile time (Application.compile_env), but another value is set at run time.",
        ],
        cure: &[
            "Set it in config/config.exs or config/{mix env}.exs, and not in config/runtime.exs. If it is set there, its value depends on something that changed since. To recompile everything once:",
            "  {set} MIXPACK_CLEAN_BUILD=1",
        ],
    },
];
