//! The versions at their end of life, and those with a bug that breaks deploys.

use crate::elixir::ElixirListing;
use crate::elixir_version::ElixirVersion;
use crate::node_version::NodeVersion;
use crate::otp::{OtpListing, OtpVersion};
use std::fmt;

/// A day of the Gregorian calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    pub year: u16,
    pub month: u8,
    pub day: u8,
}

const fn date(year: u16, month: u8, day: u8) -> Date {
    Date { year, month, day }
}

impl Date {
    /// Returns the day of a time in seconds since 1970.
    #[must_use]
    pub fn of_unix_time(seconds: u64) -> Self {
        let mut days = seconds / 86_400;
        let mut year = 1970;
        loop {
            let length = if is_leap(year) { 366 } else { 365 };
            if days < length || year == u16::MAX {
                break;
            }
            days -= length;
            year += 1;
        }
        let february = if is_leap(year) { 29 } else { 28 };
        let mut month = 1;
        for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
            if days < length {
                break;
            }
            days -= length;
            month += 1;
        }
        let day = u8::try_from(days + 1).unwrap_or(31);
        Self { year, month, day }
    }
}

/// Formats a time in seconds since 1970: `2026-11-24 00:30 UTC`.
#[must_use]
pub fn minute_of_unix_time(seconds: u64) -> String {
    let minutes = seconds / 60;
    let date = Date::of_unix_time(seconds);
    format!("{date} {:02}:{:02} UTC", minutes / 60 % 24, minutes % 60)
}

fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// The number of OTP majors that get fixes: SECURITY.md of erlang/otp, "the latest three".
const OTP_MAJORS: u32 = 3;

/// The number of Elixir minors that get security fixes: "Compatibility and deprecations" of its documentation (bug
/// fixes for the newest, security fixes for the newest five).
const ELIXIR_MINORS: u64 = 5;

/// Returns the oldest OTP major that gets fixes, if `version` is older. The newest version in upstream's list is the
/// reference, so no dates are needed.
#[must_use]
pub fn otp_superseded(version: &OtpVersion, list: &OtpListing) -> Option<u32> {
    let (newest, _) = list.newest_of_majors().into_iter().next()?;
    let oldest = (newest + 1).saturating_sub(OTP_MAJORS);
    (version.major() < oldest).then_some(oldest)
}

/// Returns the oldest Elixir that gets security fixes (`1.16`), if `version` is older.
#[must_use]
pub fn elixir_superseded(version: &ElixirVersion, list: &ElixirListing) -> Option<String> {
    let released = list
        .builds()
        .iter()
        .filter_map(|build| build.version.as_ref());
    let newest = released.filter(|version| !version.is_candidate()).max()?;
    let oldest = (newest.minor() + 1).saturating_sub(ELIXIR_MINORS);
    let older = (version.major(), version.minor()) < (newest.major(), oldest);
    older.then(|| format!("{}.{oldest}", newest.major()))
}

/// The last day of each Node line. Source: `schedule.json` of nodejs/Release.
const NODE_ENDS: [(u64, Date); 14] = [
    (26, date(2029, 4, 30)),
    (25, date(2026, 6, 1)),
    (24, date(2028, 4, 30)),
    (23, date(2025, 6, 1)),
    (22, date(2027, 4, 30)),
    (21, date(2024, 6, 1)),
    (20, date(2026, 4, 30)),
    (19, date(2023, 6, 1)),
    (18, date(2025, 4, 30)),
    (17, date(2022, 6, 1)),
    (16, date(2023, 9, 11)),
    (15, date(2021, 6, 1)),
    (14, date(2023, 4, 30)),
    (12, date(2022, 4, 30)),
];

/// The end of life of a release line of Node.js.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeEnd {
    On(Date),
    /// Before the first line in the table.
    LongAgo,
}

/// Returns the end of a version's line, if it is before `today`. Lines that are newer than the table have none.
#[must_use]
pub fn node_ended(version: &NodeVersion, today: Date) -> Option<NodeEnd> {
    let known = NODE_ENDS
        .iter()
        .find(|(major, _)| *major == version.major());
    match known {
        Some((_, end)) => (*end < today).then_some(NodeEnd::On(*end)),
        None => (version.major() < NODE_ENDS[0].0).then_some(NodeEnd::LongAgo),
    }
}

/// Returns the first fixed release, for an OTP 27 whose TLS rejects the certificates of some hosts
/// (`key_usage_mismatch`). Source: erlang/otp#9208 and hexpm/hex#1175.
#[must_use]
pub fn first_with_working_tls(version: &OtpVersion) -> Option<OtpVersion> {
    let fixed = OtpVersion::parse("27.2.2").ok()?;
    (version.major() == 27 && *version < fixed).then_some(fixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> String {
        let sha = "9a1bfc1edd5c687a7d4620ed9bf377074e94c697";
        let line = |name: &&str| format!("{name} {sha} 2025-06-16T09:42:07Z\n");
        names.iter().map(line).collect()
    }

    #[test]
    fn supports_three_otp_majors_and_five_elixir_minors() {
        let otp = OtpListing::parse(&list(&["OTP-26.2", "OTP-29.0.1", "OTP-30.0-rc1"]));
        for (version, oldest) in [("26.2.5", Some(27)), ("27.0", None), ("29.0", None)] {
            let version = OtpVersion::parse(version).unwrap();
            assert_eq!(otp_superseded(&version, &otp), oldest, "{version}");
        }
        let elixir =
            ElixirListing::parse(&list(&["v1.20.4-otp-29", "v1.21.0-rc.0-otp-29", "main"]));
        for (version, oldest) in [
            ("1.15.8", Some("1.16")),
            ("1.16.0", None),
            ("1.21.0-rc.0", None),
        ] {
            let version = ElixirVersion::parse(version).unwrap();
            assert_eq!(
                elixir_superseded(&version, &elixir).as_deref(),
                oldest,
                "{version}"
            );
        }
    }

    #[test]
    fn node_series_ends_after_its_last_day() {
        let ended = |version: &str, today| node_ended(&NodeVersion::parse(version).unwrap(), today);
        let last = date(2026, 4, 30);
        assert_eq!(ended("20.1.0", last), None);
        assert_eq!(ended("20.1.0", date(2026, 5, 1)), Some(NodeEnd::On(last)));
        assert_eq!(ended("6.9.0", last), Some(NodeEnd::LongAgo));
        assert_eq!(ended("28.0.0", date(2035, 1, 1)), None);
    }

    #[test]
    fn otp_27_tls_is_fixed_in_27_2_2() {
        for (version, flawed) in [
            ("26.2.5", false),
            ("27.0-rc3", true),
            ("27.0", true),
            ("27.2.1", true),
            ("27.2.2", false),
            ("27.3", false),
            ("28.0", false),
        ] {
            let fixed = first_with_working_tls(&OtpVersion::parse(version).unwrap());
            assert_eq!(fixed.is_some(), flawed, "{version}");
        }
    }

    #[test]
    fn formats_unix_time_as_minute() {
        assert_eq!(minute_of_unix_time(1_767_225_599), "2025-12-31 23:59 UTC");
    }

    #[test]
    fn converts_unix_time_to_date() {
        for (seconds, day) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_767_225_599, "2025-12-31"),
            (1_767_225_600, "2026-01-01"),
        ] {
            assert_eq!(Date::of_unix_time(seconds).to_string(), day);
        }
    }
}
