//! Failures of the machine, the runtimes and the hosts.

use super::Known;
use super::Sign::{Both, Killed, Line};
use super::Tool::{Any, FetchingManager, Mix};
use crate::Fault::{Machine, Upstream, User};

pub(super) const KNOWN: &[Known] = &[
    Known {
        code: "disk-full",
        fault: Machine,
        tool: Any,
        signs: &[
            Line("no space left on device"),
            Line("No space left on device"),
        ],
        title: "the disk is full",
        cause: &[],
        cure: &[
            "List large committed files that a build does not need in {ignore file}. Or give the build more disk space: it is shared by the app, its cache and /tmp.",
        ],
    },
    Known {
        code: "javascript-heap-full",
        fault: User,
        tool: Any,
        signs: &[Line("JavaScript heap out of memory")],
        title: "Node.js ran out of heap memory",
        cause: &["Node.js limits its heap, even if the machine has more memory."],
        cure: &[
            "If the machine has more memory, raise the limit, in megabytes:",
            "  {set} NODE_OPTIONS=--max-old-space-size=2048",
            "Source maps and minification use the most memory: the build may fit without them.",
        ],
    },
    Known {
        code: "out-of-memory",
        fault: Machine,
        tool: Any,
        signs: &[
            Killed,
            Line("_alloc: Cannot allocate {} bytes of memory"),
            Line("Killed signal terminated program {}"),
            Line("Command failed with exit code 137"),
            Line("` exited with 137"),
        ],
        title: "the machine ran out of memory",
        cause: &[
            "The Erlang VM could not allocate memory, or the system killed a process with signal 9 (status 137) to free memory.",
        ],
        cure: &[
            "Reduce the memory that the build uses. With one scheduler, mix compiles one module at a time:",
            "  {set} ELIXIR_ERL_OPTIONS=\"+S 1\"",
            "Otherwise, build on a machine with more memory.",
        ],
    },
    Known {
        code: "glibc-too-old",
        fault: Machine,
        tool: Any,
        signs: &[Line("version `GLIBC_{}' not found")],
        title: "a program requires a newer system than this one",
        cause: &["It requires glibc {0} or newer, but the glibc of this system is older."],
        cure: &[
            "If the program is Erlang or Node.js, it was chosen for another system: check STACK, which the log shows under Planning.",
            "If the program or library is part of a package, use a version of the package that is built for older systems, or a newer stack.",
        ],
    },
    Known {
        code: "otp-refuses-certificate",
        fault: User,
        tool: Mix,
        signs: &[Line("key_usage_mismatch")],
        title: "this Erlang/OTP rejects a valid certificate",
        cause: &[
            "This is a bug of OTP 27.0 to 27.2.1 and of early patches of 25 and 26: they reject valid certificates, including the one of hex.pm.",
        ],
        cure: &[
            "Request a newer patch release, 27.2.2 or newer, in elixir_buildpack.config or .tool-versions, such as:",
            "  erlang_version=27",
        ],
    },
    Known {
        code: "certificate-not-trusted",
        fault: User,
        tool: Any,
        signs: &[
            Line(":tls_alert, {:unknown_ca,"),
            Line("npm error code DEPTH_ZERO_SELF_SIGNED_CERT"),
            Line("fatal: unable to access '*': server certificate verification failed"),
        ],
        title: "the certificate of a host isn't trusted",
        cause: &[],
        cure: &[
            "For a host or proxy of your own, commit the certificate of its authority, and set its path in the {config vars} HEX_CACERTS_PATH (Hex), NODE_EXTRA_CA_CERTS (npm, yarn, pnpm) and GIT_SSL_CAINFO (git).",
            "If the host is public, something between it and the build intercepts the connection.",
        ],
    },
    Known {
        code: "asset-tool-not-downloaded",
        fault: Upstream,
        tool: Mix,
        signs: &[Line("ouldn't fetch http{}: {")],
        title: "mix could not download an asset tool",
        cause: &[
            "The packages esbuild and tailwind download their executables themselves, without retries.",
        ],
        cure: &[
            "Try again. Downloaded executables are kept for the next builds.",
            "Check that the version in config/config.exs exists. Behind a proxy, set HTTPS_PROXY.",
        ],
    },
    Known {
        code: "mix-lock-out-of-date",
        fault: User,
        tool: Mix,
        signs: &[Line("must be updated without the --check-locked flag")],
        title: "mix.lock is out of date",
        cause: &[
            "mix.lock doesn't match mix.exs, and mix deps.get --check-locked only uses committed versions, so the build matches what you tested.",
        ],
        cure: &[
            "Update it on your machine and commit it:",
            "  mix deps.get",
            "  git commit -m \"Update mix.lock\" mix.lock",
            "To have builds resolve missing versions instead:",
            "  {set} MIXPACK_CHECK_LOCKED=false",
        ],
    },
    Known {
        code: "hex-organization-refused",
        fault: User,
        tool: Mix,
        signs: &[
            // The output doesn't name the package.
            Both(
                "Failed to fetch record for hexpm:{}/",
                "you don't have permissions to it",
            ),
            // From Hex 2.5 on, for an unknown key.
            Both("\"hexpm:{}\"", "Failed to exchange API key for OAuth token"),
            Line("No authenticated organization found for {}. "),
        ],
        title: "Hex denied access to packages of the organization {0}",
        cause: &[],
        cure: &[
            "Check the name of the package in mix.exs. A build needs a key of the organization in HEX_ORGANIZATION_KEYS. To generate one on your machine, and set it:",
            "  mix hex.organization key {0} generate",
            "  {set} HEX_ORGANIZATION_KEYS={0}:KEY",
            "If it is set, the key was revoked, belongs to another organization, or Hex could not reach hex.pm to exchange it for a token, as Hex 2.4 and newer do. 90 days after Hex 2.6, hex.pm rejects keys that belong to a user.",
        ],
    },
    Known {
        code: "hex-repository-unknown",
        fault: User,
        tool: Mix,
        signs: &[Line(
            "** (Mix) Unknown repository \"{}\", add new repositories with",
        )],
        title: "Hex does not know the repository {0}",
        cause: &["mix.exs or mix.lock uses it, but a build only has the repository of hex.pm."],
        cure: &[
            "Add it in a hook in elixir_buildpack.config. The owner of the repository publishes its URL and the fingerprint of its key:",
            "  hook_pre_fetch_dependencies='mix hex.repo add {0} URL --fetch-public-key FINGERPRINT --auth-key $REPO_KEY'",
            "Set the key that the hook uses:",
            "  {set} REPO_KEY=KEY",
        ],
    },
    Known {
        code: "package-manager-not-as-published",
        fault: Upstream,
        tool: FetchingManager,
        signs: &[Line("npm error code EINTEGRITY")],
        title: "the checksum of the package manager doesn't match the registry's",
        cause: &["The download was discarded, and nothing from it was run."],
        cure: &[
            "Try again. If the error persists, check the registry in NPM_CONFIG_REGISTRY or .npmrc: its files don't match its list.",
        ],
    },
    Known {
        code: "package-not-as-locked",
        fault: User,
        tool: Any,
        signs: &[
            Line("Registry checksum mismatch against lock ({})"),
            Line("npm error code EINTEGRITY"),
            Line("Integrity check failed for \"{}\""),
            Line("ERR_PNPM_TARBALL_INTEGRITY*Got unexpected checksum"),
            Line("{}: The remote archive doesn't match the expected checksum"),
        ],
        title: "the checksum of a package doesn't match the lockfile",
        cause: &[
            "The package from the registry has another checksum than the lockfile. Nothing from it was run.",
        ],
        cure: &[
            "If the lockfile was edited or merged by hand, remove the entry, fetch the package again on your machine, and review the change before you commit it.",
            "Otherwise, find out which registry or mirror the package comes from before you trust it.",
        ],
    },
    Known {
        code: "git-host-key",
        fault: User,
        tool: Any,
        signs: &[Line("Host key verification failed.")],
        title: "git doesn't know the key of the host",
        cause: &[
            "ssh asks before it connects to a host with an unknown key, and a build can't answer.",
        ],
        cure: &[
            "Set a deploy key in the {config var} GIT_SSH_KEY: Mixpack then accepts the host's key on first use, and mix.lock pins the commit. Or use an https URL in mix.exs, with a token in GIT_CREDENTIALS: it needs no host key.",
        ],
    },
    Known {
        code: "git-access-refused",
        fault: User,
        tool: Any,
        signs: &[
            Line("fatal: could not read Username for '"),
            Line("fatal: Authentication failed for '"),
            Line(": Permission denied (publickey"),
            Line("fatal: unable to access '*': The requested URL returned error: 403"),
            Line("fatal: repository '*' not found"),
        ],
        title: "git was denied access to a repository",
        cause: &[
            "The repository is private or doesn't exist: hosts return the same error for both.",
        ],
        cure: &[
            "Check its URL in mix.exs or package.json. For a private repository over https, set a token that may read it:",
            "  {set} GIT_CREDENTIALS=https://USER:TOKEN@HOST",
            "Over ssh, set a deploy key without a passphrase:",
            "  {set} GIT_SSH_KEY=\"$(cat deploy_key)\"",
            "If one of them is set, it has expired or may not read this repository.",
        ],
    },
];
