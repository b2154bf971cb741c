//! Rules about the database connection.

use crate::config::{Lookup, Set};
use crate::context::Context;
use crate::elixir::value::Value;
use crate::finding::{Findings, Severity};
use crate::sources::Repo;

/// The connection limits of Heroku Postgres plans, by the prefix of their names. Source: Heroku's "Choosing the Right
/// Heroku Postgres Plan".
const PLANS: [(&str, i64); 11] = [
    ("essential-2", 40),
    ("essential-", 20),
    ("mini", 20),
    ("basic", 20),
    ("hobby-", 20),
    ("standard-0", 120),
    ("premium-0", 120),
    ("standard-2", 400),
    ("premium-2", 400),
    ("standard-", 500),
    ("premium-", 500),
];

/// The connection limit of the smallest plan.
const SMALLEST: i64 = 20;
/// The number of connections for a migration and a shell.
const SPARE: i64 = 2;

pub(super) fn check(context: &Context<'_>, out: &mut Findings) {
    let repos = &context.sources.repos;
    for repo in repos {
        let is_configured = !context.config.all(&repo.app, &[&repo.module]).is_empty();
        let adapter = adapter(context, repo);
        if adapter.contains("SQLite") || adapter.contains("Sqlite") {
            on_disk(out, repo);
            continue;
        }
        if !is_configured || repo.has_init {
            continue;
        }
        if adapter.ends_with("Postgres") || adapter.ends_with("MyXQL") {
            url(context, out, repo);
            pool(context, out, repo);
        }
        if adapter.ends_with("Postgres") {
            tls(context, out, repo);
        }
    }
}

/// Up to Ecto 2, the configuration names the adapter.
fn adapter(context: &Context<'_>, repo: &Repo) -> String {
    let of_config = || {
        let set = context
            .config
            .get(&repo.app, &[&repo.module, "adapter"])
            .set()?;
        match set.value {
            Value::Module(adapter) => Some(adapter.clone()),
            _ => None,
        }
    };
    repo.adapter.clone().or_else(of_config).unwrap_or_default()
}

fn on_disk(out: &mut Findings, repo: &Repo) {
    out.warning(
        "database-on-disk",
        (&repo.file, repo.line),
        format!("{} stores its data in a file. The disk of a dyno is emptied at each deploy and at least once a day.", repo.module),
        "Use a database server:\n  heroku addons:create heroku-postgresql:essential-0\nIn this file, set `adapter: Ecto.Adapters.Postgres`.",
    );
}

fn is_local(host: &Value) -> bool {
    matches!(host, Value::Text(host) if ["localhost", "127.0.0.1", "db", "postgres"].contains(&host.as_str()))
}

fn url(context: &Context<'_>, out: &mut Findings, repo: &Repo) {
    let code = "database-not-from-environment";
    let Repo { app, module, .. } = repo;
    let config = &context.config;
    let file = context.runtime_file();
    let edit = format!(
        "In {file}, set:\n  config :{app}, {module},\n    url: System.get_env(\"DATABASE_URL\")"
    );
    let of_repo = (&*repo.file, repo.line);
    let host = config.get(app, &[module, "hostname"]);
    match config.get(app, &[module, "url"]) {
        Lookup::Set(Set {
            value: Value::Text(_),
            file,
            line,
            ..
        }) => {
            out.warning(
                code,
                (file, line),
                format!("The URL of the database of {module} is in a file. The platform changes it, and keeps it in DATABASE_URL."),
                edit,
            );
        }
        Lookup::Missing => {
            let (at, found) = match host {
                Lookup::Set(set) if is_local(set.value) => {
                    (set.at(), "connects to a database on the dyno itself")
                }
                Lookup::Missing
                    if ["socket", "socket_dir", "endpoints", "database"]
                        .iter()
                        .all(|key| config.get(app, &[module, key]).is_missing()) =>
                {
                    (of_repo, "doesn't read the URL of the database")
                }
                _ => return,
            };
            let env = context.input.mix_env;
            out.error(
                code,
                at,
                format!(
                    "{module} {found} in the environment {env}. The platform sets DATABASE_URL."
                ),
                edit,
            );
        }
        Lookup::Set(_) | Lookup::Uncertain => {}
    }
}

/// Returns the plan in `app.json`, with its connection limit.
fn plan(context: &Context<'_>) -> Option<(&'static str, i64)> {
    let text = context.app_json.as_deref()?;
    let (_, plan) = text.split_once("heroku-postgresql:")?;
    PLANS.into_iter().find(|(name, _)| plan.starts_with(name))
}

