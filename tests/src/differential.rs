//! Random sequences of what people do to an app between deploys, and after each step the question
//! whether the incremental build has made what a clean build of the same state makes.

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
