//! The inputs of compiling a dependency besides its own files and those of its dependencies, and their values in this
//! build.

use exec::command::Env;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// An input that compiling a dependency read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Read {
    pub(crate) kind: Kind,
    /// `:logger :level` for [`Kind::Config`].
    pub(crate) name: String,
}

impl Read {
    pub(crate) fn variable(name: String) -> Self {
        let kind = Kind::Variable;
        Self { kind, name }
    }

    fn config(name: &str) -> Self {
        Self {
            kind: Kind::Config,
            name: name.to_owned(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// An environment variable.
    Variable,
    /// A value of the config of an application.
    Config,
    /// All config of an application.
    Configs,
    /// Whether an application exists, or its properties.
    Application,
    /// Whether a module exists, or its code.
    Module,
    /// Whether a package has been fetched.
    Sources,
    /// The modules that Elixir suggests instead of a missing one.
    Similar,
}

/// A value of the config, as the task [`DEPENDENCIES_TASK`](crate::mix_info::DEPENDENCIES_TASK) writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ConfigValue {
    /// The digest of the value in hex. Empty if no other VM can have the same value.
    sha256: String,
    /// A config var whose value it contains.
    variable: Option<String>,
    modules: Vec<String>,
}

/// Parses lines `APP KEY<TAB>SHA256<TAB>VARIABLE<TAB>MODULE MODULE`. `None` if one has another form.
pub(crate) fn parse_config(text: &str) -> Option<BTreeMap<String, ConfigValue>> {
    let line = |line: &str| {
        let [name, sha256, variable, modules] =
            line.split('\t').collect::<Vec<_>>().try_into().ok()?;
        let value = ConfigValue {
            sha256: str::to_owned(sha256),
            variable: Some(str::to_owned(variable)).filter(|name| !name.is_empty()),
            modules: modules.split(' ').map(str::to_owned).collect(),
        };
        Some((str::to_owned(name), value))
    };
    text.lines().map(line).collect()
}

/// Returns a keyed digest of a named value, in hex.
pub(crate) type Mac<'a> = &'a (dyn Fn(&str, &[u8]) -> String + Sync);

/// The inputs that dependencies of this build can read.
pub(crate) struct Inputs<'a> {
    /// The environment of mix.
    pub(crate) env: &'a Env,
    /// The names of the user's variables.
    pub(crate) config_vars: BTreeSet<String>,
    pub(crate) config: BTreeMap<String, ConfigValue>,
    /// The package of each module.
    pub(crate) owners: BTreeMap<String, String>,
    /// All packages.
    pub(crate) packages: BTreeSet<String>,
    /// Packages by their directories of sources and of compiled code.
    pub(crate) folders: BTreeMap<PathBuf, String>,
    /// The directories that contain the directories of packages.
    pub(crate) roots: Vec<PathBuf>,
    /// The directories of Erlang, Elixir, Hex and rebar3.
    pub(crate) tools: Vec<PathBuf>,
    pub(crate) mac: Mac<'a>,
}

/// The config that compiling a dependency has set: lines `set<TAB>NAME`.
pub(crate) fn sets(text: &str) -> impl Iterator<Item = &str> {
    let names = text.lines().filter_map(|line| line.strip_prefix("set\t"));
    names.filter(|name| *name != COMPILED_APPLICATION && *name != ENGINES)
}

/// A dependency that is being compiled, and the inputs that its key covers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) name: &'a str,
    pub(crate) is_rebar: bool,
    /// Its own dependencies.
    pub(crate) depends_on: &'a BTreeSet<String>,
    /// Other dependencies that are compiled before it, with their keys.
    pub(crate) finds: &'a BTreeMap<String, String>,
    /// The dependencies that are compiled later. For the code server, they don't exist.
    pub(crate) absent: &'a BTreeSet<String>,
}

impl Reader<'_> {
    fn covers(&self, package: &str) -> bool {
        package == self.name || self.depends_on.contains(package)
    }
}

