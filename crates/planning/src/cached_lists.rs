//! Cached copies of upstream's lists, which a build uses while upstream is down.

use messages::Error;
use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};
use store::{Store, json};
use toolchain::ToolchainError;
use toolchain::lists::ListText;
use versions::lifecycle::minute_of_unix_time;

/// The cache entry of a list.
#[derive(Debug, Serialize, Deserialize)]
struct CachedList {
    /// Its URL, without credentials. A copy is only used for the same URL.
    url: String,
    /// Seconds since 1970.
    read_at: u64,
    text: String,
    /// Whether its signature was verified when it was read.
    #[serde(default)]
    signed: bool,
}

/// A list to use.
#[derive(Debug)]
pub struct List {
    pub text: String,
    /// The URL, without credentials.
    pub url: String,
    /// Seconds since 1970.
    pub read_at: u64,
    pub signed: bool,
    /// The warning, if this is not the current list.
    pub outdated: Option<Outdated>,
}

#[derive(Debug)]
pub struct Outdated {
    pub warning: String,
    /// The error of fetching the current list.
    pub error: ToolchainError,
}

/// Returns the fetched list, and caches it as `name`. If fetching failed, returns the cached copy from the
/// same URL.
pub fn or_cached(store: Option<&dyn Store>, name: &str, fetched: ListText) -> Result<List, Error> {
    let error = match fetched.text {
        Ok(text) => {
            let cached = CachedList {
                url: fetched.url,
                read_at: now(),
                text,
                signed: fetched.signed,
            };
            if let Some(store) = store.filter(|store| !is_cached(*store, name, &cached)) {
                store.write_note(name, &json::to_string(&cached, name)?)?;
            }
            return Ok(List {
                text: cached.text,
                url: cached.url,
                read_at: cached.read_at,
                signed: cached.signed,
                outdated: None,
            });
        }
        Err(error) => error,
    };
    let cached = store
        .filter(|_| error.is_upstream_fault())
        .and_then(|store| store.read_note(name))
        .and_then(|note| serde_json::from_str::<CachedList>(&note).ok())
        .filter(|cached| cached.url == fetched.url);
    match cached {
        None => Err(error.into()),
        Some(cached) => Ok(List {
            outdated: Some(Outdated {
                warning: format!(
                    "{error}; using the copy read on {}",
                    minute_of_unix_time(cached.read_at)
                ),
                error,
            }),
            text: cached.text,
            url: cached.url,
            read_at: cached.read_at,
            signed: cached.signed,
        }),
    }
}

/// Returns whether the cache already has this list. An unchanged list is only saved once a day, so that unchanged
/// builds keep the same cache.
fn is_cached(store: &dyn Store, name: &str, list: &CachedList) -> bool {
    const DAY: u64 = 24 * 3600;
    store
        .read_note(name)
        .and_then(|note| serde_json::from_str::<CachedList>(&note).ok())
        .is_some_and(|cached| {
            let young = list.read_at.checked_sub(cached.read_at) < Some(DAY);
            young && cached.url == list.url && cached.text == list.text
        })
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::CacheDir;

    const URL: &str = "https://builds.example/builds.txt";

    fn list(url: &str, text: Result<&str, ToolchainError>) -> ListText {
        ListText {
            subject: "the list of OTP builds",
            url: url.to_owned(),
            text: text.map(str::to_owned),
            signed: false,
        }
    }

    fn empty() -> ToolchainError {
        ToolchainError::EmptyList {
            subject: "the list of OTP builds",
            url: URL.to_owned(),
        }
    }

    #[test]
    fn cached_list_is_used_while_its_host_is_down() {
        let dir = tempfile::tempdir().unwrap();
        let store = CacheDir::open(dir.path()).unwrap();
        let store: Option<&dyn Store> = Some(&store);
        assert!(or_cached(store, "list.json", list(URL, Err(empty()))).is_err());
        for text in ["first", "second"] {
            let fresh = or_cached(store, "list.json", list(URL, Ok(text))).unwrap();
            assert!(fresh.outdated.is_none());
        }
        let cached = or_cached(store, "list.json", list(URL, Err(empty()))).unwrap();
        assert_eq!(cached.text, "second");
        let warning = cached.outdated.unwrap().warning;
        let message = "the list of OTP builds at https://builds.example/builds.txt is empty; using the copy read on 2";
        assert!(warning.starts_with(message), "{warning}");
        assert!(warning.ends_with(" UTC"), "{warning}");
        let other = list("https://mirror.example/builds.txt", Err(empty()));
        assert!(or_cached(store, "list.json", other).is_err());
        assert!(or_cached(None, "list.json", list(URL, Err(empty()))).is_err());
    }

    #[test]
    fn cancelled_build_does_not_use_cached_list() {
        let dir = tempfile::tempdir().unwrap();
        let store = CacheDir::open(dir.path()).unwrap();
        or_cached(Some(&store), "list.json", list(URL, Ok("text"))).unwrap();
        let stopped = ToolchainError::Fetch {
            subject: "the list of OTP builds".to_owned(),
            source: fetch::FetchError {
                url: URL.to_owned(),
                redirected_to: None,
                attempts: 1,
                kind: fetch::Kind::Cancelled,
            },
        };
        assert!(or_cached(Some(&store), "list.json", list(URL, Err(stopped))).is_err());
    }
}
