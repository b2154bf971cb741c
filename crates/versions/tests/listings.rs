//! Excerpts of upstream's lists, in upstream's order and with its irregularities, and the choices made from them.

use proptest::prelude::*;
use versions::elixir::{ElixirListing, ElixirNoMatch, newest_otp_for, newest_pair};
use versions::node::{NodeIndex, Shasums};
use versions::otp::{OtpBuild, OtpListing, Publisher};
use versions::{
    Arch, ElixirRequest, ElixirVersion, NodeRequest, NodeVersion, OtpRequest, OtpVersion, Reason,
    nearest_pair,
};

const SHA: &str = "36b336d7675edfb976768465c5067bc8bc16ee9a";
const DIGEST: &str = "905919b09cf6c27decdabc4367af81a9ed248acd340a4b80fa55c3df14489093";

/// Lines as upstream writes them: with checksum, except for names marked `-`; blank first line.
fn list(names: &[&str], ending: &str) -> String {
    let mut text = "\n".to_owned();
    for name in names {
        let line = match name.strip_prefix('-') {
            Some(old) => format!("{old} {SHA} 2022-06-09T23:56:36Z"),
            None => format!("{name} {SHA} 2026-06-10T08:39:21Z {DIGEST}"),
        };
        text.push_str(&line);
        text.push_str(ending);
    }
    text
}

fn otp_listing() -> OtpListing {
    OtpListing::parse(&list(
        &[
            "-OTP-24.2",
            "-OTP-24.3.4.17",
            "OTP-25.3.2.21",
            "OTP-26.2.5.1",
            "OTP-26.2.5.10",
            "OTP-26.2.5.19",
            "OTP-26.2.5.2",
            "OTP-27.0",
            "OTP-27.0-rc1",
            "OTP-27.0-rc3",
            "OTP-27.0.1",
            "OTP-27.3.4.10",
            "OTP-27.3.4.9",
            "OTP-28.5.0.3",
            "OTP-29.0-rc3",
            "OTP-29.0.2",
            "maint",
            "maint-27",
            "master",
        ],
        "\n",
    ))
}

fn elixir_listing() -> ElixirListing {
    ElixirListing::parse(&list(
        &[
            "main",
            "main-otp-27",
            "main-otp-28",
            "v1.0.5",
            "v1.10.0-otp-22",
            "v1.12.2",
            "v1.12.2-otp-22",
            "v1.12.2-otp-23",
            "v1.12.2-otp-24",
            "v1.17.0-rc.0-otp-27",
            "v1.17.2-otp-25",
            "v1.17.2-otp-27",
            "v1.18",
            "v1.18-otp-27",
            "v1.18.3",
            "v1.18.3-otp-25",
            "v1.18.3-otp-26",
            "v1.18.3-otp-27",
            "v1.18.4-otp-26",
            "v1.18.4-otp-27",
            "-v1.8.0-otp-21",
            "-v1.9.0-otp-22",
            "v1.20.0-otp-27",
            "v1.20.0-otp-28",
            "v1.20.0-otp-29",
            "v1.20.1-rc.0-otp-29",
        ],
        " \n",
    ))
}

fn otp(text: &str) -> OtpVersion {
    OtpVersion::parse(text).expect("an OTP version")
}

fn elixir(text: &str) -> ElixirVersion {
    ElixirVersion::parse(text).expect("an Elixir version")
}

fn otp_request(text: &str) -> OtpRequest {
    OtpRequest::parse(text).expect("a request for OTP")
}

fn elixir_request(text: &str) -> ElixirRequest {
    ElixirRequest::parse(text).expect("a request for Elixir")
}

fn node_request(text: &str) -> NodeRequest {
    NodeRequest::parse(text).expect("a request for Node")
}

fn chosen_otp(request: &str) -> Option<String> {
    let listing = otp_listing();
    let build: Option<&OtpBuild> = listing.choose(&otp_request(request)).ok();
    build.map(|build| build.reference.clone())
}

fn chosen_elixir(request: &str, otp_major: u32) -> Option<String> {
    elixir_listing()
        .choose(&elixir_request(request), otp_major)
        .ok()
        .map(|build| build.reference.clone())
}

#[test]
fn otp_versions_compare_numerically() {
    let ordered = [
        "26.2.5.2",
        "26.2.5.19",
        "27.0-rc1",
        "27.0-rc3",
        "27.0-rc10",
        "27.0",
        "27.0.1",
        "27.3",
        "27.3.4",
        "27.3.4.9",
        "27.3.4.10",
        "28.5.0.3",
        "28.5.1",
    ];
    for pair in ordered.windows(2) {
        assert!(otp(pair[0]) < otp(pair[1]), "{pair:?}");
    }
    assert_eq!(otp("27.0.0"), otp("27.0"));
    assert_eq!(otp("27.0.0").to_string(), "27.0");
    assert_eq!(otp("28.5.0.3").to_string(), "28.5.0.3");
}

