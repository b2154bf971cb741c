//! Detects secrets in the values of config vars.

use crate::credentials::Credentials;
use crate::environment::{Environment, is_build_specific, is_commit_variable};
use fetch::{Url, UserInfo};

/// The minimum length of a secret. Shorter values are words of any program.
const MIN_LENGTH: usize = 12;
/// The minimum length of user info to hide.
const MIN_USER_INFO: usize = 6;
/// The minimum length of a random value whose variable's name doesn't suggest a secret.
const MIN_RANDOM_VALUE: usize = 24;

/// Parts of the names of secrets, at any position, and parts that only count at the end: `S3_KEY_PREFIX` and
/// `AUTH_PROVIDER` aren't secrets.
const SECRET_NAME_PARTS: [&str; 3] = ["PASSWORD", "SECRET", "TOKEN"];
const SECRET_NAME_SUFFIXES: [&str; 11] = [
    "APIKEY",
    "AUTH",
    "COOKIE",
    "CREDENTIALS",
    "KEY",
    "KEYS",
    "PASS",
    "PASSPHRASE",
    "PRIVATE",
    "PWD",
    "SALT",
];
/// Parts of the names of public values: keys for browsers, and the variables of `GIT_CONFIG_COUNT`.
const PUBLIC_NAME_PARTS: [&str; 3] = ["PUBLIC", "PUBLISHABLE", "GIT_CONFIG_KEY"];

/// A secret, and the text that identifies it in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// The name of the config var.
    pub name: String,
    pub text: String,
}

/// Returns the secrets in config vars: passwords in URLs, and values that are keys, judging by their name or form. A
/// multiline key is identified by its longest line, which is unique.
#[must_use]
pub fn of_config_vars(environment: &Environment) -> Vec<Secret> {
    among_config_vars(environment, |value| {
        let longest = lines(value).max_by_key(|line| line.len());
        longest.into_iter().collect()
    })
}

/// `of_key` returns the texts that identify a key.
fn among_config_vars(environment: &Environment, of_key: impl Fn(&str) -> Vec<&str>) -> Vec<Secret> {
    let mut secrets = Vec::new();
    for (name, value) in environment.config_vars() {
        if is_commit_variable(name) || is_build_specific(name) {
            continue;
        }
        let mut texts = passwords(value);
        if texts.is_empty() && is_secret(name, value) {
            texts = of_key(value);
        }
        secrets.extend(
            texts
                .into_iter()
                .filter(|text| text.len() >= MIN_LENGTH)
                .map(|text| Secret {
                    name: name.to_owned(),
                    text: text.to_owned(),
                }),
        );
    }
    secrets
}

