//! The samples of upstream's files: Mixpack's parsers read them, and changes are reported. `upstream` compares them
//! with the current files.

use whole_builds::samples::{SAMPLES, Sample, changes};

fn sample(name: &str) -> &'static Sample {
    let mut samples = SAMPLES.iter();
    samples
        .find(|sample| sample.name == name)
        .expect("a sample")
}

#[test]
fn parsers_understand_every_sample_entry() {
    for sample in &SAMPLES {
        assert_eq!((sample.not_understood)(sample.text), 0, "{}", sample.name);
        assert_eq!(changes(sample, sample.text), [""; 0]);
    }
}

#[test]
fn parsers_find_versions_and_checksums_in_samples() {
    use versions::elixir::ElixirListing;
    use versions::installers::{InstallerList, Package, Scheme};
    use versions::node::{NodeIndex, NodeVersion, Shasums};
    use versions::otp::OtpListing;
    use versions::{Arch, ElixirVersion};

    let text = |name| sample(name).text;
    let otp = OtpListing::parse(text("otp-builds.txt"));
    let newest = otp.builds().first().expect("a build");
    assert_eq!(newest.reference, "OTP-27.0-rc1");
    assert!(
        newest
            .sha256
            .as_ref()
            .is_some_and(|sha256| sha256.starts_with("587a5191"))
    );
    assert_eq!(otp.get("OTP-24.3.4").expect("an old build").sha256, None);

    let elixir = ElixirListing::parse(text("elixir-builds.txt"));
    assert_eq!(
        elixir.builds().len(),
        text("elixir-builds.txt").lines().count()
    );

    let erlef = OtpListing::parse_csv(text("otp_builds.csv")).expect("a list");
    assert_eq!(erlef.only_branches().as_deref(), Some("maint"));

    let elixir = ElixirVersion::parse("1.20.1").expect("a version");
    for (name, package, scheme, path) in [
        (
            "hex.csv",
            Package::Hex,
            Scheme::ByElixirAndOtp,
            "/installs/1.20.0/hex-2.5.1-otp-29.ez",
        ),
        (
            "rebar.csv",
            Package::Rebar3,
            Scheme::ByElixirAndOtp,
            "/installs/1.18.4/rebar3-3.25.1-otp-28",
        ),
        (
            "hex-1.x.csv",
            Package::Hex,
            Scheme::ByElixir,
            "/installs/1.3.0/hex-0.13.2.ez",
        ),
    ] {
        let list = InstallerList::parse(text(name), package, scheme);
        assert_eq!(
            list.choose(&elixir, 29).map(|row| row.path.as_str()),
            Some(path)
        );
    }

    let index = NodeIndex::parse(text("node-index.json")).expect("an index");
    let lts = index.default_lts(Arch::Amd64).expect("a release");
    assert_eq!(lts.version.to_string(), "24.21.0");
    let sums = Shasums::parse(text("node-shasums.txt"));
    let version = NodeVersion::parse("22.11.0").expect("a version");
    assert!(sums.get(&version.archive_name(Arch::Arm64)).is_some());
}

#[test]
fn upstream_changes_are_reported_by_column_field_and_path() {
    type Change = fn(&str) -> String;
    let changed: [(&str, Change); 9] = [
        // The checksum is gone.
        ("otp-builds.txt", |text| without_last_fields(text, ' ')),
        // A new column in every line.
        ("elixir-builds.txt", |text| text.replace("Z ", "Z linux ")),
        // Releases beside branches, and another order of columns.
        ("otp_builds.csv", |text| {
            text.replace("maint,", "OTP-28.1,")
                .replace("ref_name,ref,", "ref,ref_name,")
        }),
        ("hex.csv", |text| without_last_fields(text, ',')),
        // A document instead of a list.
        ("rebar.csv", |_| "<html>404 Not Found</html>\n".to_owned()),
        ("node-index.json", |text| {
            text.replace("\"lts\":false", "\"lts\":null")
                .replace("\"files\"", "\"artifacts\"")
        }),
        ("node-shasums.txt", |text| {
            text.replace("  ", " *").replace('7', "x")
        }),
        // A new top-level directory, and other versions, which don't count as a change.
        ("otp.paths", |text| {
            text.replace("OTP-27.3.4/", "release/OTP-29.1/")
        }),
        ("elixir.paths", |text| text.replace("man\n", "share\n")),
    ];
    let reports = changed.map(|(name, change)| {
        let sample = sample(name);
        let live = change(sample.text);
        assert_ne!(live, sample.text, "{name}");
        changes(sample, &live).join("\n")
    });
    insta::assert_snapshot!("changes", reports.join("\n\n"));
}

fn without_last_fields(text: &str, separator: char) -> String {
    let lines = text
        .lines()
        .map(|line| line.rsplit_once(separator).expect("fields").0);
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn new_versions_and_rows_are_not_changes() {
    let otp = sample("otp-builds.txt");
    let more = otp.text.replace("OTP-26.0.1", "OTP-31.2.5.17").repeat(2);
    assert_eq!(changes(otp, &more), [""; 0]);
    let paths = sample("otp.paths");
    let newer = paths
        .text
        .replace("27.3.4", "30.0")
        .replace("/27/", "/30/")
        .replace("15.2.7", "18.0");
    let newer = newer + "OTP-30.0/lib/stdlib-8.0\nOTP-30.0/bin/erlc\n";
    assert_eq!(changes(paths, &newer), [""; 0]);
}
