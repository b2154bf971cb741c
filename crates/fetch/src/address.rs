use crate::error::Kind;
use crate::url::{Url, redact};

/// The request for a URL, with its credentials only in a header.
pub(crate) struct Address {
    /// The requested URL, without user info and fragment.
    pub(crate) target: String,
    /// The `Authorization` header for the user info.
    pub(crate) authorization: Option<String>,
    /// The URL for errors and observers.
    pub(crate) shown: String,
    pub(crate) is_https: bool,
}

impl Address {
    pub(crate) fn parse(text: &str) -> Result<Self, Kind> {
        let bad = |why: &str| Kind::BadUrl(why.to_owned());
        let url = Url::parse(text).ok_or_else(|| bad("it has no scheme"))?;
        let scheme = url.scheme().to_ascii_lowercase();
        if !matches!(scheme.as_str(), "http" | "https") {
            return Err(bad("its scheme is neither http nor https"));
        }
        let host = url.host();
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
        let path = url.path();
        let path = path.split_once('#').map_or(path, |(before, _)| before);
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            target: format!("{scheme}://{host}{slash}{path}"),
            authorization: url
                .user_info()
                .map(|user_info| format!("Basic {}", user_info.basic())),
            shown: redact(text),
            is_https: scheme == "https",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    #[test]
    fn credentials_move_from_url_to_header() {
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
    fn token_alone_is_user_with_empty_password() {
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
    fn rejects_non_http_urls() {
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
}
