//! What the machine, the runtimes and the hosts refuse.

use super::Known;
use super::Of::{Any, FetchingManager, Mix};
use super::Sign::{Both, Killed, Line};
use crate::explain::Fault::{Machine, Upstream, User};

pub(super) const KNOWN: &[Known] = &[
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
            "Is something big committed that a build does not need? {ignore file} keeps it out. Or give the build more room: the app, its cache and /tmp all count.",
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
            "  {set} NODE_OPTIONS=--max-old-space-size=2048",
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
            "  {set} ELIXIR_ERL_OPTIONS=\"+S 1\"",
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
            "A host or a proxy of your own needs its authority known to each tool. Commit the authority's certificate, and name it in the {config vars} HEX_CACERTS_PATH (Hex), NODE_EXTRA_CA_CERTS (npm, yarn, pnpm) and GIT_SSL_CAINFO (git).",
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
            "  {set} MIXPACK_CHECK_LOCKED=false",
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
            "  {set} HEX_ORGANIZATION_KEYS={0}:KEY",
            "If it is set: it was revoked, it is not one of this organisation, or Hex did not reach hex.pm to exchange it for a token, as Hex 2.4 and newer do. 90 days after Hex 2.6, hex.pm refuses keys that belong to a user.",
        ],
    },
    Known {
        code: "hex-repository-unknown",
        fault: User,
        of: Mix,
        signs: &[Line(
            "** (Mix) Unknown repository \"{}\", add new repositories with",
        )],
        title: "Hex does not know the repository {0}",
        cause: &[
            "mix.exs or mix.lock names it, and a build starts with the repository of hex.pm alone.",
        ],
        cure: &[
            "Add it in a hook, in elixir_buildpack.config. The repository's owner publishes its URL and the fingerprint of its key:",
            "  hook_pre_fetch_dependencies='mix hex.repo add {0} URL --fetch-public-key FINGERPRINT --auth-key $REPO_KEY'",
            "And set the key that the hook uses:",
            "  {set} REPO_KEY=KEY",
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
            "With a key in the {config var} GIT_SSH_KEY, the host's key is taken at first sight; mix.lock pins the commit. An https URL in mix.exs with a token in GIT_CREDENTIALS needs no host key.",
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
            "  {set} GIT_CREDENTIALS=https://USER:TOKEN@HOST",
            "For one over ssh, a deploy key without a passphrase:",
            "  {set} GIT_SSH_KEY=\"$(cat deploy_key)\"",
            "If it is set: the token has expired, or may not read this repository.",
        ],
    },
];
