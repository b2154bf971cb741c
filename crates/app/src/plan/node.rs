//! The choice of Node.js.

use super::choice::{malformed, newest_of_lines, os};
use super::version_requests::VersionRequests;
use super::{Choice, LastBuild, Lists, PlanError, VersionError, needs_node};
use crate::facts::Facts;
use crate::origin::{Origin, Setting};
use crate::settings::Settings;
use versions::Tool;
use versions::node::{NodeIndex, NodeRequest, NodeVersion};
use versions::target::{Arch, Target};

/// Returns the Node.js that is already installed, or else one from upstream's list, if it was fetched. `None` if
/// the assets need no Node.js.
pub(super) fn node(
    facts: &Facts,
    settings: &Settings,
    requests: &VersionRequests,
    target: &Target,
    lists: &Lists,
    last: &LastBuild,
) -> Result<Option<Choice<NodeVersion>>, PlanError> {
    if !needs_node(facts, settings) {
        return Ok(None);
    }
    match (&facts.preinstalled_node, &lists.node) {
        (Some(installed), _) => {
            let why = "installed by an earlier buildpack".to_owned();
            Ok(Some(node_choice(installed, None, Origin::Default(why))))
        }
        (None, Some(index)) => choose_node(requests, target, index, last).map(Some),
        (None, None) => Ok(None),
    }
}

/// Returns the npm for the requested version or range, or the npm of Node.js. For a range, the lists have
/// the npm of each Node.js, which is recent enough to know its features.
pub(super) fn npm(
    facts: &Facts,
    node: Option<&Choice<NodeVersion>>,
    lists: &Lists,
    requested: Option<&str>,
) -> Option<NodeVersion> {
    let Some(requested) = requested else {
        if facts.preinstalled_node.is_some() {
            return facts.preinstalled_npm.clone();
        }
        let node = &node?.build;
        let mut releases = lists.node.as_ref()?.releases().iter();
        return releases
            .find(|release| release.version == *node)?
            .npm
            .clone();
    };
    match NodeRequest::parse(requested).ok()? {
        NodeRequest::Exact(version) => Some(version),
        NodeRequest::Range(range) => lists.node.as_ref()?.newest_npm(&range).cloned(),
        _ => None,
    }
}

fn choose_node(
    requests: &VersionRequests,
    target: &Target,
    index: &NodeIndex,
    last: &LastBuild,
) -> Result<Choice<NodeVersion>, PlanError> {
    let range = requests.node_range.as_ref();
    let builder = requests.old_builder.as_ref();
    let in_range = |version: &NodeVersion| range.is_none_or(|(_, range)| range.matches(version));
    let Some(requested) = &requests.node else {
        let previous = last.node.as_deref().and_then(|previous| {
            let request = NodeRequest::parse(previous).ok()?;
            let release = index.choose(&request, target.arch).ok()?;
            let ran = builder.is_none_or(|builder| builder.ran_on(&release.version));
            (ran && in_range(&release.version)).then_some(release)
        });
        if let Some(release) = previous {
            return Ok(node_choice(&release.version, None, Origin::LastBuild));
        }
        let for_builder = builder.and_then(|builder| {
            let mut releases = index
                .releases()
                .iter()
                .filter(|release| release.lts.is_some() && release.archs.contains(&target.arch));
            let runs = |version| builder.runs_on(version) && in_range(version);
            let release = releases.find(|release| runs(&release.version))?;
            let source = Origin::Default(builder.reason());
            Some(node_choice(&release.version, None, source))
        });
        if let Some(choice) = for_builder {
            return Ok(choice);
        }
        return match range {
            Some((requested, range)) => Ok(node_for(
                requested,
                &NodeRequest::Range(range.clone()),
                target,
                index,
            )?),
            None => index
                .default_lts(target.arch)
                .map(|release| {
                    let source = Origin::Default("newest LTS".to_owned());
                    node_choice(&release.version, None, source)
                })
                .ok_or_else(|| PlanError::NoNode {
                    arch: target.arch.to_string(),
                }),
        };
    };
    let request = parse_node(requested, index, target.arch)?;
    Ok(node_for(requested, &request, target, index)?)
}

fn node_for(
    requested: &Setting,
    request: &NodeRequest,
    target: &Target,
    index: &NodeIndex,
) -> Result<Choice<NodeVersion>, VersionError> {
    let release =
        index
            .choose(request, target.arch)
            .map_err(|miss| VersionError::NoSuchVersion {
                tool: Tool::Node,
                target: os(target),
                nearest: miss.nearest.iter().map(NodeVersion::to_string).collect(),
                newest_of_line: miss.newest_of_line.as_ref().map(NodeVersion::to_string),
                newer_than_listed: false,
                requested: requested.clone(),
            })?;
    Ok(node_choice(
        &release.version,
        Some(requested.value.clone()),
        requested.origin.clone(),
    ))
}

fn node_choice(
    version: &NodeVersion,
    requested: Option<String>,
    source: Origin,
) -> Choice<NodeVersion> {
    Choice {
        version: version.to_string(),
        requested,
        source,
        build: version.clone(),
    }
}

fn parse_node(
    requested: &Setting,
    index: &NodeIndex,
    arch: Arch,
) -> Result<NodeRequest, VersionError> {
    NodeRequest::parse(&requested.value).map_err(|error| {
        let built = index
            .releases()
            .iter()
            .filter(|release| release.archs.contains(&arch));
        let versions = built.map(|release| &release.version);
        malformed(
            requested,
            &error,
            newest_of_lines(versions, NodeVersion::major),
        )
    })
}
