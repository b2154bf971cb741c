//! Carries a plan out: the steps and their overlap, the store, the commands, the log, the record.
//!
//! Knows no platform: where things go and who is told comes in a [`workspace::Workspace`].

mod app_tree;
pub mod cancel;
mod clean_build;
pub mod command;
mod config_file;
mod contained;
pub mod context;
mod credentials;
mod digest;
mod downloads;
pub mod environment;
mod erlang_compiler;
mod error;
pub mod explain;
mod folder_lock;
mod generated;
pub mod git;
mod given_node;
mod json;
mod kept_lists;
mod leaked_secrets;
pub mod log;
mod machine;
mod mask;
mod mix_info;
mod mix_session;
mod old_caches;
mod output_lines;
pub mod pipeline;
pub mod prepare;
pub mod profile;
pub mod progress;
mod quiet;
pub mod record;
pub mod report;
pub mod sbom;
mod schedule;
mod secrets;
mod sources;
mod stable_path;
mod steps;
pub mod store;
mod summary;
pub mod timeline;
pub mod tree;
mod unscanned;
mod upstream_lists;
mod variables;
pub mod workspace;

pub use context::VERSION;
pub use error::{Doing, Error};
