//! Apps that can't boot.

use super::*;
use crate::BootFault;
use exec::environment::Environment;

const NIF: &str = "_build/prod/lib/fast_math/priv/fast_math.so";

fn library_missing(package: Option<&str>) -> BootFault {
    BootFault::LibraryMissing {
        file: NIF.to_owned(),
        library: "libquadmath.so.0".to_owned(),
        package: package.map(str::to_owned),
        stack: "heroku-24".to_owned(),
    }
}

fn release_not_built(scripts: &[&str]) -> BootFault {
    BootFault::ReleaseNotBuilt {
        path: "_build/staging/rel/shopp/bin/shopp".to_owned(),
        scripts: strings(scripts),
    }
}

pub(super) fn faults() -> Vec<(&'static str, Error)> {
    let faults = [
        (
            "boot_library_missing",
            library_missing(Some("libquadmath0")),
        ),
        (
            "boot_library_too_old",
            BootFault::LibraryTooOld {
                file: NIF.to_owned(),
                library: "libc.so.6".to_owned(),
                version: "GLIBC_2.38".to_owned(),
                stack: "heroku-22".to_owned(),
            },
        ),
        (
            "boot_wrong_architecture",
            BootFault::WrongArchitecture {
                file: NIF.to_owned(),
                found: "arm64".to_owned(),
                expected: "amd64".to_owned(),
            },
        ),
        (
            "boot_module_unusable",
            BootFault::ModuleUnusable {
                file: "_build/prod/lib/shop/ebin/Elixir.Shop.beam".to_owned(),
                problem: "is truncated".to_owned(),
            },
        ),
        (
            "boot_release_not_built",
            release_not_built(&["_build/staging/rel/shop/bin/shop"]),
        ),
        ("boot_no_release_built", release_not_built(&[])),
    ];
    faults
        .map(|(name, fault)| (name, Error::Boot(fault)))
        .into()
}

#[test]
fn boot_warning_matches_snapshot() {
    let lines = library_missing(None).warning(&Wording::default());
    insta::assert_snapshot!("boot_library_nowhere", lines.join("\n"));
    let words = Wording::new(Platform::CloudNative, &Environment::default());
    let lines = library_missing(Some("libquadmath0")).warning(&words);
    insta::assert_snapshot!("boot_library_missing_in_an_image", lines.join("\n"));
}
