//! `mixpack explain [CODE]`: the sections of docs/errors.md, and the findings of docs/doctor.md, for a terminal.

use crate::Usage;
use crate::paragraph::wrap;
use app::settings::name_typo;
use flate2::read::DeflateDecoder;
use std::fmt::Write;
use std::io::Read;

/// `docs/errors.md`, then `docs/doctor.md`.
static PAGES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pages.deflate"));

/// The section of a code.
struct Section<'a> {
    code: &'a str,
    /// One line.
    title: &'a str,
    /// Markdown.
    body: String,
    /// Its place in the repository.
    place: String,
}

/// Explains a code, or lists all codes.
pub(crate) fn explain(code: Option<&str>, in_color: bool) -> Result<String, Usage> {
    let mut pages = String::new();
    // Can't fail, since the build script wrote these bytes.
    let _ = DeflateDecoder::new(PAGES).read_to_string(&mut pages);
    let (errors, findings) = (errors(&pages), findings(&pages));
    let Some(code) = code else {
        let mut text = String::from("Errors of builds and plans:\n\n");
        list(&mut text, &errors);
        text.push_str("\nFindings of mixpack doctor:\n\n");
        list(&mut text, &findings);
        return Ok(text);
    };
    let sections = errors.iter().chain(&findings);
    if let Some(section) = sections.clone().find(|section| section.code == code) {
        return Ok(rendered(section, in_color));
    }
    let codes = sections.map(|section| section.code);
    let meant = name_typo::nearest(code, codes).map_or_else(
        || "`mixpack explain` lists all codes".to_owned(),
        |near| format!("did you mean {near}?"),
    );
    Err(Usage(format!("there is no code {code:?}; {meant}")))
}

/// Returns the sections of `docs/errors.md`. Each starts with its title: `*title.* Text`.
fn errors(pages: &str) -> Vec<Section<'_>> {
    let page = pages
        .split("\n## ")
        .find(|part| part.starts_with("By code"));
    let sections = page.unwrap_or_default().split("\n### ").skip(1);
    let parsed = sections.filter_map(|section| {
        let (code, text) = section.split_once("\n\n*")?;
        let (title, body) = text.split_once('*')?;
        let (title, body) = match title.strip_suffix('.') {
            Some(title) => (title, body.trim_start().to_owned()),
            // The section has another title.
            None => (title, format!("*{text}")),
        };
        Some(Section {
            code,
            title,
            body,
            place: format!("docs/errors.md#{code}"),
        })
    });
    parsed.collect()
}

/// Returns the rows of the table in `docs/doctor.md`: code, severity, meaning and change.
fn findings(pages: &str) -> Vec<Section<'_>> {
    let page = pages
        .split("\n## ")
        .find(|part| part.starts_with("Findings"));
    let rows = page.unwrap_or_default().lines();
    let parsed = rows.filter_map(|row| {
        let row = row.strip_prefix("| `")?.strip_suffix(" |")?;
        let mut cells = row.splitn(4, " | ");
        let code = cells.next()?.trim_end_matches('`');
        let severity = cells.next()?;
        let title = cells.next()?.trim_end_matches('.');
        let change = cells.next()?.replace("\\|", "|");
        Some(Section {
            code,
            title,
            body: format!("Severity: {severity}\n\nChange: {change}"),
            place: "docs/doctor.md#findings".to_owned(),
        })
    });
    parsed.collect()
}

fn list(text: &mut String, sections: &[Section<'_>]) {
    let width = sections.iter().map(|section| section.code.len()).max();
    for Section { code, title, .. } in sections {
        wrap(
            text,
            &format!("  {code:<0$}  ", width.unwrap_or_default()),
            title,
        );
    }
}

fn rendered(section: &Section<'_>, in_color: bool) -> String {
    let (bold, plain) = if in_color {
        ("\u{1b}[1m", "\u{1b}[0m")
    } else {
        ("", "")
    };
    let mut text = String::new();
    wrap(
        &mut text,
        "",
        &format!("{}: {}", section.code, section.title),
    );
    text.insert_str(0, bold);
    text.insert_str(text.len() - 1, plain);
    let mut links = Vec::new();
    let body = without_links(&section.body, &mut links);
    let (mut is_code, mut follows_item) = (false, false);
    let mut paragraph = String::new();
    for line in body.lines().chain([""]) {
        let ends_paragraph = line.is_empty() || line.starts_with("- ") || line.starts_with("```");
        if ends_paragraph && !paragraph.is_empty() {
            let (indent, words) = match paragraph.strip_prefix("- ") {
                Some(words) => ("- ", words),
                None => ("", &*paragraph),
            };
            let is_item = !indent.is_empty();
            if !(is_item && follows_item) {
                text.push('\n');
            }
            follows_item = is_item;
            wrap(&mut text, indent, words);
            paragraph.clear();
        }
        match line {
            _ if line.starts_with("```") => {
                is_code = !is_code;
                if is_code {
                    text.push('\n');
                }
            }
            _ if is_code => {
                let _ = writeln!(text, "  {line}");
            }
            "" => {}
            _ => {
                paragraph.push_str(line);
                paragraph.push('\n');
            }
        }
    }
    text.push_str("\nIn the buildpack's repository:\n");
    links.insert(0, section.place.clone());
    for link in links {
        let _ = writeln!(text, "  {link}");
    }
    text
}

/// Replaces links by their texts, and collects their targets. A link to a section becomes the command that shows it.
fn without_links(markdown: &str, links: &mut Vec<String>) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some((before, after)) = rest.split_once("](") {
        let (Some((start, words)), Some((target, end))) =
            (before.rsplit_once('['), after.split_once(')'))
        else {
            break;
        };
        text.push_str(start);
        text.push_str(words);
        let link = match target.strip_prefix('#') {
            Some(code) => format!("docs/errors.md#{code}"),
            None if target.starts_with("http") => target.to_owned(),
            None => format!("docs/{target}"),
        };
        if !links.contains(&link) {
            links.push(link);
        }
        rest = end;
    }
    text.push_str(rest);
    text
}
