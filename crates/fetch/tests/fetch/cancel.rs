use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fetch::{Archive, Class, Client, Format, Kind, Observer, Progress, Retrying, Settings};
use mirror::faults::{Behaviour, FaultServer};
use mirror::noise::noise;

use crate::support::{Place, file, gzip, settings, tar};

/// Cancels at the first sign of the event it waits for.
struct Canceller {
    flag: Arc<AtomicBool>,
    on_progress: bool,
}

impl Observer for Canceller {
    fn progress(&self, _: &Progress<'_>) {
        self.flag.fetch_or(self.on_progress, Ordering::Relaxed);
    }

    fn retrying(&self, _: &Retrying<'_>) {
        self.flag.fetch_or(!self.on_progress, Ordering::Relaxed);
    }
}

#[test]
fn cancel_stops_transfer_during_read_and_wait_and_before_start() {
    let body = gzip(&tar(&[file("content", &noise(0, 3_000_000))]));
    let server = FaultServer::start([
        (
            "/slow",
            Behaviour::SlowDrip {
                body,
                chunk: 10_000,
                pause: Duration::from_millis(20),
            },
        ),
        ("/busy", Behaviour::Status(503, vec![])),
    ])
    .unwrap();
    for (path, on_progress) in [("/slow", true), ("/busy", false)] {
        let place = Place::new();
        let cancel = Arc::<AtomicBool>::default();
        let client = Client::new(Settings {
            cancel: Arc::clone(&cancel),
            first_wait: Duration::from_mins(1),
            longest_wait: Duration::from_mins(1),
            ..settings()
        });
        let archive = Archive {
            url: server.url(path),
            format: Format::TarGz,
            strip_components: 0,
            checksum: None,
        };
        let started = Instant::now();
        let observer = Canceller {
            flag: cancel,
            on_progress,
        };

        let error = client
            .archive(&archive, &place.dest(), &observer)
            .unwrap_err();
        assert!(matches!(error.kind, Kind::Cancelled), "{path}: {error:?}");
        assert_eq!(error.class(), Class::Cancelled);
        assert!(started.elapsed() < Duration::from_secs(2), "{path}");
        place.assert_untouched(path);

        let requested = server.count(path);
        let error = client.archive(&archive, &place.dest(), &()).unwrap_err();
        assert!(matches!(error.kind, Kind::Cancelled), "{path}: {error:?}");
        assert_eq!(server.count(path), requested);
    }
}
