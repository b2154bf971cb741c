//! Only the host gets the credentials in a URL.

use fetch::Kind;
use mirror::faults::{Behaviour, FaultServer};

use crate::support::{Recorder, client};

#[test]
fn credentials_are_sent_as_basic_auth_and_never_shown() {
    let behaviour = Behaviour::FailTimes(
        1,
        Box::new(Behaviour::Status(503, vec![])),
        Box::new(Behaviour::Ok(b"list".into())),
    );
    let server = FaultServer::start([("/list", behaviour)]).unwrap();
    let with = |user_info: &str, path: &str| {
        server
            .url(path)
            .replace("http://", &format!("http://{user_info}@"))
    };
    let seen = Recorder::default();

    assert_eq!(
        client()
            .text(&with("me:s%40cret", "/list"), 10, &seen)
            .unwrap(),
        "list"
    );

    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    for request in &requests {
        // "me:s@cret"
        assert_eq!(request.header("authorization"), Some("Basic bWU6c0BjcmV0"));
        assert_eq!(
            request.header("host"),
            Some(server.address().to_string().as_str())
        );
        assert_eq!(
            request.header("user-agent"),
            Some(concat!("mixpack/", env!("CARGO_PKG_VERSION")))
        );
    }
    assert_eq!(seen.retries().len(), 1);

    let error = client()
        .text(&with("me:s%40cret", "/gone?key=s3cret"), 10, &seen)
        .unwrap_err();
    assert!(matches!(error.kind, Kind::Status(404)));
    assert_eq!(error.url, server.url("/gone"));
    for text in [
        format!("{error}"),
        format!("{error:?}"),
        format!("{seen:?}"),
    ] {
        for secret in ["s%40cret", "s@cret", "s3cret", "bWU6c0BjcmV0"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[test]
fn invalid_url_error_hides_secrets() {
    for url in [
        "ftp://me:s3cret@host/x",
        "http://me:s3cret@ho st/x",
        "http://me:s3cret@h:99999/x",
    ] {
        let error = client().text(url, 10, &()).unwrap_err();
        assert!(matches!(error.kind, Kind::BadUrl(_)), "{url}: {error:?}");
        assert!(!format!("{error:?}{error}").contains("s3cret"), "{error:?}");
    }
}

#[test]
fn credentials_are_not_sent_to_redirect_host() {
    let elsewhere = FaultServer::start([("/there", Behaviour::Ok(b"list".into()))]).unwrap();
    // The same machine by another name counts as another host.
    let to = elsewhere.url("/there").replace("127.0.0.1", "localhost");
    let server = FaultServer::start([
        ("/out", Behaviour::Redirect(302, to)),
        ("/in", Behaviour::Redirect(302, "/list".into())),
        ("/list", Behaviour::Ok(b"list".into())),
    ])
    .unwrap();
    for path in ["/out", "/in"] {
        let url = server.url(path).replace("http://", "http://me:s3cret@");
        assert_eq!(client().text(&url, 10, &()).unwrap(), "list");
    }
    assert_eq!(elsewhere.requests()[0].header("authorization"), None);
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.header("authorization").is_some())
    );
    assert_eq!(server.count("/list"), 1);
}
