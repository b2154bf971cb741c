//! The findings of rules.

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The build or the app fails, or a secret is public.
    Error,
    /// The app starts, but something doesn't work as intended.
    Warning,
    /// It depends on facts outside the repository, or is only information.
    Note,
}

impl Severity {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// A place in a file of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The path, relative to the root of the repository.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
}

impl Place {
    #[must_use]
    pub fn new(file: impl Into<String>, line: u32) -> Self {
        Self {
            file: file.into(),
            line: line.max(1),
        }
    }
}

/// A problem of the app, and the fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The stable code: one of [`rules`](crate::rules), or that of an error of the plan.
    pub code: &'static str,
    pub severity: Severity,
    pub place: Place,
    /// The problem, and the reason.
    pub message: String,
    /// The change to make. Lines to type start with two spaces.
    pub edit: String,
}

/// The file and the line of a finding.
pub(crate) type At<'a> = (&'a str, u32);

/// The findings so far.
#[derive(Default)]
pub(crate) struct Findings(pub(crate) Vec<Finding>);

impl Findings {
    pub(crate) fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        (file, line): At<'_>,
        message: impl Into<String>,
        edit: impl Into<String>,
    ) {
        self.0.push(Finding {
            code,
            severity,
            place: Place::new(file, line),
            message: message.into(),
            edit: edit.into(),
        });
    }

    pub(crate) fn error(
        &mut self,
        code: &'static str,
        at: At<'_>,
        message: impl Into<String>,
        edit: impl Into<String>,
    ) {
        self.add(Severity::Error, code, at, message, edit);
    }

    pub(crate) fn warning(
        &mut self,
        code: &'static str,
        at: At<'_>,
        message: impl Into<String>,
        edit: impl Into<String>,
    ) {
        self.add(Severity::Warning, code, at, message, edit);
    }

    pub(crate) fn note(
        &mut self,
        code: &'static str,
        at: At<'_>,
        message: impl Into<String>,
        edit: impl Into<String>,
    ) {
        self.add(Severity::Note, code, at, message, edit);
    }
}