#[test]
fn otp_request_selects_newest_match() {
    for (request, reference) in [
        ("27", Some("OTP-27.3.4.10")),
        ("27.0", Some("OTP-27.0.1")),
        ("27.0.0", Some("OTP-27.0")),
        ("26.2", Some("OTP-26.2.5.19")),
        ("OTP-27.3.4.9", Some("OTP-27.3.4.9")),
        ("27.0-rc3", Some("OTP-27.0-rc3")),
        ("29", Some("OTP-29.0.2")),
        ("28.5", Some("OTP-28.5.0.3")),
        ("28.5.0", None),
        ("27.3.4", None),
        ("2", None),
        ("maint-27", Some("maint-27")),
        ("maint-26", None),
        ("master", Some("master")),
    ] {
        assert_eq!(chosen_otp(request).as_deref(), reference, "{request}");
    }
}

#[test]
fn missing_otp_error_names_newest_of_series_and_nearest() {
    let listing = otp_listing();
    let missing = listing.choose(&otp_request("26.2.5.99")).unwrap_err();
    assert_eq!(missing.newest_of_line, Some(otp("26.2.5.19")));
    assert_eq!(
        missing.nearest,
        [
            "26.2.5.19",
            "26.2.5.10",
            "26.2.5.2",
            "26.2.5.1",
            "27.3.4.10"
        ]
        .map(otp)
    );
    let missing = listing.choose(&otp_request("23")).unwrap_err();
    assert_eq!(missing.newest_of_line, None);
    assert_eq!(
        missing.nearest,
        [
            "24.3.4.17",
            "25.3.2.21",
            "26.2.5.19",
            "27.3.4.10",
            "28.5.0.3"
        ]
        .map(otp)
    );
    let missing = OtpListing::parse("")
        .choose(&otp_request("27"))
        .unwrap_err();
    assert!(missing.nearest.is_empty());
}

#[test]
fn lines_keep_checksum_and_malformed_one_is_rejected() {
    let listing = otp_listing();
    assert_eq!((listing.builds().len(), listing.malformed()), (19, 0));
    let digest = |request: &str| {
        let build = listing.choose(&otp_request(request)).expect("it is listed");
        (build.git_sha.clone(), build.sha256.clone())
    };
    assert_eq!(digest("29"), (SHA.to_owned(), Some(DIGEST.to_owned())));
    assert_eq!(
        listing
            .builds()
            .iter()
            .filter(|b| b.sha256.is_none())
            .count(),
        2
    );
    let bad = [
        format!("OTP-27.1 {SHA} 2026-06-10T08:39:21Z {}", &DIGEST[..63]),
        format!("OTP-27.1 {SHA} 2026-06-10T08:39:21Z {DIGEST} more"),
        format!("OTP-27.1 {SHA}"),
        format!("OTP-27.x {SHA} 2026-06-10T08:39:21Z {DIGEST}"),
        format!("../x {SHA} 2026-06-10T08:39:21Z {DIGEST}"),
        "<html><body>404 Not Found</body></html>".to_owned(),
    ];
    let listing = OtpListing::parse(&bad.join("\r\n"));
    assert_eq!(
        (listing.builds().len(), listing.malformed()),
        (0, bad.len())
    );
}

/// Rows as `erlef/otp_builds` writes them.
fn csv(names: &[&str]) -> String {
    let row = |name: &&str| {
        format!("{name},{SHA},2026-09-15T14:15:27Z,{DIGEST},openssl-3.0.13,wxwidgets-3.2.4\n")
    };
    let rows: String = names.iter().map(row).collect();
    format!("ref_name,ref,datetime,sha256,openssl,wxwidgets\n{rows}")
}

#[test]
fn erlef_csv_is_read_by_column_names() {
    let upstreams = OtpListing::parse_csv(&csv(&[
        "maint",
        "maint-28",
        "OTP-27.3.4.9",
        "OTP-27.3.4.10",
        "OTP-25.0",
    ]));
    let upstreams = upstreams.expect("a list");
    assert_eq!((upstreams.builds().len(), upstreams.malformed()), (5, 0));
    let newest = upstreams.choose(&otp_request("27")).expect("it is listed");
    assert_eq!(
        *newest,
        OtpBuild {
            reference: "OTP-27.3.4.10".to_owned(),
            version: Some(otp("27.3.4.10")),
            git_sha: SHA.to_owned(),
            built_at: "2026-09-15T14:15:27Z".to_owned(),
            sha256: Some(DIGEST.to_owned()),
            publisher: Publisher::Erlef,
        }
    );
    assert!(upstreams.choose(&otp_request("maint-28")).is_ok());

    // Columns in another order, more of them, Windows line ends, a byte order mark, blank lines,
    // capital digits, and a row without a checksum.
    let upper = DIGEST.to_uppercase();
    let other = format!(
        "\u{feff}\r\nsha256,note,ref,ref_name,datetime,sigstore\r\n\r\n\
         {upper},a,{SHA},OTP-28.0,2026-09-15T14:15:27Z,\"x, y\"\r\n\
         ,,{SHA},OTP-25.0,2026-09-15T14:15:27Z\r\n"
    );
    let other = OtpListing::parse_csv(&other).expect("a list");
    assert_eq!((other.builds().len(), other.malformed()), (2, 0));
    let sha256 = |name: &str| other.get(name).expect("it is listed").sha256.clone();
    assert_eq!(sha256("OTP-28.0").as_deref(), Some(DIGEST));
    assert_eq!(sha256("OTP-25.0"), None);
}

