//! Child processes: starting, following and cancelling them; the log, which masks secrets; the environment.

#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod action;
pub mod cancel;
pub mod command;
mod credential_variables;
pub mod credentials;
pub mod environment;
pub mod log;
mod mask;
pub mod output_filter;
mod output_lines;
pub mod progress;
pub mod secrets;

pub use action::Action;
