//! Reads Elixir without running it.

pub(crate) mod tokens;
pub(crate) mod tree;
pub(crate) mod value;
