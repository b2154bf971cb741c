//! The bill of materials, as `CycloneDX` 1.5 JSON (cyclonedx.org/docs/1.5/json). It has no time and no serial number,
//! so the same slug or image always has the same document.

use crate::component::{Component, Origin};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde_json::{Value, json};

/// The document's path in a slug, relative to the app. In images, the platform defines the path.
pub(crate) const PATH: &str = ".mixpack/sbom.cdx.json";

/// Returns the document.
pub(crate) fn document(components: &[Component]) -> String {
    let components: Vec<Value> = components.iter().map(component).collect();
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "tools": {
                "components": [
                    {"type": "application", "name": "mixpack", "version": planning::record::VERSION}
                ]
            }
        },
        "components": components,
    });
    format!("{document:#}\n")
}

fn component(component: &Component) -> Value {
    let Component {
        name,
        version,
        origin,
    } = component;
    let purl = purl(component);
    let mut json = json!({
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
    });
    match origin {
        Origin::Toolchain => json["type"] = "platform".into(),
        Origin::Hex { sha256, .. } => {
            if let Some(sha256) = sha256 {
                json["hashes"] = json!([{"alg": "SHA-256", "content": sha256}]);
            }
        }
        Origin::Git { url } => {
            json["externalReferences"] = json!([{"type": "vcs", "url": url}]);
        }
        Origin::Npm { integrity } => {
            let integrity = integrity.as_deref().unwrap_or_default();
            if let Some((_, sha512)) = digests(integrity).find(|(name, _)| *name == "sha512") {
                json["hashes"] = json!([{"alg": "SHA-512", "content": sha512}]);
            }
        }
    }
    json
}

/// The package URL (github.com/package-url/purl-spec, types hex, npm, github and generic).
pub(crate) fn purl(component: &Component) -> String {
    let Component {
        name,
        version,
        origin,
    } = component;
    match origin {
        Origin::Toolchain => match name.as_str() {
            "erlang" => format!("pkg:github/erlang/otp@OTP-{}", escaped(version)),
            "elixir" => format!("pkg:github/elixir-lang/elixir@v{}", escaped(version)),
            _ => format!("pkg:github/nodejs/node@v{}", escaped(version)),
        },
        Origin::Hex { repository, .. } => {
            // A package of an organisation has its name as the namespace.
            let namespace = repository
                .strip_prefix("hexpm:")
                .map(|name| name.to_owned() + "/");
            let namespace = namespace.unwrap_or_default();
            let purl = format!("pkg:hex/{namespace}{name}@{}", escaped(version));
            if repository == "hexpm" || repository.starts_with("hexpm:") {
                purl
            } else {
                format!("{purl}?repository_url={}", escaped(repository))
            }
        }
        Origin::Git { url } => {
            format!(
                "pkg:generic/{name}@{version}?vcs_url={}",
                escaped(&format!("git+{url}@{version}"))
            )
        }
        Origin::Npm { .. } => format!("pkg:npm/{}@{}", name.replace('@', "%40"), escaped(version)),
    }
}

/// All characters that could have a meaning in a URL.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

fn escaped(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}

/// Returns the algorithms and checksums of an integrity, converted from base64 to hex.
pub(crate) fn digests(integrity: &str) -> impl Iterator<Item = (&str, String)> {
    integrity.split_whitespace().filter_map(|word| {
        let (algorithm, base64) = word.split_once('-')?;
        Some((algorithm, hex::encode(BASE64.decode(base64).ok()?)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex_package(repository: &str) -> Component {
        Component {
            name: "plug".to_owned(),
            version: "1.18.0-rc.1+a".to_owned(),
            origin: Origin::Hex {
                repository: repository.to_owned(),
                inner_sha256: None,
                sha256: Some("ab".repeat(32)),
            },
        }
    }

    #[test]
    fn package_urls_match_specification() {
        assert_eq!(purl(&hex_package("hexpm")), "pkg:hex/plug@1.18.0-rc.1%2Ba");
        assert_eq!(
            purl(&hex_package("hexpm:acme")),
            "pkg:hex/acme/plug@1.18.0-rc.1%2Ba"
        );
        let npm = Component {
            name: "@hotwired/turbo".to_owned(),
            version: "8.0.0".to_owned(),
            origin: Origin::Npm { integrity: None },
        };
        assert_eq!(purl(&npm), "pkg:npm/%40hotwired/turbo@8.0.0");
    }

    #[test]
    fn checksums_are_in_hex() {
        let npm = Component {
            name: "a".to_owned(),
            version: "1.0.0".to_owned(),
            origin: Origin::Npm {
                integrity: Some("sha1-AAAA sha512-/wA=".to_owned()),
            },
        };
        let json = component(&npm);
        assert_eq!(
            json["hashes"],
            json!([{"alg": "SHA-512", "content": "ff00"}])
        );
    }
}