#[test]
fn erlef_csv_is_read_without_header() {
    let named = csv(&["maint", "OTP-28.0"]);
    let (_, rows) = named.split_once('\n').expect("a first line");
    let list = OtpListing::parse_csv(rows).expect("a list");
    assert_eq!((list.builds().len(), list.malformed()), (2, 0));
    assert_eq!(Some(list), OtpListing::parse_csv(&named));
}

#[test]
fn malformed_erlef_csv_rows_are_rejected() {
    let row = |fields: &str| format!("ref_name,ref,datetime,sha256\n{fields}\n");
    for fields in [
        format!("OTP-27.1,{SHA},2026-06-10T08:39:21Z,{}", &DIGEST[..63]),
        format!("OTP-27.1,{SHA}"),
        format!("OTP-27.x,{SHA},2026-06-10T08:39:21Z,{DIGEST}"),
        format!("../x,{SHA},2026-06-10T08:39:21Z,{DIGEST}"),
        format!("OTP-27.1,\"a,b\",{SHA},2026-06-10T08:39:21Z,{DIGEST}"),
        format!("OTP-27.1 {SHA} 2026-06-10T08:39:21Z {DIGEST}"),
    ] {
        let list = OtpListing::parse_csv(&row(&fields)).expect("a list");
        assert_eq!((list.builds().len(), list.malformed()), (0, 1), "{fields}");
    }
    assert!(OtpListing::parse_csv(&csv(&[])).is_some_and(|list| list.is_empty()));
    for text in [
        "",
        "<html><body>404 Not Found</body></html>",
        &format!("OTP-27.1 {SHA} 2026-06-10T08:39:21Z {DIGEST}\n"),
        "ref_name,ref,datetime\nOTP-27.1,x,y\n",
    ] {
        assert!(OtpListing::parse_csv(text).is_none(), "{text}");
    }
}

#[test]
fn list_with_only_branches_names_them() {
    for (names, branches) in [
        (
            &["maint", "maint-28", "master"][..],
            Some("maint, maint-28, master"),
        ),
        (&["maint", "OTP-28.0"], None),
        (&["OTP-29.0-rc3"], None),
        (&[], None),
    ] {
        let of_lines = OtpListing::parse(&list(names, "\n")).only_branches();
        assert_eq!(of_lines.as_deref(), branches);
        let of_rows = OtpListing::parse_csv(&csv(names)).expect("a list");
        assert_eq!(of_rows.only_branches().as_deref(), branches);
    }
}

#[test]
fn first_list_wins_for_builds_in_both() {
    let other = csv(&["OTP-29.0.2", "OTP-29.0.9", "maint", "maint-29"]);
    let both = otp_listing().or(OtpListing::parse_csv(&other).expect("a list"));
    for (request, reference, publisher) in [
        ("29", "OTP-29.0.9", Publisher::Erlef),
        ("29.0.2", "OTP-29.0.2", Publisher::HexPm),
        ("maint", "maint", Publisher::HexPm),
        ("maint-29", "maint-29", Publisher::Erlef),
        ("27", "OTP-27.3.4.10", Publisher::HexPm),
    ] {
        let build = both.choose(&otp_request(request)).expect("it is listed");
        assert_eq!(
            (build.reference.as_str(), build.publisher),
            (reference, publisher)
        );
    }
    assert_eq!(both.builds().len(), 21);
}

#[test]
fn otp_branch_counts_as_newest_listed_release() {
    let major = |list: &OtpListing, branch: &str| {
        list.major_of(list.choose(&otp_request(branch)).expect("it is listed"))
    };
    let list = otp_listing();
    assert_eq!(major(&list, "maint-27"), 27);
    assert_eq!(major(&list, "27.0-rc1"), 27);
    // A list of a stack that is older than the table, and one that is newer.
    for (names, newest) in [
        (["OTP-27.3.4", "maint", "master"], 27),
        (["OTP-31.0.1", "maint", "master"], 31),
        (
            ["OTP-99.0-rc1", "maint", "master"],
            versions::compatibility::NEWEST_OTP,
        ),
    ] {
        let list = OtpListing::parse(&self::list(&names, "\n"));
        assert_eq!(major(&list, "maint"), newest);
        assert_eq!(major(&list, "master"), newest);
    }
}

