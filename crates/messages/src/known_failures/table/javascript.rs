//! Failures of JavaScript package managers and of the tools that their scripts run.

use super::Known;
use super::Sign::{Both, Line};
use super::Tool::JavaScript;
use crate::Fault::{Upstream, User};

pub(super) const KNOWN: &[Known] = &[
    Known {
        code: "javascript-lock-out-of-date",
        fault: User,
        tool: JavaScript,
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
        title: "the lockfile doesn't match package.json",
        cause: &["A build only installs the locked versions, so it matches what you tested."],
        cure: &[
            "{package} changed, but {lockfile} did not. Run this in their directory:",
            "  {manager} install",
            "Commit package.json together with the lockfile that the package manager writes.",
        ],
    },
    Known {
        code: "node-not-allowed",
        fault: User,
        tool: JavaScript,
        signs: &[
            Line("npm error code EBADENGINE"),
            Line("The engine \"node\" is incompatible with this module."),
            Line("ERR_PNPM_UNSUPPORTED_ENGINE"),
        ],
        title: "a package doesn't support this Node.js",
        cause: &[],
        cure: &[
            "The output shows the required and the installed version. Request a supported Node.js, under `engines` in package.json or with node_version in phoenix_static_buildpack.config, or use another version of the package.",
        ],
    },
    Known {
        code: "peer-dependencies-conflict",
        fault: User,
        tool: JavaScript,
        signs: &[Line("npm error code ERESOLVE")],
        title: "conflicting peer dependencies",
        cause: &[],
        cure: &[
            "Change the versions in {package} until this succeeds on your machine, then commit it with the lockfile:",
            "  npm install",
            "To have npm ignore the conflict, as npm 6 did, commit an .npmrc next to package.json with this line:",
            "  legacy-peer-deps=true",
        ],
    },
    Known {
        code: "npm-source-not-allowed",
        fault: User,
        tool: JavaScript,
        signs: &[
            Line("npm error Fetching packages of type \"{}\" have been disabled"),
            Line("npm error Fetching non-root packages of type \"{}\" have been disabled"),
        ],
        title: "npm refuses to fetch packages of type {0}",
        cause: &[
            "From version 12 on, npm only fetches packages from git and from URLs if the project allows it.",
        ],
        cure: &[
            "Allow it in an .npmrc next to package.json, and commit that file. `root` allows packages that package.json lists, and `all` also allows their dependencies:",
            "  allow-{0}=root",
            "Or use a version of the package from the registry.",
        ],
    },
    Known {
        code: "npm-script-not-approved",
        fault: User,
        tool: JavaScript,
        signs: &[Line("npm error code ESTRICTALLOWSCRIPTS")],
        title: "the install script of a package isn't approved",
        cause: &[
            "strict-allow-scripts is set, in .npmrc or as NPM_CONFIG_STRICT_ALLOW_SCRIPTS, so npm installs nothing until each script is approved or denied.",
        ],
        cure: &[
            "Review the script. Approve or deny it on your machine, in the directory of {package}, and commit package.json:",
            "  npm install-scripts approve NAME",
            "  npm install-scripts deny NAME",
        ],
    },
    Known {
        code: "javascript-package-refused",
        fault: User,
        tool: JavaScript,
        signs: &[
            Line("npm error code E401"),
            Line("npm error code E403"),
            Both(
                "npm error code E404",
                "could not be found or you do not have permission to access it",
            ),
            Line("ERR_PNPM_FETCH_401"),
        ],
        title: "the registry denied access to a package",
        cause: &[
            "The package is private or doesn't exist: registries return the same error for both.",
        ],
        cure: &[
            "Check its name and version in package.json. For a private package, commit an .npmrc with this line, and set the variable to a token that may read the package:",
            "  //HOST/:_authToken=${NPM_TOKEN}",
            "  {set} NPM_TOKEN=TOKEN",
            "If it is set, the token has expired or may not read this package.",
        ],
    },
    Known {
        code: "javascript-registry-unreachable",
        fault: Upstream,
        tool: JavaScript,
        signs: &[
            Line("npm error code ENOTFOUND"),
            Line("npm error code EAI_AGAIN"),
            Line("npm error code ECONNRESET"),
            Line("code: 'ECONNREFUSED'"),
        ],
        title: "the registry of a JavaScript package is unreachable",
        cause: &[],
        cure: &[
            "Try again. If .npmrc or NPM_CONFIG_REGISTRY sets a registry, check it; the output shows the URL. Behind a proxy, set HTTPS_PROXY.",
        ],
    },
    Known {
        code: "javascript-script-missing",
        fault: User,
        tool: JavaScript,
        signs: &[
            Line("npm error Missing script: \"{}\""),
            Line("error Command \"{}\" not found."),
            Line("ERR_PNPM_NO_SCRIPT*Missing script: {}"),
            Line("error: Script not found \"{}\""),
        ],
        title: "package.json has no script `{0}`",
        cause: &[],
        cure: &[
            "Add it under `scripts`, or call another script. The command reads the package.json of the directory it runs in.",
        ],
    },
    Known {
        code: "node-sass-outdated",
        fault: User,
        tool: JavaScript,
        signs: &[Line(
            "Node Sass does not yet support your current environment: {}",
        )],
        title: "node-sass doesn't support this Node.js",
        cause: &[
            "Each version of node-sass supports a few versions of Node.js, and the package is no longer maintained.",
        ],
        cure: &[
            "Replace it with sass, which has the same options:",
            "  {remove} node-sass",
            "  {add} sass",
            "Until then, request an older Node.js that it supports, with node_version in phoenix_static_buildpack.config.",
        ],
    },
    Known {
        code: "webpack-needs-old-openssl",
        fault: User,
        tool: JavaScript,
        signs: &[Line(
            "error:0308010C:digital envelope routines::unsupported",
        )],
        title: "this webpack doesn't run on Node.js 17 and newer",
        cause: &[
            "webpack up to 4.46, and 5.0 to 5.60, use a hash (md4) that OpenSSL in these versions of Node.js doesn't have.",
        ],
        cure: &[
            "Update to webpack 4.47 or 5.61, which don't use it:",
            "  {add} webpack@4.47.0",
            "Until then:",
            "  {set} NODE_OPTIONS=--openssl-legacy-provider",
        ],
    },
];
