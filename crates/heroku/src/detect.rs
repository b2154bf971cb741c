//! `bin/detect BUILD_DIR`.

use app::mix_exs::{MixExs, lock_holds};
use std::fs;
use std::path::Path;

/// The name that the platform prints as "NAME app detected", or why this is no app of ours.
pub fn detect(build_dir: &Path) -> Result<&'static str, String> {
    let Ok(mix_exs) = fs::read(build_dir.join("mix.exs")) else {
        return Err(format!(
            "No Elixir app: there is no mix.exs in {}. Is it committed, and not listed in .slugignore?",
            build_dir.display()
        ));
    };
    let lock = fs::read(build_dir.join("mix.lock")).unwrap_or_default();
    let phoenix = MixExs::guess("mix.exs", &String::from_utf8_lossy(&mix_exs)).phoenix
        || lock_holds(&String::from_utf8_lossy(&lock), "phoenix");
    Ok(if phoenix { "Phoenix" } else { "Elixir" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_known_by_its_mix_exs_and_phoenix_by_its_lock() {
        let dir = tempfile::tempdir().unwrap();
        let refused = detect(dir.path()).unwrap_err();
        assert!(
            refused.contains("mix.exs") && !refused.contains('\n'),
            "{refused}"
        );
        fs::write(dir.path().join("mix.exs"), "[app: :x]").unwrap();
        assert_eq!(detect(dir.path()), Ok("Elixir"));
        fs::write(dir.path().join("mix.lock"), "%{\n  \"phoenix\": {:hex},\n}").unwrap();
        assert_eq!(detect(dir.path()), Ok("Phoenix"));
    }
}