#[test]
fn selects_elixir_build_for_otp_major() {
    for (request, otp_major, reference) in [
        // No otp-28 archive in this list: the one for 27 runs there.
        ("1.18.4", 28, Some("v1.18.4-otp-27")),
        ("1.18", 28, Some("v1.18.4-otp-27")),
        ("1.18.4", 26, Some("v1.18.4-otp-26")),
        // The newest version of the line has no build for OTP 25, but the previous one has.
        ("1.18", 25, Some("v1.18.3-otp-25")),
        ("1", 29, Some("v1.20.0-otp-29")),
        ("1", 27, Some("v1.20.0-otp-27")),
        ("1", 26, Some("v1.18.4-otp-26")),
        // Known to be incompatible.
        ("1.18.3", 28, None),
        ("1.17", 28, None),
        ("1.12.2", 21, None),
        ("1.12.2", 25, None),
        ("1.12.2", 23, Some("v1.12.2-otp-23")),
        // Newer than the table.
        ("1.20", 31, Some("v1.20.0-otp-29")),
        ("v1.17.0-rc.0", 27, Some("v1.17.0-rc.0-otp-27")),
        ("1.18.4-otp-26", 27, Some("v1.18.4-otp-26")),
        ("1.18.4-otp-27", 26, None),
        ("1.18-otp-25", 27, Some("v1.18.3-otp-25")),
        // Only the archive without suffix exists.
        ("1.0.5", 18, Some("v1.0.5")),
        ("1.0.5", 19, None),
        ("branch main", 29, Some("main-otp-28")),
        ("main-otp-27", 28, Some("main-otp-27")),
        ("main", 26, None),
        ("branch v1.18", 27, Some("v1.18-otp-27")),
        ("branch nothing", 27, None),
    ] {
        assert_eq!(
            chosen_elixir(request, otp_major).as_deref(),
            reference,
            "{request} on {otp_major}"
        );
    }
}

#[test]
fn selects_published_pair_that_elixir_does_not_support() {
    let names = [
        "v1.13.3-otp-24",
        "v1.13.3-otp-25",
        "v1.14.4-otp-25",
        "v1.14.4-otp-26",
        "v1.19.4-otp-28",
        "v1.19.5-otp-28",
        "v1.19.5-otp-29",
    ];
    let listing = ElixirListing::parse(&list(&names, "\n"));
    let chosen = |request: &str, otp_major| {
        let build = listing.choose(&elixir_request(request), otp_major).ok();
        build.map(|build| build.reference.as_str())
    };
    for (request, otp_major, reference) in [
        ("1.13.3", 25, Some("v1.13.3-otp-25")),
        ("1.13", 25, Some("v1.13.3-otp-25")),
        ("1.13.3-otp-24", 25, Some("v1.13.3-otp-24")),
        ("1.14.4", 26, Some("v1.14.4-otp-26")),
        ("1.19.5", 29, Some("v1.19.5-otp-29")),
        // Of several, the supported one.
        ("~> 1.13", 25, Some("v1.14.4-otp-25")),
        ("~> 1.13", 26, Some("v1.14.4-otp-26")),
        // Without its own build, Elixir's compatibility table decides.
        ("1.19.4", 29, None),
        ("1.13.3", 26, None),
        ("1.14.4", 27, None),
    ] {
        assert_eq!(
            chosen(request, otp_major),
            reference,
            "{request} on {otp_major}"
        );
    }
    // A version alone gets an OTP that it supports, if there is one.
    for (otps, request, expected) in [
        (
            &["OTP-24.3.4", "OTP-25.3"][..],
            "1.13.3",
            Some(("OTP-24.3.4", "v1.13.3-otp-24")),
        ),
        (
            &["OTP-25.3", "OTP-26.2"],
            "1.13.3",
            Some(("OTP-25.3", "v1.13.3-otp-25")),
        ),
        (
            &["OTP-26.2"],
            "1.14.4",
            Some(("OTP-26.2", "v1.14.4-otp-26")),
        ),
        (&["OTP-27.0"], "1.14.4", None),
    ] {
        let otps = OtpListing::parse(&list(otps, "\n"));
        let pair = newest_otp_for(&elixir_request(request), &otps, &listing);
        let pair = pair.map(|(otp, elixir)| (otp.reference.as_str(), elixir.reference.as_str()));
        assert_eq!(pair, expected, "{request}");
    }
    let newest = listing.newest_for(29).map(|build| build.reference.as_str());
    assert_eq!(newest, Some("v1.19.5-otp-29"));
}

#[test]
fn missing_elixir_error_distinguishes_unlisted_from_incompatible() {
    let listing = elixir_listing();
    let request = elixir_request("1.12.2");
    assert_eq!(
        listing.choose(&request, 21).unwrap_err(),
        ElixirNoMatch::NoBuildForOtp {
            request,
            version: Some(elixir("1.12.2")),
            otp_major: 21,
        }
    );
    let request = elixir_request("1.18.4");
    assert!(
        matches!(
            listing.choose(&request, 25),
            Err(ElixirNoMatch::NoBuildForOtp { .. })
        ),
        "1.18.4 has no archive for OTP 25 in this list"
    );
    let request = elixir_request("1.18.9");
    assert_eq!(
        listing.choose(&request, 27).unwrap_err(),
        ElixirNoMatch::NotListed {
            request,
            nearest: ["1.18.4", "1.18.3", "1.17.2", "1.20.0", "1.12.2"]
                .map(elixir)
                .to_vec(),
            newer_than_listed: true,
        }
    );
}

