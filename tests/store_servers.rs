//! A shared store on real servers: nginx, and an S3 server that verifies signatures.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../crates/shared_store/tests/support/mod.rs"]
mod support;

use std::fs;
use std::thread;

use mirror::object_stores::{BUCKET, ObjectStore, READER, WRITER};
use shared_store::{Object, SharedStore};
use walkdir::WalkDir;

use crate::support::{key, object, open, writer};

#[track_caller]
fn installed(server: std::io::Result<Option<ObjectStore>>) -> ObjectStore {
    server.unwrap().expect("an installed server")
}

fn s3_place(server: &ObjectStore, bucket: &str) -> String {
    format!(
        "s3://{bucket}/a/prefix?region=us-east-1&endpoint={}",
        server.url()
    )
}

/// An object whose archive is larger than what servers buffer.
fn large() -> Object {
    object(&"0123456789".repeat(500))
}

/// Replaces the only stored file, and returns the error that a build gets then.
fn trouble_after(
    server: &ObjectStore,
    store: &SharedStore,
    damage: impl Fn(&[u8]) -> Vec<u8>,
) -> String {
    let digits = key('a');
    let file = WalkDir::new(server.files())
        .into_iter()
        .map(Result::unwrap)
        .find(|entry| entry.file_name() == &*digits)
        .unwrap()
        .into_path();
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, damage(&bytes)).unwrap();
    assert_eq!(store.get(&digits), None);
    fs::write(&file, bytes).unwrap();
    store.trouble().unwrap()
}

fn stores_and_verifies(server: &ObjectStore, place: &str, reader_credentials: &str) {
    let writer = writer();
    let write = [("_SIGNING_KEY", &*writer.signing_key), ("_WRITE", WRITER)];
    let read = [
        ("_TRUST", &*writer.public_key),
        ("_READ", reader_credentials),
    ];
    let build = open(place, &write);
    assert_eq!(build.get(&key('a')), None);
    assert_eq!(build.trouble(), None);
    assert!(build.put(&key('a'), &large()), "{:?}", build.trouble());
    assert!(build.put(&key('a'), &large()), "{:?}", build.trouble());
    let reader = open(place, &read);
    assert_eq!(
        reader.get(&key('a')),
        Some(large()),
        "{:?}",
        reader.trouble()
    );
    assert_eq!(reader.get(&key('b')), None);
    assert_eq!(reader.trouble(), None);
    let truncated = trouble_after(server, &open(place, &read), |bytes| bytes[..1000].to_vec());
    assert!(truncated.contains("is truncated"), "{truncated}");
    let poisoned = trouble_after(server, &open(place, &read), |bytes| {
        [&bytes[..bytes.len() - 1], b"!"].concat()
    });
    assert!(poisoned.contains("checksum"), "{poisoned}");
    assert_eq!(open(place, &read).get(&key('a')), Some(large()));
    // nginx doesn't know `If-None-Match` for PUT, and replaces an object by an equally valid one.
    assert!(build.put(&key('c'), &object("first")));
    assert!(build.put(&key('c'), &object("second")));
    let stays = if place.starts_with("s3:") {
        "first"
    } else {
        "second"
    };
    assert_eq!(build.get(&key('c')), Some(object(stays)));
    // Two builds at once.
    let dependency = object(&"x".repeat(300));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let build = open(place, &write);
                for digit in "0123456789".chars() {
                    assert!(build.put(&key(digit), &dependency), "{:?}", build.trouble());
                    let found = build.get(&key(digit));
                    assert!(found.as_ref() == Some(&dependency), "{:?}", build.trouble());
                }
                assert_eq!(build.trouble(), None);
            });
        }
    });
}

fn trouble(place: &str, vars: &[(&str, &str)]) -> String {
    let writer = writer();
    let signing = [("_SIGNING_KEY", &*writer.signing_key)];
    let build = open(place, &[&signing, vars].concat());
    let _ = build.get(&key('d'));
    // Larger than what a server reads before it refuses.
    build.put(&key('d'), &large());
    build.trouble().unwrap_or_default()
}

#[test]
fn nginx_stores_objects() {
    let server = installed(ObjectStore::nginx());
    let place = format!("{}/a/prefix", server.url());
    stores_and_verifies(&server, &place, READER);
    let told = trouble(&place, &[]);
    assert!(
        told.contains("HTTP status 401: check MIXPACK_STORE_READ"),
        "{told}"
    );
    let told = trouble(&place, &[("_READ", READER), ("_WRITE", READER)]);
    assert!(told.contains("check MIXPACK_STORE_WRITE"), "{told}");
    assert!(told.ends_with("adds nothing more to it."), "{told}");
}

#[test]
fn misconfigured_nginx_is_explained() {
    let server = installed(ObjectStore::nginx_with("client_max_body_size 256m;"));
    let told = trouble(&server.url(), &[("_WRITE", WRITER)]);
    assert!(told.contains("nginx: create_full_put_path"), "{told}");
    let limit = "create_full_put_path on; client_max_body_size 100k;";
    let server = ObjectStore::nginx_with(limit).unwrap().unwrap();
    let keys = writer();
    let vars = [("_SIGNING_KEY", &*keys.signing_key), ("_WRITE", WRITER)];
    let build = open(&server.url(), &vars);
    assert!(!build.put(&key('a'), &large()));
    let told = build.trouble().unwrap();
    assert!(told.contains("nginx: client_max_body_size"), "{told}");
    assert!(
        build.put(&key('b'), &object("plug")),
        "{:?}",
        build.trouble()
    );
}

#[test]
#[ignore = "versitygw, an S3 server, has to be on PATH"]
fn s3_stores_objects() {
    let server = installed(ObjectStore::s3());
    stores_and_verifies(&server, &s3_place(&server, BUCKET), WRITER);
}

#[test]
#[ignore = "versitygw, an S3 server, has to be on PATH"]
fn refusals_of_s3_are_explained() {
    let server = installed(ObjectStore::s3());
    let place = s3_place(&server, BUCKET);
    let told = trouble(&place, &[("_WRITE", "nobody:writers-password")]);
    // At AWS it is 403 InvalidAccessKeyId.
    assert!(
        told.contains("HTTP status 404 XAdminUserNotFound"),
        "{told}"
    );
    let told = trouble(&place, &[("_WRITE", "writer:another-password")]);
    assert!(told.contains("SignatureDoesNotMatch"), "{told}");
    assert!(told.contains("check MIXPACK_STORE_READ"), "{told}");
    let told = trouble(&s3_place(&server, "missing"), &[("_WRITE", WRITER)]);
    assert!(told.contains("NoSuchBucket"), "{told}");
}
