//! Rules about whether and where an endpoint listens.

use crate::config::Lookup;
use crate::context::Context;
use crate::elixir::value::Value;
use crate::finding::{Findings, Severity};
use crate::sources::{Endpoint, Socket};

/// Milliseconds after which Heroku's router closes an idle connection.
const ROUTER_TIMEOUT: i64 = 55_000;

pub(super) fn check(context: &Context<'_>, out: &mut Findings) {
    let endpoints = &context.sources.endpoints;
    let configured_ones = configured(context, endpoints);
    let serving = configured_ones
        .iter()
        .find(|endpoint| may_serve(context, endpoint));
    let serving = serving.map(|endpoint| endpoint.module.as_str());
    for endpoint in configured_ones {
        // Another endpoint may be for use within the dyno.
        let other = serving.filter(|module| *module != endpoint.module);
        let severity = if other.is_some() {
            Severity::Note
        } else {
            Severity::Error
        };
        port(context, out, endpoint, severity);
        interface(context, out, endpoint, severity);
        https(context, out, endpoint);
    }
    server(context, out, endpoints);
    websockets(context, out);
}

/// Returns the endpoints in the configuration. Others may only be for tests.
pub(super) fn configured<'a>(
    context: &Context<'_>,
    endpoints: &'a [Endpoint],
) -> Vec<&'a Endpoint> {
    let is_configured = |endpoint: &&Endpoint| {
        let all = context.config.all(&endpoint.app, &[&endpoint.module]);
        !all.is_empty()
    };
    endpoints.iter().filter(is_configured).collect()
}

/// Whether an endpoint may listen on `PORT`, so that the router reaches it.
fn may_serve(context: &Context<'_>, endpoint: &Endpoint) -> bool {
    let Endpoint { app, module, .. } = endpoint;
    let is_reachable = match context.config.get(app, &[module, "http", "ip"]) {
        Lookup::Set(set) => !is_loopback(set.value),
        _ => true,
    };
    let listens = match context.config.get(app, &[module, "http", "port"]) {
        _ if endpoint.reads_port => true,
        Lookup::Set(set) => match set.value {
            Value::Integer(_) | Value::Text(_) => false,
            Value::Env(_) => set.value.env_vars().contains(&"PORT"),
            _ => true,
        },
        Lookup::Uncertain => true,
        Lookup::Missing => !context.config.get(app, &[module, "http"]).is_missing(),
    };
    is_reachable && listens
}

fn is_loopback(ip: &Value) -> bool {
    let is = |numbers: &[i64]| {
        let numbers: Vec<Value> = numbers.iter().map(|n| Value::Integer(*n)).collect();
        *ip == Value::Items(numbers)
    };
    is(&[127, 0, 0, 1]) || is(&[0, 0, 0, 0, 0, 0, 0, 1])
}

fn port(context: &Context<'_>, out: &mut Findings, endpoint: &Endpoint, severity: Severity) {
    let code = "port-not-from-environment";
    if endpoint.reads_port {
        return;
    }
    let config = &context.config;
    let Endpoint { app, module, .. } = endpoint;
    let edit = format!(
        "In {}, set:\n  config :{app}, {module},\n    http: [port: String.to_integer(System.get_env(\"PORT\") || \"4000\")]",
        context.runtime_file()
    );
    match config.get(app, &[module, "http", "port"]) {
        Lookup::Set(set) => {
            let at = set.at();
            let found = match set.value {
                Value::Integer(port) => format!("port {port}"),
                Value::Text(port) => format!("port {port}"),
                Value::Env(var) if !set.value.env_vars().contains(&"PORT") => {
                    format!("the port in ${}", var.name)
                }
                _ => return,
            };
            out.add(
                severity,
                code,
                at,
                format!("{module} listens on {found}. The platform chooses the port, sets PORT, and stops an app that doesn't listen there."),
                edit,
            );
        }
        Lookup::Missing
            if config.get(app, &[module, "http"]).is_missing()
                && config.get(app, &[module, "https"]).is_missing() =>
        {
            let env = context.input.mix_env;
            out.add(
                severity,
                code,
                endpoint.at(),
                format!(
                    "The configuration for {env} sets no port for {module}, so it doesn't listen."
                ),
                edit,
            );
        }
        Lookup::Missing | Lookup::Uncertain => {}
    }
}

fn interface(context: &Context<'_>, out: &mut Findings, endpoint: &Endpoint, severity: Severity) {
    let Endpoint { app, module, .. } = endpoint;
    let Some(set) = context.config.get(app, &[module, "http", "ip"]).set() else {
        return;
    };
    if is_loopback(set.value) {
        out.add(
            severity,
            "loopback-interface",
            set.at(),
            format!("{module} only listens on the loopback interface, where the platform's router can't reach it."),
            "Listen on all interfaces:\n  ip: {0, 0, 0, 0, 0, 0, 0, 0}",
        );
    }
}