/// Returns the secrets that must not be in a cached file: values of config vars, and credentials for hosts.
#[must_use]
pub fn uncacheable(environment: &Environment) -> Vec<Secret> {
    let secret = |name: &str, text: &str| Secret {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let mut secrets = Vec::new();
    for (name, value) in environment.config_vars() {
        let is_of_user = !is_commit_variable(name) && !is_build_specific(name);
        // A value such as `production` is a word of any program.
        let is_word = value.trim().bytes().all(|byte| byte.is_ascii_lowercase());
        if is_of_user && (!is_word || is_secret(name, value)) {
            secrets.extend(lines(value).map(|line| secret(name, line)));
        }
    }
    for (name, value) in environment.all() {
        let infos = user_infos(value).into_iter();
        // `git@` isn't a secret, and is part of many URLs.
        let infos = infos.filter(|info| info.contains(':') || info.len() >= MIN_USER_INFO);
        secrets.extend(infos.map(|info| secret(name, info)));
    }
    let credentials = Credentials::of(environment).secrets();
    let credentials = credentials.iter();
    secrets.extend(credentials.map(|text| secret("a credential", text)));
    secrets.retain(|secret| secret.text.len() >= MIN_USER_INFO);
    secrets
}

/// Returns the texts that the log has to mask: user info in URLs, and values of config vars that look like
/// secrets, line by line.
#[must_use]
pub fn hidden(environment: &Environment) -> Vec<String> {
    let of_urls = environment
        .all()
        .flat_map(|(_, value)| Url::all_in(value))
        .filter_map(|url| url.user_info())
        // `git@` isn't a secret, and is part of many URLs.
        .filter(|info| info.password().is_some() || info.as_str().len() >= MIN_USER_INFO)
        .flat_map(|info| {
            let decoded = info.decoded_password();
            let decoded = decoded.filter(|text| info.password() != Some(text));
            let texts = info.secrets().map(str::to_owned);
            // Verbose tools print the HTTP header.
            texts.chain([info.basic()]).chain(decoded)
        });
    let of_vars = among_config_vars(environment, |value| lines(value).collect());
    let of_vars = of_vars.into_iter().map(|secret| secret.text);
    of_urls.chain(of_vars).collect()
}

/// Returns `user:password` of every URL in a text, and the password alone; or the token of `token@`.
#[must_use]
pub fn user_infos(text: &str) -> Vec<&str> {
    let found = Url::all_in(text).filter_map(|url| url.user_info());
    found.flat_map(UserInfo::secrets).collect()
}

/// Returns the password or token of each URL in a text.
fn passwords(text: &str) -> Vec<&str> {
    user_infos(text)
        .into_iter()
        .filter(|info| !info.contains(':'))
        .collect()
}

fn is_secret(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase();
    if PUBLIC_NAME_PARTS.iter().any(|part| name.contains(part)) || is_plain(value.trim()) {
        return false;
    }
    let mut parts: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    // `API_KEY_2`
    parts.pop_if(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    let last = parts.last().copied().unwrap_or_default();
    let named = SECRET_NAME_SUFFIXES.contains(&last)
        || parts.iter().any(|part| SECRET_NAME_PARTS.contains(part));
    named || is_random(value.trim())
}

/// Whether a value can't be a secret: a path, a URL without a password, a switch.
fn is_plain(value: &str) -> bool {
    let is_pem = value.starts_with("-----");
    !is_pem && value.starts_with(['/', '.', '~', '-', '+'])
        || value.contains("://") && !value.contains('\n')
}

/// Whether a value looks like a generated key: one word of digits and letters of both cases, or hex.
fn is_random(value: &str) -> bool {
    let one_word = |c: char| c.is_ascii_alphanumeric() || "+/=_-".contains(c);
    let has = |is: fn(&char) -> bool| value.chars().any(|c| is(&c));
    let mixed =
        has(char::is_ascii_lowercase) && has(char::is_ascii_uppercase) && has(char::is_ascii_digit);
    let hex = value.len() >= 32 && value.chars().all(|c| c.is_ascii_hexdigit());
    value.len() >= MIN_RANDOM_VALUE && value.chars().all(one_word) && (mixed || hex)
}

/// Returns the lines of a key, without PEM headers.
fn lines(value: &str) -> impl Iterator<Item = &str> {
    let lines = value.lines().map(str::trim);
    lines.filter(|line| !line.starts_with("-----"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Env;

    #[test]
    fn detects_likely_secrets() {
        for (name, value, expected) in [
            (
                "SECRET_KEY_BASE",
                "a long sentence\n",
                &["a long sentence"] as &[&str],
            ),
            ("STRIPE_SECRET_KEY", "sk_live_1234567", &["sk_live_1234567"]),
            ("github_token", "ghp_0123456789", &["ghp_0123456789"]),
            ("API_KEY", "short", &[]),
            (
                "DATABASE_URL",
                "ecto://u:p4ssw0rd-long@db/x",
                &["p4ssw0rd-long"],
            ),
            (
                "NPM_CONFIG_REGISTRY",
                "https://0123456789abcdef@npm.example",
                &["0123456789abcdef"],
            ),
            ("DATABASE_URL", "ecto://u:short@db/x", &[]),
            ("KEY_URL", "https://example.com/keys/0123456789", &[]),
            (
                "PEM_KEY",
                "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\nMII\n",
                &["MIIEvQIBADAN"],
            ),
            (
                "SOMETHING",
                "Zm9vYmFyYmF6cXV4Zm9vYmFy0A==",
                &["Zm9vYmFyYmF6cXV4Zm9vYmFy0A=="],
            ),
            (
                "SOMETHING",
                "0123456789abcdef0123456789abcdef",
                &["0123456789abcdef0123456789abcdef"],
            ),
            (
                "SOURCE_VERSION",
                "0123456789abcdef0123456789abcdef01234567",
                &[],
            ),
            ("STRIPE_PUBLISHABLE_KEY", "pk_live_1234567890", &[]),
            ("PHX_HOST", "shop-of-someone.example.com", &[]),
            ("MIX_ENV", "production-like", &[]),
            ("GREETING", "Hello, dear visitors of this shop 24/7", &[]),
            ("PRIVATE_KEY_PATH", "/app/priv/keys/server.pem", &[]),
            ("ERL_FLAGS", "+P 5000000 +Q 1000000 -kernel x", &[]),
            ("S3_KEY_PREFIX", "production-shop", &[]),
            ("API_KEY_2", "0123456789ab", &["0123456789ab"]),
            ("KEYBOARD_LAYOUT", "de-latin1-nodeadkeys", &[]),
            ("GIT_CONFIG_KEY_0", "url.git@github.com:.insteadOf", &[]),
        ] {
            let vars = Env::from([(name.into(), value.into())]);
            let found = of_config_vars(&Environment::new(Env::new(), vars));
            let texts: Vec<&str> = found.iter().map(|secret| secret.text.as_str()).collect();
            assert_eq!(texts, expected, "{name}={value}");
        }
    }

    #[test]
    fn url_credentials_are_masked_in_log() {
        let process = Env::from([
            ("HTTPS_PROXY".into(), "http://me:pr0xy-pw@proxy:8080".into()),
            ("HTTP_PROXY".into(), "http://me:pr%40xy-pw@proxy".into()),
        ]);
        let vars = Env::from([
            ("API_TOKEN".into(), "t0ken-of-an-api".into()),
            ("REPOSITORY".into(), "ssh://git@host/a".into()),
        ]);
        let expected = [
            "me:pr0xy-pw",
            "pr0xy-pw",
            // me:pr0xy-pw
            "bWU6cHIweHktcHc=",
            "me:pr%40xy-pw",
            "pr%40xy-pw",
            // me:pr@xy-pw
            "bWU6cHJAeHktcHc=",
            "pr@xy-pw",
            "t0ken-of-an-api",
        ];
        assert_eq!(hidden(&Environment::new(process, vars)), expected);
    }

    #[test]
    fn config_vars_and_fetch_credentials_must_not_be_cached() {
        let process = Env::from([("HEX_REPOS_KEY".into(), "key-of-hex".into())]);
        let vars = [
            ("GREETING", "Good day"),
            ("API_PASSWORD", "onlyletters"),
            ("NODE_ENV", "production"),
            ("POOL", "10"),
            ("SOURCE_VERSION", "0123456789abcdef"),
            ("MIXPACK_APP_RELATIVE_PATH", "apps/backend"),
            ("PEM", "-----BEGIN\nMIIEvQIBADAN\nQIBADAN\n-----END"),
            ("GIT_CREDENTIALS", "https://me:t0ken-x@git.example"),
        ];
        let vars = vars.map(|(name, value)| (name.into(), value.into()));
        let found = uncacheable(&Environment::new(process, vars.into()));
        let mut texts: Vec<&str> = found.iter().map(|secret| secret.text.as_str()).collect();
        texts.sort_unstable();
        texts.dedup();
        let expected = [
            "Good day",
            "MIIEvQIBADAN",
            "QIBADAN",
            "bWU6dDBrZW4teA==",
            "https://me:t0ken-x@git.example",
            "key-of-hex",
            "me:t0ken-x",
            "onlyletters",
            "t0ken-x",
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn every_line_of_key_is_masked() {
        let key = "-----BEGIN KEY-----\nMIIEvQIBADAN\nb2RlcmF0b3I=\nMII=\n-----END KEY-----\n";
        let vars = Env::from([("PRIVATE_KEY".into(), key.into())]);
        let environment = Environment::new(Env::new(), vars);
        assert_eq!(hidden(&environment), ["MIIEvQIBADAN", "b2RlcmF0b3I="]);
        assert_eq!(of_config_vars(&environment).len(), 1);
    }

    #[test]
    fn finds_credentials_in_every_url() {
        let text = "url.https://me:t0ken@git.example/.insteadOf x \"ssh://git@h/a\" https://h/@ https://tok@h";
        assert_eq!(user_infos(text), ["me:t0ken", "t0ken", "git", "tok"]);
    }
}
