//! Compatible versions of Erlang and Elixir, and the errors if there are none.

use super::{Case, ELIXIR_CONFIG, PACKAGE, SHA, case, list};
use app::plan::{self, PlanError, VersionError};
use app::{Origin, Setting};
use versions::elixir::ElixirListing;
use versions::node::NodeIndex;
use versions::otp::{OtpListing, Publisher};
use versions::target::{Arch, OsRelease, Target};

#[test]
fn partial_version_resolves_to_newest_matching_release() {
    for (requested, erlang) in [
        ("27", "27.3.4"),
        ("27.3", "27.3.4"),
        ("27.3.3", "27.3.3"),
        ("28", "28.0"),
    ] {
        let plan = case(&[]).var("erlang_version", requested).planned();
        assert_eq!(plan.erlang.version, erlang, "{requested}");
        assert_eq!(plan.erlang.requested.as_deref(), Some(requested));
    }
    for (requested, elixir) in [
        ("1", "1.18.4"),
        ("1.18", "1.18.4"),
        ("1.18.3", "1.18.3"),
        ("1.17", "1.17.3"),
    ] {
        let plan = case(&[]).var("elixir_version", requested).planned();
        assert_eq!(plan.elixir.version, elixir, "{requested}");
    }
}

#[test]
fn missing_half_of_pair_is_newest_compatible_version() {
    assert_eq!(
        case(&[]).var("erlang_version", "25").tools(),
        [
            "25.3.2.21 (config var erlang_version)",
            "1.18.3 (default: newest for OTP 25)"
        ]
    );
    assert_eq!(
        case(&[]).var("elixir_version", "1.14").tools(),
        [
            "26.2.5.12 (default: newest that Elixir 1.14.5 runs on)",
            "1.14.5 (config var elixir_version)"
        ]
    );
}

#[test]
fn elixir_otp_suffix_selects_erlang() {
    let plan = case(&[(".tool-versions", "elixir 1.18.3-otp-26\n")]).planned();
    assert_eq!(plan.elixir.build.reference, "v1.18.3-otp-26");
    assert_eq!(plan.elixir.source, Origin::file(".tool-versions", 1));
    assert!(plan.otp_major >= 26, "{}", plan.erlang.version);
}

#[test]
fn elixir_build_matches_otp_major() {
    for (otp, reference) in [
        ("25", "v1.18.3-otp-25"),
        ("26", "v1.18.3-otp-26"),
        ("27", "v1.18.3-otp-27"),
    ] {
        let plan = case(&[])
            .var("erlang_version", otp)
            .var("elixir_version", "1.18.3")
            .planned();
        assert_eq!(plan.elixir.build.reference, reference);
    }
}

#[test]
fn versions_stay_at_last_build_without_request() {
    assert_eq!(
        case(&[PACKAGE])
            .last("26.2.5.12", "1.17.3", Some("22.16.0"))
            .tools(),
        [
            "26.2.5.12 (the last build)",
            "1.17.3 (the last build)",
            "22.16.0 (the last build)"
        ]
    );
    // A requested version takes precedence over the previous build's.
    let requested = case(&[PACKAGE])
        .last("26.2.5.12", "1.17.3", Some("22.16.0"))
        .var("erlang_version", "27")
        .var("node_version", "24");
    assert_eq!(requested.tools()[0], "27.3.4 (config var erlang_version)");
    assert_eq!(requested.tools()[2], "24.4.0 (config var node_version)");
    // If one is missing in the lists (of another stack), both are chosen again.
    assert_eq!(
        case(&[]).last("23.0", "1.17.3", None).tools(),
        ["28.0 (default: newest)", "1.18.4 (default: newest)"]
    );
}

#[test]
fn defaults_are_newest_compatible_pair_and_newest_lts() {
    assert_eq!(
        case(&[PACKAGE]).tools(),
        [
            "28.0 (default: newest)",
            "1.18.4 (default: newest)",
            "24.4.0 (default: newest LTS)"
        ]
    );
}