#[test]
fn only_versions_newer_than_newest_listed_may_be_pending() {
    for (request, newer) in [
        ("27.3.4.11", true),
        ("27.4", true),
        ("29.0.3", true),
        ("30", true),
        ("99.1", true),
        ("30.0-rc1", true),
        // Older than the newest of its line, or than all lines.
        ("26.2.5.3", false),
        ("27.0.0.1", false),
        ("24.2.1", false),
        ("29.0-rc9", false),
        ("21.3", false),
        ("maint-30", false),
    ] {
        let missing = otp_listing().choose(&otp_request(request)).unwrap_err();
        assert_eq!(missing.newer_than_listed, newer, "{request}");
    }
    for (request, newer) in [
        ("1.18.5", true),
        ("1.20.2", true),
        ("1.21", true),
        ("2", true),
        ("1.18.2", false),
        ("1.15.3", false),
        ("1.11", false),
        ("~> 1.99", false),
        ("branch next", false),
    ] {
        let missing = elixir_listing()
            .choose(&elixir_request(request), 27)
            .unwrap_err();
        let ElixirNoMatch::NotListed {
            newer_than_listed, ..
        } = missing
        else {
            panic!("{request} is not listed");
        };
        assert_eq!(newer_than_listed, newer, "{request}");
    }
}

#[test]
fn half_specified_pair_is_completed() {
    let (otps, elixirs) = (otp_listing(), elixir_listing());
    for (request, expected) in [
        ("1.18", Some(("OTP-28.5.0.3", "v1.18.4-otp-27"))),
        ("1.18.3", Some(("OTP-27.3.4.10", "v1.18.3-otp-27"))),
        ("1.18.4-otp-26", Some(("OTP-26.2.5.19", "v1.18.4-otp-26"))),
        ("1.12", Some(("OTP-24.3.4.17", "v1.12.2-otp-24"))),
        ("1.10", None),
        ("main", Some(("OTP-28.5.0.3", "main-otp-28"))),
    ] {
        let pair = newest_otp_for(&elixir_request(request), &otps, &elixirs);
        let names = pair.map(|(o, e)| (o.reference.as_str(), e.reference.as_str()));
        assert_eq!(names, expected, "{request}");
    }
    let pair = newest_pair(&otps, &elixirs).map(|(o, e)| (&*o.reference, &*e.reference));
    assert_eq!(pair, Some(("OTP-29.0.2", "v1.20.0-otp-29")));
    assert_eq!(
        elixirs.newest_for(26).map(|build| &*build.reference),
        Some("v1.18.4-otp-26")
    );
    assert_eq!(elixirs.newest_for(31), None);
}

#[test]
fn otp_newer_than_table_is_default_only_with_matching_elixir_build() {
    let otps = OtpListing::parse(&list(&["OTP-29.0.2", "OTP-30.0"], "\n"));
    let pair = |names: &[&str]| {
        let elixirs = ElixirListing::parse(&list(names, "\n"));
        newest_pair(&otps, &elixirs).map(|(o, e)| (o.reference.clone(), e.reference.clone()))
    };
    assert_eq!(
        pair(&["v1.20.0-otp-29"]),
        Some(("OTP-29.0.2".to_owned(), "v1.20.0-otp-29".to_owned()))
    );
    assert_eq!(
        pair(&["v1.20.0-otp-29", "v1.20.9-otp-30"]),
        Some(("OTP-30.0".to_owned(), "v1.20.9-otp-30".to_owned()))
    );
}

