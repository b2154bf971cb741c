//! The app that changes: its source, its config vars, and the state after all changes so far.

use super::change::{Change, Content, Dependency, Generator, LINKS, SLOTS, Setting, Variable};
use crate::{copy, repository};
use mirror::hex_package;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The version of Hex dependencies that have two.
const SECOND_VERSION: &str = "1.0.1";

pub(super) struct Subject {
    pub(super) source: PathBuf,
    /// Config vars of the app. The platform sets the URLs of hosts.
    pub(super) variables: BTreeMap<String, String>,
    /// The second commit of the git dependency.
    second_commit: String,
    generators: BTreeMap<Generator, u8>,
    dependencies: BTreeMap<Dependency, bool>,
    settings: BTreeSet<Setting>,
    deploys: u32,
}

impl Subject {
    /// The fixture in the empty directory `source`.
    pub(super) fn new(source: PathBuf, second_commit: String) -> Self {
        use Dependency::{Colocated, Greeter, Knobs, Native, Ranch};
        copy(&repository().join("fixtures/everything"), &source);
        let mut subject = Self {
            source,
            variables: BTreeMap::new(),
            second_commit,
            generators: BTreeMap::new(),
            dependencies: [Knobs, Colocated, Ranch, Native, Greeter]
                .map(|dependency| (dependency, false))
                .into(),
            settings: BTreeSet::new(),
            deploys: 0,
        };
        subject.settle();
        subject
    }

    /// A variable that has another value at each push, as platforms set it.
    pub(super) fn push(&mut self) {
        self.deploys += 1;
        let commit = format!("{:040x}", self.deploys);
        self.variables.insert("SOURCE_VERSION".to_owned(), commit);
    }

