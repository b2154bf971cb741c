//! The codes of all findings, with a short description.

/// A rule, as SARIF and the documentation list it.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    pub code: &'static str,
    /// The meaning of the finding, as a sentence.
    pub summary: &'static str,
}

/// Returns all rules, by code.
pub fn rules() -> impl Iterator<Item = Rule> {
    TABLE.lines().filter_map(|line| {
        let (code, summary) = line.split_once(": ")?;
        Some(Rule { code, summary })
    })
}

const TABLE: &str = "\
app-json: app.json isn't JSON.
check-origin-host: check_origin doesn't list the endpoint's own host.
check-origin-off: The endpoint accepts websockets from every site.
cluster: The app forms a cluster, but dynos can't reach each other.
compile-time-value: A config var is read when the app is compiled.
config-needs-bash: Only bash can evaluate a config file.
config-not-read: Doctor can't read a part of the configuration.
config-var-missing: A config var that the app requires isn't set.
config-vars: The config vars that the app doesn't start without.
database-certificate: The app verifies the database's certificate, which no public authority signed.
database-not-from-environment: The app doesn't take the database's URL from the environment.
database-on-disk: The app stores a database on the dyno's disk.
database-without-tls: The app connects to the database without TLS.
dead-plan: app.json names an add-on plan or a dyno size that no longer exists.
dead-stack: app.json names a stack that no longer builds, or soon won't.
end-of-life: A version or the stack no longer gets fixes.
env-file-committed: A committed .env file contains a secret.
files-on-disk: The app writes files to the dyno's disk.
force-ssl-at-run-time: force_ssl is set where it has no effect.
force-ssl-missing: The endpoint also answers requests through http.
force-ssl-redirect-loop: The redirect to https ignores the router's header.
git-dependency: A dependency from git can't be fetched, or needs a key.
git-submodule: The repository has submodules.
https-listener: The endpoint serves HTTPS itself.
import-not-committed: The configuration imports a file that doesn't reach the platform.
lockfile-missing: mix.lock doesn't exist or isn't committed.
lockfile-out-of-step: mix.lock doesn't match mix.exs.
loopback-interface: The endpoint only listens on the loopback interface.
migrations: No release phase runs migrations, or another process does.
native-compiler: mix needs build tools to start the app.
native-program: A dependency needs a program that the stack images don't contain.
old-buildpack: The repository names a buildpack that Mixpack replaces.
path-dependency: A path dependency isn't in the repository.
plan-warning: A warning of the plan.
pool-size: The connection pool is larger than the database plan allows.
port-not-from-environment: The endpoint doesn't listen on PORT.
private-package: A dependency is a private package, which needs a key.
procfile-command: A process starts something that doesn't exist.
procfile-line: The platform ignores a line of the Procfile.
procfile-name: The Procfile has another name.
procfile-without-web: The Procfile names no process type web.
secret-in-file: A secret is in a committed file.
secret-missing: No secret_key_base is set.
server-not-started: The web process starts the app, but no endpoint serves.
url-host: The endpoint's host is a placeholder.
url-scheme: The endpoint's URLs begin with http.
version-not-pinned: A version may change with a later build.
websocket-timeout: A websocket's timeout is longer than the router's.
";
