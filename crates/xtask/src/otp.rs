//! Archives of Erlang/OTP in the two shapes that upstream publishes (contracts 6.1), made from
//! Debian's packages.
//!
//! Debian ships the tree as `Install` leaves it for `/usr/lib/erlang`. Here it is taken back to
//! what `make release` gives: the scripts only as `.src` templates, no `bin/`. `Install` itself,
//! which Debian does not ship, is a stand-in (`templates/Install`).

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use walkdir::WalkDir;

use crate::archive::pack_tar_gz;
use crate::debian::Suite;
use crate::process::{Result, run};

/// What upstream's builds contain, but for the applications that need a display, Java or ODBC.
const PACKAGES: [&str; 26] = [
    "erlang-asn1",
    "erlang-base",
    "erlang-common-test",
    "erlang-crypto",
    "erlang-dev",
    "erlang-dialyzer",
    "erlang-diameter",
    "erlang-edoc",
    "erlang-eldap",
    "erlang-eunit",
    "erlang-ftp",
    "erlang-inets",
    "erlang-mnesia",
    "erlang-os-mon",
    "erlang-parsetools",
    "erlang-public-key",
    "erlang-runtime-tools",
    "erlang-snmp",
    "erlang-src",
    "erlang-ssh",
    "erlang-ssl",
    "erlang-syntax-tools",
    "erlang-tftp",
    "erlang-tools",
    "erlang-xmerl",
    "libjs-jquery",
];

const INSTALL: &str = include_str!("../templates/Install");
const FORMAT_MAN_PAGES: &str = include_str!("../templates/format_man_pages");

/// An unpacked OTP, before `Install`.
pub(crate) struct Tree {
    dir: PathBuf,
    /// The git tag upstream would have built, as in `OTP-27.3.4.1`.
    pub(crate) name: String,
}

impl Tree {
    /// Makes the tree in `work` from the packages of `suite`.
    pub(crate) fn make(suite: &Suite, work: &Path) -> Result<Self> {
        let root = work.join("debian");
        suite.unpack(&PACKAGES, &root)?;
        let dir = root.join("usr/lib/erlang");

        let data = fs::read_to_string(dir.join("releases/start_erl.data"))?;
        let Some((erts, release)) = data.trim().split_once(' ') else {
            return Err(format!("releases/start_erl.data has {data:?}").into());
        };
        let version = fs::read_to_string(dir.join("releases").join(release).join("OTP_VERSION"))?;

        fs::remove_dir_all(dir.join("bin"))?;
        let programs = dir.join(format!("erts-{erts}/bin"));
        for script in ["erl", "start", "start_erl"] {
            if !programs.join(format!("{script}.src")).is_file() {
                return Err(format!("no template of {script} in {}", programs.display()).into());
            }
            fs::remove_file(programs.join(script))?;
        }
        let erl = programs.join("erl.src");
        fs::write(&erl, without_busy_waiting(&fs::read_to_string(&erl)?)?)?;
        for installed in ["RELEASES", "start_erl.data"] {
            fs::remove_file(dir.join("releases").join(installed))?;
        }
        drop_sources_alone(&dir.join("lib"))?;
        settle_links(&root, &dir)?;

        let install = INSTALL
            .replace("@ERTS_VSN@", erts)
            .replace("@SYSTEM_VSN@", release);
        write_script(&dir.join("Install"), &install)?;
        fs::create_dir(dir.join("misc"))?;
        write_script(&dir.join("misc/format_man_pages"), FORMAT_MAN_PAGES)?;
        Ok(Self {
            dir,
            name: format!("OTP-{}", version.trim()),
        })
    }

    /// Packs it as builds.hex.pm does: `Install` is still to be run.
    pub(crate) fn pack(&self, archive: &Path) -> Result {
        pack_tar_gz(&self.dir, &self.name, archive)
    }

    /// Packs it as `erlef/otp_builds` does: `./Install -sasl` was run where it was built, a place
    /// that is no more.
    pub(crate) fn pack_installed(self, archive: &Path) -> Result {
        run(Command::new("./Install")
            .args(["-cross", "-sasl", "/build/otp"])
            .current_dir(&self.dir))?;
        pack_tar_gz(&self.dir, &self.name, archive)
    }
}