    /// Applies a change of the source or of the config vars; the platform applies others. Every change makes a
    /// difference, unless it writes the same content.
    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Write { slot, variant } => self.write_slot(*slot, *variant),
            Change::Remove { slot } => self.remove_slot(*slot),
            Change::Rename { slot, to } => self.rename(*slot, *to),
            Change::Link { link, target } => self.link(*link, *target),
            Change::Generator { generator, variant } => {
                if self.generators.remove(generator).is_none() || variant.is_some() {
                    let variant = variant.unwrap_or_default();
                    self.generators.insert(*generator, variant);
                }
            }
            Change::Dependency { dependency, second } => {
                // The app's own code needs these two.
                let needed = [Dependency::Knobs, Dependency::Colocated].contains(dependency);
                let removed = self.dependencies.remove(dependency);
                if removed.is_none() || second.is_some() || needed {
                    let second = second.unwrap_or_default();
                    self.dependencies.insert(*dependency, second);
                }
            }
            Change::Variable { variable, value } => {
                let name = match variable {
                    Variable::Banner => "BANNER",
                    Variable::KnobsRegion => "KNOBS_REGION",
                    Variable::ApiUrl => "API_URL",
                    Variable::CompilerOptions => "ERL_COMPILER_OPTIONS",
                    Variable::Unused => "UNUSED",
                    Variable::BuildDir => "BUILD_DIR",
                };
                if self.variables.remove(name).is_none() || value.is_some() {
                    let value = match variable {
                        Variable::CompilerOptions => "deterministic".to_owned(),
                        _ => format!("value-{}", value.unwrap_or_default()),
                    };
                    self.variables.insert(name.to_owned(), value);
                }
            }
            Change::Setting(setting) => {
                if !self.settings.remove(setting) {
                    self.settings.insert(*setting);
                }
            }
            Change::Fail(_) | Change::MoveCache { .. } | Change::LoseCache => {}
        }
        self.settle();
    }

    fn is_there(&self, path: &Path) -> bool {
        self.source.join(path).symlink_metadata().is_ok()
    }

    fn link(&self, link: u8, target: Option<bool>) {
        let (path, targets) = LINKS[usize::from(link)];
        let path = Path::new(path);
        let was_there = self.is_there(path);
        self.remove(path);
        if !was_there || target.is_some() {
            let target = targets[usize::from(target.unwrap_or_default())];
            symlink(target, self.source.join(path)).expect("a link");
        }
    }

    fn remove_slot(&self, slot: u8) {
        let place = &SLOTS[usize::from(slot)];
        if place.optional && self.is_there(place.path()) {
            self.remove(place.path());
        } else {
            self.write_slot(slot, 0);
        }
    }

    fn write_slot(&self, slot: u8, variant: u8) {
        let slot = &SLOTS[usize::from(slot)];
        let module = |name: &str, inside: &str| {
            format!("defmodule {name} do\n{inside}  def value, do: \"{variant}\"\nend\n")
        };
        let text = match slot.content {
            Content::Module(name) => module(name, ""),
            Content::UsesPart(name) => format!(
                "defmodule {name} do\n  use Everything.Part\n  def value, do: {{{variant}, suffix()}}\nend\n"
            ),
            Content::Colocated(name) => {
                let script = format!("console.log('colocated {variant}')");
                module(
                    name,
                    &format!("  use ColocatedLite, script: \"{script}\"\n"),
                )
            }
            Content::Part => format!(
                "defmodule Everything.Part do\n  defmacro __using__(_options) do\n    quote do\n      \
                 def suffix, do: \"{variant}\"\n    end\n  end\nend\n"
            ),
            Content::Shared => {
                format!("defmodule Shared do\n  def value, do: \"shared {variant}\"\nend\n")
            }
            Content::Knobs => format!(
                "import Config\n\nconfig :knobs, level: \"{variant}\"\n\
                 config :everything, shade: \"{variant}\"\n"
            ),
            Content::Script => format!("console.log(\"{} {variant}\")\n", slot.path().display()),
            Content::Style => format!("body {{ order: {variant} }}\n"),
            Content::Text => format!("text {variant}\n"),
        };
        self.write(slot.path(), &text);
    }

    /// Moves a file to the place of another one, which it replaces.
    fn rename(&self, slot: u8, other: u8) {
        let [from, to] = [slot, other].map(|slot| &SLOTS[usize::from(slot)]);
        let kind = |content: Content| std::mem::discriminant(&content);
        let alike = slot != other && kind(from.content) == kind(to.content);
        if !(alike && from.optional && self.is_there(from.path())) {
            self.write_slot(other, 1);
            return;
        }
        // Two files must not define one module.
        let text = fs::read_to_string(self.source.join(from.path())).expect("a file of the app");
        let text = match (from.content, to.content) {
            (Content::Module(old), Content::Module(new)) => text.replace(old, new),
            _ => text,
        };
        self.remove(from.path());
        self.write(to.path(), &text);
    }

    pub(super) fn write(&self, path: &Path, text: &str) {
        let path = self.source.join(path);
        fs::create_dir_all(path.parent().expect("a path in the app")).expect("a folder");
        if fs::read(&path).ok().as_deref() != Some(text.as_bytes()) {
            fs::write(path, text).expect("a file of the app");
        }
    }

    /// Also removes directories that become empty, like git.
    fn remove(&self, path: &Path) {
        let path = self.source.join(path);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => panic!("{error}"),
            _ => {}
        }
        let above = path.ancestors().skip(1);
        for folder in above.take_while(|folder| *folder != self.source) {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }

    /// Updates the files that depend on more than one change.
    fn settle(&mut self) {
        self.settle_mix();
        self.settle_scripts();
        self.settle_generators();
        self.settle_settings();
    }

    fn settle_mix(&self) {
        let fixture = repository().join("fixtures/everything");
        let read = |name: &str| fs::read_to_string(fixture.join(name)).expect("the fixture");
        let line_of = |dependency: Dependency| match dependency {
            Dependency::Knobs => "knobs",
            Dependency::Colocated => "colocated_lite",
            Dependency::Ranch => "ranch_lite",
            Dependency::Native => "native_lite",
            Dependency::Greeter => "greeter",
            Dependency::Esbuild => "esbuild",
        };
        let packages =
            hex_package::pack_all(&repository().join("fixtures/packages")).expect("packages");
        let newer = |name: &str| {
            let mut found = packages.iter().filter(|package| package.name == name);
            found
                .find(|package| package.version == SECOND_VERSION)
                .expect("a second version")
                .lock_line()
        };
        let mut mix = read("mix.exs");
        let mut lock: Vec<String> = read("mix.lock").lines().map(str::to_owned).collect();
        for dependency in [
            Dependency::Knobs,
            Dependency::Colocated,
            Dependency::Ranch,
            Dependency::Native,
            Dependency::Greeter,
            Dependency::Esbuild,
        ] {
            let name = line_of(dependency);
            let of_it = |line: &str| line.starts_with(&format!("  \"{name}\":"));
            let Some(second) = self.dependencies.get(&dependency) else {
                lock.retain(|line| !of_it(line));
                let lines = mix.lines();
                let kept = lines.filter(|line| !line.trim().starts_with(&format!("{{:{name},")));
                mix = kept.flat_map(|line| [line, "\n"]).collect();
                continue;
            };
            if !second {
                continue;
            }
            for line in lock.iter_mut().filter(|line| of_it(line)) {
                match dependency {
                    Dependency::Knobs | Dependency::Colocated => *line = newer(name),
                    Dependency::Greeter => {
                        let (before, rest) = line.split_once(".git\", \"").expect("a git line");
                        let (_, behind) = rest.split_once('"').expect("a commit");
                        *line = format!("{before}.git\", \"{}\"{behind}", self.second_commit);
                    }
                    // They have one version.
                    Dependency::Ranch | Dependency::Native | Dependency::Esbuild => {}
                }
            }
        }
        if self.generators.contains_key(&Generator::Source) {
            mix = mix.replace("Mix.compilers() ++", "[:made] ++ Mix.compilers() ++");
            mix.push_str(SOURCE_COMPILER);
        }
        let mut config = read("config/config.exs");
        if self.dependencies.get(&Dependency::Esbuild) == Some(&true) {
            config = config.replace("0.25.4", "0.25.3");
        }
        self.write(Path::new("config/config.exs"), &config);
        self.write(Path::new("mix.exs"), &mix);
        self.write(Path::new("mix.lock"), &(lock.join("\n") + "\n"));
    }

    fn settle_scripts(&self) {
        let fixture = repository().join("fixtures/everything/assets/js/app.js");
        let mut text = fs::read_to_string(fixture).expect("the fixture");
        for import in ["./node_modules/local/index.js", "./extra.js", "./linked.js"] {
            if self.source.join("assets/js").join(import).exists() {
                text = text + "import \"" + import + "\"\n";
            }
        }
        if self.generators.contains_key(&Generator::Script) {
            text.push_str("import \"./generated.js\"\n");
        }
        self.write(Path::new("assets/js/app.js"), &text);
    }

    fn settle_generators(&self) {
        for (generator, path, text) in GENERATORS {
            let path = Path::new(path);
            match self.generators.get(&generator) {
                Some(variant) => self.write(path, &text.replace("VARIANT", &variant.to_string())),
                None => self.remove(path),
            }
        }
        let pushed = Path::new("priv/changed_by_code.txt");
        if self.generators.contains_key(&Generator::PushedFile) {
            self.write(pushed, "pushed\n");
        } else {
            self.remove(pushed);
        }
    }

    fn settle_settings(&mut self) {
        let is = |setting: Setting| self.settings.contains(&setting);
        let (elixir, erlang) = match (is(Setting::OldElixir), is(Setting::OtpPatch)) {
            (true, _) => ("1.14.0", "25.2.3"),
            (false, false) => ("1.18.3", "27.3.4.1"),
            (false, true) => ("1.18.3", "27.3.4"),
        };
        let mut config = format!("elixir_version={elixir}\nerlang_version={erlang}\n");
        if is(Setting::Release) {
            config.push_str("release=true\n");
        }
        if let Some(variant) = self.generators.get(&Generator::Hook) {
            let hook = format!("hook_pre_compile='echo {variant} > priv/hooked.txt'\n");
            config.push_str(&hook);
        }
        if self.dependencies.contains_key(&Dependency::Esbuild) {
            config.push_str(ESBUILD_HOOK);
        }
        self.write(Path::new("elixir_buildpack.config"), &config);
        let fixture = repository().join("fixtures/everything/assets");
        let read = |name: &str| fs::read_to_string(fixture.join(name)).expect("the fixture");
        let mut package = read("package.json");
        let mut lock = read("package-lock.json");
        if is(Setting::OldEsbuild) {
            package = package.replace("0.25.4", "0.25.3");
            include_str!("package-lock.json").clone_into(&mut lock);
        }
        self.write(Path::new("assets/package.json"), &package);
        self.write(Path::new("assets/package-lock.json"), &lock);
        let node = if is(Setting::OldNode) { 22 } else { 24 };
        let config = format!("node_version={node}\n");
        self.write(Path::new("phoenix_static_buildpack.config"), &config);
        let prunes_all = is(Setting::PruneAll) && !is(Setting::Release);
        let slim = if is(Setting::KeepAll) { "none" } else { "full" };
        let switches = [
            ("MIX_ENV", is(Setting::Staging), "staging"),
            ("MIXPACK_SLIM", is(Setting::KeepAll) || prunes_all, slim),
        ];
        for (name, on, value) in switches {
            if on {
                self.variables.insert(name.to_owned(), value.to_owned());
            } else {
                self.variables.remove(name);
            }
        }
    }
}

