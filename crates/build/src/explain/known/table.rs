//! The failures that are known, each with what tells it and what it means.

use crate::explain::Fault::{self, Machine, Upstream, User};
use Of::{Any, FetchingManager, JavaScript, Mix};
use Sign::{Both, Killed, Line};

/// Whose words a pattern is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// mix, and what it runs: Hex, rebar3, git, make.
    Mix,
    /// A JavaScript package manager, and what its scripts run.
    JavaScript,
    /// npm, while it fetches a package manager: of its own the app has nothing there but a version.
    FetchingManager,
    Any,
}

/// What tells a failure. In a pattern `{}` stands for any text, which is captured, and `*` for any
/// other text; a pattern that ends with one of them goes on to the end of the line.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sign {
    /// A line has it.
    Line(&'static str),
    /// A line has it, and some line has the second, in which `{0}` is what the first captured.
    Both(&'static str, &'static str),
    /// `SIGKILL` ended the command itself.
    Killed,
}

/// A failure, and what it means.
///
/// In the texts `{0}` and `{1}` are what the pattern has captured. `{manager}` is the package manager, `{package}`
/// its `package.json`, and `{lockfile}` what it locks; a paragraph that needs one of these is left
/// out where there is none.
pub(super) struct Known {
    pub(super) code: &'static str,
    pub(super) fault: Fault,
    pub(super) of: Of,
    pub(super) signs: &'static [Sign],
    pub(super) title: &'static str,
    /// What happened, where the quoted output does not say it.
    pub(super) cause: &'static [&'static str],
    pub(super) cure: &'static [&'static str],
}

