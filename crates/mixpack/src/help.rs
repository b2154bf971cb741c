//! The texts of `--help`, for all commands and for each command.

/// A command and its help. The first line has its purpose, the second its usage.
struct Help {
    command: &'static str,
    text: &'static str,
}

const COMMANDS: [Help; 14] = [
    Help {
        command: "plan",
        text: "\
mixpack plan: show what would be built, and why
usage: mixpack plan [--json] DIR

  DIR       the root of the app's repository
  --json    print a JSON document, for scripts

Reads the app's files, the shell's environment variables and upstream's lists. Changes
nothing. Set STACK to plan for that stack; by default, the plan is for this machine.

Example:
  STACK=heroku-24 mixpack plan .
",
    },
    Help {
        command: "doctor",
        text: "\
mixpack doctor: predict problems of an app where it is deployed
usage: mixpack doctor [--json | --sarif] [--env FILE] DIR
       mixpack doctor --github [--base DIR] DIR

  DIR           the root of the app's repository
  --env FILE    the app's config vars, a KEY=VALUE per line: the output of
                `heroku config --shell`. Without it, findings that depend on them are notes
  --json        print a JSON document, for scripts
  --sarif       print a SARIF document, for code scanning
  --github      annotate lines in GitHub Actions, and write a job summary
  --base DIR    with --github: the app at the base of a pull request, to compare with

Reads the app's files, the shell's environment variables and upstream's lists. Runs nothing
from the repository, and changes nothing. Checks for STACK, or else for the stack in
app.json, or else for heroku-24. Exits with 1 if there is an error.

Examples:
  mixpack doctor .
  heroku config --shell > config_vars && mixpack doctor --env config_vars .
",
    },
    Help {
        command: "explain",
        text: "\
mixpack explain: explain the code of an error, or of a finding of `mixpack doctor`
usage: mixpack explain [CODE]

  CODE    the last lines of an error name it; without it, list all codes

Prints the code's section of docs/errors.md, or its row of docs/doctor.md.

Example:
  mixpack explain lockfile-out-of-step
",
    },
    Help {
        command: "migrate",
        text: "\
mixpack migrate: move an app off the buildpacks that Mixpack replaces
usage: mixpack migrate [--write] [--url URL] DIR

  DIR          the root of the app's repository
  --write      change the files; git must have a copy of each
  --url URL    the URL of Mixpack's repository; by default, the one that this executable's
               repository was cloned from

Shows the changes of app.json, .buildpacks, workflows and scripts as a diff, the rest that
is left to you, whether Mixpack can build the app, and the platform's commands for the move
and for the way back. Exits with 1 if the app can't be built, or a file can't be written.

Example:
  mixpack migrate --write .
",
    },
    Help {
        command: "build",
        text: "\
mixpack build: build an app on this machine, as Heroku does
usage: mixpack build [--timeline FILE] DIR
       mixpack build LAYERS_DIR PLATFORM_DIR PLAN

  DIR                the root of the app's repository; it is copied, not changed
  --timeline FILE    write a timeline of the build as an SVG file

The slug and the build cache are stored in your cache directory; the last lines of the
output show the path. Config vars are files in the directory `env` next to them.
The form with three arguments is for Cloud Native platforms, whose lifecycle calls it.

Example:
  mixpack build --timeline build.svg .
",
    },
    Help {
        command: "run",
        text: "\
mixpack run: start a process of an app that `mixpack build` built
usage: mixpack run DIR [TYPE]

  DIR     the same directory as for `mixpack build`
  TYPE    a process type of the Procfile, or a default one of the build (default: web)

The process gets the shell's environment variables, and those of the file `.env` in DIR,
which has a KEY=VALUE per line; the shell's take precedence. It listens on PORT (default:
4000). It replaces the mixpack process, so it receives signals.

Example:
  PORT=5000 mixpack run . web
",
    },
    Help {
        command: "store-keys",
        text: "\
mixpack store-keys: generate keys for a shared store of compiled dependencies
usage: mixpack store-keys

Prints config vars: a signing key for builds that add to the store, its public key for
builds that trust them, and a secret for all. Keeps none of them. docs/shared-store.md in
the buildpack's repository explains who gets which.

Example:
  mixpack store-keys > keys
",
    },
    Help {
        command: "completions",
        text: "\
mixpack completions: print a shell completion script
usage: mixpack completions bash|zsh|fish

Examples:
  source <(mixpack completions bash)
  mixpack completions zsh > ~/.zfunc/_mixpack    # a directory in fpath
  mixpack completions fish > ~/.config/fish/completions/mixpack.fish
",
    },
    Help {
        command: "detect",
        text: "\
mixpack detect: check whether this buildpack can build an app
usage: mixpack detect BUILD_DIR
       mixpack detect PLATFORM_DIR PLAN

  BUILD_DIR    the app

Prints a name and exits with 0, or prints the reason on stderr and exits with 1. Called by
platforms.

Example:
  mixpack detect .
",
    },
    Help {
        command: "compile",
        text: "\
mixpack compile: build an app in place, for Heroku and others
usage: mixpack compile BUILD_DIR CACHE_DIR ENV_DIR

  BUILD_DIR    the app, which becomes the slug
  CACHE_DIR    the build cache
  ENV_DIR      config vars: one file for each, with its name and value

Called by platforms. To build an app yourself, use `mixpack build`, which doesn't change it.
MIXPACK_TIMELINE=FILE writes a timeline of the build as an SVG file, or OpenTelemetry spans
to a file that ends in .jsonl.

Example:
  mixpack compile /tmp/build /tmp/cache /tmp/env
",
    },
    Help {
        command: "release",
        text: "\
mixpack release: print the process types of a slug
usage: mixpack release BUILD_DIR

  BUILD_DIR    the slug

Prints YAML. Called by platforms.

Example:
  mixpack release /tmp/build
",
    },
    Help {
        command: "report",
        text: "\
mixpack report: print facts about the last build
usage: mixpack report BUILD_DIR CACHE_DIR ENV_DIR

  CACHE_DIR    the build cache; the other two directories are not read

Prints JSON, also after a failed build. Called by platforms.

Example:
  mixpack report /tmp/build /tmp/cache /tmp/env
",
    },
    Help {
        command: "test-compile",
        text: "\
mixpack test-compile: build an app for its tests, for Heroku CI
usage: mixpack test-compile BUILD_DIR CACHE_DIR ENV_DIR

  BUILD_DIR    the app, which is changed in place
  CACHE_DIR    the build cache
  ENV_DIR      config vars: one file for each, with its name and value

Example:
  mixpack test-compile /tmp/build /tmp/cache /tmp/env
",
    },
    Help {
        command: "test",
        text: "\
mixpack test: run mix test in an app that `mixpack test-compile` built
usage: mixpack test BUILD_DIR ENV_DIR

  BUILD_DIR    the app
  ENV_DIR      config vars: one file for each, with its name and value

Example:
  mixpack test /tmp/build /tmp/env
",
    },
];

