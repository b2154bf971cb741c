//! The rules. Each one is silent where it isn't certain.

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

/// Runs all rules.
pub(crate) fn run(context: &mut Context<'_>) {
    secrets::check(context);
    endpoint::check(context);
    endpoint_urls::check(context);
    database::check(context);
    processes::check(context);
    dependencies::check(context);
    code::check(context);
    platform::check(context);
    plan::check(context);
}