const ESBUILD_HOOK: &str = "hook_post_compile='mix esbuild.install --if-missing && \
                            _build/esbuild-linux-x64 --version > priv/esbuild.txt'\n";

/// Defined in `mix.exs`, since it runs before the app is compiled.
const SOURCE_COMPILER: &str = "
defmodule Mix.Tasks.Compile.Made do
  use Mix.Task.Compiler

  @impl true
  def run(_args) do
    text = File.read!(\"priv/made.eex\")
    File.mkdir_p!(\"lib/generated\")
    target = \"lib/generated/made.ex\"
    if File.read(target) != {:ok, text}, do: File.write!(target, text)
    :ok
  end
end
";

/// The files of generators. They are pushed, and their output is not.
const GENERATORS: [(Generator, &str, &str); 6] = [
    (
        Generator::Native,
        "lib/everything/native.ex",
        r#"defmodule Everything.NativeBuilder do
  defmacro __using__(source: source) do
    library = "priv/generated/native.so"
    File.mkdir_p!(Path.dirname(library))
    file = Path.join(System.tmp_dir!(), "everything-native.c")
    File.write!(file, source)
    include = Path.join(:code.root_dir(), "usr/include")
    {_, 0} = System.cmd("cc", ["-shared", "-fPIC", "-I", include, "-o", library, file])
    File.rm!(file)
    Mix.Project.build_structure()
    quote do
      @on_load :load
      def load, do: :erlang.load_nif(Application.app_dir(:everything, "priv/generated/native"), 0)
    end
  end
end

defmodule Everything.Native do
  use Everything.NativeBuilder, source: """
  #include <erl_nif.h>
  static ERL_NIF_TERM value(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
    return enif_make_int(env, VARIANT);
  }
  static ErlNifFunc functions[] = {{"value", 0, value, 0}};
  ERL_NIF_INIT(Elixir.Everything.Native, functions, NULL, NULL, NULL, NULL)
  """

  def value, do: :erlang.nif_error(:not_loaded)
end
"#,
    ),
    (
        Generator::Source,
        "priv/made.eex",
        "defmodule Everything.Made do\n  def value, do: \"VARIANT\"\nend\n",
    ),
    (
        Generator::PathDependency,
        "libs/shared/lib/made.ex",
        "defmodule Shared.Made do\n  File.write!(\"priv/made.txt\", \"VARIANT\")\n  \
         def value, do: \"made\"\nend\n",
    ),
    (
        Generator::PushedFile,
        "lib/everything/changes_file.ex",
        "defmodule Everything.ChangesFile do\n  \
         File.write!(\"priv/changed_by_code.txt\", \"compiled VARIANT\")\n  def value, do: \"changes\"\nend\n",
    ),
    (
        Generator::Script,
        "lib/everything/script.ex",
        "defmodule Everything.Script do\n  \
         File.write!(\"assets/js/generated.js\", \"console.log('generated VARIANT')\")\n  \
         def value, do: \"script\"\nend\n",
    ),
    (Generator::Hook, "priv/hook.txt", "hook VARIANT\n"),
];
