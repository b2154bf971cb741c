//! `pack` and the lifecycle, built from their Go modules. Modules of ours (`crates/xtask/go`) pin
//! them with all that they depend on; each has one of its own, since they need different versions
//! of what they share.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Result, ensure, run};

/// Where Go's own archive is unpacked to, by its instructions.
const GO_OF_ITS_OWN: &str = "/usr/local/go/bin/go";

const LIFECYCLE: &str = "github.com/buildpacks/lifecycle";

/// The names under which one executable is the phases.
const PHASES: [&str; 8] = [
    "analyzer", "builder", "creator", "detector", "exporter", "extender", "rebaser", "restorer",
];

/// A module that names tools.
pub(crate) struct Module {
    go: PathBuf,
    dir: PathBuf,
}

impl Module {
    /// # Errors
    ///
    /// Why its tools cannot be built on this machine: no Go, or one that is too old.
    pub(crate) fn open(dir: PathBuf) -> std::result::Result<Self, String> {
        let go = if Path::new(GO_OF_ITS_OWN).exists() {
            GO_OF_ITS_OWN
        } else {
            ensure("go", "golang-go").map_err(|error| format!("there is no Go: {error}"))?;
            "go"
        };
        let module = Self { go: go.into(), dir };
        let file = module.dir.join("go.mod");
        let text = fs::read_to_string(&file).map_err(|error| error.to_string())?;
        let needed = needed(&text).ok_or_else(|| format!("{} names no Go", file.display()))?;
        // A Go that fetches newer ones of itself does so here, and says what it then is.
        let is = module.go(&["version"]).map_err(|error| error.to_string())?;
        let is = is.split_whitespace().nth(2).unwrap_or_default();
        if numbers(is.trim_start_matches("go")) < numbers(needed) {
            return Err(format!(
                "pack and the lifecycle need Go {needed} or newer; this machine has {is}"
            ));
        }
        Ok(module)
    }

    fn go(&self, args: &[&str]) -> Result<String> {
        run(Command::new(&self.go).args(args).current_dir(&self.dir))
    }

    /// Installs all tools of the module in the directory `bin`, static and stripped.
    fn install(&self, bin: &Path, set: &str) -> Result {
        fs::create_dir_all(bin)?;
        run(Command::new(&self.go)
            .args(["install", "-trimpath", "-ldflags"])
            .arg(format!("-s -w -X {set}"))
            .arg("tool")
            .current_dir(&self.dir)
            .env("CGO_ENABLED", "0")
            .env("GOBIN", bin))?;
        Ok(())
    }

    /// The version of a module that this one requires, without the `v`.
    fn version_of(&self, module: &str) -> Result<String> {
        let version = self.go(&["list", "-m", "-f", "{{.Version}}", module])?;
        Ok(version.trim().trim_start_matches('v').to_owned())
    }
}

/// Leaves `pack` in `result`.
pub(crate) fn pack(module: &Module, result: &Path) -> Result {
    let version = module.version_of("github.com/buildpacks/pack")?;
    let set = format!("github.com/buildpacks/pack/pkg/client.Version={version}");
    module.install(result, &set)
}

/// Leaves in `result` the archive of the lifecycle for linux on amd64 that `pack builder create`
/// takes, `lifecycle.tgz`: made as upstream's Makefile does, with upstream's packager.
pub(crate) fn lifecycle(module: &Module, work: &Path, result: &Path) -> Result {
    let version = module.version_of(LIFECYCLE)?;
    let bin = work.join("lifecycle");
    module.install(&bin, &format!("{LIFECYCLE}/cmd.Version={version}"))?;
    let packager = work.join("packager");
    fs::rename(bin.join("packager"), &packager)?;
    for phase in PHASES {
        symlink("lifecycle", bin.join(phase))?;
    }
    let sources = module.go(&["list", "-m", "-f", "{{.Dir}}", LIFECYCLE])?;
    run(Command::new(packager)
        .arg("-archivePath")
        .arg(result.join("lifecycle.tgz"))
        .arg("-descriptorPath")
        .arg(Path::new(sources.trim()).join("lifecycle.toml"))
        .arg("-inputDir")
        .arg(&bin)
        .args(["-version", &version]))?;
    Ok(())
}

/// The line `go VERSION` of a `go.mod`.
fn needed(go_mod: &str) -> Option<&str> {
    go_mod.lines().find_map(|line| line.strip_prefix("go "))
}

/// `1.25.5` and `1.26rc1` as numbers; what is no number ends them.
fn numbers(version: &str) -> Vec<u32> {
    version
        .split(|letter: char| !letter.is_ascii_digit())
        .map_while(|number| number.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_versions_compare_numerically() {
        assert!(numbers("1.19.8") < numbers("1.25.5"));
        assert!(numbers("1.26rc1") > numbers("1.25.5"));
        assert!(numbers("1.100") > numbers("1.25.5"));
        assert!(numbers("") < numbers("1.25.5"));
    }

    #[test]
    fn both_go_modules_declare_go_version() {
        for text in [
            include_str!("../go/pack/go.mod"),
            include_str!("../go/lifecycle/go.mod"),
        ] {
            assert_eq!(needed(text), Some("1.25.5"));
        }
    }
}