#[test]
fn malformed_version_error_lists_newest_of_each_series() {
    let VersionError::Malformed {
        requested,
        available,
        ..
    } = case(&[(ELIXIR_CONFIG, "# x\nerlang_version=twenty\n")]).refused()
    else {
        panic!("must be refused");
    };
    assert_eq!(
        requested,
        Setting::new("twenty".into(), Origin::file(ELIXIR_CONFIG, 2))
    );
    assert_eq!(
        available,
        ["28.0", "27.3.4", "26.2.5.12", "25.3.2.21", "24.3.4.17"]
    );

    let VersionError::Malformed { available, .. } =
        case(&[]).var("elixir_version", "1.18.3.1").refused()
    else {
        panic!("must be refused");
    };
    assert_eq!(available, ["1.18.4", "1.17.3", "1.14.5", "1.9.4"]);

    let VersionError::Malformed { available, .. } = case(&[PACKAGE])
        .var("node_version", "newest of all")
        .refused()
    else {
        panic!("must be refused");
    };
    assert_eq!(available, ["25.1.0", "24.4.0", "22.17.0"]);
}

#[test]
fn unknown_version_error_names_source_and_nearest() {
    let VersionError::NoSuchVersion {
        requested,
        nearest,
        newest_of_line,
        target,
        ..
    } = case(&[(".tool-versions", "erlang 27.9\n")]).refused()
    else {
        panic!("must be refused");
    };
    assert_eq!(requested.origin, Origin::file(".tool-versions", 1));
    assert_eq!(target, "ubuntu-24.04 (amd64)");
    assert_eq!(newest_of_line.as_deref(), Some("27.3.4"));
    assert_eq!(nearest[..2], ["27.3.4", "27.3.3"]);

    let VersionError::NoSuchVersion { nearest, .. } =
        case(&[]).var("elixir_version", "1.99").refused()
    else {
        panic!("must be refused");
    };
    assert_eq!(nearest[0], "1.18.4");
    let VersionError::NoSuchVersion { nearest, .. } =
        case(&[PACKAGE]).var("node_version", "99").refused()
    else {
        panic!("must be refused");
    };
    assert_eq!(nearest[0], "25.1.0");
}

#[test]
fn incompatible_pair_error_names_both_sources() {
    let error = case(&[
        (ELIXIR_CONFIG, "elixir_version=1.14\n"),
        (".tool-versions", "elixir 1.18.3\nerlang 27\n"),
    ])
    .refused();
    let expected = VersionError::IncompatiblePair {
        elixir: "1.14.5".into(),
        elixir_source: Origin::file(ELIXIR_CONFIG, 1),
        otp: "27.3.4".into(),
        otp_source: Origin::file(".tool-versions", 2),
    };
    assert_eq!(error, expected);
}

#[test]
fn published_unsupported_pair_is_planned_with_warning() {
    let mut case = case(&[(".tool-versions", "erlang 25.3.2.21\nelixir 1.13.3\n")]);
    case.lists.elixir = ElixirListing::parse(&list(&["v1.13.3-otp-24", "v1.13.3-otp-25"]));
    let plan = case.planned();
    assert_eq!(plan.elixir.build.reference, "v1.13.3-otp-25");
    assert_eq!(
        plan.warnings,
        [
            "Elixir 1.13.3 does not support Erlang/OTP 25; continuing, since upstream publishes a build for it. \
          Supported: 22, 23 and 24; Elixir 1.13.4 is the first that supports 25"
        ]
    );
    // Neither an archive for another OTP nor one without a suffix is such a pair.
    case.lists.elixir = ElixirListing::parse(&list(&["v1.13.3", "v1.13.3-otp-24"]));
    assert!(matches!(
        case.refused(),
        VersionError::IncompatiblePair { .. }
    ));
}

#[test]
fn erlef_list_is_needed_only_if_it_can_change_version() {
    let settled = |case: &Case, is_current: bool| {
        plan::otp_list_suffices(&case.plan(), &case.lists.otp, &case.last, is_current)
    };
    let asking = |version: &str| case(&[]).var("erlang_version", version);
    let last = |version: &str| case(&[]).last(version, "1.18.3", None);
    for (what, case, by_a_current_list, by_an_old_one) in [
        ("named in full", asking("27.3.3"), true, true),
        ("not listed", asking("27.3.9"), false, false),
        ("no such line", asking("29"), false, false),
        ("the newest of a line", asking("27"), true, false),
        ("the newest of all", case(&[]), true, false),
        ("the last build's", last("27.3.3"), true, true),
        (
            "the last build's, from elsewhere",
            last("27.3.9"),
            false,
            false,
        ),
        (
            "asked for since",
            last("27.3.9").var("erlang_version", "27.3.4"),
            true,
            true,
        ),
        (
            "ahead before",
            last("27.3.9").var("erlang_version", "27"),
            false,
            false,
        ),
        (
            "for an old Elixir",
            case(&[]).var("elixir_version", "1.9"),
            false,
            false,
        ),
        (
            "a bad pair",
            asking("27").var("elixir_version", "1.14"),
            true,
            true,
        ),
        ("no version", asking("twenty"), true, true),
    ] {
        assert_eq!(settled(&case, true), by_a_current_list, "{what}");
        assert_eq!(settled(&case, false), by_an_old_one, "{what}");
    }
}

