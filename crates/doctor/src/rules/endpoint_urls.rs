//! Rules about the URLs of an endpoint: its host, its scheme, and the requests that it accepts.

use super::endpoint::configured;
use crate::config::{Lookup, Phase, Set};
use crate::context::Context;
use crate::elixir::value::{Pair, Value};
use crate::finding::{Findings, Severity};
use crate::sources::Endpoint;

/// Hosts that generators write.
const PLACEHOLDERS: [&str; 4] = ["localhost", "example.com", "www.example.com", "127.0.0.1"];

pub(super) fn check(context: &Context<'_>, out: &mut Findings) {
    let endpoints = &context.sources.endpoints;
    for endpoint in configured(context, endpoints) {
        host(context, out, endpoint);
        scheme(context, out, endpoint);
        force_ssl(context, out, endpoint);
        check_origin(context, out, endpoint);
    }
    ssl_plugs(context, out);
}

fn is_placeholder(host: &Value) -> bool {
    matches!(host, Value::Text(host) if PLACEHOLDERS.contains(&host.as_str()))
}

fn host(context: &Context<'_>, out: &mut Findings, endpoint: &Endpoint) {
    let code = "url-host";
    let Endpoint { app, module, .. } = endpoint;
    let consequence = "The endpoint rejects websockets from other hosts, so live views keep reconnecting, and URLs in mails are wrong";
    let file = context.runtime_file();
    let edit = format!(
        "In {file}, set:\n  config :{app}, {module},\n    url: [host: System.get_env(\"PHX_HOST\"), port: 443, scheme: \"https\"]\nThen:\n  heroku config:set PHX_HOST=HOST"
    );
    let (at, value) = match context.config.get(app, &[module, "url", "host"]) {
        Lookup::Set(set) => (set.at(), set.value.clone()),
        Lookup::Missing => {
            let at = endpoint.at();
            (at, Value::Text("localhost".to_owned()))
        }
        Lookup::Uncertain => return,
    };
    match value {
        Value::Text(host) if PLACEHOLDERS.contains(&host.as_str()) => out.warning(
            code,
            at,
            format!("The host of {module} is {host}. {consequence}."),
            edit,
        ),
        Value::Env(var) => {
            let default = var.default.as_deref();
            let falls_back = default.is_none_or(is_placeholder) && !var.required;
            if !falls_back || context.config_var(&var.name).is_some() {
                return;
            }
            let shown = match default {
                Some(Value::Text(host)) => format!("is {host}"),
                _ => "isn't set".to_owned(),
            };
            let severity = if context.knows_config_vars() {
                Severity::Warning
            } else {
                Severity::Note
            };
            out.add(
                severity,
                code,
                at,
                format!(
                    "Without the config var {}, the host of {module} {shown}. {consequence}.",
                    var.name
                ),
                format!(
                    "Set the host that browsers use:\n  heroku config:set {}=HOST",
                    var.name
                ),
            );
        }
        _ => {}
    }
}

fn scheme(context: &Context<'_>, out: &mut Findings, endpoint: &Endpoint) {
    let Endpoint { app, module, .. } = endpoint;
    let config = &context.config;
    if !config.get(app, &[module, "https"]).is_missing() {
        return;
    }
    // A placeholder for a host is reported, with the whole line.
    let Some(host) = config.get(app, &[module, "url", "host"]).set() else {
        return;
    };
    if is_placeholder(host.value) {
        return;
    }
    let (found, at) = match config.get(app, &[module, "url", "scheme"]) {
        Lookup::Set(Set {
            value: Value::Text(scheme),
            file,
            line,
            ..
        }) if scheme == "http" => ("is http", (file, line)),
        Lookup::Missing => ("isn't set, so it is http", host.at()),
        _ => return,
    };
    out.warning(
        "url-scheme",
        at,
        format!("The scheme of {module} {found}. Browsers reach the app through https, and its own links lead to http."),
        "In `url:`, set:\n  port: 443, scheme: \"https\"",
    );
}

/// Whether redirects to https take the router's header into account, if that is certain.
fn rewrites(options: Option<&Pair>) -> Option<bool> {
    match options.map(|pair| &pair.value) {
        None => Some(false),
        Some(Value::Items(headers)) => {
            let trusts = headers
                .iter()
                .any(|header| header.is_atom("x_forwarded_proto"));
            (trusts || headers.iter().all(Value::is_certain)).then_some(trusts)
        }
        Some(_) => None,
    }
}

