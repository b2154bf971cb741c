//! A store on an HTTP server, by a stand-in and by the server of faults. Real servers are in
//! `tests/store_servers.rs`.

mod support;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use mirror::faults::{Behaviour, FaultServer, Framing};
use shared_store::SharedStore;

use crate::support::{Answer, StandIn, key, object, open, open_as, open_trusting, store, writer};

fn answer(status: u16, body: &str) -> Answer {
    (status, String::new(), body.as_bytes().to_vec())
}

fn is_off(store: &SharedStore) -> bool {
    store
        .trouble()
        .is_some_and(|trouble| trouble.ends_with("; the build goes on without it."))
}

#[test]
fn object_is_put_once_and_read_by_others() {
    let server = StandIn::start();
    let place = format!("{}/a/prefix/", server.url());
    let writer = writer();
    let build = open_as(&place, &writer);
    assert_eq!(build.get(&key('a')), None);
    assert!(build.put(&key('a'), &object("first")));
    assert!(build.put(&key('a'), &object("second")));
    let reader = open_trusting(&place, &writer);
    assert_eq!(reader.get(&key('a')), Some(object("first")));
    assert_eq!((build.trouble(), reader.trouble()), (None, None));
    let files = server.files();
    let path = files.keys().next().unwrap();
    assert!(
        path.starts_with("/a/prefix/v1/") && path.ends_with(&key('a')),
        "{path}"
    );
    for request in server.requests() {
        let is_put = request.method == "PUT";
        assert_eq!(request.headers.contains_key("if-none-match"), is_put);
        assert!(!request.headers.contains_key("authorization"));
        assert!(!request.headers.contains_key("transfer-encoding"));
    }
}

#[test]
fn reading_and_writing_have_their_own_credentials() {
    let server = StandIn::start();
    let key_of_writer = writer().signing_key;
    let vars = [
        ("_SIGNING_KEY", &*key_of_writer),
        ("_READ", "reader:r"),
        ("_WRITE", "Bearer w"),
    ];
    let build = open(&server.url(), &vars);
    assert!(build.put(&key('a'), &object("plug")));
    assert!(build.get(&key('a')).is_some());
    let sent: Vec<_> = server
        .requests()
        .into_iter()
        .map(|request| (request.method, request.headers["authorization"].clone()))
        .collect();
    let expected = [("PUT", "Bearer w"), ("GET", "Basic cmVhZGVyOnI=")];
    assert_eq!(
        sent,
        expected.map(|(method, sent)| (method.to_owned(), sent.to_owned()))
    );
}

#[test]
fn credentials_stay_with_the_host_when_redirected() {
    let target = StandIn::start();
    let location = format!("http://localhost:{}/elsewhere", target.address.port());
    let server =
        StandIn::answering(move |_, _| (307, format!("Location: {location}\r\n"), Vec::new()));
    let trust = writer().public_key;
    let reader = open(
        &server.url(),
        &[("_TRUST", &trust), ("_READ", "reader:secret")],
    );
    assert_eq!(reader.get(&key('a')), None);
    let requests = target.requests();
    assert_eq!(requests.len(), 1);
    assert!(!requests[0].headers.contains_key("authorization"));
}

#[test]
fn redirected_put_is_not_followed() {
    let target = StandIn::start();
    let location = target.url();
    let server =
        StandIn::answering(move |_, _| (307, format!("Location: {location}/x\r\n"), Vec::new()));
    let build = open_as(&server.url(), &writer());
    assert!(!build.put(&key('a'), &object("plug")));
    assert!(target.requests().is_empty());
    assert!(
        build
            .trouble()
            .unwrap()
            .contains("at another address (HTTP status 307)")
    );
}

