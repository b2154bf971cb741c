//! `bin/detect`.

use crate::Mixpack;
use app::facts::app_dir;
use libcnb::data::build_plan::{BuildPlanBuilder, Require};
use libcnb::detect::{DetectContext, DetectResult, DetectResultBuilder};

/// What we bring, by the name that other buildpacks can ask for. A buildpack that stands alone has
/// to ask for it itself.
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
