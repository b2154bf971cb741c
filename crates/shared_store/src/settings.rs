//! The config vars of a store: its address, its users and their keys.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::address::{Address, Bucket};
use crate::keys::{SigningKey, Writer};
use crate::sigv4::Credentials;

const STORE: &str = "MIXPACK_STORE";
const SECRET: &str = "MIXPACK_STORE_SECRET";
pub(crate) const READ: &str = "MIXPACK_STORE_READ";
pub(crate) const WRITE: &str = "MIXPACK_STORE_WRITE";
const SIGNING_KEY: &str = "MIXPACK_STORE_SIGNING_KEY";
const TRUST: &str = "MIXPACK_STORE_TRUST";
const EXCEPT: &str = "MIXPACK_STORE_EXCEPT";

/// The config vars of the store. Only Mixpack reads them, and no process of the build gets them.
pub const VARIABLES: [&str; 7] = [STORE, SECRET, READ, WRITE, SIGNING_KEY, TRUST, EXCEPT];

/// The minimum length of the secret, in bytes.
const MIN_SECRET_LENGTH: usize = 16;

/// A config var that can't be used. Contains no secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {problem}")]
pub struct SettingsError {
    pub variable: &'static str,
    /// The problem, as the rest of a sentence that starts with the variable.
    pub problem: String,
    /// The fix, as an imperative without a period.
    pub fix: String,
}

impl SettingsError {
    fn new(variable: &'static str, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            variable,
            problem: problem.into(),
            fix: fix.into(),
        }
    }
}

/// The address of the store, and the keys and credentials of its users. [`fmt::Debug`] shows no secrets.
pub struct Settings {
    pub(crate) place: Place,
    /// The place without credentials, for the log.
    pub(crate) shown: String,
    pub(crate) secret: String,
    pub(crate) signing_key: Option<SigningKey>,
    /// The trusted writers, in the order of requests.
    pub(crate) trusted: Vec<Writer>,
    /// `name` or `name@version`.
    pub(crate) excepted: Vec<String>,
    secrets: Vec<String>,
}

#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "a build has one")]
pub(crate) enum Place {
    Directory(PathBuf),
    Server(Address),
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("shown", &self.shown)
            .field("trusted", &self.trusted)
            .field("excepted", &self.excepted)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Reads the config vars. Returns `None` without `MIXPACK_STORE`; an empty one counts as unset.
    pub fn read(get: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, SettingsError> {
        let get = |name: &str| {
            get(name)
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        let Some(store) = get(STORE) else {
            return Ok(None);
        };
        let secret = secret(get(SECRET))?;
        let signing_key = get(SIGNING_KEY);
        let read = get(READ);
        let write = get(WRITE);
        let mut secrets = vec![secret.clone()];
        secrets.extend(signing_key.clone());
        for credentials in [&read, &write].into_iter().flatten() {
            secrets.extend(parts_of(credentials));
        }
        let signing_key = signing_key
            .map(|text| parse_signing_key(&text))
            .transpose()?;
        let trusted = trusted(get(TRUST).as_deref(), signing_key.as_ref())?;
        // The credentials of writers can also read.
        let read = read
            .map(|text| (READ, text))
            .or(write.clone().map(|text| (WRITE, text)));
        let write = write.map(|text| (WRITE, text));
        let (place, shown) = place(&store, read, write, signing_key.is_some())?;
        Ok(Some(Self {
            place,
            shown,
            secret,
            signing_key,
            trusted,
            excepted: list(&get(EXCEPT).unwrap_or_default())
                .map(str::to_owned)
                .collect(),
            secrets,
        }))
    }

    /// Returns a text with the trusted writers and the revoked dependencies. If it changes, code from the store may
    /// have been revoked.
    #[must_use]
    pub fn trust(&self) -> String {
        let mut writers: Vec<&str> = self
            .trusted
            .iter()
            .map(|writer| writer.id.as_str())
            .collect();
        let mut excepted: Vec<&str> = self.excepted.iter().map(String::as_str).collect();
        writers.sort_unstable();
        excepted.sort_unstable();
        format!("{} except {}", writers.join(" "), excepted.join(" "))
    }

    /// Returns the texts that the log must mask.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        self.secrets.clone()
    }
}

/// Splits a list at spaces and commas.
fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|item| !item.is_empty())
}

fn secret(value: Option<String>) -> Result<String, SettingsError> {
    const FIX: &str = "set it to the same random text of at least 16 characters for everyone who uses \
                       the store";
    match value {
        None => Err(SettingsError::new(SECRET, "is missing", FIX)),
        Some(secret) if secret.len() < MIN_SECRET_LENGTH => Err(SettingsError::new(
            SECRET,
            format!("is shorter than {MIN_SECRET_LENGTH} characters"),
            FIX,
        )),
        Some(secret) => Ok(secret),
    }
}

