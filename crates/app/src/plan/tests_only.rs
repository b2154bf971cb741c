//! The plan of a build for `mix test` (Heroku CI): that of a normal build without some steps.

use super::{AssetBuild, Plan, StepName};
use crate::facts::{ConfigFile, Facts};

/// Steps that build assets.
const ASSET_STEPS: [StepName; 4] = [
    StepName::Node,
    StepName::Javascript,
    StepName::Assets,
    StepName::Digest,
];

impl Plan {
    /// Removes the steps that tests don't need. No release is assembled. Assets are only built for an app with hooks,
    /// a `phoenix_static_buildpack.config` or a `compile` script: its tests may use the assets, as with the shell
    /// buildpacks.
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
