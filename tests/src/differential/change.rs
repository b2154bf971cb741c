//! The changes that people make to an app, its settings and its cache between two deploys.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A file that changes write, by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// A module with this name, and a function `value`.
    Module(&'static str),
    /// The same, which uses `Everything.Part` when it is compiled.
    UsesPart(&'static str),
    /// The same, with colocated JavaScript.
    Colocated(&'static str),
    Part,
    Shared,
    Knobs,
    Script,
    Style,
    Text,
}

/// A file that changes write: its path in bytes, and whether the app works without it.
pub(super) struct Slot {
    path: &'static [u8],
    pub(super) content: Content,
    pub(super) optional: bool,
}

impl Slot {
    pub(super) fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.path))
    }
}

const fn slot(path: &'static str, content: Content) -> Slot {
    Slot {
        path: path.as_bytes(),
        content,
        optional: true,
    }
}

const fn required(path: &'static str, content: Content) -> Slot {
    Slot {
        path: path.as_bytes(),
        content,
        optional: false,
    }
}

/// Some directories have the names of a build's own directories, at other depths. `app.js` imports scripts from the
/// second on if they exist.
pub(super) const SLOTS: [Slot; 20] = [
    slot("lib/everything/one.ex", Content::Module("Everything.One")),
    slot("lib/everything/two.ex", Content::UsesPart("Everything.Two")),
    slot("lib/deps/three.ex", Content::Module("Everything.Three")),
    slot(
        "lib/everything/four.ex",
        Content::Colocated("Everything.Four"),
    ),
    required("lib/everything/part.ex", Content::Part),
    required("libs/shared/lib/shared.ex", Content::Shared),
    slot("libs/shared/lib/extra.ex", Content::Module("Shared.Extra")),
    slot("libs/shared/priv/greeting.txt", Content::Text),
    slot("priv/data.txt", Content::Text),
    slot("priv/deps/_build/deep.txt", Content::Text),
    Slot {
        // Latin-1.
        path: b"priv/caf\xe9",
        content: Content::Text,
        optional: true,
    },
    slot("priv/generated/pushed.txt", Content::Text),
    slot("priv/static/images/one.svg", Content::Text),
    slot("priv/static/images/two.svg", Content::Text),
    required("assets/js/deps/inner.js", Content::Script),
    slot("assets/js/node_modules/local/index.js", Content::Script),
    slot("assets/js/extra.js", Content::Script),
    required("assets/css/_build/base.css", Content::Style),
    required("config/knobs.exs", Content::Knobs),
    slot("test/some_test.exs", Content::Text),
];

/// Symbolic links, and where each may lead.
pub(super) const LINKS: [(&str, [&str; 2]); 2] = [
    (
        "assets/js/linked.js",
        ["deps/inner.js", "../css/../js/deps/inner.js"],
    ),
    ("priv/link", ["data.txt", "static/images/logo.svg"]),
];

/// Code of the app that creates files at compile time, or before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Generator {
    /// A macro that compiles C to `priv/generated`.
    Native,
    /// A Mix compiler that writes `lib/generated/made.ex`.
    Source,
    /// A module of the path dependency that writes to its `priv`.
    PathDependency,
    /// A module that changes a pushed file.
    PushedFile,
    /// A module that writes a script, which the assets import.
    Script,
    /// `hook_pre_compile`, which writes to `priv`.
    Hook,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Dependency {
    /// Hex, in two versions; it reads the app's config when it is compiled.
    Knobs,
    /// Hex, in two versions, with colocated JavaScript.
    Colocated,
    /// Hex, built by rebar3; the app works without it.
    Ranch,
    /// Hex, with a NIF; the app works without it.
    Native,
    /// git, at two commits; the app works without it.
    Greeter,
    /// Hex; a hook makes it fetch its executable in one of two versions. The app starts without this dependency.
    Esbuild,
}

/// A config var.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Variable {
    /// Read when the app is compiled.
    Banner,
    /// Read when a dependency is compiled.
    KnobsRegion,
    /// Read when the assets are built.
    ApiUrl,
    /// Read by the compiler, which then omits some chunks.
    CompilerOptions,
    /// Not read.
    Unused,
    /// What the shell buildpacks call `BUILD_DIR`, with another value in each build.
    BuildDir,
}

/// Settings that affect the toolchain or the content of the slug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Setting {
    /// `MIX_ENV=staging` instead of `prod`.
    Staging,
    /// Another patch of the same OTP major.
    OtpPatch,
    /// Elixir 1.14 on OTP 25 instead of 1.18 on 27.
    OldElixir,
    /// Node 22 instead of 24.
    OldNode,
    Release,
    /// Without removing anything from the slug.
    KeepAll,
    /// Removing all that can be removed, unless there is a release.
    PruneAll,
    /// esbuild 0.25.3 of the npm registry instead of 0.25.4.
    OldEsbuild,
}

