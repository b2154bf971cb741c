//! The steps, and what each waits for.

use super::{ELIXIR_CONFIG, HOOKS, PACKAGE, PHOENIX, case, umbrella};
use app::plan::StepName;

#[test]
fn hooks_run_alone_and_after_everything_before_them() {
    use StepName::{
        Compile, HookPostCompile, HookPreCompile, HookPreFetchDependencies, PostCompile, PreCompile,
    };
    let plan = case(&[PHOENIX, PACKAGE, (ELIXIR_CONFIG, HOOKS)]).planned();
    let hooks = [
        PreCompile,
        HookPreFetchDependencies,
        HookPreCompile,
        Compile,
        HookPostCompile,
        PostCompile,
    ];
    let at = |name| {
        plan.steps
            .iter()
            .position(|step| step.name == name)
            .unwrap()
    };
    for hook in hooks {
        assert!(plan.steps[at(hook)].alone, "{hook:?}");
        // Whatever comes before a hook has ended when it begins.
        let before: Vec<StepName> = plan.steps[..at(hook)]
            .iter()
            .map(|step| step.name)
            .collect();
        let mut ended: Vec<StepName> = plan.steps[at(hook)].needs.clone();
        let mut next = 0;
        while let Some(name) = ended.get(next).copied() {
            ended.extend(plan.steps[at(name)].needs.iter().copied());
            next += 1;
        }
        for name in before {
            assert!(ended.contains(&name), "{hook:?} does not wait for {name:?}");
        }
    }
    // Without its hook the compile step is Mixpack's own, and JavaScript runs beside it.
    let plan = case(&[PHOENIX, PACKAGE]).planned();
    let compile = plan.steps.iter().find(|step| step.name == Compile).unwrap();
    assert!(!compile.alone && !compile.needs.contains(&StepName::Javascript));
}

#[test]
fn steps_need_only_what_comes_before_them() {
    let apps = [
        case(&[]),
        case(&[PHOENIX, PACKAGE, (ELIXIR_CONFIG, HOOKS)]),
        umbrella(&[(ELIXIR_CONFIG, "release=true\n")]),
    ];
    for app in apps {
        let steps = app.planned().steps;
        for (at, step) in steps.iter().enumerate() {
            for need in &step.needs {
                let before = steps[..at].iter().any(|other| other.name == *need);
                assert!(before, "{:?} needs {need:?}", step.name);
            }
        }
    }
}
