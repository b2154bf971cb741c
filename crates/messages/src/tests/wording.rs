//! Advice in the words of the platform and of the build.

use super::super::*;
use super::{catalogue, strings};
use app::facts::Manager;
use app::{Origin, Setting};
use exec::Action;
use exec::command::CommandError;
use exec::environment::Environment;
use versions::target::TargetError;

#[test]
fn cloud_native_errors_have_no_heroku_advice() {
    let words = Wording::new(Platform::CloudNative, &Environment::default());
    for (name, error) in catalogue() {
        let text = words.explain(&error).lines().join("\n");
        for word in [
            "heroku config",
            "heroku stack",
            "heroku buildpacks",
            "config var",
            "push again",
            ".slugignore",
            "dyno",
        ] {
            assert!(!text.contains(word), "{name}: {text}");
        }
    }
}

#[test]
fn environment_variable_has_correct_article() {
    for platform in PLATFORMS {
        let words = Wording::new(platform, &Environment::default());
        for (name, error) in catalogue() {
            let text = words.explain(&error).lines().join("\n");
            assert!(!text.contains(" a environment"), "{name}: {text}");
        }
    }
}

#[test]
fn user_text_is_quoted_verbatim() {
    let line =
        "echo 'the slug, the config vars, .slugignore'; heroku config:set A=1; push again {set}";
    let requested = Setting::new(line.to_owned(), Origin::file("elixir_buildpack.config", 2));
    let output = vec!["the sluggish config variants".to_owned()];
    let hook = |output: Vec<String>| Error::Command {
        action: Action::Hook {
            key: "pre_compile",
            requested: requested.clone(),
        },
        source: CommandError::Failed {
            command: line.to_owned(),
            status: "exit status 1".to_owned(),
            code: 1,
            output,
        },
    };
    let killed = vec!["sh: 1: the sluggish {set}: not found".to_owned()];
    for platform in PLATFORMS {
        let words = Wording::new(platform, &Environment::default());
        let text = words.explain(&hook(output.clone())).lines().join("\n");
        assert!(text.contains(line), "{text}");
        assert!(text.contains(&output[0]), "{text}");
        let text = words.explain(&hook(killed.clone())).lines().join("\n");
        assert!(
            text.contains("There is no `the sluggish {set}` on PATH."),
            "{text}"
        );
    }
}

const PLATFORMS: [Platform; 5] = [
    Platform::Heroku,
    Platform::HerokuCi,
    Platform::Gigalixir,
    Platform::CloudNative,
    Platform::Local,
];

#[test]
fn advice_matches_platform() {
    let stack = Error::Target(TargetError::EndOfLife {
        stack: "heroku-18".to_owned(),
    });
    let variable = || {
        let (_, action, source) = samples::samples()
            .into_iter()
            .find(|(name, ..)| *name == "known_mix_fetch_env")
            .unwrap();
        Error::Command { action, source }
    };
    let advice: Vec<String> = PLATFORMS
        .into_iter()
        .map(|platform| {
            let words = Wording::new(platform, &Environment::default());
            let cures = [&stack, &variable()].map(|error| words.explain(error).cure.join("\n"));
            format!("{platform:?}:\n{}", cures.join("\n"))
        })
        .collect();
    insta::assert_snapshot!("platforms", advice.join("\n\n"));
}

#[test]
fn advice_uses_mix_env_of_build() {
    let mix_env = Setting::new(
        "test".to_owned(),
        Origin::Default("for mix test".to_owned()),
    );
    let environment = Environment::default().for_tests_only(mix_env);
    let words = Wording::new(Platform::HerokuCi, &environment);
    // In these, mix itself names the environment.
    let catalogue = catalogue().into_iter();
    for (name, error) in catalogue.filter(|(name, _)| *name != "known_mix_unchecked") {
        for text in words.explain(&error).cure {
            // These contain the text in a function of Elixir and in another word.
            let text = text
                .replace("config_env() == :prod", "")
                .replace("reproduce", "");
            assert!(!text.contains("prod"), "{name}: {text}");
        }
    }
    let error = Error::Command {
        action: Action::Compile,
        source: CommandError::Failed {
            command: "mix compile".to_owned(),
            status: "exit status 1".to_owned(),
            code: 1,
            output: Vec::new(),
        },
    };
    let text = words.explain(&error).lines().join("\n");
    assert!(text.contains("MIX_ENV=test mix compile --force"), "{text}");
}

#[test]
fn advice_uses_package_manager_of_app() {
    for (manager, expected) in [
        (Manager::Npm, "npm install --save-dev webpack@4.47.0"),
        (Manager::Yarn, "yarn add --dev webpack@4.47.0"),
        (Manager::Pnpm, "pnpm add --save-dev webpack@4.47.0"),
        (Manager::Bun, "bun add --dev webpack@4.47.0"),
    ] {
        let error = Error::Command {
            action: Action::AssetScript {
                command: "deploy".to_owned(),
                script: "deploy".to_owned(),
                manager,
                package: "assets/package.json".to_owned(),
            },
            source: CommandError::Failed {
                command: "deploy".to_owned(),
                status: "exit status 1".to_owned(),
                code: 1,
                output: strings(&["error:0308010C:digital envelope routines::unsupported"]),
            },
        };
        let text = explain(&error).lines().join("\n");
        assert!(text.contains(&format!("\n  {expected}\n")), "{text}");
    }
}

#[test]
fn plan_error_does_not_mention_build_failure() {
    let error = Error::Target(TargetError::EndOfLife {
        stack: "heroku-18".to_owned(),
    });
    let words = Wording::new(Platform::Local, &Environment::default()).for_a_plan();
    let lines = words.explain(&error).lines();
    assert_eq!(
        lines[0],
        "Cannot plan the build: the stack heroku-18 has reached end of life"
    );
}