fn https(context: &Context<'_>, out: &mut Findings, endpoint: &Endpoint) {
    let Endpoint { app, module, .. } = endpoint;
    let Some(set) = context.config.get(app, &[module, "https"]).set() else {
        return;
    };
    if set.value.get("port").is_some() || set.value.get("keyfile").is_some() {
        out.warning(
            "https-listener",
            set.at(),
            format!("{module} serves HTTPS itself. The platform's router terminates TLS, and a dyno may listen on one port only."),
            "Remove `https:`, and set `url: [scheme: \"https\", …]` and `force_ssl:` instead.",
        );
    }
}

/// Whether the web process serves requests.
fn server(context: &Context<'_>, out: &mut Findings, endpoints: &[Endpoint]) {
    let web = context.web();
    let starts_release = context.release
        && web.is_none_or(|web| web.contains("/rel/") && !web.contains("bin/server"))
        && !context.exists(&context.path("rel/overlays/bin/server"));
    let runs_app = !context.release && web.is_some_and(|web| web.contains("mix run"));
    let starts_server = |endpoint: &&Endpoint| match context
        .config
        .get(&endpoint.app, &[&endpoint.module, "server"])
    {
        Lookup::Missing => false,
        Lookup::Uncertain => true,
        Lookup::Set(set) => set.value.truth() != Some(false),
    };
    let configured = configured(context, endpoints);
    let phoenix = context.config.get("phoenix", &["serve_endpoints"]);
    let serves = configured.iter().any(starts_server)
        || !phoenix.is_missing()
        || context.config.mentions_phx_server;
    let (true, false, Some(endpoint)) = (starts_release || runs_app, serves, configured.first())
    else {
        return;
    };
    let starts = match web {
        Some(web) => format!("The web process runs `{web}`"),
        None => "The web process starts a release".to_owned(),
    };
    let file = context.runtime_file();
    let edit = format!(
        "Add this to {file}; Mixpack sets PHX_SERVER for releases:\n  if System.get_env(\"PHX_SERVER\") do\n    config :{}, {}, server: true\n  end",
        endpoint.app, endpoint.module
    );
    let at = endpoint.at();
    out.error(
        "server-not-started",
        at,
        format!("{starts}, but no endpoint has `server: true`, so nothing listens on PORT."),
        edit,
    );
}

fn websockets(context: &Context<'_>, out: &mut Findings) {
    let code = "websocket-timeout";
    let mut by_default = Vec::new();
    // Before 1.4, only the socket's module has websockets and their options.
    let is_before_1_4 = context.locks_at_least("phoenix", (1, 4)) == Some(false);
    let sockets = context.sources.sockets.iter();
    for socket in sockets.filter(|socket| socket.is_transport || !is_before_1_4) {
        let Some(options) = &socket.websocket else {
            continue;
        };
        let at = (socket.file.as_str(), socket.line);
        match options.iter().find(|pair| pair.key == "timeout") {
            Some(pair) => {
                let shown = match &pair.value {
                    Value::Integer(timeout) if *timeout >= ROUTER_TIMEOUT => timeout.to_string(),
                    value if value.is_atom("infinity") => ":infinity".to_owned(),
                    _ => continue,
                };
                out.warning(
                    code,
                    (at.0, pair.line),
                    format!("The websocket {} has the timeout {shown}. Heroku's router closes idle connections after 55 seconds, before Phoenix does.", socket.path),
                    websocket_edit(socket),
                );
            }
            None => by_default.push(socket),
        }
    }
    if let Some(first) = by_default.first() {
        let paths: Vec<&str> = by_default
            .iter()
            .map(|socket| socket.path.as_str())
            .collect();
        let subject = paths.join(", ");
        out.note(
            code,
            (&first.file, first.line),
            format!("These websockets have Phoenix's default timeout of 60 seconds: {subject}. Heroku's router closes connections that are idle for 55 seconds. Clients of Phoenix send a heartbeat every 30 seconds, so this matters to other clients only."),
            websocket_edit(first),
        );
    }
}

fn websocket_edit(socket: &Socket) -> &'static str {
    if socket.is_transport {
        "Set a timeout below 55 seconds:\n  transport :websocket, Phoenix.Transports.WebSocket, timeout: 45_000"
    } else {
        "Set a timeout below 55 seconds:\n  websocket: [timeout: 45_000]"
    }
}
