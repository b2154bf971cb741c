//! Upstream's lists.

use crate::{Hosts, ToolchainError};
use fetch::{Client, Observer};
use versions::Target;
use versions::elixir::ElixirListing;
use versions::node::{NodeIndex, NodeVersion, Shasums};
use versions::otp::OtpListing;

/// No list is anywhere near this; more is not a list.
const LIMIT: u64 = 16 * 1024 * 1024;

/// Fetches the lists side by side; Node's only where the app needs Node.
pub fn fetch(
    client: &Client,
    hosts: &Hosts,
    target: &Target,
    node: bool,
    observer: &dyn Observer,
) -> Result<(OtpListing, ElixirListing, Option<NodeIndex>), ToolchainError> {
    std::thread::scope(|scope| {
        let elixir = scope.spawn(|| elixir(client, hosts, observer));
        let node = node.then(|| scope.spawn(|| node_index(client, hosts, observer)));
        let otp = otp(client, hosts, target, observer)?;
        let elixir = joined(elixir)?;
        let node = node.map(joined).transpose()?;
        Ok((otp, elixir, node))
    })
}

fn joined<T>(
    thread: std::thread::ScopedJoinHandle<'_, Result<T, ToolchainError>>,
) -> Result<T, ToolchainError> {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn otp(
    client: &Client,
    hosts: &Hosts,
    target: &Target,
    observer: &dyn Observer,
) -> Result<OtpListing, ToolchainError> {
    const WHAT: &str = "the list of OTP builds";
    let url = format!("{}{}/builds.txt", hosts.builds, target.otp_directory());
    let text = client
        .text(&url, LIMIT, observer)
        .map_err(ToolchainError::fetching(WHAT))?;
    let list = OtpListing::parse(&text);
    full(WHAT, &url, list.is_empty()).map(|()| list)
}

fn elixir(
    client: &Client,
    hosts: &Hosts,
    observer: &dyn Observer,
) -> Result<ElixirListing, ToolchainError> {
    const WHAT: &str = "the list of Elixir builds";
    let url = format!("{}/builds/elixir/builds.txt", hosts.builds);
    let text = client
        .text(&url, LIMIT, observer)
        .map_err(ToolchainError::fetching(WHAT))?;
    let list = ElixirListing::parse(&text);
    full(WHAT, &url, list.is_empty()).map(|()| list)
}

fn node_index(
    client: &Client,
    hosts: &Hosts,
    observer: &dyn Observer,
) -> Result<NodeIndex, ToolchainError> {
    const WHAT: &str = "the list of Node.js releases";
    let url = format!("{}/index.json", hosts.node);
    let text = client
        .text(&url, LIMIT, observer)
        .map_err(ToolchainError::fetching(WHAT))?;
    let index = NodeIndex::parse(&text).map_err(|error| ToolchainError::UnreadableList {
        what: WHAT,
        url: fetch::redact(&url),
        problem: error.to_string(),
    })?;
    full(WHAT, &url, index.is_empty()).map(|()| index)
}

/// The checksums of one Node release.
pub fn shasums(
    client: &Client,
    hosts: &Hosts,
    version: &NodeVersion,
    observer: &dyn Observer,
) -> Result<(String, Shasums), ToolchainError> {
    const WHAT: &str = "the checksums of Node.js";
    let url = format!("{}/v{version}/SHASUMS256.txt", hosts.node);
    let text = client
        .text(&url, LIMIT, observer)
        .map_err(ToolchainError::fetching(WHAT))?;
    let sums = Shasums::parse(&text);
    full(WHAT, &url, sums.is_empty()).map(|()| (url, sums))
}

/// Text of an installer list.
pub(crate) fn csv(
    client: &Client,
    url: &str,
    observer: &dyn Observer,
) -> Result<String, ToolchainError> {
    client
        .text(url, LIMIT, observer)
        .map_err(ToolchainError::fetching(
            "the list of Hex and rebar3 installers",
        ))
}

fn full(what: &'static str, url: &str, is_empty: bool) -> Result<(), ToolchainError> {
    if is_empty {
        return Err(ToolchainError::EmptyList {
            what,
            url: fetch::redact(url),
        });
    }
    Ok(())
}
