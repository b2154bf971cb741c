//! The codes of all findings, with a short description.

/// A rule, as SARIF and the documentation list it.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    pub code: &'static str,
    /// What the finding means, as a sentence.
    pub summary: &'static str,
}

const fn rule(code: &'static str, summary: &'static str) -> Rule {
    Rule { code, summary }
}

/// All rules, by code.
pub const RULES: [Rule; 48] = [
    rule("app-json", "app.json isn't JSON."),
    rule(
        "check-origin-host",
        "check_origin doesn't list the endpoint's own host.",
    ),
    rule(
        "check-origin-off",
        "The endpoint accepts websockets from every site.",
    ),
    rule(
        "cluster",
        "The app forms a cluster, but dynos can't reach each other.",
    ),
    rule(
        "compile-time-value",
        "A config var is read when the app is compiled.",
    ),
    rule("config-needs-bash", "Only bash can evaluate a config file."),
    rule(
        "config-not-read",
        "Doctor can't read a part of the configuration.",
    ),
    rule(
        "config-var-missing",
        "A config var that the app requires isn't set.",
    ),
    rule(
        "config-vars",
        "The config vars that the app doesn't start without.",
    ),
    rule(
        "database-certificate",
        "The app verifies the database's certificate, which no public authority signed.",
    ),
    rule(
        "database-not-from-environment",
        "The app doesn't take the database's URL from the environment.",
    ),
    rule(
        "database-on-disk",
        "The app stores a database on the dyno's disk.",
    ),
    rule(
        "database-without-tls",
        "The app connects to the database without TLS.",
    ),
    rule(
        "dead-plan",
        "app.json names an add-on plan or a dyno size that no longer exists.",
    ),
    rule(
        "dead-stack",
        "app.json names a stack that no longer builds, or soon won't.",
    ),
    rule(
        "end-of-life",
        "A version or the stack no longer gets fixes.",
    ),
    rule(
        "env-file-committed",
        "A committed .env file contains a secret.",
    ),
    rule("files-on-disk", "The app writes files to the dyno's disk."),
    rule(
        "force-ssl-at-run-time",
        "force_ssl is set where it has no effect.",
    ),
    rule(
        "force-ssl-missing",
        "The endpoint also answers requests through http.",
    ),
    rule(
        "force-ssl-redirect-loop",
        "The redirect to https ignores the router's header.",
    ),
    rule(
        "git-dependency",
        "A dependency from git can't be fetched, or needs a key.",
    ),
    rule("git-submodule", "The repository has submodules."),
    rule("https-listener", "The endpoint serves HTTPS itself."),
    rule(
        "import-not-committed",
        "The configuration imports a file that doesn't reach the platform.",
    ),
    rule(
        "lockfile-missing",
        "mix.lock doesn't exist or isn't committed.",
    ),
    rule("lockfile-out-of-step", "mix.lock doesn't match mix.exs."),
    rule(
        "loopback-interface",
        "The endpoint only listens on the loopback interface.",
    ),
    rule(
        "migrations",
        "No release phase runs migrations, or another process does.",
    ),
    rule("native-compiler", "mix needs build tools to start the app."),
    rule(
        "native-program",
        "A dependency needs a program that the stack images don't contain.",
    ),
    rule(
        "old-buildpack",
        "The repository names a buildpack that Mixpack replaces.",
    ),
    rule(
        "path-dependency",
        "A path dependency isn't in the repository.",
    ),
    rule("plan-warning", "A warning of the plan."),
    rule(
        "pool-size",
        "The connection pool is larger than the database plan allows.",
    ),
    rule(
        "port-not-from-environment",
        "The endpoint doesn't listen on PORT.",
    ),
    rule(
        "private-package",
        "A dependency is a private package, which needs a key.",
    ),
    rule(
        "procfile-command",
        "A process starts something that doesn't exist.",
    ),
    rule(
        "procfile-line",
        "The platform ignores a line of the Procfile.",
    ),
    rule("procfile-name", "The Procfile has another name."),
    rule(
        "procfile-without-web",
        "The Procfile names no process type web.",
    ),
    rule("secret-in-file", "A secret is in a committed file."),
    rule("secret-missing", "No secret_key_base is set."),
    rule(
        "server-not-started",
        "The web process starts the app, but no endpoint serves.",
    ),
    rule("url-host", "The endpoint's host is a placeholder."),
    rule("url-scheme", "The endpoint's URLs begin with http."),
    rule(
        "version-not-pinned",
        "A version may change with a later build.",
    ),
    rule(
        "websocket-timeout",
        "A websocket's timeout is longer than the router's.",
    ),
];
