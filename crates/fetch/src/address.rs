use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;

use crate::error::Kind;

/// An address taken apart, so that what is secret in it goes into a header and nowhere else.
#[derive(Debug)]
pub(crate) struct Address {
    /// What is requested: no user info, no fragment.
    pub(crate) target: String,
    /// The `Authorization` header that the user info stands for.
    pub(crate) authorization: Option<String>,
    /// What errors and observers are shown.
    pub(crate) shown: String,
    pub(crate) is_https: bool,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, Kind> {
        let bad = |why: &str| Kind::BadUrl(why.to_owned());
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| bad("it has no scheme"))?;
        let is_https = scheme.eq_ignore_ascii_case("https");
        if !is_https && !scheme.eq_ignore_ascii_case("http") {
            return Err(bad("its scheme is neither http nor https"));
        }
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (authority, path) = rest.split_at(authority_end(rest));
        let (user_info, host) = match authority.rsplit_once('@') {
            Some((user_info, host)) => (Some(user_info), host),
            None => (None, authority),
        };
        if host.is_empty() || host.starts_with(':') {
            return Err(bad("it has no host"));
        }
        let port = host
            .rsplit_once(':')
            .map(|(_, port)| port)
            .filter(|port| !port.ends_with(']'));
        if port.is_some_and(|port| port.parse::<u16>().is_err()) {
            return Err(bad("its port is not a number up to 65535"));
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            target: format!("{}://{host}{slash}{path}", scheme.to_ascii_lowercase()),
            authorization: user_info.map(basic),
            shown: redact(url),
            is_https,
        })
    }
}

fn authority_end(rest: &str) -> usize {
    rest.find(['/', '?', '#']).unwrap_or(rest.len())
}

/// RFC 7617. In a URL the two parts are percent-encoded, in the header they are not.
fn basic(user_info: &str) -> String {
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let mut credentials: Vec<u8> = percent_decode_str(user).collect();
    credentials.push(b':');
    credentials.extend(percent_decode_str(password));
    format!("Basic {}", BASE64_STANDARD.encode(credentials))
}

/// The address without what must not be shown: user info always, and the query where a part of it
/// looks like a token or a signature. Scheme, host, path and harmless queries stay.
///
/// Works on anything, also on what is no valid URL: in doubt more is removed.
#[must_use]
pub fn redact(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    let (authority, _) = rest.split_at(authority_end(rest));
    // A password with an unescaped `/`, `?` or `#` ends the authority early: what then stands there
    // for a port is none, and the host follows a later `@`. (A path may well hold an `@`.)
    let has_bad_port = !authority.contains('@')
        && !authority.ends_with(']')
        && authority
            .rsplit_once(':')
            .is_some_and(|(_, port)| !is_port(port));
    let rest = match (authority.rsplit_once('@'), rest.rsplit_once('@')) {
        (Some((user_info, _)), _) => &rest[user_info.len() + 1..],
        (None, Some((_, after))) if has_bad_port => after,
        (None, None) if has_bad_port => rest.split_once(':').map_or(rest, |(host, _)| host),
        _ => rest,
    };
    let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
    match rest.split_once('?') {
        Some((path, query)) if query.is_empty() || query.split(['&', ';']).any(is_secret) => {
            format!("{scheme}{path}")
        }
        _ => format!("{scheme}{rest}"),
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether one `name=value` of a query should not be shown: by its name, or because its value is
/// long enough for a key.
fn is_secret(parameter: &str) -> bool {
    const NAMES: [&str; 11] = [
        "token", "key", "sig", "secret", "auth", "pass", "pwd", "cred", "session", "jwt", "x-amz",
    ];
    let (name, value) = parameter.split_once('=').unwrap_or(("", parameter));
    let name = name.to_ascii_lowercase();
    NAMES.iter().any(|part| name.contains(part)) || value.len() >= 20 || value.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_info_becomes_a_header_and_leaves_the_address() {
        let address = Address::parse("https://me:p%40ss%3a%zz@host:8443/a@1?b#c").unwrap();
        assert_eq!(address.target, "https://host:8443/a@1?b");
        assert_eq!(address.shown, "https://host:8443/a@1?b");
        let header = address.authorization.unwrap();
        let credentials = BASE64_STANDARD
            .decode(header.strip_prefix("Basic ").unwrap())
            .unwrap();
        assert_eq!(credentials, b"me:p@ss:%zz");
        assert!(address.is_https);
    }

    #[test]
    fn a_token_alone_is_a_user_with_an_empty_password() {
        let address = Address::parse("http://t0ken@host").unwrap();
        assert_eq!(address.target, "http://host/");
        assert_eq!(address.authorization.as_deref(), Some("Basic dDBrZW46"));
        assert!(!address.is_https);
        assert_eq!(
            Address::parse("http://[::1]").unwrap().target,
            "http://[::1]/"
        );
        assert_eq!(Address::parse("http://host/x").unwrap().authorization, None);
    }

    #[test]
    fn what_is_no_http_address_is_refused() {
        for url in [
            "",
            "host/x",
            "file:///etc/passwd",
            "ftp://host/x",
            "https://",
            "http://:80/",
            "https:///x",
            "https://host:99999/",
            "https://user:pa/ss@host/",
        ] {
            assert!(matches!(Address::parse(url), Err(Kind::BadUrl(_))), "{url}");
        }
    }

    #[test]
    fn redact_removes_what_is_secret_and_nothing_else() {
        for (url, shown) in [
            (
                "https://builds.hex.pm/builds/otp/builds.txt",
                "https://builds.hex.pm/builds/otp/builds.txt",
            ),
            ("https://user:password@host/x", "https://host/x"),
            ("https://token@host:8080/x", "https://host:8080/x"),
            ("https://us:pa@ss@host/x", "https://host/x"),
            ("https://user:pa/ss@host/x", "https://host/x"),
            ("https://user:pa/s?s@host/x", "https://host/x"),
            ("https://user:pa#ss@host/x", "https://host/x"),
            ("https://user:pa#ss", "https://user"),
            ("https://host/@scope/name", "https://host/@scope/name"),
            (
                "http://host:8080/@scope/name",
                "http://host:8080/@scope/name",
            ),
            ("http://[::1]:80/a@b", "http://[::1]:80/a@b"),
            ("http://[::1]/a@b", "http://[::1]/a@b"),
            (
                "https://host/x?version=1&arch=amd64",
                "https://host/x?version=1&arch=amd64",
            ),
            ("https://host/x?v=1&access_token=abc", "https://host/x"),
            ("https://host/x?X-Amz-Signature=abc", "https://host/x"),
            ("https://host/x?0123456789abcdef0123", "https://host/x"),
            ("https://host/x#fragment", "https://host/x"),
            ("user:password@host/x", "host/x"),
            ("", ""),
        ] {
            assert_eq!(redact(url), shown, "{url}");
        }
    }
}