#[test]
fn statuses_of_get_are_distinguished() {
    let s3 = |code: &str| format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
    for (status, body, trouble, off) in [
        (404, String::new(), None, false),
        (410, String::new(), None, false),
        (403, s3("AccessDenied"), None, false),
        (404, s3("NoSuchKey"), None, false),
        (
            404,
            s3("NoSuchBucket"),
            Some("HTTP status 404 NoSuchBucket"),
            true,
        ),
        (
            401,
            String::new(),
            Some("HTTP status 401: check MIXPACK_STORE_READ"),
            true,
        ),
        (
            403,
            String::new(),
            Some("HTTP status 403: check MIXPACK_STORE_READ"),
            true,
        ),
        (
            403,
            s3("InvalidAccessKeyId"),
            Some("403 InvalidAccessKeyId: check"),
            true,
        ),
        (
            403,
            s3("SignatureDoesNotMatch"),
            Some("SignatureDoesNotMatch"),
            true,
        ),
        (400, s3("ExpiredToken"), Some("400 ExpiredToken"), true),
        (301, s3("PermanentRedirect"), Some("another region"), true),
        (
            403,
            s3("<script>"),
            Some("denies access with HTTP status 403: check"),
            true,
        ),
        (
            500,
            String::new(),
            Some("failed with HTTP status 500"),
            false,
        ),
        (503, s3("SlowDown"), Some("HTTP status 503 SlowDown"), false),
        (
            204,
            String::new(),
            Some("failed with HTTP status 204"),
            false,
        ),
    ] {
        let is_s3 = !body.is_empty();
        let server = StandIn::answering(move |_, _| answer(status, &body));
        let place = if is_s3 {
            format!("s3://bucket/prefix?endpoint={}", server.url())
        } else {
            server.url()
        };
        let reader = open_trusting(&place, &writer());
        assert_eq!(reader.get(&key('a')), None);
        let told = reader.trouble();
        assert_eq!(told.is_some(), trouble.is_some(), "{status}: {told:?}");
        if let (Some(told), Some(trouble)) = (&told, trouble) {
            assert!(told.contains(trouble), "{status}: {told}");
        }
        assert_eq!(is_off(&reader), off, "{status}");
        // The second fault ends the use of the store; a miss never does.
        assert_eq!(reader.get(&key('b')), None);
        assert_eq!(is_off(&reader), trouble.is_some(), "{status}");
        let asked = server.requests().len();
        assert_eq!(reader.get(&key('c')), None);
        assert_eq!(
            server.requests().len() > asked,
            trouble.is_none(),
            "{status}"
        );
    }
}

#[test]
fn statuses_of_put_are_distinguished() {
    for (status, code, is_stored, trouble) in [
        (200, "", true, None),
        (204, "", true, None),
        (412, "", true, None),
        (409, "ConditionalRequestConflict", true, None),
        (409, "", false, Some("create_full_put_path")),
        (
            401,
            "",
            false,
            Some("HTTP status 401: check MIXPACK_STORE_WRITE"),
        ),
        (
            403,
            "AccessDenied",
            false,
            Some("403 AccessDenied: check MIXPACK_STORE_WRITE"),
        ),
        (405, "", false, Some("doesn't accept PUT")),
        (413, "", false, Some("client_max_body_size")),
        (507, "", false, Some("is full")),
        (500, "", false, Some("failed to write with HTTP status 500")),
    ] {
        let server = StandIn::answering(move |request, _| match &*request.method {
            "PUT" if status == 204 => answer(204, ""),
            "PUT" => answer(status, &format!("<Code>{code}</Code>")),
            _ => answer(404, ""),
        });
        let build = open_as(&server.url(), &writer());
        assert_eq!(build.put(&key('a'), &object("plug")), is_stored, "{status}");
        let told = build.trouble();
        assert_eq!(told.is_some(), trouble.is_some(), "{status}: {told:?}");
        if let (Some(told), Some(trouble)) = (&told, trouble) {
            assert!(told.contains(trouble), "{status}: {told}");
        }
        // Reading goes on.
        let asked = server.requests().len();
        assert_eq!(build.get(&key('a')), None);
        assert_eq!(server.requests().len(), asked + 1, "{status}");
        let may_write = is_stored || [413, 500].contains(&status);
        assert_eq!(build.can_write(), may_write, "{status}");
    }
}

