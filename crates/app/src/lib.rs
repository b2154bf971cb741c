//! Reads the user's files into facts, and decides from facts, settings and upstream's lists what a
//! build is going to do: the [`plan::Plan`].
//!
//! Touches neither network nor process. A config file that needs bash is evaluated by the caller
//! and handed back as values.

#![cfg_attr(not(test), warn(unused_crate_dependencies))]

pub mod app_dir;
pub mod assignment_typo;
mod buildpacks;
pub mod detect;
pub mod facts;
pub mod hex_metadata;
pub mod js_lock;
mod js_workspace;
pub mod launcher;
pub mod lifecycle;
mod mise;
pub mod mistyped;
pub mod mix_exs;
pub mod mix_lock;
mod node_use;
mod old_builders;
mod origin;
mod package_json;
pub mod package_manager;
pub mod plan;
pub mod procfile;
mod settings;
pub mod shell_config;
mod tests_only;
pub mod text_file;
mod tool_versions;
mod version_files;
mod webpack;
mod wishes;

pub use facts::Facts;
pub use origin::{Asked, Origin};
pub use plan::{Plan, PlanError};
pub use settings::Settings;
