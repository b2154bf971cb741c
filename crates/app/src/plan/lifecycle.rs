//! Warnings about unsupported versions in a plan. They are never errors, since an old app must be able to deploy.

use super::{Lists, Plan};
use crate::origin::Origin;
use versions::lifecycle::{self, Date, NodeEnd};
use versions::otp::OtpVersion;

/// The stacks that Heroku will shut down, with the date. Source: Heroku's "Stack" page.
const ENDING_STACKS: [(&str, &str); 1] = [("heroku-22", "April 2027")];

/// The phrase in each warning about a version at its end of life.
const ENDED: &str = "no longer gets";

/// Whether a warning of a plan is about a version or a stack at its end of life.
#[must_use]
pub fn is_end_of_life(warning: &str) -> bool {
    warning.contains(ENDED) || warning.contains(DEPRECATED)
}

/// The phrase in the warning about a stack near its end of life.
const DEPRECATED: &str = "is deprecated and only supported until";

/// Returns a warning for each tool at its end of life, and for a stack near it.
#[must_use]
pub fn warnings(plan: &Plan, lists: &Lists, today: Date) -> Vec<String> {
    let mut warnings = Vec::new();
    let ending = ENDING_STACKS
        .iter()
        .find(|(stack, _)| *stack == plan.target.stack);
    if let Some((stack, end)) = ending {
        warnings.push(format!(
            "the stack {stack} {DEPRECATED} {end}; to move the app to a newer one: heroku stack:set heroku-24"
        ));
    }
    if let Some(version) = &plan.erlang.build.version {
        let place = place(&plan.erlang.source);
        if let Some(oldest) = lifecycle::otp_superseded(version, &lists.otp) {
            warnings.push(format!(
                "Erlang/OTP {version} ({place}) {ENDED} fixes; the oldest supported series is {oldest}"
            ));
        }
        if let Some(fixed) = lifecycle::first_with_working_tls(version) {
            warnings.push(tls(version, &fixed, &plan.erlang.source));
        }
    }
    if let Some(version) = &plan.elixir.build.version
        && let Some(oldest) = lifecycle::elixir_superseded(version, &lists.elixir)
    {
        warnings.push(format!(
            "Elixir {version} ({}) {ENDED} security fixes; the oldest supported series is {oldest}",
            place(&plan.elixir.source)
        ));
    }
    if let Some(node) = &plan.node
        && let Some(end) = lifecycle::node_ended(&node.build, today)
    {
        let since = match end {
            NodeEnd::On(date) => format!(" (since {date})"),
            NodeEnd::LongAgo => String::new(),
        };
        warnings.push(format!(
            "Node.js {} ({}) {ENDED} fixes{since}",
            node.version,
            place(&node.source)
        ));
    }
    warnings
}

fn tls(version: &OtpVersion, fixed: &OtpVersion, source: &Origin) -> String {
    let edit = match source {
        Origin::File { .. } => format!("change {source}"),
        Origin::ConfigVar(name) => format!("change the config var {name}"),
        Origin::LastBuild | Origin::Default(_) => {
            "set erlang_version in elixir_buildpack.config".to_owned()
        }
    };
    format!(
        "Erlang/OTP {version} rejects the certificates of some hosts (key_usage_mismatch), which breaks mix tasks and the app's own requests; {fixed} is the first release without that bug: {edit}"
    )
}

fn place(source: &Origin) -> String {
    match source {
        Origin::Default(reason) => reason.clone(),
        source => format!("from {source}"),
    }
}
