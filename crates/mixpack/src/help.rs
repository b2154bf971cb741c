//! What `--help` says: of all commands, and of each.

/// A command, and its help. The first line says what it is, the second how it is called.
struct Help {
    command: &'static str,
    text: &'static str,
}

const COMMANDS: [Help; 10] = [
    Help {
        command: "plan",
        text: "\
mixpack plan: show what would be built, and why
usage: mixpack plan [--json] DIR

  DIR       the top of the app's repository
  --json    one JSON document, for scripts

Reads the app's files, the variables of the shell and upstream's lists. Changes nothing.
STACK names the stack; without it the plan is for this machine.

Example:
  STACK=heroku-24 mixpack plan .
",
    },
    Help {
        command: "build",
        text: "\
mixpack build: build an app like Heroku does, on this machine
usage: mixpack build [--timeline FILE] DIR
       mixpack build LAYERS_DIR PLATFORM_DIR PLAN

  DIR                the top of the app's repository; it is copied and not changed
  --timeline FILE    write a picture of the build as an SVG file

The slug and the cache are in the folder that the last lines name, in the user's cache
directory. Config vars are files in the folder `env` beside them.
With three arguments it is what the lifecycle of a Cloud Native platform calls.

Example:
  mixpack build --timeline build.svg .
",
    },
    Help {
        command: "run",
        text: "\
mixpack run: start a process of an app that `mixpack build` has built
usage: mixpack run DIR [TYPE]

  DIR     the same as for `mixpack build`
  TYPE    a process type of the Procfile, or of those that the build named; web if left out

The process has the variables of the shell, and those of the file `.env` in DIR that the
shell has not set: one KEY=VALUE a line. It listens on PORT, or on 4000. It takes the place
of mixpack, so signals reach it.

Example:
  PORT=5000 mixpack run . web
",
    },
    Help {
        command: "completions",
        text: "\
mixpack completions: print what makes a shell complete the commands of mixpack
usage: mixpack completions bash|zsh|fish

Examples:
  source <(mixpack completions bash)
  mixpack completions zsh > ~/.zfunc/_mixpack    # a folder of fpath
  mixpack completions fish > ~/.config/fish/completions/mixpack.fish
",
    },
    Help {
        command: "detect",
        text: "\
mixpack detect: say whether an app is one for this buildpack
usage: mixpack detect BUILD_DIR
       mixpack detect PLATFORM_DIR PLAN

  BUILD_DIR    the app

Prints a name and ends with 0, or why not on stderr and ends with 1. Platforms call it.

Example:
  mixpack detect .
",
    },
    Help {
        command: "compile",
        text: "\
mixpack compile: build an app in place, as Heroku calls it
usage: mixpack compile BUILD_DIR CACHE_DIR ENV_DIR

  BUILD_DIR    the app, changed into the slug
  CACHE_DIR    what lasts from one build to the next
  ENV_DIR      config vars: a file's name is the variable's, its content the value

Platforms call it. For an app of your own use `mixpack build`, which leaves it as it is.
With MIXPACK_TIMELINE=FILE it writes a picture of the build as an SVG file.

Example:
  mixpack compile /tmp/build /tmp/cache /tmp/env
",
    },
    Help {
        command: "release",
        text: "\
mixpack release: say which processes a slug has
usage: mixpack release BUILD_DIR

  BUILD_DIR    the slug

Prints YAML. Platforms call it.

Example:
  mixpack release /tmp/build
",
    },
    Help {
        command: "report",
        text: "\
mixpack report: tell the facts of the last build
usage: mixpack report BUILD_DIR CACHE_DIR ENV_DIR

  CACHE_DIR    the cache directory of the build; the other two are not read

Prints JSON, also of a build that failed. Platforms call it.

Example:
  mixpack report /tmp/build /tmp/cache /tmp/env
",
    },
    Help {
        command: "test-compile",
        text: "\
mixpack test-compile: build an app for its tests, as Heroku CI calls it
usage: mixpack test-compile BUILD_DIR CACHE_DIR ENV_DIR

  BUILD_DIR    the app, changed in place
  CACHE_DIR    what lasts from one build to the next
  ENV_DIR      config vars: a file's name is the variable's, its content the value

Example:
  mixpack test-compile /tmp/build /tmp/cache /tmp/env
",
    },
    Help {
        command: "test",
        text: "\
mixpack test: run mix test in an app that `mixpack test-compile` has built
usage: mixpack test BUILD_DIR ENV_DIR

  BUILD_DIR    the app
  ENV_DIR      config vars: a file's name is the variable's, its content the value

Example:
  mixpack test /tmp/build /tmp/env
",
    },
];

/// Of all commands.
pub(crate) const ALL: &str = "\
Mixpack builds Elixir and Phoenix apps for Heroku, Dokku, Gigalixir, Cloud Native platforms
and your own machine.

For people:
  mixpack plan [--json] DIR               show what would be built, and why
  mixpack build [--timeline FILE] DIR     build the app in DIR like Heroku does, into a slug
                                          beside the cache
  mixpack run DIR [TYPE]                  start a process of that slug (web) on $PORT (4000)
  mixpack completions bash|zsh|fish       print what makes a shell complete these

For platforms (the classic buildpack API):
  mixpack detect BUILD_DIR
  mixpack compile BUILD_DIR CACHE_DIR ENV_DIR
  mixpack release BUILD_DIR
  mixpack report BUILD_DIR CACHE_DIR ENV_DIR
  mixpack test-compile BUILD_DIR CACHE_DIR ENV_DIR
  mixpack test BUILD_DIR ENV_DIR

For platforms (the Cloud Native Buildpack API, in the app's folder):
  mixpack detect PLATFORM_DIR PLAN
  mixpack build LAYERS_DIR PLATFORM_DIR PLAN

  mixpack COMMAND --help                  what a command does, its arguments, an example
  mixpack --version                       the version, and the digest of its sources
";

/// Of one command, if there is such a one.
pub(crate) fn of(command: &str) -> Option<&'static str> {
    let help = COMMANDS.iter().find(|help| help.command == command)?;
    Some(help.text)
}

/// Every command that there is.
pub(crate) fn commands() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|help| help.command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_told_with_its_call_and_an_example() {
        for Help { command, text } in &COMMANDS {
            assert!(text.starts_with(&format!("mixpack {command}: ")), "{text}");
            let (_, usage) = text.split_once("\nusage: ").unwrap();
            for call in usage.lines().take_while(|line| !line.is_empty()) {
                assert!(ALL.contains(call.trim()), "{call}");
            }
            let (_, example) = text.split_once("\nExample").unwrap();
            assert!(
                example.contains(&format!("mixpack {command} ")),
                "{example}"
            );
            assert!(text.lines().all(|line| line.len() <= 92), "{text}");
        }
    }
}
