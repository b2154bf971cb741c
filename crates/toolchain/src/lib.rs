//! Downloads and installs Erlang, Elixir, Node, Hex and rebar3. Each function fills a given directory. The caller
//! decides about paths and caching.

#![cfg_attr(not(test), warn(unused_crate_dependencies))]

pub mod beam_files;
pub mod debug_symbols;
pub mod error;
pub mod hex_registry;
pub mod hosts;
pub mod install;
pub mod installers;
pub mod linkage;
pub mod lists;
pub mod packed;
mod replace_file;
pub mod signature;
pub mod unneeded_files;

pub use error::ToolchainError;
pub use hosts::Hosts;
