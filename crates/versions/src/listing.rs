//! The two formats of lists of builds: the lines of both `builds.txt` of builds.hex.pm, for OTP and Elixir, and the
//! CSV of `erlef/otp_builds`.

use crate::text::{is_hex, is_path_safe};

/// A build in both formats: `NAME GIT_SHA BUILT_AT [SHA256]`.
pub(crate) struct Line<'a> {
    pub(crate) name: &'a str,
    pub(crate) git_sha: &'a str,
    pub(crate) built_at: &'a str,
    pub(crate) sha256: Option<String>,
}

/// Returns the well-formed lines of a list, and the number of malformed ones.
///
/// A checksum without 64 hexadecimal digits makes the line malformed: it must not count as a build without a
/// checksum. The same applies to a checksum that is truncated at the end of the text.
pub(crate) fn lines(text: &str) -> (Vec<Line<'_>>, usize) {
    let texts = text.trim_start_matches('\u{feff}').lines();
    let texts = texts.filter(|text| !text.trim().is_empty());
    well_formed(texts.map(line), text)
}

/// Returns the well-formed lines of a text, and the number of others.
fn well_formed<'a>(
    lines: impl Iterator<Item = Option<Line<'a>>>,
    text: &str,
) -> (Vec<Line<'a>>, usize) {
    let lines: Vec<Option<Line<'a>>> = lines.collect();
    let count = lines.len();
    let mut good: Vec<Line<'a>> = lines.into_iter().flatten().collect();
    if !text.ends_with('\n') {
        good.pop_if(|last| last.sha256.is_none());
    }
    let malformed = count - good.len();
    (good, malformed)
}

fn line(text: &str) -> Option<Line<'_>> {
    let mut fields = text.split_whitespace();
    let (name, git_sha, built_at) = (fields.next()?, fields.next()?, fields.next()?);
    let sha256 = fields.next();
    if fields.next().is_some() {
        return None;
    }
    checked(name, git_sha, built_at, sha256)
}

/// The names of the columns to read.
const COLUMNS: [&str; 4] = ["ref_name", "ref", "datetime", "sha256"];

/// Returns the well-formed rows of a CSV list, and the number of malformed ones. `None` if the first line is neither
/// a header nor a row. Columns may have any order, with others between them. Without a header, as in one version of
/// upstream's files, the order is that of [`COLUMNS`].
///
/// None of the four values needs quotes. A row with quotes around other values may count as malformed, but can't be
/// misread, since each of the four values has a distinct form.
pub(crate) fn csv_rows(text: &str) -> Option<(Vec<Line<'_>>, usize)> {
    let mut lines = text
        .trim_start_matches('\u{feff}')
        .lines()
        .filter(|line| !line.trim().is_empty())
        .peekable();
    let first = *lines.peek()?;
    let header: Vec<&str> = first.split(',').map(str::trim).collect();
    let at = |name: &str| header.iter().position(|column| *column == name);
    let named = COLUMNS.map(at);
    let columns = if let [Some(name), Some(git_sha), Some(built_at), Some(sha256)] = named {
        lines.next();
        [name, git_sha, built_at, sha256]
    } else {
        let in_order = [0, 1, 2, 3];
        row(first, in_order)?.sha256?;
        in_order
    };
    Some(well_formed(lines.map(|line| row(line, columns)), text))
}

fn row(text: &str, columns: [usize; 4]) -> Option<Line<'_>> {
    let fields: Vec<&str> = text.split(',').map(str::trim).collect();
    let [name, git_sha, built_at, sha256] = columns.map(|column| fields.get(column).copied());
    let sha256 = sha256.filter(|sha256| !sha256.is_empty());
    checked(name?, git_sha?, built_at?, sha256)
}

fn checked<'a>(
    name: &'a str,
    git_sha: &'a str,
    built_at: &'a str,
    sha256: Option<&str>,
) -> Option<Line<'a>> {
    let well_formed = is_path_safe(name)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A truncated list seems complete if the response has no length.
    #[test]
    fn truncated_list_has_no_build_without_checksum() {
        let (commit, digest) = ("c".repeat(40), "d".repeat(64));
        let line = |name: &str| format!("{name} {commit} 2025-06-01T00:00:00Z {digest}\n");
        let text = line("OTP-27.3.4") + &line("OTP-27.3.4.1");
        let csv = format!(
            "ref_name,ref,datetime,sha256,openssl\n{}",
            text.replace(' ', ",")
        );
        for at in 0..text.len() {
            let (lines, _) = lines(&text[..at]);
            assert!(lines.iter().all(|line| line.sha256.is_some()), "{at}");
        }
        for at in 0..csv.len() {
            let (rows, _) = csv_rows(&csv[..at]).unwrap_or_default();
            assert!(rows.iter().all(|row| row.sha256.is_some()), "{at}");
        }
        assert_eq!(lines(&text).0.len(), 2);
        assert_eq!(csv_rows(&csv).unwrap_or_default().0.len(), 2);
    }
}
