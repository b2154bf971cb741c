//! The line format that the OTP and the Elixir `builds.txt` of builds.hex.pm share.

use crate::text::{is_hex, is_path_safe};

/// `NAME GIT_SHA BUILT_AT [SHA256]`, fields separated by white space.
pub(crate) struct Line<'a> {
    pub(crate) name: &'a str,
    pub(crate) git_sha: &'a str,
    pub(crate) built_at: &'a str,
    pub(crate) sha256: Option<String>,
}

/// The well-formed lines of a list, and how many were neither well-formed nor blank.
///
/// A checksum that is present but not 64 hexadecimal digits makes the line malformed: it must
/// never pass for a build that has none.
pub(crate) fn lines(text: &str) -> (Vec<Line<'_>>, usize) {
    let mut malformed = 0;
    let mut lines = Vec::new();
    for text in text.trim_start_matches('\u{feff}').lines() {
        if text.trim().is_empty() {
            continue;
        }
        match line(text) {
            Some(line) => lines.push(line),
            None => malformed += 1,
        }
    }
    (lines, malformed)
}

fn line(text: &str) -> Option<Line<'_>> {
    let mut fields = text.split_whitespace();
    let (name, git_sha, built_at) = (fields.next()?, fields.next()?, fields.next()?);
    let sha256 = fields.next();
    let well_formed = fields.next().is_none()
        && is_path_safe(name)
        && is_hex(git_sha, 40)
        && built_at.starts_with(|c: char| c.is_ascii_digit())
        && sha256.is_none_or(|digest| is_hex(digest, 64));
    well_formed.then(|| Line {
        name,
        git_sha,
        built_at,
        sha256: sha256.map(str::to_ascii_lowercase),
    })
}
