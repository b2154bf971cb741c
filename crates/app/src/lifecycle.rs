//! Warnings about what a plan settled on and its makers no longer look after. Never an error: an
//! old app must be able to deploy.

use crate::origin::Origin;
use crate::plan::{Lists, Plan};
use versions::lifecycle::{self, Date, NodeEnd};
use versions::otp::OtpVersion;

/// The stacks that their platform will shut down, and when. Source: Heroku's "Stack" page.
const ENDING_STACKS: [(&str, &str); 1] = [("heroku-22", "April 2027")];

/// A line for each tool, and the stack, that is at or near its end.
#[must_use]
pub fn warnings(plan: &Plan, lists: &Lists, today: Date) -> Vec<String> {
    let mut warnings = Vec::new();
    let ending = ENDING_STACKS
        .iter()
        .find(|(stack, _)| *stack == plan.target.stack);
    if let Some((stack, end)) = ending {
        warnings.push(format!(
            "the stack {stack} is deprecated and supported until {end}; heroku stack:set heroku-24 moves the app to a newer one"
        ));
    }
    if let Some(version) = &plan.erlang.build.version {
        let place = place(&plan.erlang.source);
        if let Some(oldest) = lifecycle::otp_superseded(version, &lists.otp) {
            warnings.push(format!(
                "Erlang/OTP {version} ({place}) gets no fixes any more; the oldest line that does is {oldest}"
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
            "Elixir {version} ({}) gets no security fixes any more; the oldest line that does is {oldest}",
            place(&plan.elixir.source)
        ));
    }
    if let Some(node) = &plan.node
        && let Some(end) = lifecycle::node_ended(&node.build, today)
    {
        let since = match end {
            NodeEnd::On(date) => format!(" since {date}"),
            NodeEnd::LongAgo => String::new(),
        };
        warnings.push(format!(
            "Node.js {} ({}) gets no fixes any more{since}",
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
        "Erlang/OTP {version} refuses the certificates of some hosts (key_usage_mismatch), which fails mix tasks and the app's own requests; {fixed} is the first without that flaw: {edit}"
    )
}

fn place(source: &Origin) -> String {
    match source {
        Origin::Default(reason) => reason.clone(),
        source => format!("from {source}"),
    }
}
