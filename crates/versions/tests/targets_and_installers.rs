//! Build targets, compatible pairs, and the sources and paths of Hex and rebar3.

use std::path::Path;
use versions::compatibility::{Compatibility, check};
use versions::installers::{
    InstallerList, Package, Scheme, base_url, hex_archive_dir, list_path, rebar3_paths, schemes,
};
use versions::target::{Basis, OsRelease, TargetError};
use versions::{Arch, ElixirVersion, Target};

fn elixir(text: &str) -> ElixirVersion {
    ElixirVersion::parse(text).expect("an Elixir version")
}

fn system(id: &str, version: &str) -> OsRelease {
    OsRelease::parse(&format!(
        "PRETTY_NAME=\"Some ID=x\"\nID={id}\nVERSION_ID=\"{version}\"\nID_LIKE=debian\n"
    ))
}

#[test]
fn target_comes_from_stack_or_operating_system() {
    let debian = system("debian", "12");
    for (stack, system, name, os, basis) in [
        (
            Some("heroku-22"),
            &debian,
            "heroku-22",
            "ubuntu-22.04",
            Basis::Stack,
        ),
        (
            Some("heroku-26"),
            &debian,
            "heroku-26",
            "ubuntu-26.04",
            Basis::Stack,
        ),
        (
            Some("heroku-28"),
            &debian,
            "heroku-28",
            "ubuntu-28.04",
            Basis::Stack,
        ),
        (
            Some("gigalixir-20"),
            &debian,
            "gigalixir-20",
            "ubuntu-20.04",
            Basis::Stack,
        ),
        (
            Some("cnb"),
            &self::system("ubuntu", "24.04"),
            "cnb",
            "ubuntu-24.04",
            Basis::System,
        ),
        (
            None,
            &self::system("ubuntu", "24.04"),
            "ubuntu-24.04",
            "ubuntu-24.04",
            Basis::System,
        ),
        (
            Some(" "),
            &debian,
            "debian-12",
            "ubuntu-22.04",
            Basis::NearestCompatible,
        ),
        (
            None,
            &self::system("debian", "13"),
            "debian-13",
            "ubuntu-24.04",
            Basis::NearestCompatible,
        ),
    ] {
        let target = Target::resolve(stack, system, Arch::Arm64).expect("a target");
        assert_eq!(
            (
                target.stack.as_str(),
                target.os.to_string().as_str(),
                target.basis
            ),
            (name, os, basis)
        );
    }
    let target = Target::resolve(Some("heroku-24"), &debian, Arch::Arm64).expect("a target");
    assert_eq!(target.otp_directory(), "/builds/otp/arm64/ubuntu-24.04");
    assert_eq!(
        target.otp_builds_name(),
        "aarch64-unknown-linux-gnu-ubuntu-24.04"
    );
}

#[test]
fn end_of_life_stacks_differ_from_unknown_stacks() {
    let debian = system("debian", "12");
    let refused = |stack: &str| Target::resolve(Some(stack), &debian, Arch::Amd64).unwrap_err();
    for stack in ["cedar", "cedar-14", "heroku-16", "heroku-18", "heroku-20"] {
        assert_eq!(
            refused(stack),
            TargetError::EndOfLife {
                stack: stack.to_owned()
            }
        );
    }
    for stack in [
        "container",
        "heroku",
        "heroku-23",
        "heroku-2",
        "heroku-240",
        "heroku-+4",
        "scalingo-22",
        "heroku-24/..",
    ] {
        assert_eq!(
            refused(stack),
            TargetError::UnknownStack {
                stack: stack.to_owned()
            }
        );
    }
    for (id, version) in [
        ("debian", "11"),
        ("fedora", "42"),
        ("ubuntu", ""),
        ("ubuntu", "../.."),
    ] {
        let error = Target::resolve(None, &system(id, version), Arch::Amd64).unwrap_err();
        assert!(
            matches!(error, TargetError::UnknownSystem { .. }),
            "{id} {version}"
        );
    }
    assert_eq!(OsRelease::parse("").id, "linux");
}

#[test]
fn compatibility_table_distinguishes_patch_versions() {
    for (version, bad, good) in [
        ("1.20.4", &[26][..], &[27, 28, 29][..]),
        ("1.19.0-rc.0", &[25, 29], &[26, 28]),
        ("1.18.3", &[24, 28, 29], &[25, 27]),
        ("1.18.4", &[24, 29], &[25, 28]),
        ("1.15.8", &[23, 27], &[24, 26]),
        ("1.14.4", &[22, 26], &[23, 25]),
        ("1.14.5", &[22, 27], &[23, 26]),
        ("1.13.3", &[25], &[22, 24]),
        ("1.13.4", &[26], &[22, 25]),
        ("1.0.4", &[18], &[17]),
        ("1.0.5", &[19], &[17, 18]),
    ] {
        for otp in bad {
            let found = check(&elixir(version), *otp);
            assert!(
                matches!(found, Compatibility::Unsupported { .. }),
                "{version} {otp}"
            );
        }
        for otp in good {
            assert_eq!(
                check(&elixir(version), *otp),
                Compatibility::Supported,
                "{version} {otp}"
            );
        }
    }
    assert_eq!(
        check(&elixir("1.18.3"), 28),
        Compatibility::Unsupported {
            supported: vec![25, 26, 27],
            first_patch: Some(elixir("1.18.4")),
        }
    );
    for (version, otp) in [
        ("1.21.0", 26),
        ("2.0.0", 20),
        ("1.20.0", 30),
        ("1.14.5", 30),
    ] {
        assert_eq!(
            check(&elixir(version), otp),
            Compatibility::Unknown,
            "{version} {otp}"
        );
    }
}

