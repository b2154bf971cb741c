//! Findings as workflow commands of GitHub Actions, which show them next to the lines of a pull request.
//!
//! The format is that of GitHub's page "Workflow commands", with the escapes of `@actions/core`.

use crate::finding::{Finding, Severity};
use std::fmt::Write;

/// One command in each line. Text from the repository can't start a command of its own, since line breaks are escaped.
#[must_use]
pub fn annotations<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> String {
    let mut text = String::new();
    for finding in findings {
        let level = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let message = format!("{}\n{}", finding.message, finding.edit);
        let _ = writeln!(
            text,
            "::{level} file={},line={},title={}::{}",
            property(&finding.place.file),
            finding.place.line,
            property(&format!("Mixpack: {}", finding.code)),
            data(message.trim_end())
        );
    }
    text
}

/// Escapes the value of a property of a command.
fn property(value: &str) -> String {
    data(value).replace(':', "%3A").replace(',', "%2C")
}

/// Escapes the message of a command.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Place;

    #[test]
    fn every_finding_is_one_escaped_line() {
        let finding = |severity, file: &str, message: &str| Finding {
            code: "url-host",
            severity,
            place: Place::new(file, 7),
            message: message.to_owned(),
            edit: "In mix.exs, set:\n  x: 1".to_owned(),
        };
        let findings = [
            finding(
                Severity::Error,
                "a,b/c:d 100%.exs",
                "50 %\r\n::set-env name=PATH::x",
            ),
            finding(Severity::Warning, "mix.exs", "é: , stay"),
            finding(Severity::Note, "mix.exs\n::error::x", ""),
        ];
        assert_eq!(
            annotations(&findings),
            "\
::error file=a%2Cb/c%3Ad 100%25.exs,line=7,title=Mixpack%3A url-host::50 %25%0D%0A::set-env name=PATH::x%0AIn mix.exs, set:%0A  x: 1
::warning file=mix.exs,line=7,title=Mixpack%3A url-host::é: , stay%0AIn mix.exs, set:%0A  x: 1
::notice file=mix.exs%0A%3A%3Aerror%3A%3Ax,line=7,title=Mixpack%3A url-host::%0AIn mix.exs, set:%0A  x: 1
"
        );
    }
}