#[test]
fn version_only_in_erlef_list_is_used_and_stays() {
    let other = || {
        let row = |name| format!("{name},{SHA},2026-09-15T14:15:27Z,\n");
        let rows: String = ["OTP-27.3.4", "OTP-27.3.9", "maint-27"].map(row).concat();
        OtpListing::parse_csv(&format!("ref_name,ref,datetime,sha256\n{rows}")).expect("a list")
    };
    let with_both = |mut case: Case| {
        case.lists.otp = case.lists.otp.or(other());
        case.planned().erlang
    };
    let asking = |version: &str| with_both(case(&[]).var("erlang_version", version));
    for (requested, version, publisher) in [
        ("27.3.9", "27.3.9", Publisher::Erlef),
        ("27.3.4", "27.3.4", Publisher::HexPm),
        ("26", "26.2.5.12", Publisher::HexPm),
        ("maint-27", "maint-27", Publisher::Erlef),
    ] {
        let erlang = asking(requested);
        assert_eq!(
            (erlang.version.as_str(), erlang.build.publisher),
            (version, publisher)
        );
    }
    let kept = with_both(case(&[]).last("27.3.9", "1.18.3", None));
    assert_eq!(
        (kept.version.as_str(), kept.source),
        ("27.3.9", Origin::LastBuild)
    );
}

#[test]
fn otp_branch_counts_as_newest_release() {
    let mut case = case(&[]).var("erlang_version", "master");
    case.lists.otp = OtpListing::parse(&list(&["OTP-26.2.5.12", "OTP-27.3.4", "master"]));
    let plan = case.planned();
    assert_eq!(plan.otp_major, 27);
    assert_eq!(plan.elixir.build.reference, "v1.18.4-otp-27");
    assert!(plan.has_branch());
}

#[test]
fn request_without_compatible_version_names_source() {
    assert!(matches!(
        case(&[]).var("elixir_version", "1.9").refused(),
        VersionError::NoOtpFor { requested, .. } if requested.value == "1.9"
    ));
    let mut old = case(&[]).var("erlang_version", "24");
    old.lists.elixir = ElixirListing::parse(&list(&["v1.18.4-otp-27"]));
    assert_eq!(
        old.refused(),
        VersionError::NoElixirFor {
            requested: Setting::new("24".into(), Origin::ConfigVar("erlang_version".into())),
            otp: "24.3.4.17".into(),
        }
    );
    let mut empty = case(&[PACKAGE]);
    empty.lists.node = Some(NodeIndex::parse("[]").unwrap());
    assert_eq!(
        empty.plan().unwrap_err(),
        PlanError::NoNode {
            arch: "amd64".into()
        }
    );
    let mut strangers = case(&[]);
    strangers.lists.otp = OtpListing::parse(&list(&["OTP-24.3.4.17"]));
    strangers.lists.elixir = ElixirListing::parse(&list(&["v1.18.4-otp-27"]));
    assert!(matches!(
        strangers.refused(),
        VersionError::NoCompatiblePair { .. }
    ));
}

#[test]
fn elixir_newer_than_compatibility_table_gets_warning() {
    let mut case = case(&[])
        .var("erlang_version", "28")
        .var("elixir_version", "1.99");
    case.lists.elixir = ElixirListing::parse(&list(&["v1.99.0-otp-28"]));
    let plan = case.planned();
    assert_eq!(plan.elixir.version, "1.99.0");
    assert_eq!(plan.warnings.len(), 1);
    assert!(plan.warnings[0].contains("1.99.0"), "{:?}", plan.warnings);
}

#[test]
fn warns_about_builds_for_nearest_system() {
    let case = case(&[]);
    let (facts, settings) = case.read();
    let system = OsRelease::parse("ID=debian\nVERSION_ID=12\n");
    let target = Target::resolve(None, &system, Arch::Amd64).unwrap();
    let mix_env = Setting::new("prod".to_owned(), Origin::Default(String::new()));
    let plan = plan::plan(&facts, &settings, target, mix_env, &case.lists, &case.last).unwrap();
    assert_eq!(plan.warnings.len(), 1);
    assert!(
        plan.warnings[0].contains("debian-12"),
        "{:?}",
        plan.warnings
    );
}
