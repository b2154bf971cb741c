//! Upstream's lists for a plan: the current ones if available, or else those that an earlier build read. OTP has two
//! sources. The second one is only used if the first one isn't sufficient.

use crate::cached_lists::{List, or_cached};
use crate::request::Request;
use app::plan::{self, LastBuild, Lists, Plan, PlanError, VersionError};
use messages::{Error, SearchedList};
use toolchain::ToolchainError;
use toolchain::error::OtherSource;
use toolchain::lists::{self, ListText};
use versions::elixir::ElixirListing;
use versions::node::NodeIndex;
use versions::otp::{OtpListing, Publisher};
use versions::{Target, Tool};

/// The name of the cached list of the other source.
const OTHER_LIST: &str = "list-erlang-other.json";

/// The lists to plan with, and the result of fetching each.
pub(crate) struct UpstreamLists {
    lists: Lists,
    /// The URL of each, and when it was read.
    read: Vec<(Tool, String, u64)>,
    /// The error of upstream's current list, if another one is used.
    missing: Vec<(Tool, ToolchainError)>,
    other: Other,
    /// URLs of lists of OTP without a release, and the branches they contain.
    only_branches: Vec<(String, String)>,
    /// Warnings about these lists.
    warnings: Vec<String>,
}

/// The list of the other source of OTP.
enum Other {
    NotRequested,
    /// Its URL, and when it was read.
    Read(String, u64),
    Failed(String, ToolchainError),
}

impl UpstreamLists {
    /// Fetches the lists in parallel; Node's only if the app needs Node.
    pub(crate) fn fetch(request: &Request<'_>, target: &Target, node: bool) -> Result<Self, Error> {
        let (client, observer) = (request.client, request.observer);
        let texts = lists::fetch(client, request.hosts, target, node, observer);
        let mut all = Self {
            lists: Lists {
                otp: OtpListing::default(),
                elixir: ElixirListing::default(),
                node: None,
            },
            read: Vec::new(),
            missing: Vec::new(),
            other: Other::NotRequested,
            only_branches: Vec::new(),
            warnings: Vec::new(),
        };
        let otp = all.resolve_list(request, Tool::Erlang, texts.otp);
        let elixir = all.resolve_list(request, Tool::Elixir, texts.elixir);
        all.lists.otp = match otp {
            Ok(text) => OtpListing::parse(&text),
            // A list of OTP is useless without a list of Elixir.
            Err(Error::Toolchain(error)) if elixir.is_ok() && error.is_upstream_fault() => {
                all.fallback_to_other(request, target, error)?
            }
            Err(error) => return Err(error),
        };
        if let Some((_, url, _)) = all.read.iter().find(|(tool, ..)| *tool == Tool::Erlang) {
            let branches = all.lists.otp.only_branches();
            all.only_branches
                .extend(branches.map(|names| (url.clone(), names)));
        }
        all.lists.elixir = ElixirListing::parse(&elixir?);
        if let Some(list) = texts.node {
            let text = all.resolve_list(request, Tool::Node, list)?;
            // The index was parsed before.
            all.lists.node = NodeIndex::parse(&text).ok();
        }
        Ok(all)
    }

    fn resolve_list(
        &mut self,
        request: &Request<'_>,
        tool: Tool,
        list: ListText,
    ) -> Result<String, Error> {
        let list = or_cached(request.store, &format!("list-{tool}.json"), list)?;
        self.read.push((tool, list.url, list.read_at));
        if let Some(outdated) = list.outdated {
            self.warnings.push(outdated.warning);
            self.missing.push((tool, outdated.error));
        }
        Ok(list.text)
    }

