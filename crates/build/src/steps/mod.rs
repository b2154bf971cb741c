//! The steps of a plan, by what they work on.

mod hooks;
mod javascript;
mod launch;
mod mix;
mod state;
mod tools;
