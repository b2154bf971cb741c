//! The warning about advisories and retired packages.

use super::Found;
use crate::mix_info::Ignored;
use std::collections::BTreeSet;
use versions::hex_registry::{Advisory, Retirement};

/// Returns the lines of the warning, or none without findings. `others` is the number of releases that weren't looked
/// up.
pub(super) fn lines<'a>(
    found: impl Iterator<Item = &'a Found>,
    others: usize,
    ignored: &Ignored,
) -> Vec<String> {
    let mut lines = Vec::new();
    let mut packages = BTreeSet::new();
    for Found { release, findings } in found {
        let (package, version) = (release.package.as_str(), release.version.as_str());
        let retired = findings.retired.iter();
        let retired = retired.filter(|_| !ignored.has_retirement(package, version));
        let about_retired = retired.map(retirement);
        let advisories = findings.advisories.iter();
        let advisories = advisories.filter(|advisory| !ignored.has_advisory(advisory.ids()));
        let about: Vec<String> = about_retired.chain(advisories.map(about)).collect();
        if !about.is_empty() {
            packages.insert(package);
        }
        for about in about {
            let about = format!("  {package} {version}: {about}");
            lines.extend(about.lines().map(str::to_owned));
        }
    }
    if packages.is_empty() {
        return Vec::new();
    }
    let packages: Vec<&str> = packages.into_iter().collect();
    let mut warning =
        vec!["The app uses packages with security advisories, or retired ones:".to_owned()];
    warning.extend(lines);
    if others > 0 {
        warning.push(format!("  and {others} more, which `mix hex.audit` lists"));
    }
    warning.push(format!(
        "Update them with `mix deps.update {}`. To ignore one that doesn't affect the app,",
        packages.join(" ")
    ));
    warning.push("see docs/supply-chain.md#advisories-and-retired-packages.".to_owned());
    warning
}

/// The warning if the registry couldn't be reached.
pub(super) fn not_checked(why: &str) -> [String; 2] {
    [
        format!("Security advisories and retired packages were not checked: {why}"),
        "This doesn't affect the build. Mixpack tries again in a day. To check now, run `mix hex.audit`.".into(),
    ]
}

fn retirement(retired: &Retirement) -> String {
    let Retirement { reason, message } = retired;
    match message {
        Some(message) => format!("retired ({reason}), \"{message}\""),
        None => format!("retired ({reason})"),
    }
}

/// Describes an advisory in two lines.
fn about(advisory: &Advisory) -> String {
    let Advisory {
        id, summary, url, ..
    } = advisory;
    match &advisory.severity {
        Some(severity) => format!("{id} ({severity}), {summary}\n    {url}"),
        None => format!("{id}, {summary}\n    {url}"),
    }
}
