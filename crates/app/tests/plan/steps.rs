//! The steps of a plan.

use super::{ELIXIR_CONFIG, HOOKS, PACKAGE, PHOENIX, case};
use app::plan::StepName;

#[test]
fn plan_has_only_needed_steps() {
    use StepName::{Assets, Digest, HookPreCompile, Javascript, Node, PostCompile, Release};
    let plain = case(&[]).planned();
    let phoenix = case(&[PHOENIX, PACKAGE]).planned();
    let hooks = case(&[PHOENIX, PACKAGE, (ELIXIR_CONFIG, HOOKS)]).planned();
    let release = case(&[(ELIXIR_CONFIG, "release=true\n")]).planned();
    for step in [Node, Javascript, Assets, Digest] {
        assert!(!plain.has(step) && phoenix.has(step), "{step:?}");
    }
    for step in [HookPreCompile, PostCompile] {
        assert!(!phoenix.has(step) && hooks.has(step), "{step:?}");
    }
    assert!(!hooks.has(Release) && release.has(Release));
}

#[test]
fn steps_are_listed_in_start_order() {
    let plan = case(&[PHOENIX, PACKAGE, (ELIXIR_CONFIG, HOOKS)]).planned();
    assert!(plan.steps.is_sorted());
}