#[test]
fn nearest_pair_keeps_minor_version_and_prefers_newer_otp() {
    let (otps, elixirs) = (otp_listing(), elixir_listing());
    for (otp, elixir, expected) in [
        // A compatible pair stays.
        (
            Some("27.0.1"),
            Some("1.18.3"),
            Some("27.0.1 v1.18.3-otp-27"),
        ),
        (
            Some("27"),
            Some("1.18.4-otp-26"),
            Some("27.3.4.10 v1.18.4-otp-26"),
        ),
        // Another patch release of the same minor version, on the same OTP.
        (Some("28"), Some("1.18.3"), Some("28.5.0.3 v1.18.4-otp-27")),
        (
            Some("27.3.4.9"),
            Some("1.18.9"),
            Some("27.3.4.9 v1.18.4-otp-27"),
        ),
        // The same Elixir on another OTP: newer, or else older.
        (Some("23"), Some("1.18.3"), Some("25.3.2.21 v1.18.3-otp-25")),
        (Some("29"), Some("1.17.2"), Some("27.3.4.10 v1.17.2-otp-27")),
        (
            Some("26.2.5.99"),
            Some("1.18.3"),
            Some("26.2.5.19 v1.18.3-otp-26"),
        ),
        (Some("24.9"), Some("1.12"), Some("24.3.4.17 v1.12.2-otp-24")),
        // No OTP of its minor version is built: the next newer one, or else the next older one.
        (
            Some("21.3"),
            Some("1.8.0"),
            Some("24.3.4.17 v1.12.2-otp-24"),
        ),
        (Some("21.3"), Some("1.15"), Some("25.3.2.21 v1.17.2-otp-25")),
        (Some("27"), Some("1.99"), Some("27.3.4.10 v1.20.0-otp-27")),
        (
            Some("24"),
            Some("~> 1.99"),
            Some("27.3.4.10 v1.20.0-otp-27"),
        ),
        // A newer Elixir on the same OTP changes less than both.
        (Some("27"), Some("1.15"), Some("27.3.4.10 v1.17.2-otp-27")),
        // One of the two.
        (Some("21"), None, Some("24.3.4.17 v1.12.2-otp-24")),
        (None, Some("1.10"), Some("24.3.4.17 v1.12.2-otp-24")),
        (None, None, Some("29.0.2 v1.20.0-otp-29")),
        // Branches and pinned builds.
        (Some("26"), Some("main"), Some("27.3.4.10 main-otp-27")),
        (
            Some("maint-27"),
            Some("1.12"),
            Some("24.3.4.17 v1.12.2-otp-24"),
        ),
        (
            Some("maint-26"),
            Some("1.18.3"),
            Some("26.2.5.19 v1.18.3-otp-26"),
        ),
        (
            Some("26"),
            Some("1.18.4-otp-27"),
            Some("26.2.5.19 v1.18.4-otp-26"),
        ),
    ] {
        let otp = otp.map(otp_request);
        let elixir = elixir.map(elixir_request);
        let pair = nearest_pair(otp.as_ref(), elixir.as_ref(), &otps, &elixirs);
        let found = pair.map(|(otp, elixir)| {
            let version = otp
                .version
                .as_ref()
                .map_or(otp.reference.clone(), ToString::to_string);
            format!("{version} {}", elixir.reference)
        });
        assert_eq!(found.as_deref(), expected, "{otp:?} {elixir:?}");
    }
    let none = ElixirListing::default();
    assert_eq!(nearest_pair(None, None, &otps, &none), None);
}

const INDEX: &str = r#"[
{"version":"v26.7.0","date":"2026-08-05","files":["headers","linux-arm64","linux-x64"],"npm":"11.0.0","lts":false,"security":false},
{"version":"v24.19.1","files":["linux-arm64","linux-x64"],"lts":false},
{"version":"v24.19.0","files":["linux-arm64","linux-x64"],"lts":"Krypton"},
{"version":"v24.0.0","files":["linux-arm64","linux-x64"],"lts":false},
{"version":"v22.12.0","files":["linux-x64"],"lts":"Jod"},
{"version":"v22.11.0","files":["linux-arm64","linux-x64"],"lts":"Jod"},
{"version":"v18.20.5","files":["headers","src"],"lts":"Hydrogen"},
{"version":"v18.20.4","files":["linux-arm64","linux-x64"],"lts":"Hydrogen"},
{"version":"v18.2.0","files":["linux-arm64","linux-x64"],"lts":false},
{"version":17}
]"#;

#[test]
fn selects_node_for_architecture() {
    let index = NodeIndex::parse(INDEX).expect("an index");
    assert_eq!((index.releases().len(), index.malformed()), (9, 1));
    for (request, arch, version) in [
        ("22", Arch::Amd64, Some("22.12.0")),
        ("22.x", Arch::Arm64, Some("22.11.0")),
        ("^22.11", Arch::Amd64, Some("22.12.0")),
        ("v18.2.0", Arch::Amd64, Some("18.2.0")),
        ("18", Arch::Amd64, Some("18.20.4")),
        ("18.20.5", Arch::Amd64, None),
        ("~=18.2", Arch::Amd64, Some("18.2.0")),
        ("<=18", Arch::Amd64, Some("18.20.4")),
        // Wide, but with an end: the newest.
        (">=18 <27", Arch::Amd64, Some("26.7.0")),
        // Open-ended: the newest under long-term support, a patch without its name included.
        (">=18", Arch::Amd64, Some("24.19.1")),
        ("*", Arch::Amd64, Some("24.19.1")),
        // Nothing in it is under long-term support.
        (">=25", Arch::Amd64, Some("26.7.0")),
        ("18.2 || 22.11", Arch::Amd64, Some("22.11.0")),
        ("latest", Arch::Amd64, Some("26.7.0")),
        ("lts/*", Arch::Amd64, Some("24.19.1")),
        ("lts/Jod", Arch::Arm64, Some("22.11.0")),
        ("lts/iron", Arch::Amd64, None),
        ("20", Arch::Amd64, None),
    ] {
        let chosen = index.choose(&node_request(request), arch).ok();
        assert_eq!(
            chosen.map(|release| release.version.to_string()).as_deref(),
            version,
            "{request}"
        );
    }
    let default = index.default_lts(Arch::Arm64).expect("an LTS line");
    assert_eq!(
        default.version.archive_name(Arch::Arm64),
        "node-v24.19.1-linux-arm64.tar.gz"
    );
}