fn parse_signing_key(text: &str) -> Result<SigningKey, SettingsError> {
    SigningKey::parse(text).ok_or_else(|| {
        SettingsError::new(
            SIGNING_KEY,
            "isn't an Ed25519 signing key: 32 bytes in base64",
            "set it to a generated signing key, or unset it for builds that only read",
        )
    })
}

fn trusted(
    text: Option<&str>,
    signing_key: Option<&SigningKey>,
) -> Result<Vec<Writer>, SettingsError> {
    const FIX: &str = "set it to the public keys of the writers that this build trusts";
    let Some(text) = text else {
        return signing_key.map(|key| vec![key.writer()]).ok_or_else(|| {
            SettingsError::new(TRUST, "is missing, and this build has no signing key", FIX)
        });
    };
    let mut writers = Vec::new();
    for key in list(text) {
        let writer = Writer::parse(key).ok_or_else(|| {
            // If a user pastes the private key here, it mustn't appear in the log.
            let problem = "contains something else than Ed25519 public keys: 32 bytes in base64";
            SettingsError::new(TRUST, problem, FIX)
        })?;
        if !writers.contains(&writer) {
            writers.push(writer);
        }
    }
    if writers.is_empty() {
        return Err(SettingsError::new(TRUST, "contains no public key", FIX));
    }
    Ok(writers)
}

/// The credentials of a request, with the variable that they come from.
type Given = Option<(&'static str, String)>;

fn place(
    store: &str,
    read: Given,
    write: Given,
    has_signing_key: bool,
) -> Result<(Place, String), SettingsError> {
    if let Some(path) = store.strip_prefix("file://") {
        return directory(path);
    }
    if store.starts_with("https://") || store.starts_with("http://") {
        let base = http_url(STORE, store)?;
        let read = read.map(authorization).transpose()?;
        let write = write.map(authorization).transpose()?;
        let shown = base.clone();
        return Ok((Place::Server(Address::Http { base, read, write }), shown));
    }
    if let Some(bucket) = store.strip_prefix("s3://") {
        if has_signing_key && write.is_none() {
            return Err(SettingsError::new(
                WRITE,
                format!("is missing, but {SIGNING_KEY} is set"),
                format!(
                    "set it to ACCESS_KEY_ID:SECRET, or unset {SIGNING_KEY} for builds that only read"
                ),
            ));
        }
        let shown = store.split('?').next().unwrap_or_default();
        let address = Address::S3 {
            bucket: s3_bucket(bucket)?,
            read: read.map(s3_credentials).transpose()?,
            write: write.map(s3_credentials).transpose()?,
        };
        let shown = shown.trim_end_matches('/').to_owned();
        return Ok((Place::Server(address), shown));
    }
    directory(store)
}

fn directory(path: &str) -> Result<(Place, String), SettingsError> {
    if !Path::new(path).is_absolute() {
        return Err(SettingsError::new(
            STORE,
            format!(
                "is neither an absolute path nor a file, https or s3 URL: {}",
                fetch::redact(path)
            ),
            "set it to one of these: /path, https://HOST/PATH, s3://BUCKET/PREFIX",
        ));
    }
    Ok((Place::Directory(path.into()), path.to_owned()))
}

/// Returns a URL without the slash at its end.
fn http_url(variable: &'static str, text: &str) -> Result<String, SettingsError> {
    let shown = fetch::redact(text);
    let bad =
        |problem: &str, fix: &str| SettingsError::new(variable, format!("{problem}: {shown}"), fix);
    let url = fetch::Url::parse(text).ok_or_else(|| bad("isn't a URL", "correct it"))?;
    if url.user_info().is_some() {
        return Err(bad(
            "contains credentials in its URL",
            "remove them there, and set MIXPACK_STORE_READ or MIXPACK_STORE_WRITE to USER:PASSWORD",
        ));
    }
    let host = host_of(url.host());
    if host.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad("isn't a valid URL", "correct it"));
    }
    if text.contains(['?', '#']) {
        return Err(bad(
            "has a query or a fragment in its URL",
            "set it to a URL that names of files can be appended to",
        ));
    }
    if url.scheme() == "http" && !is_private(host) {
        return Err(bad(
            "would send credentials and code without encryption to a public host",
            "set it to an https URL",
        ));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Returns the host without its port, and without the brackets of an IPv6 address.
fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    authority.split(':').next().unwrap_or_default()
}

/// Returns whether a host can only be on this machine's own network: a private or loopback address, or a name that
/// public DNS doesn't have.
fn is_private(host: &str) -> bool {
    use std::net::IpAddr;
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            address.is_loopback() || address.is_private() || address.is_link_local()
        }
        Ok(IpAddr::V6(address)) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
        Err(_) => {
            let host = host.to_ascii_lowercase();
            let host = host.trim_end_matches('.');
            let suffix = host.rsplit('.').next().unwrap_or_default();
            !host.contains('.')
                || matches!(suffix, "internal" | "local" | "localhost" | "test")
                || host.ends_with(".home.arpa")
        }
    }
}

