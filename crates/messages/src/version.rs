//! Unavailable versions, and the ones to request instead.

use super::{Explanation, Wording, list};
use app::plan::{Edit, Suggestion, VersionError};
use app::{Origin, Setting};
use versions::Tool;

pub(super) fn explain(
    error: &VersionError,
    suggestion: Option<&Suggestion>,
    words: &Wording,
) -> Explanation {
    let explanation = problem(error, suggestion, words);
    match suggestion {
        Some(suggestion) => suggested(explanation, suggestion, words),
        None => explanation,
    }
}

fn problem(error: &VersionError, suggestion: Option<&Suggestion>, words: &Wording) -> Explanation {
    match error {
        VersionError::Malformed {
            tool,
            requested,
            reason,
            available,
        } => {
            // Prefer the suggested versions: these may not be compatible.
            let available = suggestion.map_or(available.as_slice(), |_| &[]);
            malformed(*tool, requested, reason, available, words)
        }
        VersionError::NoSuchVersion {
            tool,
            requested,
            target,
            nearest,
            newest_of_line,
            newer_than_listed,
        } => {
            let explanation = no_such_version(*tool, requested, target, words);
            let newest = newest_of_line.as_deref();
            let explanation = newest_of(explanation, newest, *newer_than_listed);
            match suggestion {
                Some(_) => explanation,
                None => nearest_listed(explanation, nearest, requested, words),
            }
        }
        VersionError::IncompatiblePair {
            elixir,
            elixir_source,
            otp,
            otp_source,
        } => Explanation::user(
            "elixir-otp-incompatible",
            format!("Elixir {elixir} does not run on Erlang/OTP {otp}"),
        )
        .because(requests_version(elixir_source, &format!("Elixir {elixir}"), words))
        .because(requests_version(otp_source, &format!("Erlang/OTP {otp}"), words)),
        VersionError::NoOtpFor { requested, target } => Explanation::user(
            "no-otp-for-elixir",
            format!("no Erlang/OTP built for {target} is compatible with Elixir {}", requested.value),
        )
        .because(requests_version(&requested.origin, &format!("Elixir {}", requested.value), words)),
        VersionError::NoElixirFor { requested, otp } => Explanation::user(
            "no-elixir-for-otp",
            format!("no available Elixir is compatible with Erlang/OTP {otp}"),
        )
        .because(requests_version(&requested.origin, &format!("Erlang/OTP {}", requested.value), words)),
        VersionError::DisallowedByMixExs {
            elixir,
            elixir_source,
            requirement,
        } => Explanation::user(
            "elixir-not-allowed-by-mix-exs",
            format!("{} does not allow Elixir {elixir}", requirement.origin),
        )
        .because(requests_version(elixir_source, &format!("Elixir {elixir}"), words))
        .because(requires(requirement)),
        VersionError::NoElixirAllowedByMixExs {
            requirement,
            otp,
            newest,
        } => no_elixir_that_mix_exs_allows(requirement, otp.as_ref(), newest, words),
        VersionError::NoCompatiblePair { target } => Explanation::upstream(
            "lists-do-not-fit",
            format!("upstream lists no compatible Elixir and Erlang/OTP for {target}"),
        )
        .because("The app requests no versions, so Mixpack would use the newest compatible pair.")
        .so("Request both versions in elixir_buildpack.config, or try again later. A mirror (HEX_BUILDS_URL) must serve upstream's complete lists."),
    }
}

fn requests_version(origin: &Origin, version: &str, words: &Wording) -> String {
    format!("{} requests {version}.", words.place(origin))
}

fn requires(requirement: &Setting) -> String {
    format!(
        "{} requires elixir: {:?}, and mix refuses any other version.",
        requirement.origin, requirement.value
    )
}

fn no_elixir_that_mix_exs_allows(
    requirement: &Setting,
    otp: Option<&(String, Origin)>,
    newest: &str,
    words: &Wording,
) -> Explanation {
    const CODE: &str = "no-elixir-that-mix-exs-allows";
    let title = format!("no available Elixir satisfies {}", requirement.origin);
    let cause = requires(requirement);
    match otp {
        Some((otp, origin)) => Explanation::user(
            CODE,
            format!("{title} and runs on Erlang/OTP {otp}"),
        )
        .because(cause)
        .because(format!(
            "{} requests Erlang/OTP {otp}, and the newest Elixir that runs on it is {newest}.",
            words.place(origin)
        )),
        None => Explanation::user(CODE, title)
            .because(cause)
            .because(format!(
                "The newest Elixir built for this stack is {newest}."
            )),
    }
}

fn malformed(
    tool: Tool,
    requested: &Setting,
    reason: &str,
    available: &[String],
    words: &Wording,
) -> Explanation {
    let product = product(tool);
    let explanation = Explanation::user(
        "version-malformed",
        format!("{:?} is not a valid version of {product}", requested.value),
    )
    .because(format!(
        "{} requests {product} {:?}: {reason}.",
        words.place(&requested.origin),
        requested.value
    ))
    .so(format!("Write {}.", examples(tool)));
    if available.is_empty() {
        explanation
    } else {
        explanation.so(format!(
            "The newest available versions: {}.",
            available.join(", ")
        ))
    }
}

