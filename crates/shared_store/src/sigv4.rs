//! Presigned URLs for S3: AWS Signature Version 4 in the query.
//!
//! Only for GET and PUT of a path that needs no percent-encoding. The tests compare with the crate
//! `rusty-s3`. It isn't linked, since it and the 16 crates it needs would add 190 kB to the executable,
//! twice as much as all of this crate.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::digest::{SHA256, digest};
use ring::hmac::{self, HMAC_SHA256};

/// The characters that the standard encodes in a query: all but unreserved ones.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The validity of a URL, longer than the likely error of the server's clock.
const VALIDITY: Duration = Duration::from_mins(15);

/// An access key. [`fmt::Debug`] shows no secrets.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) id: String,
    pub(crate) secret: String,
    /// The session token of temporary credentials.
    pub(crate) token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// Signs a URL `SCHEME://HOST/PATH` of a region for one method.
pub(crate) fn presign(
    method: &str,
    scheme_and_host: (&str, &str),
    path: &str,
    region: &str,
    credentials: &Credentials,
    now: SystemTime,
) -> String {
    let (scheme, host) = scheme_and_host;
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (date, time) = timestamp(seconds);
    let scope = format!("{date}/{region}/s3/aws4_request");
    let credential = format!("{}/{scope}", credentials.id);
    let before_token = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}&X-Amz-Date={time}&X-Amz-Expires={}",
        encode(&credential),
        VALIDITY.as_secs(),
    );
    // Parameters are in the order of their names, as the signature requires.
    let token = credentials
        .token
        .as_ref()
        .map_or_else(String::new, |token| {
            format!("&X-Amz-Security-Token={}", encode(token))
        });
    let query = format!("{before_token}{token}&X-Amz-SignedHeaders=host");
    let request = format!("{method}\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
    let request = hex::encode(digest(&SHA256, request.as_bytes()));
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{request}");
    let first = format!("AWS4{}", credentials.secret);
    let key = [&date, region, "s3", "aws4_request"]
        .into_iter()
        .fold(first.into_bytes(), |key, part| mac(&key, part));
    let signature = hex::encode(mac(&key, &to_sign));
    format!("{scheme}://{host}{path}?{query}&X-Amz-Signature={signature}")
}

fn encode(text: &str) -> impl fmt::Display {
    utf8_percent_encode(text, ENCODED)
}

fn mac(key: &[u8], message: &str) -> Vec<u8> {
    let key = hmac::Key::new(HMAC_SHA256, key);
    hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
}

/// Returns `YYYYMMDD` and `YYYYMMDDTHHMMSSZ` of seconds since 1970.
fn timestamp(seconds: u64) -> (String, String) {
    let (mut days, of_day) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let days_of = |year| if is_leap(year) { 366 } else { 365 };
    while days >= days_of(year) {
        days -= days_of(year);
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
    let date = format!("{year}{month:02}{:02}", days + 1);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let time = format!("{date}T{hour:02}{minute:02}{second:02}Z");
    (date, time)
}

#[cfg(test)]
mod tests {
    use rusty_s3::actions::{GetObject, PutObject, S3Action as _};
    use rusty_s3::{Bucket, UrlStyle};

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, time) in [
            (0, "19700101T000000Z"),
            (68_169_600, "19720229T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_868_800, "20000301T000000Z"),
            (1_369_353_600, "20130524T000000Z"),
            (1_735_689_599, "20241231T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            let (date, found) = timestamp(seconds);
            assert_eq!(found, time);
            assert!(found.starts_with(&date));
        }
    }

    #[test]
    fn signs_like_another_implementation() {
        let mut credentials = Credentials {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            token: None,
        };
        let mut theirs = rusty_s3::Credentials::new(&credentials.id, &credentials.secret);
        for token in [None, Some("to/ken+with=signs~-._ and é")] {
            if let Some(token) = token {
                credentials.token = Some(token.to_owned());
                theirs = rusty_s3::Credentials::new_with_token(
                    &credentials.id,
                    &credentials.secret,
                    token,
                );
            }
            for (host, port) in [("s3.example", ""), ("127.0.0.1", ":9000")] {
                let host = format!("{host}{port}");
                let endpoint = format!("http://{host}").parse().unwrap();
                let bucket = Bucket::new(endpoint, UrlStyle::Path, "bucket", "eu-1").unwrap();
                let now = UNIX_EPOCH + Duration::from_secs(1_800_000_123);
                let at = now.try_into().unwrap();
                let sign = |method| {
                    let path = "/bucket/a/prefix-1/v1.0_/0123abcdef";
                    presign(method, ("http", &host), path, "eu-1", &credentials, now)
                };
                let name = "a/prefix-1/v1.0_/0123abcdef";
                let get = GetObject::new(&bucket, Some(&theirs), name);
                assert_eq!(sign("GET"), get.sign_with_time(VALIDITY, &at).as_str());
                let put = PutObject::new(&bucket, Some(&theirs), name);
                assert_eq!(sign("PUT"), put.sign_with_time(VALIDITY, &at).as_str());
            }
        }
    }
}
