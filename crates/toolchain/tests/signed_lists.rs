//! Lists of installers with and without a signature, by the host and by the setting that names it.

use fetch::{Class, Client, Settings};
use mirror::{Override, Server};
use std::path::Path;
use tempfile::TempDir;
use toolchain::hosts::Signature;
use toolchain::lists::{ListText, installers};
use toolchain::signature::Keys;
use toolchain::{Hosts, ToolchainError};
use versions::ElixirVersion;

const PATH: &str = "/installs/hex-1.x.csv";
const LIST: &[u8] = include_bytes!("../src/signature/hex-1.x.csv");
const SIGNED: &[u8] = include_bytes!("../src/signature/hex-1.x.csv.signed");

/// The result for a list with this response for its `.signed`.
fn list(answer: Option<Override>, signature: Signature) -> (ListText, Vec<String>) {
    let root = TempDir::new().expect("a folder");
    let host = Server::start(root.path()).expect("a server");
    host.set_override(PATH, Override::Body(LIST.to_vec()));
    if let Some(answer) = answer {
        host.set_override(format!("{PATH}.signed"), answer);
    }
    let client = Client::new(Settings {
        attempts: 1,
        ..Settings::default()
    });
    let keys = Keys::of(Path::new("/nonexistent"));
    let url = format!("{}{PATH}", host.url());
    let list = installers(&client, &url, signature, &keys, &());
    let requested = host.requests().into_iter().map(|request| request.path);
    (list, requested.collect())
}

#[test]
fn valid_signature_is_recorded() {
    for signature in [Signature::Needed, Signature::IfPresent] {
        let (list, _) = list(Some(Override::Body(SIGNED.to_vec())), signature);
        assert!(list.signed, "{signature:?}");
        assert_eq!(list.text.expect("the list").as_bytes(), LIST);
    }
}

#[test]
fn rejects_invalid_signature_from_any_host() {
    for signature in [Signature::Needed, Signature::IfPresent] {
        let page = Override::Body("<html>Welcome</html>".into());
        let (list_beside_a_page, _) = list(Some(page), signature);
        assert!(!list_beside_a_page.signed && list_beside_a_page.text.is_err());
        for answer in ["", "AAAA"] {
            let (list, _) = list(Some(Override::Body(answer.into())), signature);
            assert!(!list.signed);
            let text = list.text;
            assert!(
                matches!(text, Err(ToolchainError::NotSigned { .. })),
                "{answer:?}: {text:?}"
            );
        }
    }
}

#[test]
fn only_configured_host_may_omit_signature() {
    let (of_mirror, _) = list(None, Signature::IfPresent);
    assert!(of_mirror.text.is_ok() && !of_mirror.signed);
    let (of_upstream, _) = list(None, Signature::Needed);
    let class = |text| match text {
        Err(ToolchainError::Fetch { source, .. }) => Some(source.class()),
        _ => None,
    };
    assert_eq!(class(of_upstream.text), Some(Class::Missing));
    // A failure doesn't show that there is no signature.
    let (failing, _) = list(Some(Override::Status(503)), Signature::IfPresent);
    assert_eq!(class(failing.text), Some(Class::Failing));
}

#[test]
fn signature_is_not_requested_if_mix_does_not_check_it() {
    let (not_required, requests) = list(None, Signature::NotRequired);
    assert!(not_required.text.is_ok() && !not_required.signed);
    assert_eq!(requests, [PATH]);
}

#[test]
fn signature_requirement_depends_on_elixir_and_host() {
    let upstream = Hosts::new(&|_| None);
    let named = |variable: &'static str| {
        Hosts::new(&move |name| (name == variable).then(|| "https://mirror.example".to_owned()))
    };
    let elixir = |text| ElixirVersion::parse(text).expect("a version");
    for version in ["1.14.0", "1.18.3"] {
        let elixir = elixir(version);
        assert_eq!(upstream.signature(&elixir), Signature::Needed);
        for variable in ["HEX_BUILDS_URL", "HEX_MIRROR"] {
            let signature = named(variable).signature(&elixir);
            assert_eq!(signature, Signature::IfPresent, "{variable}");
        }
        let other = named("NODEJS_ORG_MIRROR");
        assert_eq!(other.signature(&elixir), Signature::Needed);
    }
    assert_eq!(
        upstream.signature(&elixir("1.19.0")),
        Signature::NotRequired
    );
}
