//! How the tests fare that `tests/requirements.toml` and `tests/commands.toml` name.

use crate::test_binaries::{Outcome, Outcomes, TestId};

/// How a test that a row, or an entry of `tests/commands.toml`, names fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Fine,
    NotHere,
    DidNotPass,
    Absent,
}

/// What is known of all tests: their outcomes, and which could not run on this machine.
pub(crate) struct Known<'a> {
    pub(crate) outcomes: &'a Outcomes,
    pub(crate) not_run: &'a [TestId],
}

impl Known<'_> {
    pub(crate) fn standing(&self, name: &str) -> Standing {
        let outcome = self.outcomes.iter().find(|(id, _)| is(id, name));
        match outcome {
            Some((_, Outcome::Passed)) => Standing::Fine,
            Some((_, Outcome::Failed | Outcome::Ignored)) => Standing::DidNotPass,
            None if self.not_run.iter().any(|id| is(id, name)) => Standing::NotHere,
            None => Standing::Absent,
        }
    }
}

/// `app::a_test` is a test of that name in whichever module of `app`.
fn is(id: &TestId, name: &str) -> bool {
    name.strip_prefix(&id.label)
        .and_then(|rest| rest.strip_prefix("::"))
        .is_some_and(|name| {
            id.path
                .strip_suffix(name)
                .is_some_and(|modules| modules.is_empty() || modules.ends_with("::"))
        })
}
