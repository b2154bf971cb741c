//! Versions of Erlang/OTP, Elixir and Node: users' requests, upstream's lists, and the choice of a build for a
//! request and a target.
//!
//! The code is pure: it uses no network, processes or files. Lists are passed as text, and choices returned as data.

#![cfg_attr(not(test), warn(unused_crate_dependencies))]

pub mod compatibility;
pub mod elixir;
mod elixir_requirement;
mod elixir_version;
pub mod hex_registry;
pub mod installers;
pub mod lifecycle;
pub mod node;
mod node_range;
mod node_version;
pub mod otp;
pub mod target;

mod error;
mod listing;
mod nearest;
mod text;

pub use elixir::{ElixirRequest, ElixirVersion};
pub use elixir_requirement::ElixirRequirement;
pub use error::{ParseError, Reason, Tool};
pub use nearest::nearest_pair;
pub use node::{NodeRequest, NodeVersion};
pub use otp::{OtpRequest, OtpVersion};
pub use target::{Arch, Target};
