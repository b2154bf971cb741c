//! What holds for any text whatever where a version or a list should be. Each function panics
//! where it does not.

use versions::elixir::ElixirListing;
use versions::installers::{InstallerList, Package};
use versions::node::{NodeIndex, Shasums};
use versions::otp::OtpListing;
use versions::target::OsRelease;
use versions::{
    Arch, ElixirRequest, ElixirRequirement, ElixirVersion, NodeRequest, NodeVersion, OtpRequest,
    OtpVersion,
};

/// Versions and requests for one: what is read is a version that reads the same again.
pub(crate) fn versions(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(version) = OtpVersion::parse(&text) {
        assert_eq!(
            OtpVersion::parse(&version.to_string()).as_ref(),
            Ok(&version)
        );
        is_harmless(&version.to_string());
    }
    if let Ok(version) = ElixirVersion::parse(&text) {
        assert_eq!(
            ElixirVersion::parse(&version.to_string()).as_ref(),
            Ok(&version)
        );
        is_harmless(&version.to_string());
    }
    if let Ok(version) = NodeVersion::parse(&text) {
        assert_eq!(
            NodeVersion::parse(&version.to_string()).as_ref(),
            Ok(&version)
        );
        is_harmless(&version.archive_name(Arch::Amd64));
    }
    if let Ok(request) = OtpRequest::parse(&text) {
        assert_eq!(
            OtpRequest::parse(&request.to_string()).as_ref(),
            Ok(&request)
        );
    }
    let elixir = ElixirVersion::release(1, 18, 3);
    if let Ok(request) = ElixirRequest::parse(&text) {
        let _ = request.matches(&elixir);
        assert_eq!(
            ElixirRequest::parse(&request.to_string()).as_ref(),
            Ok(&request)
        );
    }
    // What it displays as may be longer than what is read.
    if let Ok(request) = NodeRequest::parse(&text)
        && request.to_string().len() <= 256
    {
        assert_eq!(
            NodeRequest::parse(&request.to_string()).as_ref(),
            Ok(&request)
        );
    }
    if let Ok(requirement) = ElixirRequirement::parse(&text) {
        let again = ElixirRequirement::parse(&requirement.to_string());
        let matches = again.is_ok_and(|again| again.matches(&elixir));
        assert_eq!(matches, requirement.matches(&elixir), "{requirement}");
    }
    let _ = OsRelease::parse(&text);
}

/// Upstream's lists: what is chosen of them is a part of an address, and no way to another one.
pub(crate) fn lists(bytes: &[u8]) {
    let Some((choice, content)) = bytes.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(content);
    match choice % 7 {
        0 => otp(&OtpListing::parse(&text)),
        1 => {
            if let Some(list) = OtpListing::parse_csv(&text) {
                otp(&list);
            }
        }
        2 => {
            for build in ElixirListing::parse(&text).builds() {
                is_harmless(&build.reference);
            }
        }
        3 => {
            if let Ok(index) = NodeIndex::parse(&text) {
                for release in index.releases() {
                    is_harmless(&release.version.archive_name(Arch::Amd64));
                }
                let _ = index.default_lts(Arch::Amd64);
            }
        }
        4 => {
            let sums = Shasums::parse(&text);
            if let Some(sum) = sums.get("node-v22.1.0-linux-x64.tar.gz") {
                assert!(sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit()));
            }
        }
        choice => {
            let package = if choice == 5 {
                Package::Hex
            } else {
                Package::Rebar3
            };
            for elixir in [
                ElixirVersion::release(1, 14, 0),
                ElixirVersion::release(1, 18, 0),
            ] {
                for scheme in versions::installers::schemes(&elixir) {
                    let list = InstallerList::parse(&text, package, *scheme);
                    if let Some(installer) = list.choose(&elixir, 27) {
                        is_harmless(&installer.version);
                        installer.path.split('/').skip(1).for_each(is_harmless);
                        assert_eq!(installer.sha512.len(), 128);
                    }
                }
            }
        }
    }
}

fn otp(list: &OtpListing) {
    for build in list.builds() {
        is_harmless(&build.reference);
    }
}

/// May stand in a path and in a URL.
fn is_harmless(name: &str) {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
    assert!(name.chars().all(plain), "{name:?}");
    assert!(!name.is_empty() && name != "." && name != "..", "{name:?}");
}
