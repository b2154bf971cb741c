//! The commands that the hook after compile certainly runs, according to its text.
//!
//! Some apps install JavaScript packages and build their assets in that hook, so that the build does not
//! have to. Only unambiguous commands count: those joined by `&&`, and mix aliases that are lists of
//! strings.

use crate::facts::{Facts, Manager, path_from};
use crate::settings::Settings;

/// The maximum depth of nested aliases.
const MAX_DEPTH: usize = 8;

/// The characters with a special meaning in a shell.
const SPECIAL: [char; 12] = [';', '|', '<', '>', '$', '`', '(', ')', '{', '}', '\n', '!'];

/// Flags of package managers that affect neither the installed packages nor the built files.
const HARMLESS: [&str; 10] = [
    "--frozen-lockfile",
    "--immutable",
    "--include=dev",
    "--no-audit",
    "--no-fund",
    "--no-progress",
    "--prefer-offline",
    "--progress=false",
    "--quiet",
    "--silent",
];

/// A command, and its working directory, relative to the root of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    dir: String,
    words: Vec<String>,
    /// Whether the Hex package bun runs it, with the executable that the package downloads.
    by_package: bool,
}

/// The commands of `hook_post_compile`.
pub(super) fn after_compile(facts: &Facts, settings: &Settings) -> Vec<Command> {
    let hook = settings.hooks.hook_post_compile.as_ref();
    hook.map_or_else(Vec::new, |hook| commands(facts, &hook.value))
}

impl Command {
    /// Whether it installs the packages of a directory.
    pub(super) fn installs(&self, manager: Manager, dir: &str) -> bool {
        let is_install = |words: &[&str]| match words {
            [] => manager == Manager::Yarn,
            [word] => ["install", "i", "ci"].contains(word),
            _ => false,
        };
        self.arguments_in(manager, dir)
            .is_some_and(|words| is_install(&words))
    }

    /// Whether it runs a script of the `package.json` in a directory.
    pub(super) fn runs(&self, manager: Manager, dir: &str, script: &str) -> bool {
        let is_script = |words: &[&str]| match words {
            [name] => *name == script && matches!(manager, Manager::Yarn | Manager::Pnpm),
            ["run" | "run-script", name] => *name == script,
            _ => false,
        };
        self.arguments_in(manager, dir)
            .is_some_and(|words| is_script(&words))
    }

    /// Whether it runs without a package manager on `PATH`.
    pub(super) fn brings_manager(&self) -> bool {
        self.by_package || self.words.first().is_some_and(|word| word == "mix")
    }

    /// Whether it runs `mix TASK`.
    pub(super) fn is_task(&self, task: &str, dir: &str) -> bool {
        self.dir == dir && self.words == ["mix", task]
    }

    /// Returns the arguments of the package manager in a directory.
    fn arguments_in(&self, manager: Manager, dir: &str) -> Option<Vec<&str>> {
        let (program, rest) = self.words.split_first()?;
        if program != manager.as_str() {
            return None;
        }
        let mut folder = self.dir.clone();
        let mut arguments = Vec::new();
        let mut rest = rest.iter().map(String::as_str);
        while let Some(word) = rest.next() {
            let (flag, value) = word
                .split_once('=')
                .map_or((word, None), |(flag, value)| (flag, Some(value)));
            if ["--prefix", "--cwd", "--dir", "-C"].contains(&flag) {
                folder = path_from(&folder, value.or_else(|| rest.next())?);
            } else if !HARMLESS.contains(&word) {
                arguments.push(word);
            }
        }
        (folder == dir).then_some(arguments)
    }
}

/// Returns the commands of a shell line. If the line succeeds, each of them has run.
fn commands(facts: &Facts, line: &str) -> Vec<Command> {
    if line.trim().contains(SPECIAL) || line.replace("&&", "").contains('&') {
        return Vec::new();
    }
    let Ok(words) = shell_words::split(line) else {
        return Vec::new();
    };
    let mut dir = facts.app_dir.value.clone();
    let mut found = Vec::new();
    for command in words.split(|word| word == "&&") {
        let command = match command.split_first() {
            Some((first, rest)) if first == "eval" => rest,
            _ => command,
        };
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        match words[..] {
            // Later commands run in an unknown directory, or not at all.
            ["cd", to] if !to.starts_with(['/', '~', '-']) => dir = path_from(&dir, to),
            ["cd" | "exit" | "exec" | "return", ..] => break,
            ["mix", task, ref arguments @ ..] => {
                mix(
                    facts,
                    &dir,
                    &[&[task], arguments].concat(),
                    MAX_DEPTH,
                    &mut found,
                );
            }
            _ => found.push(Command {
                dir: dir.clone(),
                words: command.to_vec(),
                by_package: false,
            }),
        }
    }
    found
}

/// Adds a mix task, and the commands that it runs if it is an alias.
fn mix(facts: &Facts, dir: &str, words: &[&str], deeper: usize, found: &mut Vec<Command>) {
    let mut push = |dir: String, words: &[&str], by_package: bool| {
        let words = words.iter().map(|&word| word.to_owned()).collect();
        found.push(Command {
            dir,
            words,
            by_package,
        });
    };
    push(dir.to_owned(), &[&["mix"], words].concat(), false);
    let Some(project) = facts.projects.iter().find(|project| project.dir == dir) else {
        return;
    };
    match *words {
        // In an umbrella, `mix cmd` runs in each app.
        ["cmd", ref command @ ..] if project.guess.apps_path.is_none() => match *command {
            ["--cd", to, ref command @ ..] => push(path_from(dir, to), command, false),
            ref command => push(dir.to_owned(), command, false),
        },
        ["bun", profile, ref arguments @ ..] => {
            if let Some(to) = bun_folder(facts.config_exs.as_deref(), profile) {
                push(to, &[&["bun"], arguments].concat(), true);
            }
        }
        [task] if deeper > 0 => {
            let aliases = project.guess.alias(task).unwrap_or_default();
            // An alias that refers to itself runs the task.
            for line in aliases.iter().filter(|line| *line != task) {
                let Ok(words) = shell_words::split(line) else {
                    continue;
                };
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                mix(facts, dir, &words, deeper - 1, found);
            }
        }
        _ => {}
    }
}

/// Returns the directory of a profile of the package bun, if `config/config.exs` defines it without arguments:
/// `assets: [args: ~w(), cd: Path.expand("../assets", __DIR__)]`.
fn bun_folder(config: Option<&str>, profile: &str) -> Option<String> {
    let (_, rest) = config?.split_once(&format!(" {profile}: ["))?;
    let (entry, _) = rest.split_once("__DIR__)")?;
    let entry: String = entry.split_whitespace().collect();
    let to = entry
        .strip_prefix("args:~w(),cd:Path.expand(\"")
        .or_else(|| entry.strip_prefix("args:[],cd:Path.expand(\""))?;
    Some(path_from("config", to.strip_suffix("\",")?))
}
