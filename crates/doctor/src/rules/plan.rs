//! Rules about the plan: versions that aren't pinned, end of life, and files that only bash can evaluate.

use crate::context::Context;
use crate::finding::{Findings, Place};
use app::Origin;
use app::facts::ConfigFile;
use app::plan::lifecycle;

pub(super) fn check(context: &Context<'_>, out: &mut Findings) {
    config_files(context, out);
    let Some(plan) = context.input.plan else {
        return;
    };
    let mix_exs = context.path("mix.exs");
    for warning in &plan.warnings {
        let (code, edit) = if lifecycle::is_end_of_life(warning) {
            (
                "end-of-life",
                "Request a newer version where the message says, and try it before you deploy.",
            )
        } else {
            ("plan-warning", "See docs/configuration.md.")
        };
        let place = crate::place_in(context.input.top, warning);
        let place = place.unwrap_or_else(|| {
            let file = warning.split_once(": ").map(|(file, _)| file);
            let file = file.filter(|file| context.input.top.join(file).is_file());
            Place::new(file.unwrap_or(&mix_exs), 1)
        });
        out.warning(code, (&place.file, place.line), sentence(warning), edit);
    }
    let code = "version-not-pinned";
    let mut by_default = Vec::new();
    for tool in plan.tools() {
        let (name, version) = (tool.name, tool.version);
        match (tool.source, tool.requested) {
            (Origin::Default(_), _) if name != "node" => {
                by_default.push(format!("{name} {version}"));
            }
            (Origin::File { path, line }, Some(requested)) if is_partial(requested, version) => {
                out.note(
                    code,
                    (path, *line),
                    format!("{name} {requested} stands for the newest match in each build, now {version}."),
                    format!("To pin it, request {version}."),
                );
            }
            _ => {}
        }
    }
    if by_default.is_empty() {
        return;
    }
    let (erlang, elixir) = (&plan.erlang.version, &plan.elixir.version);
    out.note(
        code,
        (&mix_exs, 1),
        format!(
            "No file requests these versions: {}. Later builds keep those of the first one, as long as the build cache lasts.",
            by_default.join(", ")
        ),
        format!("To pin this pair, set in elixir_buildpack.config:\n  erlang_version={erlang}\n  elixir_version={elixir}"),
    );
}

/// Whether a request is a prefix of the chosen version: `27` of `27.3.4`.
fn is_partial(requested: &str, version: &str) -> bool {
    let rest = version.strip_prefix(requested);
    rest.is_some_and(|rest| rest.starts_with('.'))
}

/// Converts a log line to a sentence. Leaves out the file, which the place of the finding shows.
fn sentence(text: &str) -> String {
    let text = match text.split_once(": ") {
        Some((place, rest)) if !place.contains(' ') => rest,
        _ => text,
    };
    let first = text.split(' ').next().unwrap_or_default();
    let is_word = first.chars().all(char::is_alphabetic);
    let end = text.chars().next().map_or(0, char::len_utf8);
    if is_word {
        format!("{}{}.", text[..end].to_uppercase(), &text[end..])
    } else {
        format!("{text}.")
    }
}

fn config_files(context: &Context<'_>, out: &mut Findings) {
    let facts = context.input.facts;
    let files = [
        (&facts.elixir_config_path, &facts.elixir_config),
        (&facts.static_config_path, &facts.static_config),
    ];
    for (path, file) in files {
        if let ConfigFile::NeedsBash { line, construct } = file {
            out.note(
                "config-needs-bash",
                (path, *line),
                format!("Only bash can evaluate this file, because of {construct}. Doctor runs nothing from the repository, so it doesn't know the settings in it, and plans without them."),
                "Use plain assignments, or check the versions with `mixpack plan`, which runs the file.",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_become_sentences() {
        for (line, expected) in [
            ("no OTP is built for x", "No OTP is built for x."),
            ("Procfile: web sets MIX_ENV=a", "Web sets MIX_ENV=a."),
            (
                "a.config:1: node_version has no effect",
                "node_version has no effect.",
            ),
            ("compile=x sets it: y", "compile=x sets it: y."),
        ] {
            assert_eq!(sentence(line), expected);
        }
    }
}