    /// Returns the list of the other source, if there is one. A failure is not an error.
    fn fetch_other(
        &mut self,
        request: &Request<'_>,
        target: &Target,
    ) -> Result<Option<OtpListing>, Error> {
        let (client, hosts) = (request.client, request.hosts);
        let Some(list) = lists::other_otp(client, hosts, target, request.observer) else {
            return Ok(None);
        };
        let url = list.url.clone();
        match or_cached(request.store, OTHER_LIST, list) {
            Ok(List {
                text,
                url,
                read_at,
                outdated,
                ..
            }) => {
                self.warnings.extend(outdated.map(|why| why.warning));
                let list = OtpListing::parse_csv(&text);
                let branches = list.as_ref().and_then(OtpListing::only_branches);
                self.only_branches
                    .extend(branches.map(|names| (url.clone(), names)));
                self.other = Other::Read(url, read_at);
                Ok(list)
            }
            Err(Error::Toolchain(error)) if error.is_upstream_fault() => {
                self.other = Other::Failed(url, error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the list of the other source, if there is not even a cached one of the first.
    fn fallback_to_other(
        &mut self,
        request: &Request<'_>,
        target: &Target,
        first: ToolchainError,
    ) -> Result<OtpListing, Error> {
        let list = self.fetch_other(request, target)?;
        match (
            list,
            std::mem::replace(&mut self.other, Other::NotRequested),
        ) {
            (Some(list), Other::Read(url, read_at)) => {
                self.warnings.push(format!("{first}; using {url}"));
                self.missing.push((Tool::Erlang, first));
                self.other = Other::Read(url, read_at);
                Ok(list)
            }
            (_, Other::Failed(_, other)) => Err(both(first, OtherSource::Failed(Box::new(other)))),
            _ => Err(first.into()),
        }
    }

    /// Plans with these lists, and with that of the other source if they are not sufficient.
    pub(crate) fn plan(
        mut self,
        request: &Request<'_>,
        target: &Target,
        last: &LastBuild,
        decide: &dyn Fn(&Lists) -> Result<Plan, PlanError>,
    ) -> Result<(Plan, Lists), Error> {
        let mut planned = decide(&self.lists);
        let is_current = !self.missing.iter().any(|(tool, _)| *tool == Tool::Erlang);
        if matches!(self.other, Other::NotRequested)
            && !plan::otp_list_suffices(&planned, &self.lists.otp, last, is_current)
            && let Some(list) = self.fetch_other(request, target)?
        {
            self.lists.otp = std::mem::take(&mut self.lists.otp).or(list);
            planned = decide(&self.lists);
        }
        match planned {
            Ok(mut plan) => {
                self.warn_of_other(&plan);
                plan.warnings.append(&mut self.warnings);
                Ok((plan, self.lists))
            }
            Err(error) => Err(self.list_or_plan_error(error)),
        }
    }

    fn warn_of_other(&mut self, plan: &Plan) {
        let first = self.read.iter().find(|(tool, ..)| *tool == Tool::Erlang);
        match (&self.other, first) {
            (Other::Read(url, _), Some((_, first, _)))
                if plan.erlang.build.publisher == Publisher::Erlef =>
            {
                self.warnings.push(format!(
                    "Erlang/OTP {} is not in {first}; using {url}",
                    plan.erlang.version
                ));
            }
            (Other::Failed(_, error), _) => {
                self.warnings
                    .push(format!("{error}; continuing without it"));
            }
            _ => {}
        }
    }

    /// Returns the error of the missing list if a cached one is used: it may lack the requested version. Otherwise,
    /// returns the error of the request.
    fn list_or_plan_error(self, error: PlanError) -> Error {
        let concerned: &[Tool] = match &error {
            PlanError::Version { error, .. } => match error {
                VersionError::NoSuchVersion { tool, .. } => std::slice::from_ref(tool),
                VersionError::IncompatiblePair { .. }
                | VersionError::NoOtpFor { .. }
                | VersionError::NoElixirFor { .. }
                | VersionError::NoElixirAllowedByMixExs { .. }
                | VersionError::NoCompatiblePair { .. } => &[Tool::Erlang, Tool::Elixir],
                VersionError::Malformed { .. } | VersionError::DisallowedByMixExs { .. } => &[],
            },
            PlanError::NoNode { .. } => &[Tool::Node],
            _ => &[],
        };
        let no_release = self.lists.otp.only_branches().is_some();
        let branches_of = |url: &str| {
            let of_it = self.only_branches.iter().find(|(of, _)| of == url);
            of_it.map(|(_, names)| names.clone())
        };
        let mut missing = self.missing.into_iter();
        let cause = missing.find(|(tool, _)| concerned.contains(tool));
        match (cause, self.other) {
            (Some((Tool::Erlang, first)), Other::Read(url, _)) => {
                let only_branches = branches_of(&url);
                both(first, OtherSource::NotListed { url, only_branches })
            }
            (Some((Tool::Erlang, first)), Other::Failed(_, other)) => {
                both(first, OtherSource::Failed(Box::new(other)))
            }
            (Some((_, missing)), _) => missing.into(),
            (None, other) => {
                let tool = match &error {
                    PlanError::Version { error, .. } => match error {
                        VersionError::NoSuchVersion { tool, .. } => Some(*tool),
                        VersionError::NoOtpFor { .. } | VersionError::NoCompatiblePair { .. } => {
                            no_release.then_some(Tool::Erlang)
                        }
                        _ => None,
                    },
                    _ => None,
                };
                let Some(tool) = tool else {
                    return error.into();
                };
                let read = self.read.into_iter().filter(|(of, ..)| *of == tool);
                let read = read.map(|(_, url, at)| (url, Ok(at)));
                let other = (tool == Tool::Erlang).then(|| other.read()).flatten();
                let searched = read.chain(other).map(|(url, read)| SearchedList {
                    only_branches: branches_of(&url),
                    url,
                    read,
                });
                Error::NotListed {
                    error,
                    searched: searched.collect(),
                }
            }
        }
    }
}

impl Other {
    fn read(self) -> Option<(String, Result<u64, ToolchainError>)> {
        match self {
            Self::NotRequested => None,
            Self::Read(url, at) => Some((url, Ok(at))),
            Self::Failed(url, error) => Some((url, Err(error))),
        }
    }
}

fn both(first: ToolchainError, other: OtherSource) -> Error {
    let first = Box::new(first);
    ToolchainError::BothSources { first, other }.into()
}