/// Has the template of `erl` start VMs whose idle threads sleep at once. By default, they wait in a loop for a while,
/// and take the cores from other tests: several run on each.
fn without_busy_waiting(erl: &str) -> Result<String> {
    let start = "exec \"$BINDIR/erlexec\" ";
    if !erl.contains(start) {
        return Err(format!("the template of erl has no line {start:?}").into());
    }
    let flags = "+sbwt none +sbwtdcpu none +sbwtdio none ";
    Ok(erl.replace(start, &format!("{start}{flags}")))
}

/// Removes the applications of which only sources are there, since their package was left out:
/// code that asks for them would find half of them.
fn drop_sources_alone(lib: &Path) -> Result {
    for application in fs::read_dir(lib)? {
        let application = application?;
        let name = application.file_name();
        let is_c_library = name.to_string_lossy().starts_with("erl_interface-");
        if !application.path().join("ebin").is_dir() && !is_c_library {
            fs::remove_dir_all(application.path())?;
        }
    }
    Ok(())
}

/// Debian shares files between packages through links that leave the tree: each becomes the file
/// that it leads to, or goes away where that is in none of the packages.
fn settle_links(root: &Path, dir: &Path) -> Result {
    for entry in WalkDir::new(dir) {
        let entry = entry?;
        if !entry.path_is_symlink() {
            continue;
        }
        let target = fs::read_link(entry.path())?;
        let target = match target.strip_prefix("/") {
            Ok(absolute) => root.join(absolute),
            Err(_) => entry.path().with_file_name(target),
        };
        match target.canonicalize() {
            Ok(file) if file.starts_with(dir) => {}
            Ok(file) => {
                fs::remove_file(entry.path())?;
                fs::copy(file, entry.path())?;
            }
            Err(_) => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

fn write_script(file: &Path, text: &str) -> Result {
    fs::write(file, text)?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// The files that `Install` needs, as `make release` leaves them.
    fn released() -> TempDir {
        let dir = TempDir::new().unwrap();
        let programs = dir.path().join("erts-15.2/bin");
        let boots = dir.path().join("releases/27");
        fs::create_dir_all(&programs).unwrap();
        fs::create_dir_all(&boots).unwrap();
        for script in ["erl.src", "start.src"] {
            fs::write(programs.join(script), "ROOTDIR=\"%FINAL_ROOTDIR%\"\n").unwrap();
        }
        fs::write(programs.join("start_erl.src"), "").unwrap();
        for program in [
            "erlc", "erl_call", "dialyzer", "typer", "ct_run", "escript", "run_erl", "to_erl",
        ] {
            fs::write(programs.join(program), program).unwrap();
        }
        for boot in ["start_clean", "start_sasl", "no_dot_erlang"] {
            fs::write(boots.join(format!("{boot}.boot")), boot).unwrap();
            fs::write(boots.join(format!("{boot}.script")), boot).unwrap();
        }
        fs::write(
            dir.path().join("releases/RELEASES.src"),
            "%ERL_ROOT%/lib/a\n%ERL_ROOT%/lib/b\n",
        )
        .unwrap();
        let install = INSTALL
            .replace("@ERTS_VSN@", "15.2")
            .replace("@SYSTEM_VSN@", "27");
        write_script(&dir.path().join("Install"), &install).unwrap();
        dir
    }

    fn install(dir: &TempDir, args: &[&str]) -> Result<String> {
        run(Command::new("./Install").args(args).current_dir(dir.path()))
    }

    fn read(dir: &TempDir, file: &str) -> String {
        fs::read_to_string(dir.path().join(file)).unwrap()
    }

    #[test]
    fn template_of_erl_gets_flags_before_arguments() {
        let erl = "export PROGNAME\nexec \"$BINDIR/erlexec\" ${1+\"$@\"}\n";
        assert_eq!(
            without_busy_waiting(erl).unwrap(),
            "export PROGNAME\nexec \"$BINDIR/erlexec\" +sbwt none +sbwtdcpu none +sbwtdio none ${1+\"$@\"}\n"
        );
        assert!(without_busy_waiting("#!/bin/sh\n").is_err());
    }

    #[test]
    fn cross_install_accepts_missing_root() {
        let dir = released();
        install(&dir, &["-cross", "-minimal", "/app/none/erlang"]).unwrap();
        assert_eq!(read(&dir, "bin/erl"), "ROOTDIR=\"/app/none/erlang\"\n");
        assert_eq!(
            read(&dir, "erts-15.2/bin/start"),
            "ROOTDIR=\"/app/none/erlang\"\n"
        );
        assert_eq!(read(&dir, "releases/RELEASES"), "lib/a\nlib/b\n");
        assert_eq!(read(&dir, "releases/start_erl.data"), "15.2 27\n");
        assert_eq!(read(&dir, "bin/start.boot"), "start_clean");
        assert_eq!(
            fs::read_link(dir.path().join("bin/epmd")).unwrap(),
            Path::new("../erts-15.2/bin/epmd")
        );
    }

    #[test]
    fn install_without_cross_needs_existing_absolute_root() {
        let dir = released();
        let root = dir.path().to_str().unwrap().to_owned();
        install(&dir, &["-sasl", &root]).unwrap();
        assert_eq!(read(&dir, "bin/start.boot"), "start_sasl");
        assert_eq!(read(&dir, "bin/start.script"), "start_sasl");
        let absent = install(&dir, &["-sasl", "/app/none/erlang"]).unwrap_err();
        assert!(
            absent.to_string().contains("need <ERL_ROOT> directory"),
            "{absent}"
        );
        let relative = install(&dir, &["-sasl", "erts-15.2"]).unwrap_err();
        assert!(relative.to_string().contains("absolute path"), "{relative}");
    }

    #[test]
    fn install_can_be_repeated_for_another_root() {
        let dir = released();
        install(&dir, &["-cross", "-sasl", "/one"]).unwrap();
        install(&dir, &["-cross", "-minimal", "/two"]).unwrap();
        assert_eq!(read(&dir, "bin/erl"), "ROOTDIR=\"/two\"\n");
        assert_eq!(read(&dir, "bin/start.boot"), "start_clean");
    }

    #[test]
    fn install_prompts_and_defaults_to_sasl() {
        let dir = released();
        let asked = install(&dir, &["-cross", "/one"]).unwrap();
        assert!(asked.contains("(y/n) [n]"), "{asked}");
        assert_eq!(read(&dir, "bin/start.boot"), "start_sasl");
    }

    #[test]
    fn links_outside_tree_become_copies() {
        let root = TempDir::new().unwrap();
        let dir = root.path().join("usr/lib/erlang");
        fs::create_dir_all(&dir).unwrap();
        fs::create_dir_all(root.path().join("usr/share")).unwrap();
        fs::write(root.path().join("usr/share/jquery.js"), "shared").unwrap();
        fs::write(dir.join("inside"), "").unwrap();
        for (target, link) in [
            ("inside", "kept"),
            ("../../share/jquery.js", "relative"),
            ("/usr/share/jquery.js", "absolute"),
            ("/usr/share/nothing.js", "dangling"),
        ] {
            std::os::unix::fs::symlink(target, dir.join(link)).unwrap();
        }
        settle_links(root.path(), &dir.canonicalize().unwrap()).unwrap();
        assert!(dir.join("kept").is_symlink());
        for copied in ["relative", "absolute"] {
            assert!(!dir.join(copied).is_symlink());
            assert_eq!(fs::read_to_string(dir.join(copied)).unwrap(), "shared");
        }
        assert!(!dir.join("dangling").is_symlink());
    }

    #[test]
    fn applications_with_only_sources_are_removed() {
        let lib = TempDir::new().unwrap();
        for dir in ["ssl-11/ebin", "wx-2/src", "erl_interface-5/lib"] {
            fs::create_dir_all(lib.path().join(dir)).unwrap();
        }
        drop_sources_alone(lib.path()).unwrap();
        assert!(lib.path().join("ssl-11").exists());
        assert!(lib.path().join("erl_interface-5").exists());
        assert!(!lib.path().join("wx-2").exists());
    }
}