fn pool(context: &Context<'_>, out: &mut Findings, repo: &Repo) {
    let Repo { app, module, .. } = repo;
    let Some(set) = context.config.get(app, &[module, "pool_size"]).set() else {
        return;
    };
    let at = set.at();
    let (size, name, is_known) = match set.value {
        Value::Integer(size) => (Some(*size), None, true),
        Value::Env(var) => {
            let value = context.config_var(&var.name);
            let size = match (value, var.default.as_deref()) {
                (Some(value), _) => value.trim().parse().ok(),
                (None, Some(Value::Text(default))) => default.parse().ok(),
                (None, Some(Value::Integer(default))) => Some(*default),
                _ => None,
            };
            let is_known = context.knows_config_vars();
            (size, Some(var.name.clone()), is_known)
        }
        _ => return,
    };
    let plan = plan(context);
    let limit = plan.map_or(SMALLEST, |(_, limit)| limit);
    let Some(size) = size.filter(|size| *size > limit - SPARE) else {
        return;
    };
    let of = match plan {
        Some((name, _)) => format!(
            "the plan {} in app.json allows {limit}",
            name.trim_end_matches('-')
        ),
        None => format!("the smallest plans of Heroku Postgres allow {limit}"),
    };
    let severity = if plan.is_some() && is_known {
        Severity::Warning
    } else {
        Severity::Note
    };
    let fits = limit - SPARE;
    let edit = match name {
        Some(name) => format!(
            "Leave {SPARE} connections for migrations and `iex`:\n  heroku config:set {name}={fits}"
        ),
        None => format!(
            "Leave {SPARE} connections for migrations and `iex`:\n  pool_size: String.to_integer(System.get_env(\"POOL_SIZE\") || \"{fits}\")"
        ),
    };
    out.add(
        severity,
        "pool-size",
        at,
        format!(
            "{module} opens {size} connections in each dyno, and {of}, for all dynos together."
        ),
        edit,
    );
}

/// The database server, judging by `--env`.
enum Server {
    Unknown,
    /// The URL itself turns TLS on, or the server isn't Heroku's.
    Other,
    Heroku,
}

fn server(context: &Context<'_>, url: Option<&Value>) -> Server {
    let Some(Value::Env(var)) = url else {
        return Server::Unknown;
    };
    match context.config_var(&var.name) {
        None => Server::Unknown,
        Some(value) if value.contains("ssl=true") || value.contains("sslmode=") => Server::Other,
        Some(value) if value.contains("amazonaws.com") => Server::Heroku,
        Some(_) => Server::Other,
    }
}

const VERIFY_NONE: &str = "In the settings of the repository, set:\n  ssl: [verify: :verify_none]";

fn tls(context: &Context<'_>, out: &mut Findings, repo: &Repo) {
    let Repo { app, module, .. } = repo;
    let config = &context.config;
    let get = |key: &str| config.get(app, &[module, key]);
    let url = get("url").set();
    // A computed URL may turn TLS on, and a host that isn't the platform's may not need it.
    let Some(url) = url.filter(|url| matches!(url.value, Value::Env(_))) else {
        return;
    };
    let server = server(context, Some(url.value));
    let set_option = || {
        // Since Postgrex 0.18, `ssl` takes the options.
        match context.locks_at_least("postgrex", (0, 18)) {
            Some(false) => {
                "In the settings of the repository, set:\n  ssl: true, ssl_opts: [verify: :verify_none]"
            }
            _ => VERIFY_NONE,
        }
    };
    match get("ssl") {
        Lookup::Missing => {}
        Lookup::Set(set) if set.value.is_atom("false") => {}
        Lookup::Set(set) if set.value.is_atom("true") => {
            let verifies = get("ssl_opts").is_missing()
                && context.locks_at_least("postgrex", (0, 21)) == Some(true);
            let at = set.at();
            let severity = match server {
                _ if !verifies => return,
                Server::Other => return,
                Server::Heroku => Severity::Error,
                Server::Unknown => Severity::Note,
            };
            return out.add(
                severity,
                "database-certificate",
                at,
                "With `ssl: true`, Postgrex 0.21 and later verify the certificate of the server. Heroku Postgres has certificates that no public authority signed, so connecting fails with `unknown_ca`.",
                VERIFY_NONE,
            );
        }
        Lookup::Set(_) | Lookup::Uncertain => return,
    }
    let severity = match server {
        Server::Other => return,
        Server::Heroku => Severity::Error,
        Server::Unknown => Severity::Warning,
    };
    let edit = set_option();
    let at = url.at();
    out.add(
        severity,
        "database-without-tls",
        at,
        format!("{module} connects without TLS. Heroku Postgres rejects such connections."),
        edit,
    );
}
