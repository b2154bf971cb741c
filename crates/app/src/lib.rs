//! Reads the user's files into facts, and decides from facts, settings and upstream's lists what a
//! build is going to do: the [`plan::Plan`].
//!
//! Touches neither network nor process. A config file that needs bash is evaluated by the caller
//! and handed back as values.

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
