//! The rules. Each one is silent unless it is certain.

mod code;
mod database;
mod dependencies;
mod endpoint;
mod endpoint_urls;
mod plan;
mod platform;
mod processes;
mod secrets;

use crate::context::Context;
use crate::finding::Findings;

/// Runs all rules.
pub(crate) fn run(context: &Context<'_>, out: &mut Findings) {
    secrets::check(context, out);
    endpoint::check(context, out);
    endpoint_urls::check(context, out);
    database::check(context, out);
    processes::check(context, out);
    dependencies::check(context, out);
    code::check(context, out);
    platform::check(context, out);
    plan::check(context, out);
}