/// Results of npm's own semver 7.8.5, for the versions of `NPM_VERSIONS` in order.
const NPM_ANSWERS: &[(&str, &str)] = &[
    ("*", "11111111110"),
    ("^x", "11111111110"),
    (">x", "00000000000"),
    ("<=*", "11111111110"),
    ("<=18", "11111110000"),
    (">18", "00000001110"),
    ("<18.2", "11110000000"),
    ("<=18.2", "11111100000"),
    (">18.2", "00000011110"),
    ("~18", "00011110000"),
    ("~18.2", "00001100000"),
    ("~=18.2", "00001100000"),
    ("~18.2.5", "00000100000"),
    ("^18.2", "00001110000"),
    ("^0.12", "10000000000"),
    ("18 - 20", "00011111100"),
    ("18.2.5 - x", "00000111110"),
    (">= 18.0.0 <=20.x", "00011111100"),
    ("<20 20", "00000000000"),
    ("16 || ^20.1", "01000000100"),
    (">=22.0.0-rc.1", "00000000011"),
    (">=21", "00000000010"),
];

const NPM_VERSIONS: [&str; 11] = [
    "0.12.0",
    "16.0.0",
    "17.9.1",
    "18.0.0",
    "18.2.0",
    "18.2.5",
    "18.20.4",
    "19.0.0",
    "20.1.0",
    "22.0.0",
    "22.0.0-rc.1",
];

#[test]
fn ranges_match_like_npm() {
    for (range, answers) in NPM_ANSWERS {
        let NodeRequest::Range(parsed) = node_request(range) else {
            panic!("{range} is a range");
        };
        let ours: String = NPM_VERSIONS
            .iter()
            .map(|version| {
                let version = NodeVersion::parse(version).expect("a version");
                if parsed.matches(&version) { '1' } else { '0' }
            })
            .collect();
        assert_eq!(ours, *answers, "{range}");
    }
}

#[test]
fn missing_node_error_names_nearest_versions() {
    let index = NodeIndex::parse(INDEX).expect("an index");
    let missing = index
        .choose(&node_request("18.20.5"), Arch::Amd64)
        .unwrap_err();
    assert_eq!(
        missing.newest_of_line.map(|v| v.to_string()).as_deref(),
        Some("18.20.4")
    );
    assert_eq!(
        missing.without_archive.map(|v| v.to_string()).as_deref(),
        Some("18.20.5")
    );
    let missing = index.choose(&node_request("23"), Arch::Amd64).unwrap_err();
    let nearest: Vec<String> = missing.nearest.iter().map(ToString::to_string).collect();
    assert_eq!(nearest, ["24.19.1", "22.12.0", "26.7.0", "18.20.4"]);
    assert!(NodeIndex::parse("<html>").is_err());
}

#[test]
fn finds_shasum_by_file_name() {
    let text =
        format!("{DIGEST}  node-v24.19.0-linux-x64.tar.gz\r\nshort  node-v24.19.0.pkg\n<html>\n");
    let sums = Shasums::parse(&text);
    assert_eq!(sums.get("node-v24.19.0-linux-x64.tar.gz"), Some(DIGEST));
    assert_eq!(sums.get("node-v24.19.0.pkg"), None);
    assert!(Shasums::parse("").is_empty());
}

#[test]
fn parses_common_request_forms() {
    for (input, shown) in [
        ("27", "27"),
        ("27.3", "27.3"),
        ("OTP-27.3.4", "27.3.4"),
        ("\"27.3.4.2\"\r", "27.3.4.2"),
        ("\u{feff}27.0-rc3 # soon", "27.0-rc3"),
        ("27.0.0", "27.0.0"),
        ("maint-27", "maint-27"),
        ("ref:master", "master"),
        ("\u{201c}26\u{201d}", "26"),
    ] {
        assert_eq!(otp_request(input).to_string(), shown, "{input:?}");
    }
    for (input, shown) in [
        ("1.18", "1.18"),
        ("v1.18.3", "1.18.3"),
        ("1.18.4-otp-27", "1.18.4-otp-27"),
        ("1.17.0-rc.0", "1.17.0-rc.0"),
        ("1.17.0-rc.0-otp-27", "1.17.0-rc.0-otp-27"),
        ("(branch main)", "branch main"),
        ("(branch v1.18)\r", "branch v1.18"),
        ("branch main-otp-27", "branch main-otp-27"),
        ("main-otp-27", "branch main-otp-27"),
        ("ref:main", "branch main"),
        ("ref:v1.18.3", "1.18.3"),
        ("v1.18", "1.18"),
        ("1", "1"),
    ] {
        assert_eq!(elixir_request(input).to_string(), shown, "{input:?}");
    }
    for (input, shown) in [
        ("v22.1.0", "22.1.0"),
        ("=22.1.0", "22.1.0"),
        ("22", "22"),
        ("22.X", "22.X"),
        ("> =18", ">=18"),
        (">= v18  <21", ">=18 <21"),
        ("~> 18.2", "~18.2"),
        ("18 - 20.1", "18 - 20.1"),
        ("lts", "lts/*"),
        ("LTS/Jod", "lts/jod"),
        ("current", "latest"),
        ("node", "latest"),
        ("18||20", "18 || 20"),
        ("'^22'", "^22"),
    ] {
        assert_eq!(node_request(input).to_string(), shown, "{input:?}");
    }
}

