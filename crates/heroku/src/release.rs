//! `bin/release BUILD_DIR`: prints YAML with the default process types, for those that the Procfile doesn't define.

use app::facts::mix_exs::{MixExs, lock_contains};
use app::plan::{PHX, phoenix_ex_of};
use app::text_file;
use planning::record::Record;
use std::fmt::Write;
use std::path::Path;

/// Returns the document. For a slug that Mixpack didn't build, it is a guess from the files.
#[must_use]
pub fn release(build_dir: &Path) -> String {
    let processes = match Record::of_slug(build_dir) {
        Some(record) => record.processes,
        None => [("web".to_owned(), guess(build_dir))].into(),
    };
    let mut yaml = String::from("---\naddons: []\ndefault_process_types:\n");
    for (name, command) in &processes {
        // A JSON string is a YAML double-quoted scalar.
        let command = serde_json::Value::from(command.as_str());
        let _ = writeln!(yaml, "  {name}: {command}");
    }
    yaml
}

fn guess(build_dir: &Path) -> String {
    let read = |name: &str| text_file::read(&build_dir.join(name)).unwrap_or_default();
    let lock = read("mix.lock");
    let phoenix =
        MixExs::guess("mix.exs", &read("mix.exs")).phoenix || lock_contains(&lock, "phoenix");
    if phoenix {
        format!("mix {}.server", phoenix_ex_of(&lock).unwrap_or(PHX))
    } else {
        "mix run --no-halt".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn release_falls_back_to_app_files_without_build_record() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("mix.exs"), "{:phoenix, \"~> 1.8\"}").unwrap();
        assert_eq!(
            release(dir.path()),
            "---\naddons: []\ndefault_process_types:\n  web: \"mix phx.server\"\n"
        );
        let lock = "%{\n  \"phoenix\": {:hex, :phoenix, \"1.2.5\", \"ab\"},\n}";
        fs::write(dir.path().join("mix.lock"), lock).unwrap();
        assert!(release(dir.path()).ends_with("web: \"mix phoenix.server\"\n"));
    }
}