/// The first that fits is taken: what is the cause of others stands before them.
pub(super) const TABLE: &[Known] = &[
    Known {
        code: "disk-full",
        fault: Machine,
        of: Any,
        signs: &[
            Line("no space left on device"),
            Line("No space left on device"),
        ],
        title: "the disk is full",
        cause: &[],
        cure: &[
            "Is something big committed that a build does not need? .slugignore keeps it out. Or give the build more room: the app, its cache and /tmp all count.",
        ],
    },
    Known {
        code: "javascript-heap-full",
        fault: User,
        of: Any,
        signs: &[Line("JavaScript heap out of memory")],
        title: "Node.js has reached its own limit of memory",
        cause: &["Node.js takes no more than that limit, also where the machine has more."],
        cure: &[
            "If the machine has more, raise the limit, in megabytes:",
            "  heroku config:set NODE_OPTIONS=--max-old-space-size=2048",
            "Source maps and minifying take most of it: the same build without them may fit.",
        ],
    },
    Known {
        code: "out-of-memory",
        fault: Machine,
        of: Any,
        signs: &[
            Killed,
            Line("_alloc: Cannot allocate {} bytes of memory"),
            Line("Killed signal terminated program {}"),
            Line("Command failed with exit code 137"),
            Line("` exited with 137"),
        ],
        title: "the machine has no memory left",
        cause: &[
            "The Erlang VM asked for more than there is, or the system ended a process with signal 9 (status 137) to have some again.",
        ],
        cure: &[
            "Have the build take less. On one scheduler mix compiles one module at a time:",
            "  heroku config:set ELIXIR_ERL_OPTIONS=\"+S 1\"",
            "Otherwise build where there is more.",
        ],
    },
    Known {
        code: "glibc-too-old",
        fault: Machine,
        of: Any,
        signs: &[Line("version `GLIBC_{}' not found")],
        title: "a program is built for a newer system than this one",
        cause: &["It asks for glibc {0} or newer, and this system's is older."],
        cure: &[
            "If it is Erlang or Node.js itself, they were chosen for another system: look at STACK, which the log names under Planning.",
            "If it is a program or library that a package brings, take a version of the package that is built for older systems, or a newer stack.",
        ],
    },
    Known {
        code: "otp-refuses-certificate",
        fault: User,
        of: Mix,
        signs: &[Line("key_usage_mismatch")],
        title: "this Erlang/OTP refuses a valid certificate",
        cause: &[
            "It is a fault of OTP 27.0 to 27.2.1, and of early patches of 25 and 26: they refuse certificates that others accept, also that of hex.pm.",
        ],
        cure: &[
            "Ask for a newer patch, in elixir_buildpack.config or in .tool-versions: 27.2.2 or newer, such as",
            "  erlang_version=27",
        ],
    },
    Known {
        code: "certificate-not-trusted",
        fault: User,
        of: Any,
        signs: &[
            Line(":tls_alert, {:unknown_ca,"),
            Line("npm error code DEPTH_ZERO_SELF_SIGNED_CERT"),
            Line("fatal: unable to access '*': server certificate verification failed"),
        ],
        title: "the certificate of a host is signed by nobody who is trusted",
        cause: &[],
        cure: &[
            "A host or a proxy of your own needs its authority known to each tool. Commit the authority's certificate, and name it in the config vars HEX_CACERTS_PATH (Hex), NODE_EXTRA_CA_CERTS (npm, yarn, pnpm) and GIT_SSL_CAINFO (git).",
            "If it is a public host, something between it and the build answers in its place.",
        ],
    },
    Known {
        code: "asset-tool-not-downloaded",
        fault: Upstream,
        of: Mix,
        signs: &[Line("ouldn't fetch http{}: {")],
        title: "mix could not download a tool of the asset build",
        cause: &[
            "The packages esbuild and tailwind fetch their executables themselves, without a second try.",
        ],
        cure: &[
            "Try again. What was fetched once is kept for the next builds.",
            "Does the version exist that config/config.exs names? Behind a proxy, set HTTPS_PROXY.",
        ],
    },
    Known {
        code: "mix-lock-out-of-date",
        fault: User,
        of: Mix,
        signs: &[Line("must be updated without the --check-locked flag")],
        title: "mix.lock is not in step with mix.exs",
        cause: &[
            "mix deps.get --check-locked changes no version that was not committed: what is built is what was tested.",
        ],
        cure: &[
            "Bring it up to date on your machine and commit it:",
            "  mix deps.get",
            "  git commit -m \"Update mix.lock\" mix.lock",
            "To have every build resolve what is missing instead:",
            "  heroku config:set MIXPACK_CHECK_LOCKED=false",
        ],
    },
    Known {
        code: "hex-organization-refused",
        fault: User,
        of: Mix,
        signs: &[
            // Of a package that is not shown.
            Both(
                "Failed to fetch record for hexpm:{}/",
                "you don't have permissions to it",
            ),
            // From Hex 2.5 on, of a key that hex.pm does not know.
            Both("\"hexpm:{}\"", "Failed to exchange API key for OAuth token"),
            Line("No authenticated organization found for {}. "),
        ],
        title: "Hex does not give packages of the organisation {0}",
        cause: &[],
        cure: &[
            "Is the package's name right in mix.exs? A build needs a key of the organisation, in HEX_ORGANIZATION_KEYS. To make one on your machine, and set it:",
            "  mix hex.organization key {0} generate",
            "  heroku config:set HEX_ORGANIZATION_KEYS={0}:KEY",
            "If it is set: it was revoked, or it is not one of this organisation.",
        ],
    },
    Known {
        code: "package-manager-not-as-published",
        fault: Upstream,
        of: FetchingManager,
        signs: &[Line("npm error code EINTEGRITY")],
        title: "the package manager is not what its registry has published",
        cause: &["Nothing of it was run or kept."],
        cure: &[
            "Try again. If it stays, find out which registry it comes from, by NPM_CONFIG_REGISTRY or .npmrc: its list and its files do not agree.",
        ],
    },
    Known {
        code: "package-not-as-locked",
        fault: User,
        of: Any,
        signs: &[
            Line("Registry checksum mismatch against lock ({})"),
            Line("npm error code EINTEGRITY"),
            Line("Integrity check failed for \"{}\""),
            Line("ERR_PNPM_TARBALL_INTEGRITY*Got unexpected checksum"),
            Line("{}: The remote archive doesn't match the expected checksum"),
        ],
        title: "a package is not the one that the lockfile names",
        cause: &[
            "The lockfile has its checksum, and what the registry gave has another one. Nothing of it was run.",
        ],
        cure: &[
            "Was the lockfile edited or merged by hand? Take the entry out, fetch again on your machine, and look at what changes before you commit it.",
            "If nobody touched it, find out which registry or mirror the package comes from before you trust it.",
        ],
    },
    Known {
        code: "git-host-key",
        fault: User,
        of: Any,
        signs: &[Line("Host key verification failed.")],
        title: "git does not know the host that it should fetch from",
        cause: &[
            "ssh refuses a host whose key it has never seen, and here nobody can answer its question.",
        ],
        cure: &[
            "With a key in the config var GIT_SSH_KEY, the host's key is taken at first sight; mix.lock pins the commit. An https URL in mix.exs with a token in GIT_CREDENTIALS needs no host key.",
        ],
    },
    Known {
        code: "git-access-refused",
        fault: User,
        of: Any,
        signs: &[
            Line("fatal: could not read Username for '"),
            Line("fatal: Authentication failed for '"),
            Line(": Permission denied (publickey"),
            Line("fatal: unable to access '*': The requested URL returned error: 403"),
            Line("fatal: repository '*' not found"),
        ],
        title: "git is not allowed to read a repository",
        cause: &[
            "A host says the same of a repository that is private and of one that is not there.",
        ],
        cure: &[
            "Is its URL right, in mix.exs or package.json? For one over https, a token that may read it:",
            "  heroku config:set GIT_CREDENTIALS=https://USER:TOKEN@HOST",
            "For one over ssh, a deploy key without a passphrase:",
            "  heroku config:set GIT_SSH_KEY=\"$(cat deploy_key)\"",
            "If it is set: the token has expired, or may not read this repository.",
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
            "Name the library's Debian package, most often one that ends in -dev, in a file Aptfile, and put heroku-community/apt before this buildpack:",
            "  heroku buildpacks:add --index 1 heroku-community/apt",
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
            "  heroku buildpacks:add --index 1 heroku/python",
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
        cause: &[
            "The app's own config asks for it while it is built; the file and line are in the output.",
        ],
        cure: &[
            "What only a running app needs belongs in config/runtime.exs, behind `if config_env() == :prod do`; config.exs and prod.exs are evaluated when the app is compiled. To have it in the build too:",
            "  heroku config:set {0}=VALUE",
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
            "Set it in config/config.exs or config/prod.exs, and not in config/runtime.exs. If it is there: its value depends on something that changed since. To compile everything anew once:",
            "  heroku config:set MIXPACK_CLEAN_BUILD=1",
        ],
    },
    Known {
        code: "javascript-lock-out-of-date",
        fault: User,
        of: JavaScript,
        signs: &[
            Both(
                "npm error code EUSAGE",
                "can only install packages when your package.json and",
            ),
            Line("Your lockfile needs to be updated, but yarn was run with `--frozen-lockfile`"),
            Line("The lockfile would have been * by this install, which is explicitly forbidden"),
            Line("ERR_PNPM_OUTDATED_LOCKFILE"),
            Line("error: lockfile had changes, but lockfile is frozen"),
        ],
        title: "the lockfile is not in step with package.json",
        cause: &[
            "A build installs what the lockfile names and nothing else: what is built is what was tested.",
        ],
        cure: &[
            "{package} has changed and {lockfile} has not. In the folder of the two, then commit both:",
            "  {manager} install",
            "Commit the lockfile together with package.json, as the package manager writes it.",
        ],
    },
    Known {
        code: "node-not-allowed",
        fault: User,
        of: JavaScript,
        signs: &[
            Line("npm error code EBADENGINE"),
            Line("The engine \"node\" is incompatible with this module."),
            Line("ERR_PNPM_UNSUPPORTED_ENGINE"),
        ],
        title: "a package is not made for this Node.js",
        cause: &[],
        cure: &[
            "The output has what it asks for and what is installed. Ask for such a Node.js, under `engines` in package.json or with node_version in phoenix_static_buildpack.config, or take another version of the package.",
        ],
    },
    Known {
        code: "peer-dependencies-conflict",
        fault: User,
        of: JavaScript,
        signs: &[Line("npm error code ERESOLVE")],
        title: "packages ask for versions of another one that do not go together",
        cause: &[],
        cure: &[
            "Change the versions in {package} until it installs on your machine, then commit it with the lockfile:",
            "  npm install",
            "To have npm go on all the same, as npm 6 did, commit a file .npmrc beside package.json with the line:",
            "  legacy-peer-deps=true",
        ],
    },
    Known {
        code: "javascript-package-refused",
        fault: User,
        of: JavaScript,
        signs: &[
            Line("npm error code E401"),
            Line("npm error code E403"),
            Both(
                "npm error code E404",
                "could not be found or you do not have permission to access it",
            ),
            Line("ERR_PNPM_FETCH_401"),
        ],
        title: "the registry does not give a package",
        cause: &["It is private, or there is no such package: a registry says the same of both."],
        cure: &[
            "Is its name and version right in package.json? For a private one, commit a file .npmrc that names the variable, and set it to a token that may read the package:",
            "  //HOST/:_authToken=${NPM_TOKEN}",
            "  heroku config:set NPM_TOKEN=TOKEN",
            "If it is set: the token has expired, or may not read this package.",
        ],
    },
    Known {
        code: "javascript-registry-unreachable",
        fault: Upstream,
        of: JavaScript,
        signs: &[
            Line("npm error code ENOTFOUND"),
            Line("npm error code EAI_AGAIN"),
            Line("npm error code ECONNRESET"),
            Line("code: 'ECONNREFUSED'"),
        ],
        title: "the registry of a JavaScript package cannot be reached",
        cause: &[],
        cure: &[
            "Try again. If a registry is set, in .npmrc or in NPM_CONFIG_REGISTRY, look whether it is right; the address is in the output. Behind a proxy, set HTTPS_PROXY.",
        ],
    },
    Known {
        code: "javascript-script-missing",
        fault: User,
        of: JavaScript,
        signs: &[
            Line("npm error Missing script: \"{}\""),
            Line("error Command \"{}\" not found."),
            Line("ERR_PNPM_NO_SCRIPT*Missing script: {}"),
            Line("error: Script not found \"{}\""),
        ],
        title: "package.json has no script `{0}`",
        cause: &[],
        cure: &[
            "Add it under `scripts`, or call one that is there. Which package.json counts is decided by the folder that the command runs in.",
        ],
    },
    Known {
        code: "node-sass-outdated",
        fault: User,
        of: JavaScript,
        signs: &[Line(
            "Node Sass does not yet support your current environment: {}",
        )],
        title: "node-sass does not run on this Node.js",
        cause: &[
            "Each of its versions is made for a few versions of Node.js, and no more of them are made.",
        ],
        cure: &[
            "sass takes its place, with the same options:",
            "  npm uninstall node-sass",
            "  npm install --save-dev sass",
            "Until then ask for the older Node.js that it was made for, with node_version in phoenix_static_buildpack.config.",
        ],
    },
    Known {
        code: "webpack-needs-old-openssl",
        fault: User,
        of: JavaScript,
        signs: &[Line(
            "error:0308010C:digital envelope routines::unsupported",
        )],
        title: "this webpack does not run on Node.js 17 and newer",
        cause: &[
            "webpack up to 4.46, and 5.0 to 5.60, use a hash (md4) that the OpenSSL of these versions doesn't have.",
        ],
        cure: &[
            "webpack 4.47 and 5.61 don't need it:",
            "  npm install --save-dev webpack@4.47.0",
            "Until then:",
            "  heroku config:set NODE_OPTIONS=--openssl-legacy-provider",
        ],
    },
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
            "Tasks come with dependencies, and a dependency with `only: :dev` is not there in prod.",
        ],
        cure: &[
            "Look at the entry in mix.exs of the dependency that brings it: `runtime: Mix.env() == :dev` keeps it in the build and out of the running app; `only: :dev` does not.",
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
            "What a dependency calls must be installed before this buildpack runs, by another buildpack such as heroku-community/apt.",
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
