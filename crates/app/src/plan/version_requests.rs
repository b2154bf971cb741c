//! The requested version of each tool: the one from the first source that has a request.

use super::old_builders::OldBuilder;
use crate::facts::{Facts, is_local, join, tool_versions};
use crate::origin::{Origin, Setting};
use crate::settings::Settings;
use versions::node::{NodeRange, NodeRequest};
use versions::{ElixirRequirement, Tool};

/// The requests from all sources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct VersionRequests {
    pub erlang: Option<Setting>,
    pub elixir: Option<Setting>,
    pub node: Option<Setting>,
    /// The requirements on any version of Elixir: `elixir:` of each `mix.exs` that mix will load.
    pub elixir_requirements: Vec<(Setting, ElixirRequirement)>,
    /// A range of Node without an upper end: it excludes versions, but requests none.
    pub node_range: Option<(Setting, NodeRange)>,
    /// The asset builder that doesn't run on every Node.
    pub(crate) old_builder: Option<OldBuilder>,
    /// Requests that only make sense on the developer's machine.
    pub skipped: Vec<(Tool, Setting)>,
}

impl VersionRequests {
    /// Reads the sources in their order: config files and config vars (in the precedence of [`Settings`]),
    /// `.tool-versions`, `mise.toml`, the files with a single version, and `package.json` in the directories of
    /// `assets` and of the app.
    #[must_use]
    pub(crate) fn of(facts: &Facts, settings: &Settings, assets: &[&str]) -> Self {
        let mut skipped = Vec::new();
        let erlang = first(
            facts,
            settings.erlang_version.as_ref(),
            Tool::Erlang,
            &mut skipped,
        );
        let elixir = first(
            facts,
            settings.elixir_version.as_ref(),
            Tool::Elixir,
            &mut skipped,
        );
        let node = first(
            facts,
            settings.node_version.as_ref(),
            Tool::Node,
            &mut skipped,
        );
        let mut node_range = None;
        let node = node.or_else(|| {
            let app_dir = facts.app_dir.value.as_str();
            let top = assets.iter().copied().chain([app_dir]);
            let packages = top.filter_map(|dir| facts.package_in(dir));
            packages
                .flat_map(|package| {
                    let root = package.workspace.as_ref().map(|workspace| &workspace.root);
                    let of_root = root.into_iter().flat_map(|root| &root.node);
                    package.node.iter().chain(of_root)
                })
                .find_map(|requested| match NodeRequest::parse(&requested.value) {
                    Ok(NodeRequest::Range(range)) if range.is_open_ended() => {
                        node_range.get_or_insert((requested.clone(), range));
                        None
                    }
                    _ => Some(requested.clone()),
                })
        });
        Self {
            erlang,
            elixir,
            old_builder: assets
                .iter()
                .filter_map(|dir| facts.package_in(dir))
                .flat_map(OldBuilder::all_of)
                .filter(|builder| !builder.needs_legacy_openssl() || !settings.legacy_openssl)
                .min_by_key(OldBuilder::newest_node),
            node_range: node_range.filter(|_| node.is_none()),
            node,
            elixir_requirements: requirements(facts),
            skipped,
        }
    }

    /// Returns a warning for each skipped request; those for Node only if the app uses Node.
    pub(crate) fn warnings(&self, node: bool) -> impl Iterator<Item = String> {
        let counts = move |tool: Tool| node || tool != Tool::Node;
        let skipped = self.skipped.iter().filter(move |(tool, _)| counts(*tool));
        skipped.map(|(tool, requested)| {
            format!(
                "{} requests {tool} {}, which only exists on the developer's machine; using the next source",
                requested.origin, requested.value
            )
        })
    }
}

fn first(
    facts: &Facts,
    setting: Option<&Setting>,
    tool: Tool,
    skipped: &mut Vec<(Tool, Setting)>,
) -> Option<Setting> {
    let listed = tool_versions::lookup(&facts.tool_versions, tool);
    let listed = listed.into_iter().flat_map(|(entry, _)| {
        let origin = Origin::file(&facts.tool_versions_path, entry.line);
        let requested = move |version: &String| Setting::new(version.clone(), origin.clone());
        entry.versions.iter().map(requested)
    });
    let files = facts
        .version_files
        .iter()
        .filter(|entry| entry.tool == tool);
    let mut sources = setting
        .cloned()
        .into_iter()
        .chain(listed)
        .chain(files.map(|entry| entry.requested.clone()));
    sources.find(|requested| {
        let local = is_local(&requested.value);
        if local {
            skipped.push((tool, requested.clone()));
        }
        !local
    })
}

/// Returns the requirements of the root and of the apps of an umbrella, which mix loads one by one. Invalid
/// requirements are left to mix, since the text of `mix.exs` only allows a guess.
fn requirements(facts: &Facts) -> Vec<(Setting, ElixirRequirement)> {
    let app_dir = &facts.app_dir.value;
    let apps = facts
        .root()
        .apps_path
        .as_ref()
        .map(|path| format!("{}/", join(app_dir, path)));
    facts
        .projects
        .iter()
        .filter(|project| {
            project.dir == *app_dir
                || apps
                    .as_ref()
                    .is_some_and(|apps| project.dir.starts_with(apps))
        })
        .filter_map(|project| {
            let requested = project.guess.elixir.clone()?;
            let requirement = ElixirRequirement::parse(&requested.value).ok()?;
            Some((requested, requirement))
        })
        .collect()
}
