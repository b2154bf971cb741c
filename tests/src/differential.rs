//! Random sequences of changes to an app between deploys. After each step, the incremental build must equal a clean
//! build of the same state.

mod change;
mod classic;
mod compare;
mod host;
mod images;
mod platform;
mod sequence;
mod subject;
mod terms;

pub use change::{Change, Step};
pub use compare::differences as slug_differences;
pub use host::with_otp_patch;
pub use sequence::{Api, Found, Turns, check, replay};
