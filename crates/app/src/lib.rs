//! Reads the user's files into facts, and makes a [`plan::Plan`] of the build from facts, settings and upstream's
//! lists.
//!
//! Uses neither the network nor processes. The caller evaluates config files that need bash, and passes their values.

#![cfg_attr(not(test), warn(unused_crate_dependencies))]

pub mod detect;
pub mod facts;
mod origin;
pub mod plan;
pub mod settings;
pub mod text_file;

pub use facts::Facts;
pub use origin::{Origin, Setting};
pub use plan::{Plan, PlanError};
pub use settings::Settings;
