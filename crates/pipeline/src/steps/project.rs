//! The project, once mix has loaded it.

use crate::mix_info::MixInfo;
use crate::steps::release::Release;

/// The answers of mix on what the plan could only guess.
#[derive(Debug, Clone, Default)]
pub(crate) struct Project {
    pub(crate) info: MixInfo,
    /// The release that is built.
    pub(crate) release: Option<Release>,
}
