//! Upstream's lists.

use crate::ToolchainError;
use crate::hosts::{Hosts, Signature};
use crate::signature::Keys;
use fetch::{Class, Client, Observer};
use versions::Target;
use versions::elixir::ElixirListing;
use versions::installers::{InstallerList, Package, Scheme};
use versions::node::{NodeIndex, NodeVersion, Shasums};
use versions::otp::OtpListing;

/// The maximum size of a list, in bytes. Real lists are much smaller.
pub const LIMIT: u64 = 16 * 1024 * 1024;

/// A list as its host sent it, or the error.
#[derive(Debug)]
pub struct ListText {
    /// The name in messages: `the list of OTP builds`.
    pub subject: &'static str,
    /// Without credentials.
    pub url: String,
    /// The text of a valid list that isn't empty, or the error.
    pub text: Result<String, ToolchainError>,
    /// Whether its signature was verified.
    pub signed: bool,
}

/// The lists that a plan is made from.
#[derive(Debug)]
pub struct ListTexts {
    pub otp: ListText,
    pub elixir: ListText,
    pub node: Option<ListText>,
}

/// Fetches the lists in parallel; Node's only if the app needs Node.
pub fn fetch(
    client: &Client,
    hosts: &Hosts,
    target: &Target,
    node: bool,
    observer: &dyn Observer,
) -> ListTexts {
    std::thread::scope(|scope| {
        let elixir = scope.spawn(|| elixir(client, hosts, observer));
        let node = node.then(|| scope.spawn(|| node_index(client, hosts, observer)));
        ListTexts {
            otp: otp(client, hosts, target, observer),
            elixir: joined(elixir),
            node: node.map(joined),
        }
    })
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

const OTP_BUILDS: &str = "the list of OTP builds";

fn otp(client: &Client, hosts: &Hosts, target: &Target, observer: &dyn Observer) -> ListText {
    let url = format!("{}{}/builds.txt", hosts.builds, target.otp_directory());
    list_text(client, OTP_BUILDS, &url, observer, &|text| {
        Ok(OtpListing::parse(text).is_empty())
    })
}

/// Fetches the list of the second publisher of OTP, if there is one.
pub fn other_otp(
    client: &Client,
    hosts: &Hosts,
    target: &Target,
    observer: &dyn Observer,
) -> Option<ListText> {
    let base = hosts.otp_builds.as_ref()?;
    let url = format!("{base}/raw/main/builds/{}.csv", target.otp_builds_name());
    let list = list_text(client, OTP_BUILDS, &url, observer, &|text| {
        OtpListing::parse_csv(text)
            .map(|list| list.is_empty())
            .ok_or_else(|| "its first line does not name the columns".to_owned())
    });
    Some(list)
}

fn elixir(client: &Client, hosts: &Hosts, observer: &dyn Observer) -> ListText {
    const SUBJECT: &str = "the list of Elixir builds";
    let url = format!("{}/builds/elixir/builds.txt", hosts.builds);
    list_text(client, SUBJECT, &url, observer, &|text| {
        Ok(ElixirListing::parse(text).is_empty())
    })
}

fn node_index(client: &Client, hosts: &Hosts, observer: &dyn Observer) -> ListText {
    const SUBJECT: &str = "the list of Node.js releases";
    let url = format!("{}/index.json", hosts.node);
    list_text(client, SUBJECT, &url, observer, &|text| {
        NodeIndex::parse(text)
            .map(|index| index.is_empty())
            .map_err(|error| error.to_string())
    })
}

/// Fetches a list. `is_empty` parses it.
fn list_text(
    client: &Client,
    subject: &'static str,
    url: &str,
    observer: &dyn Observer,
    is_empty: &dyn Fn(&str) -> Result<bool, String>,
) -> ListText {
    let shown = fetch::redact(url);
    let text = client
        .text(url, LIMIT, observer)
        .map_err(ToolchainError::fetching(subject))
        .and_then(|text| match is_empty(&text) {
            Ok(false) => Ok(text),
            Ok(true) => Err(ToolchainError::EmptyList {
                subject,
                url: shown.clone(),
            }),
            Err(problem) => Err(ToolchainError::UnreadableList {
                subject,
                url: shown.clone(),
                problem,
            }),
        });
    ListText {
        subject,
        url: shown,
        text,
        signed: false,
    }
}

/// The checksums of one Node release.
pub(crate) fn shasums(
    client: &Client,
    hosts: &Hosts,
    version: &NodeVersion,
    observer: &dyn Observer,
) -> Result<(String, Shasums), ToolchainError> {
    const SUBJECT: &str = "the checksums of Node.js";
    let url = format!("{}/v{version}/SHASUMS256.txt", hosts.node);
    let text = client
        .text(&url, LIMIT, observer)
        .map_err(ToolchainError::fetching(SUBJECT))?;
    let sums = Shasums::parse(&text);
    full(SUBJECT, &url, sums.is_empty()).map(|()| (url, sums))
}

/// One of the lists of Hex and rebar3 installers.
pub fn installers(
    client: &Client,
    url: &str,
    signature: Signature,
    keys: &Keys,
    observer: &dyn Observer,
) -> ListText {
    const SUBJECT: &str = "the list of Hex and rebar3 installers";
    let list = list_text(client, SUBJECT, url, observer, &|text| {
        let rows = |scheme| InstallerList::parse(text, Package::Hex, scheme);
        Ok(rows(Scheme::ByElixir).is_empty() && rows(Scheme::ByElixirAndOtp).is_empty())
    });
    match (&list.text, signature) {
        (Err(_), _) | (_, Signature::NotRequired) => list,
        (Ok(text), Signature::Needed | Signature::IfPresent) => {
            const SIGNATURE: &str = "the signature of the list of Hex and rebar3 installers";
            match client.text(&format!("{url}.signed"), LIMIT, observer) {
                Ok(signed) if keys.have_signed(text, &signed) => ListText {
                    signed: true,
                    ..list
                },
                Ok(_) => {
                    let url = list.url.clone();
                    let text = Err(ToolchainError::NotSigned {
                        subject: SUBJECT,
                        url,
                    });
                    ListText { text, ..list }
                }
                Err(error)
                    if signature == Signature::IfPresent && error.class() == Class::Missing =>
                {
                    list
                }
                Err(error) => ListText {
                    text: Err(ToolchainError::fetching(SIGNATURE)(error)),
                    ..list
                },
            }
        }
    }
}

fn full(subject: &'static str, url: &str, is_empty: bool) -> Result<(), ToolchainError> {
    if is_empty {
        return Err(ToolchainError::EmptyList {
            subject,
            url: fetch::redact(url),
        });
    }
    Ok(())
}
