//! Failures of JavaScript package managers, and of what their scripts run.

use super::Known;
use super::Of::JavaScript;
use super::Sign::{Both, Line};
use crate::explain::Fault::{Upstream, User};

pub(super) const KNOWN: &[Known] = &[
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
        code: "npm-source-not-allowed",
        fault: User,
        of: JavaScript,
        signs: &[
            Line("npm error Fetching packages of type \"{}\" have been disabled"),
            Line("npm error Fetching non-root packages of type \"{}\" have been disabled"),
        ],
        title: "npm does not fetch packages of the type {0}",
        cause: &[
            "From version 12 on, npm fetches packages from git and from URLs only where the project allows it.",
        ],
        cure: &[
            "Allow it in a file .npmrc beside package.json, and commit that. `root` covers packages that package.json itself names, `all` covers those that other packages name as well:",
            "  allow-{0}=root",
            "Or take a version of the package that the registry has.",
        ],
    },
    Known {
        code: "npm-script-not-approved",
        fault: User,
        of: JavaScript,
        signs: &[Line("npm error code ESTRICTALLOWSCRIPTS")],
        title: "a package has an install script that nobody has approved",
        cause: &[
            "strict-allow-scripts is set, in .npmrc or as NPM_CONFIG_STRICT_ALLOW_SCRIPTS: npm then installs nothing until each script is approved or denied.",
        ],
        cure: &[
            "Read the script. On your machine, in the folder of {package}, approve or deny it, then commit package.json:",
            "  npm install-scripts approve NAME",
            "  npm install-scripts deny NAME",
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
            "  {set} NPM_TOKEN=TOKEN",
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
            "Try again. If a registry is set, in .npmrc or in NPM_CONFIG_REGISTRY, check it; the address is in the output. Behind a proxy, set HTTPS_PROXY.",
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
            "Add it under `scripts`, or call one that is there. The command reads the package.json of the folder that it runs in.",
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
            "  {remove} node-sass",
            "  {add} sass",
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
            "  {add} webpack@4.47.0",
            "Until then:",
            "  {set} NODE_OPTIONS=--openssl-legacy-provider",
        ],
    },
];
