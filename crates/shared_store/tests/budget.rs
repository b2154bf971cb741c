//! A slow or broken store costs a build at most three seconds.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mirror::faults::{Behaviour, FaultServer};

use crate::support::{
    StandIn, key, object, open_as, open_trusting, open_with_cancel, store, writer,
};

const DIGITS: &str = "0123456789abcdef";
/// Three seconds, and what a busy machine adds. Without a limit it would be half a minute.
const LIMIT: Duration = Duration::from_secs(10);

/// A server that accepts connections and never answers. The listener must be kept.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = format!("http://{}", listener.local_addr().unwrap());
    (listener, place)
}

#[test]
fn silent_store_costs_three_seconds_in_all() {
    let (_listener, place) = silent();
    let build = open_as(&place, &writer());
    let started = Instant::now();
    for digit in DIGITS.chars() {
        assert_eq!(build.get(&key(digit)), None);
    }
    for digit in DIGITS.chars() {
        assert!(!build.put(&key(digit), &object("plug")));
    }
    let took = started.elapsed();
    assert!(took > Duration::from_secs(1) && took < LIMIT, "{took:?}");
    let trouble = build.trouble().unwrap();
    assert!(trouble.contains("didn't answer within"), "{trouble}");
    assert!(
        trouble.ends_with("; the build goes on without it."),
        "{trouble}"
    );
}

#[test]
fn silence_after_a_large_upload_costs_the_same() {
    let server = StandIn::answering_after(Duration::from_secs(20), store);
    let build = open_as(&server.url(), &writer());
    let started = Instant::now();
    for digit in DIGITS.chars() {
        assert!(!build.put(&key(digit), &object(&"x".repeat(500))));
    }
    assert!(started.elapsed() < LIMIT, "{:?}", started.elapsed());
    let trouble = build.trouble().unwrap();
    assert!(trouble.contains("didn't answer within"), "{trouble}");
}

#[test]
fn silent_store_costs_several_threads_the_same() {
    let (_listener, place) = silent();
    let build = open_as(&place, &writer());
    let started = Instant::now();
    thread::scope(|scope| {
        for digit in DIGITS.chars() {
            let build = &build;
            scope.spawn(move || {
                assert_eq!(build.get(&key(digit)), None);
                assert!(!build.put(&key(digit), &object("plug")));
            });
        }
    });
    assert!(started.elapsed() < LIMIT, "{:?}", started.elapsed());
}

#[test]
fn slow_misses_end_reading_but_not_writing() {
    let delay = Duration::from_millis(300);
    let server = StandIn::answering_after(delay, store);
    let build = open_as(&server.url(), &writer());
    let started = Instant::now();
    for digit in DIGITS.chars() {
        assert_eq!(build.get(&key(digit)), None);
    }
    let took = started.elapsed();
    assert!(
        took > Duration::from_millis(1900) && took < LIMIT,
        "{took:?}"
    );
    let trouble = build.trouble().unwrap();
    assert!(
        trouble.ends_with("; the build reads nothing more from it."),
        "{trouble}"
    );
    // The next build may find these.
    for digit in "0123".chars() {
        let is_stored = build.put(&key(digit), &object("plug"));
        assert!(is_stored, "{:?}", build.trouble());
    }
    assert_eq!(server.files().len(), 4);
}

#[test]
fn misses_at_the_same_time_are_counted_once() {
    let server = StandIn::answering_after(Duration::from_millis(150), store);
    let reader = open_trusting(&server.url(), &writer());
    for _ in 0..2 {
        thread::scope(|scope| {
            for digit in "01234567".chars() {
                let reader = &reader;
                scope.spawn(move || assert_eq!(reader.get(&key(digit)), None));
            }
        });
    }
    assert_eq!(reader.trouble(), None);
    assert_eq!(server.requests().len(), 16);
}

#[test]
fn useful_answers_may_take_a_while_each() {
    let server = StandIn::answering_after(Duration::from_millis(300), store);
    let writer = writer();
    let build = open_as(&server.url(), &writer);
    for digit in "01234567".chars() {
        let is_stored = build.put(&key(digit), &object("plug"));
        assert!(is_stored, "{:?}", build.trouble());
        assert!(build.get(&key(digit)).is_some());
    }
    assert_eq!(build.trouble(), None);
}

/// Serves an object of 2 MB at this speed.
fn at_speed(bytes_per_tenth: usize) -> (Option<shared_store::Object>, Duration, Option<String>) {
    let source = StandIn::start();
    let writer = writer();
    let large = object(&"x".repeat(2000));
    assert!(open_as(&source.url(), &writer).put(&key('a'), &large));
    let (path, body) = source.files().into_iter().next().unwrap();
    let drip = Behaviour::SlowDrip {
        body,
        chunk: bytes_per_tenth,
        pause: Duration::from_millis(100),
    };
    let server = FaultServer::start([(path, drip)]).unwrap();
    let reader = open_trusting(&server.url(""), &writer);
    let started = Instant::now();
    let found = reader.get(&key('a'));
    (found, started.elapsed(), reader.trouble())
}

#[test]
fn slow_download_that_progresses_is_awaited() {
    let (found, took, trouble) = at_speed(50_000);
    assert!(found.is_some(), "{trouble:?}");
    assert!(took > Duration::from_secs(3), "{took:?}");
}

#[test]
fn crawling_download_is_given_up() {
    let (found, took, trouble) = at_speed(5_000);
    assert!(found.is_none() && took < LIMIT, "{took:?}");
    assert!(trouble.unwrap().contains("is too slow"));
}

#[test]
fn cancelling_ends_a_request_at_once() {
    let (_listener, place) = silent();
    let cancel = Arc::new(AtomicBool::new(false));
    let trust = writer().public_key;
    let reader = open_with_cancel(&place, &[("_TRUST", &trust)], Arc::clone(&cancel));
    let started = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(reader.get(&key('a')), None));
        thread::sleep(Duration::from_millis(200));
        cancel.store(true, Ordering::SeqCst);
    });
    assert!(started.elapsed() < Duration::from_millis(1900));
    assert_eq!(reader.trouble(), None);
}