const REWRITE: &str = "Trust the header of the router:\n  rewrite_on: [:x_forwarded_proto]";

fn redirect_loop(out: &mut Findings, (file, line): (&str, u32), what: &str) {
    out.error(
        "force-ssl-redirect-loop",
        (file, line),
        format!("{what} redirects to https, but the router terminates TLS and forwards every request as http. Browsers end in a redirect loop."),
        REWRITE,
    );
}

fn force_ssl(context: &Context<'_>, out: &mut Findings, endpoint: &Endpoint) {
    let Endpoint { app, module, .. } = endpoint;
    let file = context.env_file();
    let edit = format!(
        "In {file}, set:\n  config :{app}, {module},\n    force_ssl: [rewrite_on: [:x_forwarded_proto]]"
    );
    let found = context.config.get(app, &[module, "force_ssl"]);
    let set = match found {
        Lookup::Set(set) => set,
        Lookup::Missing if context.sources.ssl_plugs.is_empty() => {
            let at = endpoint.at();
            return out.note(
                "force-ssl-missing",
                at,
                format!("{module} also answers requests through http."),
                edit,
            );
        }
        Lookup::Missing | Lookup::Uncertain => return,
    };
    let at = set.at();
    let compiled = context.config.all(app, &[module, "force_ssl"]);
    let compiled = compiled.iter().any(|set| set.phase == Phase::Compile);
    if set.phase == Phase::Runtime && !compiled && set.value.truth() == Some(true) {
        let fails = context.locks_at_least("phoenix", (1, 8)) == Some(true);
        let (severity, effect) = if fails {
            (
                Severity::Error,
                "the app doesn't start if it differs from that of the build",
            )
        } else {
            (Severity::Warning, "it has no effect here")
        };
        return out.add(
            severity,
            "force-ssl-at-run-time",
            at,
            format!("force_ssl is compiled into {module}, so {effect}."),
            format!("Remove it here. {edit}"),
        );
    }
    let loops = match set.value {
        Value::Keyword(_) => rewrites(set.value.get("rewrite_on")) == Some(false),
        Value::Items(options) => options.is_empty(),
        _ => false,
    };
    if loops {
        redirect_loop(out, at, "force_ssl");
    }
}

fn ssl_plugs(context: &Context<'_>, out: &mut Findings) {
    let plugs = &context.sources.ssl_plugs;
    for (place, options) in plugs {
        let Some(options) = options else {
            continue;
        };
        let rewrite_on = options.iter().find(|pair| pair.key == "rewrite_on");
        if rewrites(rewrite_on) == Some(false) {
            redirect_loop(out, (&place.file, place.line), &place.what);
        }
    }
}

fn check_origin(context: &Context<'_>, out: &mut Findings, endpoint: &Endpoint) {
    let Endpoint { app, module, .. } = endpoint;
    let config = &context.config;
    let Some(set) = config.get(app, &[module, "check_origin"]).set() else {
        return;
    };
    let at = set.at();
    if set.value.is_atom("false") {
        return out.note(
            "check-origin-off",
            at,
            format!("{module} accepts websockets from every site, with the cookies of your users."),
            "Remove `check_origin: false`, or list your hosts:\n  check_origin: [\"https://HOST\"]",
        );
    }
    let host = match config.get(app, &[module, "url", "host"]).set() {
        Some(Set {
            value: Value::Text(host),
            ..
        }) => host.clone(),
        Some(Set {
            value: Value::Env(var),
            ..
        }) => match context.config_var(&var.name) {
            Some(host) => host.to_owned(),
            None => return,
        },
        _ => return,
    };
    // A trailing slash is a mistake in links, but browsers send the host without it.
    let host = host.trim_end_matches('/');
    let Value::Items(origins) = set.value else {
        return;
    };
    let accepts = |origin: &Value| match origin {
        Value::Text(origin) => {
            let origin = origin.rsplit("//").next().unwrap_or_default();
            let origin = origin.split([':', '/']).next().unwrap_or_default();
            match origin.strip_prefix("*.") {
                Some(domain) => host.ends_with(domain),
                None => origin == host,
            }
        }
        _ => true,
    };
    if !origins.iter().any(accepts) && !PLACEHOLDERS.contains(&host) {
        out.warning(
            "check-origin-host",
            at,
            format!("check_origin of {module} doesn't list its own host, {host}, so websockets from its pages are rejected."),
            format!("Add the host to the list:\n  \"https://{host}\""),
        );
    }
}
