//! The plan of a build for `mix test` (Heroku CI): that of a slug without some steps.

use super::{AssetBuild, Plan, StepName};
use crate::facts::{ConfigFile, Facts};

/// Steps that make what browsers load.
const ASSET_STEPS: [StepName; 4] = [
    StepName::Node,
    StepName::Javascript,
    StepName::Assets,
    StepName::Digest,
];

impl Plan {
    /// No release is assembled. Assets are built only for an app that configures how: one with
    /// hooks, a `phoenix_static_buildpack.config` or a `compile` script may test what they make,
    /// and with the shell buildpacks they were there.
    pub fn for_tests_only(&mut self, facts: &Facts) {
        self.release = false;
        self.leave_out(&[StepName::Release]);
        if !self.configures_assets(facts) {
            self.node = None;
            self.assets.clear();
            self.leave_out(&ASSET_STEPS);
        }
    }

    fn configures_assets(&self, facts: &Facts) -> bool {
        let script = |build: &AssetBuild| matches!(build, AssetBuild::CustomScript { .. });
        !matches!(facts.static_config, ConfigFile::Missing)
            || self.assets.iter().any(|assets| script(&assets.build))
            || self.hooks.any()
    }

    fn leave_out(&mut self, names: &[StepName]) {
        self.steps.retain(|step| !names.contains(step));
    }
}
