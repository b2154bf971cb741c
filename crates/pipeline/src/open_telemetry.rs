//! The steps of a build as OpenTelemetry spans: a line of JSON for each build, in the format that
//! opentelemetry.io/docs/specs/otel/protocol/file-exporter describes. libcnb's feature `trace` writes the same, but with
//! an SDK, protobuf messages and subscribers, and only for images.

use crate::schedule::{Ended, Timing};
use crate::timeline::Timings;
use planning::record::VERSION;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::digest::sha256;

/// `Span.SpanKind` of opentelemetry/proto/trace/v1/trace.proto.
const INTERNAL: u8 = 1;
/// `Status.StatusCode` of the same file.
const OK: u8 = 1;
const ERROR: u8 = 2;

/// Appends a line to the file. A service may collect the files of several buildpacks in one directory.
pub(crate) fn append(path: &Path, timings: &Timings, failed: bool) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = File::options().create(true).append(true).open(path)?;
    writeln!(file, "{}", traces(timings, failed, std::process::id()))
}

/// The document `TracesData`: the build, and its steps as children.
fn traces(timings: &Timings, failed: bool, process: u32) -> Value {
    let began = timings.began.unwrap_or_else(SystemTime::now);
    let began = began.duration_since(UNIX_EPOCH).unwrap_or_default();
    // Unique to this build on this machine.
    let identity = sha256(format!("{VERSION} {process} {}", began.as_nanos()).as_bytes());
    let (trace, build) = (&identity[..32], &identity[32..48]);
    let span = |id: &str, name: &str, from: Duration, took: Duration, code: u8| {
        json!({
            "traceId": trace,
            "spanId": id,
            "parentSpanId": "",
            "name": name,
            "kind": INTERNAL,
            "startTimeUnixNano": (began + from).as_nanos().to_string(),
            "endTimeUnixNano": (began + from + took).as_nanos().to_string(),
            "status": {"code": code},
        })
    };
    let code = if failed { ERROR } else { OK };
    let root = span(build, "build", Duration::ZERO, timings.wall(), code);
    let steps = timings.steps.iter().map(|step: &Timing| {
        let id = sha256(format!("{identity} {}", step.name.as_str()).as_bytes());
        let code = if step.ended == Ended::Done { OK } else { ERROR };
        let mut span = span(&id[..16], step.name.as_str(), step.started, step.took, code);
        span["parentSpanId"] = build.into();
        let reused = timings.reused.contains(&step.name);
        span["attributes"] = json!([{"key": "mixpack.from_cache", "value": {"boolValue": reused}}]);
        span
    });
    let spans: Vec<Value> = [root].into_iter().chain(steps).collect();
    let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    json!({"resourceSpans": [{
        "resource": {"attributes": [
            attribute("service.name", "mixpack"),
            attribute("service.version", VERSION),
        ]},
        "scopeSpans": [{"scope": {"name": "mixpack", "version": VERSION}, "spans": spans}],
    }]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::plan::StepName;
    use std::collections::BTreeSet;

    #[test]
    fn steps_are_children_of_the_build_with_times_and_status() {
        let step = |name, started, ended| Timing {
            name,
            started: Duration::from_secs(started),
            took: Duration::from_secs(2),
            ended,
        };
        let timings = Timings {
            steps: vec![
                step(StepName::Erlang, 0, Ended::Done),
                step(StepName::Compile, 3, Ended::Failed),
            ],
            reused: BTreeSet::from([StepName::Erlang]),
            began: Some(UNIX_EPOCH + Duration::from_secs(100)),
        };
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a/build.jsonl");
        append(&file, &timings, true).unwrap();
        append(&file, &timings, true).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text.lines().count(), 2);
        let traces: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        let spans = &traces["resourceSpans"][0]["scopeSpans"][0]["spans"];
        let [build, erlang, compile] = [0, 1, 2].map(|at| &spans[at]);
        assert_eq!(build["endTimeUnixNano"], "105000000000");
        assert_eq!(build["status"]["code"], 2);
        assert_eq!(build["traceId"].as_str().unwrap().len(), 32);
        for step in [erlang, compile] {
            assert_eq!(step["parentSpanId"], build["spanId"]);
            assert_eq!(step["traceId"], build["traceId"]);
        }
        assert_ne!(erlang["spanId"], compile["spanId"]);
        assert_eq!(erlang["status"]["code"], 1);
        assert_eq!(erlang["attributes"][0]["value"]["boolValue"], true);
        assert_eq!(compile["startTimeUnixNano"], "103000000000");
        assert_eq!(compile["status"]["code"], 2);
    }
}
