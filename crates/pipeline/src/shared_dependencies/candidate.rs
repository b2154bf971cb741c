//! The dependencies that are compiled before each dependency, and those that mention it.

use super::Files;
use super::reads::Reader;
use crate::dependencies::mentions;
use crate::dependencies::{self, Dependency};
use std::collections::{BTreeMap, BTreeSet};

/// A dependency of this build that the shared store may have, and the dependencies compiled before it.
pub(crate) struct Candidate<'a> {
    pub(crate) dependency: &'a Dependency,
    pub(crate) depends_on: BTreeSet<String>,
    /// Names of all dependencies that are compiled before it.
    pub(crate) finds: BTreeSet<String>,
    /// Those of `finds` that mention its modules. If it were compiled before them, they could compile to other code.
    pub(crate) mentioned_by: BTreeSet<String>,
    /// The dependencies that aren't compiled before it.
    pub(crate) absent: BTreeSet<String>,
    /// Its source files. `None` if they can't be read.
    pub(crate) sources: Option<Files>,
}

impl<'a> Candidate<'a> {
    /// `undeclared` is what [`mentions::undeclared`] returns for the list.
    pub(crate) fn of(
        list: &'a [Dependency],
        undeclared: &BTreeSet<(usize, usize)>,
    ) -> BTreeMap<String, Self> {
        let depends_on = dependencies::found(list, &BTreeSet::new());
        let finds = dependencies::found(list, &mentions::in_order(undeclared));
        let name = |at: usize| list[at].name.clone();
        let mentioned_by = |at: usize| {
            let mentioning = undeclared.iter().filter(|(_, owner)| *owner == at);
            let before = mentioning.filter(|(mentioning, _)| *mentioning < at);
            before.map(|(mentioning, _)| name(*mentioning)).collect()
        };
        let mentioned_by: Vec<BTreeSet<String>> = (0..list.len()).map(mentioned_by).collect();
        let is_built: Vec<bool> = list.iter().map(|one| one.build.exists()).collect();
        let absent = |at: usize| {
            let one = &list[at].name;
            let waits = |other: &usize| {
                !is_built[*other]
                    && (depends_on[*other].contains(one) || mentioned_by[*other].contains(one))
            };
            (0..list.len()).filter(waits).map(name).collect()
        };
        let candidate = |at: usize| Self {
            dependency: &list[at],
            depends_on: depends_on[at].clone(),
            finds: finds[at].clone(),
            mentioned_by: mentioned_by[at].clone(),
            absent: absent(at),
            sources: Files::of(&list[at].dir).ok(),
        };
        (0..list.len())
            .map(|at| (name(at), candidate(at)))
            .collect()
    }
}

impl Candidate<'_> {
    pub(crate) fn name(&self) -> String {
        self.dependency.name.clone()
    }

    pub(crate) fn reader<'k>(&'k self, finds: &'k BTreeMap<String, String>) -> Reader<'k> {
        Reader {
            name: &self.dependency.name,
            is_rebar: self.dependency.manager == "rebar3",
            depends_on: &self.depends_on,
            finds,
            absent: &self.absent,
        }
    }
}
