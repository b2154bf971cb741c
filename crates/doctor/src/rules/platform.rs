//! Rules about `app.json` and `.buildpacks`: stacks, buildpacks and plans that no longer exist.

use crate::context::{Context, line_of};
use crate::finding::Findings;
use app::facts::buildpacks::{self, Kind};
use serde_json::Value;

/// Stacks that Heroku no longer builds for. Source: Heroku's "Stack" page.
const DEAD_STACKS: [&str; 6] = [
    "cedar",
    "cedar-14",
    "heroku-16",
    "heroku-18",
    "heroku-20",
    "bamboo-mri-1.9.2",
];
/// The stack that Heroku will shut down next, with the date.
const ENDING_STACK: (&str, &str) = ("heroku-22", "April 2027");

pub(super) fn check(context: &Context<'_>, out: &mut Findings) {
    if let Some(text) = context.read(".buildpacks") {
        for entry in buildpacks::parse(&text) {
            buildpack(out, (".buildpacks", entry.line), &entry.name, entry.kind());
        }
    }
    let Some(text) = context.app_json.clone() else {
        return;
    };
    let json: Value = match serde_json::from_str(&text) {
        Ok(json) => json,
        Err(error) => {
            let line = u32::try_from(error.line()).unwrap_or(1);
            return out.error(
                "app-json",
                ("app.json", line),
                format!("app.json isn't JSON: {error}. Heroku creates no review app and runs no CI with it."),
                "Correct the line.",
            );
        }
    };
    stack(out, &text, &json);
    for buildpack_json in json["buildpacks"].as_array().into_iter().flatten() {
        if let Some(url) = buildpack_json["url"].as_str() {
            let line = line_of(&text, url);
            for entry in buildpacks::parse(url) {
                buildpack(out, ("app.json", line), &entry.name, entry.kind());
            }
        }
    }
    addons(out, &text, &json);
    dynos(out, &text, &json);
}

fn stack(out: &mut Findings, text: &str, json: &Value) {
    let Some(stack) = json["stack"].as_str() else {
        return;
    };
    let at = ("app.json", line_of(text, "\"stack\""));
    let edit = "Replace it with:\n  \"stack\": \"heroku-24\"";
    if DEAD_STACKS.contains(&stack) {
        out.error(
            "dead-stack",
            at,
            format!(
                "The stack {stack} has reached its end of life, and Heroku rejects builds for it."
            ),
            edit,
        );
    } else if stack == ENDING_STACK.0 {
        out.note(
            "dead-stack",
            at,
            format!(
                "The stack {stack} is deprecated, and only supported until {}.",
                ENDING_STACK.1
            ),
            edit,
        );
    } else if stack == "container" {
        out.note(
            "dead-stack",
            at,
            "The stack container builds a Dockerfile, and no buildpack runs.",
            edit,
        );
    }
}

fn buildpack(out: &mut Findings, at: (&str, u32), name: &str, kind: Kind) {
    let (message, edit) = match kind {
        Kind::OldElixir | Kind::Static => (
            format!(
                "{name} does the same as Mixpack. An app that runs both installs everything twice, and may start with the older versions."
            ),
            "Replace the buildpack for Elixir with Mixpack's URL, and remove that for static assets (docs/migrating.md).",
        ),
        Kind::OldRelease => (
            format!("{name} builds a release, which Mixpack does itself."),
            "Remove it, and set `release=true` in elixir_buildpack.config (docs/migrating.md).",
        ),
        Kind::Multi => (
            format!(
                "{name} is no longer needed: the platform runs several buildpacks itself, and this one stopped working."
            ),
            "Remove it, and list the others in its place.",
        ),
        Kind::Mixpack | Kind::Other => return,
    };
    out.warning("old-buildpack", at, message, edit);
}

/// Plans of add-ons that can't be created any more, and their successors.
const DEAD_PLANS: [(&str, &str); 6] = [
    (
        "heroku-postgresql:hobby-dev",
        "heroku-postgresql:essential-0",
    ),
    (
        "heroku-postgresql:hobby-basic",
        "heroku-postgresql:essential-0",
    ),
    ("heroku-postgresql:mini", "heroku-postgresql:essential-0"),
    ("heroku-postgresql:basic", "heroku-postgresql:essential-1"),
    ("heroku-redis:hobby-dev", "heroku-redis:mini"),
    ("heroku-postgresql:dev", "heroku-postgresql:essential-0"),
];

fn addons(out: &mut Findings, text: &str, json: &Value) {
    for addon in json["addons"].as_array().into_iter().flatten() {
        let plan = addon.as_str().or_else(|| addon["plan"].as_str());
        let Some((plan, successor)) =
            plan.and_then(|plan| DEAD_PLANS.into_iter().find(|(dead, _)| *dead == plan))
        else {
            continue;
        };
        out.warning(
            "dead-plan",
            ("app.json", line_of(text, plan)),
            format!("The plan {plan} no longer exists, so creating a review app may fail."),
            format!("Replace it with:\n  \"{successor}\""),
        );
    }
}

fn dynos(out: &mut Findings, text: &str, json: &Value) {
    for (kind, formation) in json["formation"].as_object().into_iter().flatten() {
        let size = formation["size"]
            .as_str()
            .unwrap_or_default()
            .to_ascii_lowercase();
        if ["free", "hobby"].contains(&size.as_str()) {
            out.warning(
                "dead-plan",
                ("app.json", line_of(text, "\"size\"")),
                format!("The dyno size {size} of {kind} no longer exists."),
                "Replace it with:\n  \"size\": \"basic\"",
            );
        }
    }
}