fn csv(rows: &[&str]) -> String {
    let digest = "b97d99a4".repeat(16);
    rows.iter()
        .map(|row| row.replace("SHA", &digest) + "\n")
        .collect()
}

#[test]
fn selects_hex_version_like_mix() {
    let old = csv(&[
        "2.0.6,SHA,1.12.0",
        "2.2.1,SHA,1.13.0",
        "2.2.1,SHA,1.14.0",
        "2.2.1,SHA,1.16.0",
    ]);
    let old = InstallerList::parse(&old, Package::Hex, Scheme::ByElixir);
    let path = |elixir_version: &str| {
        old.choose(&elixir(elixir_version), 25)
            .map(|i| i.path.as_str())
    };
    assert_eq!(path("1.17.3"), Some("/installs/1.16.0/hex-2.2.1.ez"));
    assert_eq!(path("1.14.5"), Some("/installs/1.14.0/hex-2.2.1.ez"));
    assert_eq!(path("1.13.0-rc.0"), Some("/installs/1.12.0/hex-2.0.6.ez"));
    assert_eq!(path("1.11.0"), None);

    let new = csv(&[
        "2.2.1,SHA,1.18.0,25",
        "2.2.1,SHA,1.18.0,26",
        "2.2.1,SHA,1.18.0,27",
        "2.5.1,SHA,1.19.0,26",
        "2.5.1,SHA,1.19.0,28",
        "2.5.1,SHA,1.20.0,29",
    ]);
    let new = InstallerList::parse(&new, Package::Hex, Scheme::ByElixirAndOtp);
    let path = |version: &str, otp: u32| new.choose(&elixir(version), otp).map(|i| i.path.as_str());
    assert_eq!(
        path("1.18.3", 27),
        Some("/installs/1.18.0/hex-2.2.1-otp-27.ez")
    );
    assert_eq!(
        path("1.20.0-rc.1", 29),
        Some("/installs/1.19.0/hex-2.5.1-otp-28.ez")
    );
    assert_eq!(
        path("1.20.0", 29),
        Some("/installs/1.20.0/hex-2.5.1-otp-29.ez")
    );
    assert_eq!(
        path("1.19.5", 27),
        Some("/installs/1.19.0/hex-2.5.1-otp-26.ez")
    );
    assert_eq!(path("1.18.3", 24), None);
    let chosen = new.choose(&elixir("1.18.3"), 27).expect("a row");
    assert_eq!((chosen.otp, chosen.sha512.len()), (Some(27), 128));
}

#[test]
fn rebar3_for_early_1_18_patches_comes_from_old_list() {
    let lists = [
        (
            Scheme::ByElixirAndOtp,
            csv(&["3.24.0,SHA,1.18.3,27", "3.25.1,SHA,1.18.4,28"]),
        ),
        (Scheme::ByElixir, csv(&["3.22.0,SHA,1.14.0"])),
    ];
    let path = |version: &str, otp: u32| {
        schemes(&elixir(version)).iter().find_map(|scheme| {
            let (_, text) = lists.iter().find(|(s, _)| s == scheme)?;
            let list = InstallerList::parse(text, Package::Rebar3, *scheme);
            list.choose(&elixir(version), otp).map(|i| i.path.clone())
        })
    };
    assert_eq!(
        path("1.18.4", 29).as_deref(),
        Some("/installs/1.18.4/rebar3-3.25.1-otp-28")
    );
    assert_eq!(
        path("1.18.1", 27).as_deref(),
        Some("/installs/1.14.0/rebar3-3.22.0")
    );
    assert_eq!(
        path("1.17.3", 27).as_deref(),
        Some("/installs/1.14.0/rebar3-3.22.0")
    );
    assert_eq!(
        list_path(Package::Rebar3, schemes(&elixir("1.17.3"))[0]),
        "/installs/rebar3-1.x.csv"
    );
    assert_eq!(
        list_path(Package::Rebar3, schemes(&elixir("1.18.0-rc.0"))[0]),
        "/installs/rebar.csv"
    );
}

#[test]
fn malformed_rows_are_counted_and_skipped() {
    let text = csv(&[
        "2.2.1,SHA,1.18.0",
        "2.2.1,abc,1.18.0,27",
        "../x,SHA,1.18.0,27",
        "2.2.1,SHA,../..,27",
        "2.2.1,SHA,1.18.0,x",
        "<html>",
        "",
    ]);
    let list = InstallerList::parse(&text, Package::Hex, Scheme::ByElixirAndOtp);
    assert_eq!((list.is_empty(), list.malformed()), (true, 6));
}

#[test]
fn installers_have_expected_host_and_paths() {
    for (version, builds, mirror, url) in [
        ("1.15.0", None, None, "https://builds.hex.pm"),
        ("1.14.5", None, None, "https://repo.hex.pm"),
        ("1.18.3", Some(""), Some("http://m/ "), "http://m"),
        ("1.18.3", Some("http://b/"), Some("http://m"), "http://b"),
        ("1.14.5", Some("http://b"), Some("http://m"), "http://b"),
    ] {
        assert_eq!(base_url(&elixir(version), builds, mirror), url);
    }
    for (version, paths) in [
        ("1.13.4", &["rebar3"][..]),
        ("1.14.0", &["elixir/1-14/rebar3"]),
        ("1.17.3", &["elixir/1-17/rebar3"]),
        (
            "1.18.3",
            &["elixir/1-18-otp-27/rebar3", "elixir/1-18/rebar3"],
        ),
        ("1.19.0", &["elixir/1-19-otp-27/rebar3"]),
    ] {
        let paths: Vec<&Path> = paths.iter().map(Path::new).collect();
        assert_eq!(rebar3_paths(&elixir(version), 27), paths);
    }
    assert_eq!(hex_archive_dir("2.2.1"), Path::new("archives/hex-2.2.1"));
}
