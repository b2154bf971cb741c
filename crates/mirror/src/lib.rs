//! Test support: upstream's artifact hosts and a stack image, on this machine.
//!
//! [`server`] serves a directory in upstream's URL layout on loopback, [`upstream`] does so with the names of
//! upstream's hosts and HTTPS, [`layout`] checks the lists in such a directory, and [`stack`] runs programs in a root
//! file system like that of a platform's build. `cargo xtask toolchains` creates these directories.

#![cfg_attr(not(test), warn(unused_crate_dependencies))]

pub mod authority;
pub mod faults;
pub mod git_package;
pub mod hex_api;
pub mod hex_package;
pub mod hex_registry;
pub mod layout;
pub mod noise;
pub mod object_stores;
pub mod proxy;
pub mod server;
pub mod stack;
pub mod upstream;

pub use hex_api::HexApi;
pub use server::{Override, Server};
pub use stack::{AppDir, Sandbox, Stack};
pub use upstream::Upstream;
