//! Files of Hex's registry with retired releases and security advisories, as on repo.hex.pm (`registry-v2.md` and the
//! `.proto` files of github.com/hexpm/specifications, August 2026), but without a signature.

use crate::hex_package::gzip_stored;

/// A release that is retired or has advisories. Fields that an app doesn't need are left out.
#[derive(Debug, Clone, Default)]
pub struct Release {
    pub package: &'static str,
    pub version: &'static str,
    /// The number of its reason (`RetirementReason`), and its message.
    pub retired: Option<(u8, &'static str)>,
    pub advisories: Vec<Advisory>,
}

/// A security advisory.
#[derive(Debug, Clone, Default)]
pub struct Advisory {
    pub id: &'static str,
    pub alias: &'static str,
    pub summary: &'static str,
    pub url: &'static str,
    /// From 0 for none to 4 for critical.
    pub severity: u8,
}

/// Returns `/versions` of a registry with only these releases, each of another package.
#[must_use]
pub fn versions(releases: &[Release]) -> Vec<u8> {
    let packages = releases.iter().flat_map(|release| {
        let retired = release.retired.map(|_| bytes(3, &[0]));
        let advisories = (!release.advisories.is_empty()).then(|| bytes(5, &[0]));
        let names = [text(1, release.package), text(2, release.version)];
        let fields = names.into_iter().chain(retired).chain(advisories);
        bytes(1, &fields.collect::<Vec<_>>().concat())
    });
    signed(&packages.chain(text(2, "hexpm")).collect::<Vec<u8>>())
}

/// Returns `/packages/NAME` of a package with only this release.
#[must_use]
pub fn package(release: &Release) -> Vec<u8> {
    let mut fields = text(1, release.version);
    fields.extend(bytes(2, &[0; 32]));
    if let Some((reason, message)) = release.retired {
        let retired = [number(1, reason), text(2, message)].concat();
        fields.extend(bytes(4, &retired));
    }
    let indexes = (0..).zip(&release.advisories).map(|(index, _)| index);
    fields.extend(bytes(6, &indexes.collect::<Vec<u8>>()));
    let mut package = bytes(1, &fields);
    package.extend(text(2, release.package));
    package.extend(text(3, "hexpm"));
    for advisory in &release.advisories {
        let fields = [
            text(1, advisory.id),
            text(2, advisory.summary),
            text(3, advisory.url),
            number(4, advisory.severity),
            text(6, "https://api.osv.example/"),
            text(7, advisory.alias),
        ];
        package.extend(bytes(4, &fields.concat()));
    }
    signed(&package)
}

fn signed(payload: &[u8]) -> Vec<u8> {
    gzip_stored(&bytes(1, payload))
}

fn text(field: u8, text: &str) -> Vec<u8> {
    bytes(field, text.as_bytes())
}

/// Fields up to 15, of any length.
fn bytes(field: u8, bytes: &[u8]) -> Vec<u8> {
    let mut all = vec![field << 3 | 2];
    let mut rest = bytes.len();
    while rest >= 0x80 {
        all.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    all.push(rest.to_le_bytes()[0]);
    all.extend(bytes);
    all
}

/// Numbers up to 127.
fn number(field: u8, number: u8) -> Vec<u8> {
    vec![field << 3, number]
}