impl Inputs<'_> {
    /// Parses lines `KIND<TAB>NAME`, and leaves out inputs that the dependency's key covers.
    ///
    /// # Errors
    ///
    /// A phrase that says which input can't be compared with other builds.
    pub(crate) fn parse(&self, text: &str, reader: Reader<'_>) -> Result<BTreeSet<Read>, String> {
        let mut reads = BTreeSet::new();
        for line in text.lines() {
            let (kind, name) = line.split_once('\t').unwrap_or((line, ""));
            let read = match kind {
                // mix searches PATH for the program that starts rebar3.
                "variable" if reader.is_rebar && name == "PATH" => None,
                "status" if reader.is_rebar && self.is_in_path(Path::new(name)) => None,
                "variable" => Some((Kind::Variable, name)).filter(|_| !is_covered_variable(name)),
                "config" if name == ENGINES => {
                    let sources = ENGINES_OF.map(Read::config);
                    reads.extend(sources);
                    None
                }
                "config" => Some((Kind::Config, name)).filter(|_| name != COMPILED_APPLICATION),
                "configs" => Some((Kind::Configs, name)),
                "application" => Some((Kind::Application, name)),
                "module" => Some((Kind::Module, name)),
                "similar" => Some((Kind::Similar, name)),
                "file" | "folder" | "status" => self.path(kind, name, reader)?,
                "set" if name == COMPILED_APPLICATION || name == ENGINES => None,
                "set" if name == COMPILER_OPTIONS => return Err(format!("sets {name}")),
                "set" => return Err(format!("sets the config {name}")),
                "program" if reader.is_rebar && name.contains("/rebar3") => None,
                "program" => return Err(format!("runs a program: {name}")),
                "variables" => return Err("reads all environment variables".to_owned()),
                "network" => return Err(format!("uses the network ({name})")),
                "machine" => return Err(format!("depends on the machine ({name})")),
                "nif" if self.is_of_tools(Path::new(name)) => None,
                "nif" => return Err(format!("loads native code: {name}")),
                "vm" => return Err(format!("asks {name}")),
                "project" => return Err(format!("{name} reads the app's project")),
                _ => return Err(format!("reads {name}")),
            };
            let Some((kind, name)) = read else {
                continue;
            };
            let read = Read {
                kind,
                name: name.to_owned(),
            };
            if !self.is_covered(&read, reader) {
                self.value(&read, reader)?;
                reads.insert(read);
            }
        }
        Ok(reads)
    }

    /// Returns the input that reading a path in a package's directory amounts to. `None` if the key of a dependency
    /// covers it.
    fn path<'n>(
        &self,
        kind: &str,
        path: &'n str,
        reader: Reader<'_>,
    ) -> Result<Option<(Kind, &'n str)>, String> {
        let at = Path::new(path);
        if self.is_of_tools(at) {
            return Ok(None);
        }
        let file = path.rsplit('/').next().unwrap_or_default();
        if let Some(module) = file.strip_suffix(".beam") {
            // The code server looks for a module in each directory of the code path.
            return Ok(Some((Kind::Module, module)));
        }
        // mix marks the lockfile of the app, and of each child of an umbrella, as changed.
        let is_manifests = at.file_name() == Some(OsStr::new(".mix"));
        if is_manifests || at.ends_with(".mix/compile.lock") {
            return Ok(None);
        }
        let own = at.ancestors().find_map(|folder| self.folders.get(folder));
        if own.is_some_and(|package| reader.covers(package)) {
            return Ok(None);
        }
        let is_lock = at.components().any(|part| {
            let part = part.as_os_str().as_bytes();
            let of_mix = ["mix_lock_", "mix_pubsub_", "mix_user_check_"];
            of_mix.iter().any(|name| part.starts_with(name.as_bytes()))
        });
        match kind {
            _ if is_lock => Ok(None),
            "status" if at == self.temporary_dir() => Ok(None),
            // mix reads the status of the app's directory.
            "status" if self.roots.iter().any(|root| root.starts_with(at)) => Ok(None),
            "status" if own.is_none_or(|_| self.folders.contains_key(at)) => {
                let found = self.package_at(path).ok_or(format!("reads {path}"))?;
                let is_own = reader.covers(found.1);
                Ok(Some(found).filter(|_| !is_own))
            }
            _ => Err(match own {
                Some(package) => {
                    format!("reads {path} of {package}, which it doesn't depend on")
                }
                None => format!("reads {path}"),
            }),
        }
    }

    /// The package, fetched or not, that a path below one of `roots` belongs to.
    fn package_at<'n>(&self, path: &'n str) -> Option<(Kind, &'n str)> {
        let mut roots = self.roots.iter();
        let (root, below) = roots.find_map(|root| {
            let below = path.strip_prefix(root.to_str()?)?.strip_prefix('/')?;
            Some((root, below))
        })?;
        let kind = if root.ends_with("lib") {
            Kind::Application
        } else {
            Kind::Sources
        };
        let name = below.split('/').next().unwrap_or(below);
        Some((kind, name.strip_suffix(".ez").unwrap_or(name)))
    }

    fn is_in_path(&self, file: &Path) -> bool {
        let path = self.env.get(OsStr::new("PATH")).cloned();
        std::env::split_paths(&path.unwrap_or_default()).any(|dir| file.parent() == Some(&dir))
    }

    fn temporary_dir(&self) -> &Path {
        let dir = self.env.get(OsStr::new("TMPDIR"));
        Path::new(dir.map_or(OsStr::new("/tmp"), |dir| dir))
    }

    fn is_of_tools(&self, path: &Path) -> bool {
        self.tools.iter().any(|tool| path.starts_with(tool))
    }

    /// Whether the dependency's key covers an input: it belongs to the dependency itself, or to one of its
    /// dependencies.
    fn is_covered(&self, read: &Read, reader: Reader<'_>) -> bool {
        let package = match read.kind {
            Kind::Application => Some(application(&read.name)),
            Kind::Module if read.name.starts_with(":elixir_compiler_") => return true,
            Kind::Module => self.owner(&read.name),
            _ => None,
        };
        package.is_some_and(|package| reader.covers(package))
    }

    fn owner(&self, module: &str) -> Option<&str> {
        let module = module.strip_prefix("Elixir.").unwrap_or(module);
        let owner = self.owners.get(module);
        let owner = owner.or_else(|| self.owners.get(&format!(":{module}")));
        owner.map(String::as_str)
    }

    /// The digest of Elixir's initial compiler options. `None` if no other VM can have the same.
    pub(crate) fn compiler_options(&self) -> Option<&str> {
        let options = self.config.get(COMPILER_OPTIONS)?;
        Some(options.sha256.as_str()).filter(|digest| !digest.is_empty())
    }

    /// Returns a digest of an input's value. Two builds have the same digest if and only if the value is the same.
    ///
    /// # Errors
    ///
    /// A phrase that says why the value has no digest.
    pub(crate) fn value(&self, read: &Read, reader: Reader<'_>) -> Result<String, String> {
        let name = &read.name;
        let mac = |kind: &str, value: Option<&[u8]>| {
            value.map_or_else(
                || "absent".to_owned(),
                |value| (self.mac)(&format!("{kind} {name}"), value),
            )
        };
        let other = |package: &str| {
            let part = if application(name) == package {
                String::new()
            } else {
                format!("{name} of ")
            };
            format!("uses {part}{package}, which it doesn't depend on")
        };
        // The key of another package, if it is compiled before.
        let found = |package: &str| match reader.finds.get(package) {
            Some(key) => Ok(Some(key.as_str())),
            None if !self.packages.contains(package) || reader.absent.contains(package) => Ok(None),
            None => Err(other(package)),
        };
        let key_of = |package: &str| Ok(found(package)?.unwrap_or("no package").to_owned());
        match read.kind {
            Kind::Variable => {
                if self.config_vars.contains(name) {
                    return Err(format!("reads the config var {name}"));
                }
                let value = self.env.get(OsStr::new(name));
                Ok(mac("variable", value.map(|value| value.as_bytes())))
            }
            Kind::Config => match self.config.get(name) {
                None => {
                    // Without a value in the config, the default of the application itself applies.
                    let app = application(name.split(' ').next().unwrap_or(name));
                    match found(app) {
                        _ if reader.covers(app) => Ok(mac("config", None)),
                        key => Ok(key?.map_or_else(|| mac("config", None), str::to_owned)),
                    }
                }
                Some(value) => {
                    self.check_config(name, value, reader)?;
                    Ok(mac("config", Some(value.sha256.as_bytes())))
                }
            },
            Kind::Configs => {
                let app = application(name);
                let package = match found(app) {
                    _ if reader.covers(app) => None,
                    key => key?,
                };
                let prefix = format!("{name} ");
                let of_app = self.config.iter();
                let of_app = of_app.filter(|(name, _)| name.starts_with(&prefix));
                let line = |(name, value): (&String, &ConfigValue)| {
                    self.check_config(name, value, reader)?;
                    Ok(format!("{name}\t{}\n", value.sha256))
                };
                let all: Result<String, String> = of_app.map(line).collect();
                Ok(mac(
                    "configs",
                    Some((package.unwrap_or_default().to_owned() + &all?).as_bytes()),
                ))
            }
            Kind::Application => key_of(application(name)),
            Kind::Sources if self.packages.contains(name) => Err(other(name)),
            Kind::Sources => Ok("no package".to_owned()),
            Kind::Module => self.owner(name).map_or(Ok("no package".to_owned()), key_of),
            Kind::Similar => {
                let similar = self.owners.iter().filter(|(one, _)| is_similar(one, name));
                let packages = similar.map(|(_, package)| package.as_str());
                let others: BTreeSet<&str> = packages.filter(|one| !reader.covers(one)).collect();
                let keys: Result<Vec<Option<&str>>, String> =
                    others.into_iter().map(found).collect();
                Ok(keys?.into_iter().flatten().collect::<Vec<_>>().join(" "))
            }
        }
    }

    fn check_config(
        &self,
        name: &str,
        value: &ConfigValue,
        reader: Reader<'_>,
    ) -> Result<(), String> {
        if let Some(variable) = &value.variable {
            return Err(format!(
                "reads the config {name}, which has the value of {variable}"
            ));
        }
        if value.sha256.is_empty() {
            return Err(format!(
                "reads the config {name}, which has a function or process"
            ));
        }
        // Compiling may call these modules.
        let owners = value.modules.iter().filter_map(|module| self.owner(module));
        let mut others = owners.filter(|package| !reader.covers(package));
        others.next().map_or(Ok(()), |package| {
            Err(format!(
                "reads the config {name}, which names a module of {package}"
            ))
        })
    }
}