/// The help for all commands.
pub(crate) const ALL: &str = "\
Mixpack builds Elixir and Phoenix apps for Heroku, Dokku, Gigalixir, Cloud Native platforms
and your own machine.

For people:
  mixpack plan [--json] DIR               show what would be built, and why
  mixpack doctor [--json | --sarif] [--env FILE] DIR
                                          predict problems of an app where it is deployed
  mixpack doctor --github [--base DIR] DIR
                                          the same on a pull request
  mixpack explain [CODE]                  explain the code of an error, or list all codes
  mixpack migrate [--write] [--url URL] DIR
                                          move an app off the buildpacks that Mixpack
                                          replaces: show the changes, or make them
  mixpack build [--timeline FILE] DIR     build a slug of the app in DIR, as Heroku does
  mixpack run DIR [TYPE]                  start a process of that slug (default: web) on
                                          $PORT (default: 4000)
  mixpack store-keys                      generate keys for a shared store of compiled
                                          dependencies
  mixpack completions bash|zsh|fish       print a shell completion script

For platforms (the classic buildpack API):
  mixpack detect BUILD_DIR
  mixpack compile BUILD_DIR CACHE_DIR ENV_DIR
  mixpack release BUILD_DIR
  mixpack report BUILD_DIR CACHE_DIR ENV_DIR
  mixpack test-compile BUILD_DIR CACHE_DIR ENV_DIR
  mixpack test BUILD_DIR ENV_DIR

For platforms (the Cloud Native Buildpack API, in the app's directory):
  mixpack detect PLATFORM_DIR PLAN
  mixpack build LAYERS_DIR PLATFORM_DIR PLAN

  mixpack COMMAND --help                  show the purpose of a command, its arguments and an
                                          example
  mixpack --version                       show the version and the digest of its sources
";

/// Returns the help for a command, if it exists.
pub(crate) fn of(command: &str) -> Option<&'static str> {
    let help = COMMANDS.iter().find(|help| help.command == command)?;
    Some(help.text)
}

/// Returns the names of all commands.
pub(crate) fn commands() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|help| help.command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_usage_and_an_example() {
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