#[test]
fn invalid_version_error_has_reason() {
    let part = |text: &str| text.to_owned();
    for (input, reason) in [
        ("", Reason::Empty),
        ("''", Reason::Empty),
        ("27.y", Reason::NotANumber { part: part("y") }),
        ("x", Reason::NotANumber { part: part("x") }),
        ("27..1", Reason::NotANumber { part: part("") }),
        (
            "99999999999",
            Reason::TooLarge {
                part: part("99999999999"),
            },
        ),
        (
            "27.0-beta",
            Reason::NotACandidate {
                part: part("beta"),
                example: "27.0-rc1",
            },
        ),
        ("27-rc1", Reason::Incomplete),
        (
            "R16B03",
            Reason::NotANumber {
                part: part("R16B03"),
            },
        ),
    ] {
        let error = OtpRequest::parse(input).unwrap_err();
        assert_eq!((error.input.as_str(), error.reason), (input, reason));
    }
    for (input, reason) in [
        ("", Reason::Empty),
        ("1.18.4-otp-x", Reason::NotAnOtpMajor { part: part("x") }),
        ("1.18.4.1", Reason::TooManyNumbers),
        ("1.18.y", Reason::NotANumber { part: part("y") }),
        ("~> 1", Reason::NotANumber { part: part("1") }),
        ("branch ../x", Reason::NotABranch { part: part("../x") }),
        (
            "system",
            Reason::NotANumber {
                part: part("system"),
            },
        ),
    ] {
        let error = ElixirRequest::parse(input).unwrap_err();
        assert_eq!((error.input.as_str(), error.reason), (input, reason));
    }
    // npm rejects these as ranges.
    for input in [
        ">=18, <21",
        "node 18",
        "18 .x",
        "18.x.y",
        "=>18",
        "18.1.2.3",
        ">",
        "018",
        "18 -20",
        "18-20",
        "lts/-1",
        "stable",
        ">=18<21",
        "18 |20",
        "x.2",
        "v 18",
    ] {
        let error = NodeRequest::parse(input).unwrap_err();
        assert!(
            matches!(error.reason, Reason::NotARange { .. }),
            "{input}: {error}"
        );
    }
    assert_eq!(NodeRequest::parse(" ").unwrap_err().reason, Reason::Empty);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parsers_do_not_panic_and_parsed_values_round_trip(
        text in r"(OTP-|v|branch |ref:|lts/|[\^~<>=]{0,2})?[0-9x.* |-]{0,12}(-?rc\.?[0-9]{0,3})?(-otp-[0-9]{0,3})?|(?s).{0,20}"
    ) {
        if let Ok(request) = OtpRequest::parse(&text) {
            prop_assert_eq!(OtpRequest::parse(&request.to_string()), Ok(request));
        }
        if let Ok(request) = ElixirRequest::parse(&text) {
            prop_assert_eq!(ElixirRequest::parse(&request.to_string()), Ok(request));
        }
        if let Ok(request) = NodeRequest::parse(&text) {
            prop_assert_eq!(NodeRequest::parse(&request.to_string()), Ok(request));
        }
        if let Ok(version) = OtpVersion::parse(&text) {
            prop_assert_eq!(OtpVersion::parse(&version.to_string()), Ok(version));
        }
        if let Ok(version) = ElixirVersion::parse(&text) {
            prop_assert_eq!(ElixirVersion::parse(&version.to_string()), Ok(version));
        }
    }

    #[test]
    fn list_parsers_do_not_panic(text in r"(?s)([0-9a-fv.\n -]|OTP-|-otp-|.){0,80}") {
        let lines = text.lines().count();
        let otps = OtpListing::parse(&text);
        prop_assert!(otps.builds().len() + otps.malformed() <= lines);
        let csv = format!("ref_name,ref,datetime,sha256\n{text}");
        let others = OtpListing::parse_csv(&csv).expect("a list");
        prop_assert!(others.builds().len() + others.malformed() <= lines);
        let elixirs = ElixirListing::parse(&text);
        prop_assert!(elixirs.builds().len() + elixirs.malformed() <= lines);
        prop_assert!(Shasums::parse(&text).is_empty());
        prop_assert!(NodeIndex::parse(&text).is_err());
    }
}