/// The name for compiler options. If a dependency sets them, all later ones in the same VM are compiled with them.
pub(crate) const COMPILER_OPTIONS: &str = "compiler options";

/// mix sets this to the application that it compiles.
const COMPILED_APPLICATION: &str = ":logger :compile_time_application";

/// Phoenix.Template caches its evaluation of [`ENGINES_OF`] here, for the next dependency in the same VM.
const ENGINES: &str = ":phoenix_template :compiled_template_engines";
const ENGINES_OF: [&str; 3] = [
    ":phoenix :template_engines",
    ":phoenix_template :template_engines",
    ":phoenix_view :template_engines",
];

/// Variables that are part of every key, or that don't affect compiled code.
fn is_covered_variable(name: &str) -> bool {
    name.starts_with("MIX_") || name.starts_with("ERL_") || name == "ELIXIR_ERL_OPTIONS"
}

/// Whether Elixir may suggest a module instead of another one, as `hint_for_missing_module/3` of
/// `UndefinedFunctionError` does.
fn is_similar(module: &str, missing: &str) -> bool {
    let is_same = module.eq_ignore_ascii_case(missing);
    let name = |module: &str| module.trim_start_matches(':').to_owned();
    is_same || name(module).ends_with(&name(missing))
}

fn application(name: &str) -> &str {
    name.strip_prefix(':').unwrap_or(name)
}

#[cfg(test)]
mod tests;
