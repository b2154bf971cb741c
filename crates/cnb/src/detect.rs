//! `bin/detect`.

use crate::Mixpack;
use app::facts::app_dir;
use libcnb::data::build_plan::{BuildPlanBuilder, Require};
use libcnb::detect::{DetectContext, DetectResult, DetectResultBuilder};

/// The name that this buildpack provides and other buildpacks can require. A buildpack also has to require
/// it itself, in case no other does.
const PROVIDED: &str = "elixir";

pub(crate) fn detect(context: &DetectContext<Mixpack>) -> DetectResult {
    let named = context.platform.get(app_dir::CONFIG_VAR);
    match app::detect::detect(&context.app_dir, named) {
        Ok(_) => {
            let plan = BuildPlanBuilder::new()
                .provides(PROVIDED)
                .requires(Require::new(PROVIDED))
                .build();
            DetectResultBuilder::pass()
                .build_plan(plan)
                .build_unwrapped()
        }
        Err(why) => {
            eprintln!("{why}");
            DetectResultBuilder::fail().build_unwrapped()
        }
    }
}