fn no_such_version(tool: Tool, requested: &Setting, target: &str, words: &Wording) -> Explanation {
    let number = requested.value.strip_prefix("OTP-");
    let number = number.unwrap_or(&requested.value);
    let version = format!("{} {number}", product(tool));
    // Elixir's and Node's lists are the same for every stack.
    let title = match tool {
        Tool::Erlang => format!("{version} is not available for {target}"),
        Tool::Elixir | Tool::Node => format!("{version} is not available"),
    };
    Explanation::user("version-not-available", title).because(format!(
        "{} requests {version}, but upstream lists no matching version.",
        words.place(&requested.origin)
    ))
}

fn newest_of(
    explanation: Explanation,
    newest_of_line: Option<&str>,
    newer_than_listed: bool,
) -> Explanation {
    const PATIENCE: &str = "New releases are usually built within hours.";
    let newest =
        newest_of_line.map(|newest| format!("The newest release of that series is {newest}."));
    match (newest, newer_than_listed) {
        (Some(newest), true) => explanation.so(format!("{newest} {PATIENCE}")),
        (Some(newest), false) => explanation.so(newest),
        (None, true) => explanation.so(format!("It is newer than all listed versions. {PATIENCE}")),
        (None, false) => explanation,
    }
}

/// Adds the nearest listed versions, for an error without a suggestion.
fn nearest_listed(
    mut explanation: Explanation,
    nearest: &[String],
    requested: &Setting,
    words: &Wording,
) -> Explanation {
    if !nearest.is_empty() {
        explanation = explanation.so(format!(
            "The nearest available versions: {}.",
            nearest.join(", ")
        ));
    }
    explanation.so(match &requested.origin {
        Origin::ConfigVar(name) => {
            let var = words.config_var();
            format!("Change the {var} {name}, or unset it to get the newest compatible version.")
        }
        origin @ Origin::File { .. } => {
            format!("Change {origin}, or remove it there to get the newest compatible version.")
        }
        Origin::LastBuild | Origin::Default(_) => {
            "Request another version in elixir_buildpack.config.".to_owned()
        }
    })
}

/// Adds the suggested pair, and the places to edit.
fn suggested(
    mut explanation: Explanation,
    suggestion: &Suggestion,
    words: &Wording,
) -> Explanation {
    let Suggestion {
        elixir,
        requirement,
        edits,
        why,
        conflicts,
        conflicting_packages,
        oldest_otp,
    } = suggestion;
    explanation = explanation.so(format!(
        "{why}. The oldest Erlang/OTP built for this stack is {oldest_otp}."
    ));
    if !conflicts.is_empty() {
        let places: Vec<String> = conflicts.iter().map(|c| c.origin.to_string()).collect();
        let places = list(&places);
        explanation = explanation
            .so(format!(
                "No available Elixir satisfies {places}. Change {places} to allow {elixir}:"
            ))
            .typing(format!("elixir: {requirement:?}"));
    }
    if !conflicting_packages.is_empty() {
        let packages = conflicting_packages.iter();
        let packages = packages.map(|(package, requirement)| format!("{package} ({requirement})"));
        let packages: Vec<String> = packages.collect();
        explanation = explanation.so(format!(
            "No available Elixir also satisfies the requirements of these locked packages: {}. mix only warns about that.",
            list(&packages)
        ));
    }
    edits.iter().fold(explanation, |explanation, edit| {
        with_edit(explanation, edit, words)
    })
}

fn with_edit(explanation: Explanation, edit: &Edit, words: &Wording) -> Explanation {
    match edit {
        Edit::File {
            path,
            numbers,
            lines,
        } => {
            let table = if path.ends_with("toml") {
                "[tools] of "
            } else {
                ""
            };
            let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
            let replace = match numbers.len() {
                0 => "set".to_owned(),
                1 => format!("replace line {} with", list(&numbers)),
                _ => format!("replace lines {} with", list(&numbers)),
            };
            let explanation = explanation.so(format!("In {table}{path}, {replace}:"));
            lines.iter().fold(explanation, Explanation::typing)
        }
        Edit::ConfigVars(vars) => {
            let what = match vars.len() {
                1 => words.config_var().to_owned(),
                _ => words.config_vars(),
            };
            let vars = vars.iter();
            let vars = vars.map(|(name, value)| format!("{name}={}", shell_words::quote(value)));
            let vars: Vec<String> = vars.collect();
            explanation
                .so(format!("Set the {what}:"))
                .typing(words.set_all(&vars))
        }
        Edit::MiseUse(tools) => explanation
            .so("Update mise.toml and mise.lock with this command, and commit both:")
            .typing(format!("mise use {}", tools.join(" "))),
    }
}

fn product(tool: Tool) -> &'static str {
    match tool {
        Tool::Erlang => "Erlang/OTP",
        Tool::Elixir => "Elixir",
        Tool::Node => "Node.js",
    }
}

fn examples(tool: Tool) -> &'static str {
    match tool {
        Tool::Erlang => "a release such as 27.3.4, or 27 for the newest 27.x",
        Tool::Elixir => "a release such as 1.18.3, or 1.18 for the newest 1.18.x",
        Tool::Node => "a release such as 22.1.0, or 22 for the newest 22.x",
    }
}