/// Returns the `Authorization` header for `USER:PASSWORD` or `Bearer TOKEN`.
fn authorization((variable, text): (&'static str, String)) -> Result<String, SettingsError> {
    let is_token = |token: &str| token.bytes().all(|byte| byte.is_ascii_graphic());
    match text.split_once(' ') {
        Some(("Bearer", token)) if is_token(token) => Ok(text),
        _ if text.contains(':') => Ok(basic(&text)),
        _ => Err(SettingsError::new(
            variable,
            "is neither USER:PASSWORD nor Bearer TOKEN",
            "set it to one of these",
        )),
    }
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(credentials))
}

fn s3_credentials((variable, text): (&'static str, String)) -> Result<Credentials, SettingsError> {
    let parts: Vec<_> = text.split(':').map(str::to_owned).collect();
    match &parts[..] {
        [id, secret, token @ ..] if token.len() <= 1 && !parts.contains(&String::new()) => {
            Ok(Credentials {
                id: id.clone(),
                secret: secret.clone(),
                token: token.first().cloned(),
            })
        }
        _ => Err(SettingsError::new(
            variable,
            "isn't ACCESS_KEY_ID:SECRET",
            "set it to that, with :SESSION_TOKEN at the end for temporary credentials",
        )),
    }
}

/// Returns everything in credentials that a log could show: the whole, the form in which it is sent, and
/// its secret parts.
fn parts_of(credentials: &str) -> Vec<String> {
    let mut secrets = vec![credentials.to_owned(), BASE64_STANDARD.encode(credentials)];
    let (_, secret) = credentials
        .split_once([':', ' '])
        .unwrap_or(("", credentials));
    secrets.push(secret.to_owned());
    // The secret and the session token of S3. Shorter parts belong to a password with a colon.
    let parts = secret.split(':').filter(|part| part.len() >= 8);
    secrets.extend(parts.map(str::to_owned));
    secrets.retain(|secret| !secret.is_empty());
    secrets
}

const S3_FIX: &str =
    "set it to s3://BUCKET/PREFIX?region=REGION, with &endpoint=https://HOST unless it is at AWS";

/// Parses `BUCKET/PREFIX?region=REGION&endpoint=URL`.
fn s3_bucket(text: &str) -> Result<Bucket, SettingsError> {
    let bad = |problem: &str| SettingsError::new(STORE, problem, S3_FIX);
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let (name, prefix) = path.split_once('/').unwrap_or((path, ""));
    if name.contains('@') {
        return Err(SettingsError::new(
            STORE,
            "contains credentials in its URL",
            format!("remove them there, and set {READ} to ACCESS_KEY_ID:SECRET"),
        ));
    }
    if !is_plain(name) {
        return Err(bad("has no valid bucket name"));
    }
    let prefix = prefix.trim_matches('/');
    if !prefix.is_empty() && !prefix.split('/').all(is_plain) {
        let problem = "has a prefix with other characters than letters, digits and -._/";
        return Err(bad(problem));
    }
    let (region, endpoint) = s3_parameters(query)?;
    let (endpoint, region, folder) = match (endpoint, region) {
        (Some(endpoint), region) => (endpoint, region.unwrap_or("us-east-1"), name),
        (None, None) => return Err(bad("names no region")),
        // The certificates of AWS don't cover bucket names with dots.
        (None, Some(region)) if name.contains('.') => {
            (format!("https://s3.{region}.amazonaws.com"), region, name)
        }
        (None, Some(region)) => {
            let endpoint = format!("https://{name}.s3.{region}.amazonaws.com");
            (endpoint, region, "")
        }
    };
    let (scheme, host) = endpoint.split_once("://").unwrap_or_default();
    if host.contains('/') {
        return Err(bad("has an endpoint with a path"));
    }
    // The signature covers the `Host` header, which leaves out the scheme's default port.
    let own_port = if scheme == "https" { ":443" } else { ":80" };
    let host = host.strip_suffix(own_port).unwrap_or(host);
    let mut path = String::new();
    for part in [folder, prefix] {
        if !part.is_empty() {
            path.push('/');
            path.push_str(part);
        }
    }
    Ok(Bucket {
        scheme: scheme.to_owned(),
        host: host.to_ascii_lowercase(),
        path,
        region: region.to_owned(),
    })
}

/// Returns the region and the endpoint.
fn s3_parameters(query: &str) -> Result<(Option<&str>, Option<String>), SettingsError> {
    let (mut region, mut endpoint) = (None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("region", value)) if is_plain(value) => region = Some(value),
            Some(("endpoint", value)) => endpoint = Some(http_url(STORE, value)?),
            _ => {
                let problem = "has a parameter other than region and endpoint";
                return Err(SettingsError::new(STORE, problem, S3_FIX));
            }
        }
    }
    Ok((region, endpoint))
}

/// Returns whether a part of a path contains no characters that URLs encode.
fn is_plain(part: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    !matches!(part, "" | "." | "..") && part.chars().all(is_plain)
}

#[cfg(test)]
mod tests;