/// A build that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    Compile,
    Assets,
    /// `hook_post_compile`.
    Hook,
    Killed {
        after_ms: u16,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Writes a file of [`SLOTS`]; those of two variants have the same size.
    Write { slot: u8, variant: u8 },
    /// Removes a file. If it is required or doesn't exist, it gets its first content instead.
    Remove { slot: u8 },
    /// Moves a file to the path of another one of the same kind. If this is impossible, writes the other.
    Rename { slot: u8, to: u8 },
    /// Creates a symbolic link. Without a target, removes the existing one.
    Link { link: u8, target: Option<bool> },
    /// Adds a generator or changes its output. Without a variant, removes the existing one.
    Generator {
        generator: Generator,
        variant: Option<u8>,
    },
    /// Uses the first or second version. Without one, removes the dependency.
    Dependency {
        dependency: Dependency,
        second: Option<bool>,
    },
    /// Sets a config var. Without a value, unsets it.
    Variable {
        variable: Variable,
        value: Option<u8>,
    },
    /// Toggles a setting.
    Setting(Setting),
    /// A failing build, whose changes are reverted afterwards.
    Fail(Failure),
    /// Packs and unpacks the cache: inodes change, and without `times` also modification times.
    MoveCache { times: bool },
    /// Empties the cache.
    LoseCache,
}

/// What happens before a deploy.
pub type Step = Vec<Change>;

fn generator() -> impl Strategy<Value = Generator> {
    use Generator::{Hook, Native, PathDependency, PushedFile, Script, Source};
    prop_oneof![
        2 => Just(Native),
        2 => Just(Source),
        1 => Just(PathDependency),
        1 => Just(PushedFile),
        1 => Just(Script),
        1 => Just(Hook),
    ]
}

fn dependency() -> impl Strategy<Value = Dependency> {
    use Dependency::{Colocated, Esbuild, Greeter, Knobs, Native, Ranch};
    prop_oneof![
        Just(Esbuild),
        Just(Knobs),
        Just(Colocated),
        Just(Ranch),
        Just(Native),
        Just(Greeter)
    ]
}

fn variable() -> impl Strategy<Value = Variable> {
    use Variable::{ApiUrl, Banner, BuildDir, CompilerOptions, KnobsRegion, Unused};
    prop_oneof![
        Just(Banner),
        Just(CompilerOptions),
        Just(KnobsRegion),
        Just(ApiUrl),
        Just(Unused),
        Just(BuildDir)
    ]
}

fn setting() -> impl Strategy<Value = Setting> {
    use Setting::{KeepAll, OldElixir, OldEsbuild, OldNode, OtpPatch, PruneAll, Release, Staging};
    prop_oneof![
        2 => Just(OldEsbuild),
        2 => Just(Staging),
        2 => Just(OtpPatch),
        1 => Just(OldElixir),
        1 => Just(OldNode),
        2 => Just(Release),
        1 => Just(KeepAll),
        1 => Just(PruneAll),
    ]
}

fn failure() -> impl Strategy<Value = Failure> {
    prop_oneof![
        Just(Failure::Compile),
        Just(Failure::Assets),
        Just(Failure::Hook),
        (100..4000_u16).prop_map(|after_ms| Failure::Killed { after_ms }),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let slot = || 0..u8::try_from(SLOTS.len()).expect("few slots");
    let variant = || 0..4_u8;
    prop_oneof![
        16 => (slot(), variant()).prop_map(|(slot, variant)| Change::Write { slot, variant }),
        5 => slot().prop_map(|slot| Change::Remove { slot }),
        3 => (slot(), slot()).prop_map(|(slot, to)| Change::Rename { slot, to }),
        3 => (0..2_u8, option::of(any::<bool>()))
            .prop_map(|(link, target)| Change::Link { link, target }),
        8 => (generator(), option::weighted(0.6, variant()))
            .prop_map(|(generator, variant)| Change::Generator { generator, variant }),
        7 => (dependency(), option::weighted(0.8, any::<bool>()))
            .prop_map(|(dependency, second)| Change::Dependency { dependency, second }),
        6 => (variable(), option::weighted(0.7, variant()))
            .prop_map(|(variable, value)| Change::Variable { variable, value }),
        5 => setting().prop_map(Change::Setting),
        3 => failure().prop_map(Change::Fail),
        3 => any::<bool>().prop_map(|times| Change::MoveCache { times }),
        1 => Just(Change::LoseCache),
    ]
}

/// Sequences of this many steps. One in five changes nothing.
pub(super) fn steps(count: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![1 => Just(Vec::new()), 4 => vec(change(), 1..4)];
    vec(step, count)
}
