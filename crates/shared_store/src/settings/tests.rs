use super::*;
use crate::keys::{generate, public_key_of};

const SECRET_TEXT: &str = "a-secret-of-enough-characters";
const SEED: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";

/// Reads the variables given as `NAME=value`, with a valid secret and signing key.
fn read(given: &[&str]) -> Result<Option<Settings>, SettingsError> {
    let defaults = [
        format!("{SECRET}={SECRET_TEXT}"),
        format!("{SIGNING_KEY}={SEED}"),
    ];
    let all: Vec<String> = given
        .iter()
        .map(|&text| text.to_owned())
        .chain(defaults)
        .collect();
    Settings::read(&|name| {
        all.iter()
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
    })
}

fn settings(given: &[&str]) -> Settings {
    read(given).unwrap().unwrap()
}

fn error(given: &[&str]) -> SettingsError {
    read(given).unwrap_err()
}

#[test]
fn store_is_off_without_its_variable() {
    assert!(read(&[]).unwrap().is_none());
    assert!(
        read(&["MIXPACK_STORE=", "MIXPACK_STORE_SECRET=short"])
            .unwrap()
            .is_none()
    );
}

#[test]
fn places_are_shown_without_credentials() {
    for (store, shown) in [
        ("/var/store", "/var/store"),
        ("file:///var/store", "/var/store"),
        ("https://host.example/a/", "https://host.example/a"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/a", "http://[::1]:8080/a"),
        ("http://10.1.2.3/a", "http://10.1.2.3/a"),
        ("http://store:8080", "http://store:8080"),
        ("http://store.internal", "http://store.internal"),
        (
            "http://store.ns.svc.cluster.local",
            "http://store.ns.svc.cluster.local",
        ),
        ("s3://b/p/q?region=eu-central-1", "s3://b/p/q"),
        ("s3://b?endpoint=https://r2.example", "s3://b"),
    ] {
        let settings = settings(&[
            &format!("MIXPACK_STORE={store}"),
            "MIXPACK_STORE_WRITE=id:password-of-writer",
        ]);
        assert_eq!(settings.shown, shown);
    }
}

#[test]
fn buckets_are_in_the_host_only_at_aws() {
    for (store, url, region) in [
        (
            "b/p/q?region=eu-1",
            "https://b.s3.eu-1.amazonaws.com/p/q",
            "eu-1",
        ),
        ("b?region=eu-1", "https://b.s3.eu-1.amazonaws.com", "eu-1"),
        (
            "b.c/p/?region=eu-1",
            "https://s3.eu-1.amazonaws.com/b.c/p",
            "eu-1",
        ),
        (
            "b/p?endpoint=https://R2.example:443/",
            "https://r2.example/b/p",
            "us-east-1",
        ),
        (
            "b?region=x&endpoint=http://s3:9000",
            "http://s3:9000/b",
            "x",
        ),
    ] {
        let bucket = s3_bucket(store).unwrap();
        let found = format!("{}://{}{}", bucket.scheme, bucket.host, bucket.path);
        assert_eq!((&*found, &*bucket.region), (url, region), "{store}");
    }
}

#[test]
fn unusable_places_are_refused_with_advice() {
    for (store, problem, fix) in [
        ("store", "neither an absolute path", "s3://"),
        ("~/store", "neither an absolute path", "/path"),
        ("ftp://host/x", "neither an absolute path", "https://"),
        (
            "https://me:pass@host/x",
            "credentials",
            "MIXPACK_STORE_READ",
        ),
        ("s3://id:pass@bucket/x", "credentials", "MIXPACK_STORE_READ"),
        ("https://", "valid URL", "correct"),
        ("https:///x", "valid URL", "correct"),
        ("https://host/a b", "valid URL", "correct"),
        ("https://host/x?sig=abc", "query", "appended"),
        ("http://host.example/x", "without encryption", "https"),
        ("http://8.8.8.8/x", "without encryption", "https"),
        ("http://internal.example/x", "without encryption", "https"),
        ("s3://b/p", "no region", "region="),
        ("s3:///p?region=r", "bucket name", "BUCKET"),
        ("s3://b/../c?region=r", "prefix", "PREFIX"),
        ("s3://b/p?region=r&acl=x", "parameter", "endpoint"),
        (
            "s3://b?endpoint=http://s3.example",
            "without encryption",
            "https",
        ),
        ("s3://b?endpoint=https://host/x", "a path", "endpoint"),
        ("s3://b?endpoint=s3.example", "URL", "correct"),
    ] {
        let error = error(&[
            &format!("MIXPACK_STORE={store}"),
            "MIXPACK_STORE_WRITE=id:password-of-writer",
        ]);
        assert_eq!(error.variable, STORE, "{store}");
        assert!(error.problem.contains(problem), "{store}: {error}");
        assert!(error.fix.contains(fix), "{store}: {}", error.fix);
        assert!(!format!("{error:?}").contains("pass@"), "{error:?}");
    }
}

#[test]
fn secret_is_required_and_long() {
    for secret in ["", "fifteen letters"] {
        let store = "MIXPACK_STORE=/store";
        let error = error(&[store, &format!("MIXPACK_STORE_SECRET={secret}")]);
        assert_eq!(error.variable, SECRET);
        assert!(error.fix.contains("16 characters"));
        assert!(secret.is_empty() || !format!("{error:?}").contains(secret));
    }
}

#[test]
fn own_key_is_trusted_by_default() {
    let store = "MIXPACK_STORE=/store";
    let own = public_key_of(SEED).unwrap();
    let other = generate().unwrap().public_key;
    let trusted = |given: &[&str]| settings(given).trusted;
    assert_eq!(trusted(&[store]), [Writer::parse(&own).unwrap()]);
    let list = format!("MIXPACK_STORE_TRUST={other}, {own} {other}");
    let both = [&other, &own].map(|key| Writer::parse(key).unwrap());
    assert_eq!(trusted(&[store, &list]), both);
    // Exactly the listed keys: the own key isn't added.
    let list = format!("MIXPACK_STORE_TRUST={other}");
    assert_eq!(trusted(&[store, &list]), [Writer::parse(&other).unwrap()]);
}

#[test]
fn bad_keys_are_refused_and_not_shown() {
    let store = "MIXPACK_STORE=/store";
    let cases = [
        (SIGNING_KEY, "c2hvcnQ="),
        (SIGNING_KEY, "not~base64"),
        (TRUST, "c2hvcnQ="),
        (TRUST, ","),
    ];
    for (variable, value) in cases {
        let error = error(&[store, &format!("{variable}={value}")]);
        assert_eq!(error.variable, variable);
        assert!(value == "," || !format!("{error:?}").contains(value));
    }
    let error = error(&[store, "MIXPACK_STORE_SIGNING_KEY="]);
    assert_eq!(error.variable, TRUST);
}

#[test]
fn credentials_have_a_form_for_each_kind_of_store() {
    let http = "MIXPACK_STORE=https://host.example";
    let s3 = "MIXPACK_STORE=s3://bucket?region=r";
    for (store, value, is_valid) in [
        (http, "me:pass:word", true),
        (http, "Bearer t0ken", true),
        (http, "t0ken", false),
        (http, "Bearer to ken", false),
        (s3, "AKID:secret", true),
        (s3, "AKID:secret:token", true),
        (s3, "AKID", false),
        (s3, "AKID:", false),
        (s3, "AKID:secret:token:more", false),
        (s3, "Bearer t0ken", false),
    ] {
        let result = read(&[store, &format!("MIXPACK_STORE_WRITE={value}")]);
        assert_eq!(result.is_ok(), is_valid, "{store} {value}");
        if let Err(error) = result {
            assert_eq!(error.variable, WRITE);
            assert!(!format!("{error:?}").contains(value));
        }
    }
    assert_eq!(
        error(&[s3, "MIXPACK_STORE_READ=AKID:secret"]).variable,
        WRITE
    );
    assert!(
        read(&[
            s3,
            "MIXPACK_STORE_READ=AKID:secret",
            "MIXPACK_STORE_SIGNING_KEY=",
            &format!("MIXPACK_STORE_TRUST={}", public_key_of(SEED).unwrap())
        ])
        .is_ok()
    );
}

#[test]
fn writers_credentials_also_read() {
    let headers = |given: &[&str]| match settings(given).place {
        Place::Server(Address::Http { read, write, .. }) => (read, write),
        _ => panic!("not over HTTP"),
    };
    let store = "MIXPACK_STORE=https://host.example";
    let write = "MIXPACK_STORE_WRITE=Bearer w";
    let read = "MIXPACK_STORE_READ=me:x";
    let bearer = Some("Bearer w".to_owned());
    let basic = Some("Basic bWU6eA==".to_owned());
    assert_eq!(headers(&[store, write]), (bearer.clone(), bearer.clone()));
    assert_eq!(headers(&[store, write, read]), (basic.clone(), bearer));
    assert_eq!(headers(&[store, read]), (basic, None));
    assert_eq!(headers(&[store]), (None, None));
}

#[test]
fn secrets_are_listed_and_hidden_in_debug() {
    let settings = settings(&[
        "MIXPACK_STORE=s3://bucket?region=r",
        "MIXPACK_STORE_READ=AKIDR:readers-secret",
        "MIXPACK_STORE_WRITE=AKIDW:writers-secret:session-token",
    ]);
    let secrets = settings.secrets();
    let debug = format!("{settings:?}");
    for secret in [
        SECRET_TEXT,
        SEED,
        "readers-secret",
        "writers-secret",
        "session-token",
        "AKIDR:readers-secret",
        "QUtJRFI6cmVhZGVycy1zZWNyZXQ=",
    ] {
        assert!(secrets.iter().any(|listed| listed == secret), "{secret}");
        assert!(!debug.contains(secret), "{debug}");
    }
}

#[test]
fn every_variable_is_listed() {
    let asked = std::cell::RefCell::new(Vec::new());
    let get = |name: &str| {
        asked.borrow_mut().push(name.to_owned());
        match name {
            STORE => Some("/store".to_owned()),
            SECRET => Some(SECRET_TEXT.to_owned()),
            SIGNING_KEY => Some(SEED.to_owned()),
            _ => None,
        }
    };
    Settings::read(&get).unwrap();
    let mut asked = asked.into_inner();
    asked.sort();
    let mut listed = VARIABLES.map(str::to_owned);
    listed.sort();
    assert_eq!(asked, listed);
}
