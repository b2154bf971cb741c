//! URLs that may contain credentials: `https://user:password@host/path`.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;

/// A parsed URL, with each part as written: `SCHEME://[USER_INFO@]HOST[:PORT][PATH]`.
///
/// Any text with `://` is accepted without validation. [`fmt::Debug`] leaves out the user info.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Url<'a> {
    scheme: &'a str,
    user_info: Option<UserInfo<'a>>,
    host: &'a str,
    path: &'a str,
}

impl<'a> Url<'a> {
    /// Returns `None` for a text without `://`.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        Some(Self::of(scheme, rest))
    }

    /// `rest` is the text after `://`.
    fn of(scheme: &'a str, rest: &'a str) -> Self {
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user_info, host) = match authority.rsplit_once('@') {
            Some((user_info, host)) => (Some(UserInfo(user_info)), host),
            None => (None, authority),
        };
        Self {
            scheme,
            user_info,
            host,
            path,
        }
    }

    /// Returns the URLs in a text, such as the value of a variable or a line of a log, without their
    /// paths.
    pub fn all_in(text: &'a str) -> impl Iterator<Item = Self> {
        let ends_scheme = |c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c);
        let ends_authority = |c: char| c.is_whitespace() || "/?#\"'<>\\,".contains(c);
        text.match_indices("://").map(move |(at, separator)| {
            let scheme = text[..at].rsplit(ends_scheme).next().unwrap_or_default();
            let rest = &text[at + separator.len()..];
            Self::of(
                scheme,
                rest.split(ends_authority).next().unwrap_or_default(),
            )
        })
    }

    #[must_use]
    pub fn scheme(&self) -> &'a str {
        self.scheme
    }

    #[must_use]
    pub fn user_info(&self) -> Option<UserInfo<'a>> {
        self.user_info
    }

    /// Returns the host, with the port if the URL has one.
    #[must_use]
    pub fn host(&self) -> &'a str {
        self.host
    }

    /// Returns everything after the host: path, query and fragment.
    pub(crate) fn path(&self) -> &'a str {
        self.path
    }

    /// Returns the URL without its user info, or `None` if it has none.
    #[must_use]
    pub fn without_user_info(&self) -> Option<String> {
        self.user_info?;
        Some(format!("{}://{}{}", self.scheme, self.host, self.path))
    }
}

impl fmt::Debug for Url<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Url")
            .field("scheme", &self.scheme)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// The credentials in a URL: `user:password`, or a token alone. Parts are percent-encoded, as in the URL.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UserInfo<'a>(&'a str);

impl<'a> UserInfo<'a> {
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }

    #[must_use]
    pub fn password(self) -> Option<&'a str> {
        self.0.split_once(':').map(|(_, password)| password)
    }

    /// Returns the texts that give access: the whole, and the password alone.
    pub fn secrets(self) -> impl Iterator<Item = &'a str> {
        [self.0].into_iter().chain(self.password())
    }

    /// Returns the decoded password, which a server may repeat in an error.
    #[must_use]
    pub fn decoded_password(self) -> Option<String> {
        let decoded = percent_decode_str(self.password()?).decode_utf8_lossy();
        Some(decoded.into_owned())
    }

    /// Returns the credentials of the HTTP header `Authorization: Basic` (RFC 7617), in which nothing is
    /// percent-encoded.
    #[must_use]
    pub fn basic(self) -> String {
        let (user, password) = self.0.split_once(':').unwrap_or((self.0, ""));
        let mut credentials: Vec<u8> = percent_decode_str(user).collect();
        credentials.push(b':');
        credentials.extend(percent_decode_str(password));
        BASE64_STANDARD.encode(credentials)
    }
}

/// Returns a URL without its secrets: the user info, and the query if a part of it looks like a token or a signature.
/// Scheme, host, path and harmless queries stay.
///
/// Accepts any text. If it isn't a valid URL, more is removed in doubt.
#[must_use]
pub fn redact(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    let url = Url::of("", rest);
    // A password with an unescaped `/`, `?` or `#` ends the authority early: the text in place of the port isn't a
    // port, and the host follows a later `@`. (A path may contain an `@`.)
    let has_bad_port = url.user_info.is_none()
        && !url.host.ends_with(']')
        && url
            .host
            .rsplit_once(':')
            .is_some_and(|(_, port)| !is_port(port));
    let rest = match (url.user_info, rest.rsplit_once('@')) {
        (Some(user_info), _) => &rest[user_info.0.len() + 1..],
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

/// Whether a `name=value` of a query may be secret: by its name, or because its value is as long as a key.
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
    fn removes_credentials_from_url() {
        for (url, without) in [
            (
                "https://me:p@host:1/a?b=c@d",
                Some("https://host:1/a?b=c@d"),
            ),
            ("https://token@host", Some("https://host")),
            ("https://host/a@b", None),
            ("host", None),
        ] {
            let found = Url::parse(url).and_then(|url| url.without_user_info());
            assert_eq!(found.as_deref(), without);
        }
    }

    #[test]
    fn finds_every_url_in_text() {
        let text =
            "url.https://me:t0ken@git.example:8/.insteadOf x \"git+ssh://git@h/a\" ://tok@h, a://b";
        let found: Vec<_> = Url::all_in(text)
            .map(|url| (url.scheme, url.user_info.map(UserInfo::as_str), url.host))
            .collect();
        assert_eq!(
            found,
            [
                ("url.https", Some("me:t0ken"), "git.example:8"),
                ("git+ssh", Some("git"), "h"),
                ("", Some("tok"), "h"),
                ("a", None, "b"),
            ]
        );
    }

    #[test]
    fn credentials_are_decoded_and_hidden_in_debug() {
        let url = Url::parse("https://m%65:p%40ss%3a%zz@host/x").unwrap();
        let user_info = url.user_info().unwrap();
        assert_eq!(user_info.decoded_password().unwrap(), "p@ss:%zz");
        assert_eq!(user_info.basic(), BASE64_STANDARD.encode("me:p@ss:%zz"));
        let secrets: Vec<_> = user_info.secrets().collect();
        assert_eq!(secrets, ["m%65:p%40ss%3a%zz", "p%40ss%3a%zz"]);
        assert!(!format!("{url:?}").contains("ss"));
    }

    #[test]
    fn redact_removes_only_secrets() {
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