#[test]
fn server_without_conditional_put_gets_plain_ones() {
    let server = StandIn::answering(|request, files| {
        if request.headers.contains_key("if-none-match") {
            answer(501, "<Code>NotImplemented</Code>")
        } else {
            store(request, files)
        }
    });
    let build = open_as(&server.url(), &writer());
    assert!(build.put(&key('a'), &object("plug")));
    assert!(build.put(&key('b'), &object("jason")));
    assert_eq!(server.requests().len(), 3);
    assert_eq!(build.get(&key('b')), Some(object("jason")));
    assert_eq!(build.trouble(), None);
}

#[test]
fn closed_connection_is_replaced_once() {
    let server = StandIn::start();
    server.close_silently();
    let build = open_as(&server.url(), &writer());
    for digit in "0123456789".chars() {
        assert!(
            build.put(&key(digit), &object("plug")),
            "{:?}",
            build.trouble()
        );
        assert!(build.get(&key(digit)).is_some());
    }
    assert_eq!(build.trouble(), None);
}

#[test]
fn connections_are_kept() {
    let server = StandIn::start();
    let build = open_as(&server.url(), &writer());
    for digit in "0123".chars() {
        assert_eq!(build.get(&key(digit)), None);
        assert!(build.put(&key(digit), &object("plug")));
        assert!(build.get(&key(digit)).is_some());
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn unreachable_server_costs_one_attempt() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let started = Instant::now();
    let build = open_as(&place, &writer());
    assert_eq!(build.get(&key('a')), None);
    let trouble = build.trouble().unwrap();
    assert!(
        trouble.contains(&format!("{place} can't be reached: connection failed")),
        "{trouble}"
    );
    assert!(is_off(&build) && !build.can_write());
    assert!(!build.put(&key('a'), &object("plug")));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn every_fault_is_a_miss_with_a_sentence_in_time() {
    let source = StandIn::start();
    let writer = writer();
    assert!(open_as(&source.url(), &writer).put(&key('a'), &object("plug")));
    let (path, body) = source.files().into_iter().next().unwrap();
    let server = FaultServer::start([(path.clone(), Behaviour::Ok(body.clone()))]).unwrap();
    let ask = || {
        let reader = open_trusting(&server.url(""), &writer);
        let started = Instant::now();
        let found = reader.get(&key('a'));
        (found, reader.trouble(), started.elapsed())
    };
    let (found, trouble, _) = ask();
    assert_eq!((found, trouble), (Some(object("plug")), None));
    server.set(&path, Behaviour::Chunked(body.clone()));
    assert_eq!(ask().0, Some(object("plug")));
    let cut = |framing| Behaviour::TruncateAt {
        body: body.clone(),
        at: body.len() / 2,
        framing,
    };
    let at = body.len() / 2;
    for behaviour in [
        cut(Framing::Length),
        cut(Framing::Chunked),
        cut(Framing::Close),
        Behaviour::Announced {
            body: body.clone(),
            length: body.len() + 1,
        },
        Behaviour::Announced {
            body: body.clone(),
            length: body.len() - 1,
        },
        Behaviour::Announced {
            body: body.clone(),
            length: 1 << 30,
        },
        Behaviour::StallBeforeHead,
        Behaviour::StallAt {
            body: body.clone(),
            at,
        },
        Behaviour::ResetAt {
            body: body.clone(),
            at,
        },
        Behaviour::CloseBeforeHead,
        Behaviour::Garbage,
        Behaviour::RedirectLoop(302),
        Behaviour::Redirect(302, "https://127.0.0.1:1/".to_owned()),
        Behaviour::RetryAfter(503, "60".to_owned()),
        Behaviour::Ok(b"<html>Sign in</html>".to_vec()),
        Behaviour::SlowDrip {
            body: body.clone(),
            chunk: 10,
            pause: Duration::from_millis(100),
        },
    ] {
        server.set(&path, behaviour.clone());
        let (found, trouble, took) = ask();
        assert_eq!(found, None, "{behaviour:?}");
        assert!(trouble.is_some(), "{behaviour:?}");
        // Three seconds, and what a busy machine adds.
        assert!(took < Duration::from_secs(10), "{took:?} {behaviour:?}");
    }
}
