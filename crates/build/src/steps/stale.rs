//! What is compiled, and no longer what a compiler would make of it, in ways that mix does not see:
//! another value of a variable that code reads while it is compiled, and, in dependencies, another
//! value of what they read of the app's config (elixir-lang/elixir#15467).

use crate::answers::STALE_TASK;
use crate::digest::{Salted, names_the_commit, tells_builds_apart};
use crate::error::{Doing, Error};
use crate::log::StepLog;
use crate::run::Build;
use app::facts::join;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use walkdir::WalkDir;

/// A digest of each variable's value, by name.
type Variables = BTreeMap<String, String>;

/// Code of an app or dependency that a variable may be read in while it is compiled.
const CODE: [&str; 12] = [
    "lib",
    "src",
    "web",
    "c_src",
    "native",
    "config",
    "mix.exs",
    "rebar.config",
    "rebar.config.script",
    "Makefile",
    "Makefile.win",
    "CMakeLists.txt",
];
/// Run when the app starts, and never before.
const NOT_COMPILED: &str = "runtime.exs";
/// More is no source.
const LARGEST: u64 = 1024 * 1024;

impl Build<'_> {
    /// Compiles anew what mix would take for current. To be called with dependencies in place and
    /// before anything is compiled.
    pub(crate) fn renew_stale(&self, log: &StepLog<'_>) -> Result<(), Error> {
        if !self.restored.load(Ordering::SeqCst) {
            return Ok(());
        }
        let changed = self.changed_variables()?;
        let mut dependencies = BTreeSet::new();
        if !changed.is_empty() {
            for name in entries(&self.workspace.real(&self.in_app("deps"))) {
                let folder = join(&self.plan.app_dir.value, &format!("deps/{name}"));
                if let Some((variable, place)) = self.reader(&folder, &changed, false) {
                    log.detail(&format!(
                        "{name} is compiled again: {place} reads {variable}, which has changed"
                    ));
                    dependencies.insert(name);
                }
            }
            let mut projects = self.plan.projects.iter();
            if let Some((variable, place)) =
                projects.find_map(|project| self.reader(project, &changed, true))
            {
                log.detail(&format!(
                    "the app is compiled again: {place} reads {variable}, which has changed"
                ));
                self.compile_anew.store(true, Ordering::SeqCst);
            }
        }
        let mut task = vec![STALE_TASK];
        task.extend(dependencies.iter().map(String::as_str));
        self.mix(Doing::Compile, &[&task], "mix deps.compile", log)
    }

    fn variables(&self) -> Result<Variables, Error> {
        use std::os::unix::ffi::OsStrExt;
        let salted = Salted::of(self.workspace.store)?;
        let env = self.workspace.environment.for_commands();
        let named = env.iter().filter_map(|(name, value)| {
            let counts = |name: &&str| names_the_commit(name) || !tells_builds_apart(name);
            let name = name.to_str().filter(counts)?;
            Some((name.to_owned(), salted.value(value.as_bytes())))
        });
        Ok(named.collect())
    }

    fn variables_note(&self) -> String {
        format!("{}.json", self.kept_as("variables"))
    }

    /// The names of variables that came, went or have another value than in the last build.
    fn changed_variables(&self) -> Result<BTreeSet<String>, Error> {
        let note = self.workspace.store.read_note(&self.variables_note());
        let Some(then) = note.and_then(|note| serde_json::from_str::<Variables>(&note).ok()) else {
            return Ok(BTreeSet::new());
        };
        let now = self.variables()?;
        let names = then.keys().chain(now.keys());
        let changed = names.filter(|name| then.get(*name) != now.get(*name));
        Ok(changed.cloned().collect())
    }

    pub(crate) fn save_variables(&self) -> Result<(), Error> {
        let json = serde_json::to_string(&self.variables()?).unwrap_or_default();
        let store = self.workspace.store;
        Ok(store.write_note(&self.variables_note(), &json)?)
    }

    /// The first of the variables that code in a folder of the app speaks of, and where. Code that
    /// asks for variables whose names it makes up may ask for any, where `made_up` counts; were the
    /// commit one of them, such code would be compiled again with every push.
    fn reader(
        &self,
        folder: &str,
        variables: &BTreeSet<String>,
        made_up: bool,
    ) -> Option<(String, String)> {
        let app = &self.workspace.app;
        let files = CODE.iter().flat_map(|name| {
            let walk = WalkDir::new(app.join(join(folder, name))).sort_by_file_name();
            let walk = walk.into_iter().filter_entry(|entry| {
                let made = ["node_modules", "target", "deps", "_build"].map(OsStr::new);
                !made.contains(&entry.file_name())
            });
            walk.filter_map(Result::ok)
        });
        files
            .filter(|entry| entry.file_type().is_file() && entry.file_name() != NOT_COMPILED)
            .filter(|entry| entry.metadata().is_ok_and(|found| found.len() <= LARGEST))
            .find_map(|entry| {
                let text = fs::read_to_string(entry.path()).ok()?;
                let (line, variable) = mention(&text, variables, made_up)?;
                let place = entry.path().strip_prefix(app).ok()?.display();
                Some((variable, format!("{place}:{line}")))
            })
    }
}

/// The line, from 1, and name of the first variable that a text speaks of.
fn mention(text: &str, variables: &BTreeSet<String>, made_up: bool) -> Option<(u32, String)> {
    (1..).zip(text.lines()).find_map(|(number, line)| {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let named = line
            .split(|c: char| !is_name(c))
            .find(|word| variables.contains(*word));
        let any = || {
            let asks = [
                "System.get_env(",
                "System.fetch_env!(",
                "System.fetch_env(",
                "os:getenv(",
            ];
            let asked = asks.iter().find_map(|ask| line.split_once(ask));
            let name = asked.map(|(_, rest)| rest.trim_start());
            let made_up = made_up && name.is_some_and(|name| !name.starts_with('"'));
            let mut any = variables.iter().map(String::as_str);
            made_up.then(|| any.find(|name| !names_the_commit(name)))?
        };
        named.or_else(any).map(|name| (number, name.to_owned()))
    })
}

fn entries(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_read_where_its_whole_name_stands_or_a_name_is_made_up() {
        let commit = BTreeSet::from(["SOURCE_VERSION".to_owned()]);
        assert_eq!(mention("System.get_env()", &commit, true), None);
        let names = ["API_URL", "PATHS", "SOURCE_VERSION"];
        let variables = BTreeSet::from(names.map(str::to_owned));
        for (text, made_up, found) in [
            (
                "a\n@url System.get_env(\"API_URL\")",
                false,
                Some((2, "API_URL")),
            ),
            ("$(PATHS)", false, Some((1, "PATHS"))),
            ("System.get_env(\"API_URL_2\")", true, None),
            (
                "System.get_env(prefix <> \"X\")",
                true,
                Some((1, "API_URL")),
            ),
            ("System.get_env() |> Map.new()", true, Some((1, "API_URL"))),
            (
                "System.fetch_env!(\"SOURCE_VERSION\")",
                false,
                Some((1, "SOURCE_VERSION")),
            ),
            ("System.get_env() |> Map.new()", false, None),
            ("System.get_env(\"OTHER\")", true, None),
        ] {
            let found = found.map(|(line, name): (u32, &str)| (line, name.to_owned()));
            assert_eq!(mention(text, &variables, made_up), found, "{text}");
        }
    }
}
