//! The packed toolchains at work in a stack image: builds the Hex archive with them, and proves
//! that what was packed runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mirror::{Sandbox, Stack};

use crate::archive::{unpack_tar_gz, unpack_zip};
use crate::process::{Result, judge, run};

/// One Erlang and one Elixir, installed the way a buildpack does it.
pub(crate) struct Toolbox {
    sandbox: Sandbox,
}

impl Toolbox {
    pub(crate) fn install(stack: &Stack, otp: &Path, elixir: &Path) -> Result<Self> {
        let sandbox = stack
            .sandbox()?
            .env("HOME", "/app")
            .env("LANG", "C.UTF-8")
            .env(
                "PATH",
                "/tmp/node/bin:/tmp/elixir/bin:/tmp/erlang/bin:/usr/bin:/bin",
            );
        let tmp = sandbox.tmp();
        let unpacked = unpack_tar_gz(otp, &tmp)?;
        fs::rename(unpacked, tmp.join("erlang"))?;
        unpack_zip(elixir, &tmp.join("elixir"))?;
        sandbox.give(&tmp)?;
        let toolbox = Self { sandbox };
        // An archive of the second shape has it run already, for another root; twice is well.
        toolbox.run(
            "/tmp/erlang",
            "./Install",
            &["-cross", "-minimal", "/tmp/erlang"],
        )?;
        Ok(toolbox)
    }

    pub(crate) fn add_node(&self, archive: &Path) -> Result {
        let node = self.sandbox.tmp().join("node");
        if node.exists() {
            fs::remove_dir_all(&node)?;
        }
        let unpacked = unpack_tar_gz(archive, &self.sandbox.tmp())?;
        fs::rename(unpacked, &node)?;
        Ok(())
    }

    /// Runs a program as the build user; gives what it printed.
    pub(crate) fn run(&self, dir: &str, program: &str, args: &[&str]) -> Result<String> {
        let output = self
            .sandbox
            .command(program, args.iter().copied())
            .current_dir(dir)
            .output()?;
        judge(&[&[program], args].concat().join(" "), output)
    }

    /// Shows the toolbox a copy of a file or directory, below `/tmp`.
    pub(crate) fn bring(&self, source: &Path, name: &str) -> Result {
        let target = self.sandbox.tmp().join(name);
        run(Command::new("cp")
            .args(["-r", "--"])
            .arg(source)
            .arg(&target))?;
        self.sandbox.give(&target)?;
        Ok(())
    }

    /// Builds the Mix project in `sources` as an archive (`NAME-VERSION.ez`); gives it.
    pub(crate) fn archive_of(&self, sources: &Path) -> Result<PathBuf> {
        self.bring(sources, "project")?;
        let project = self.sandbox.tmp().join("project");
        // A build by hand may have left one that another Elixir made.
        for made in ["_build", "deps"] {
            if project.join(made).exists() {
                fs::remove_dir_all(project.join(made))?;
            }
        }
        // OTP 25 writes the seconds modulo 32, in steps of two. OTP 27 rejects an archive with more than 59.
        let wait = "while [ $(($(date +%-S) % 32)) -ge 20 ]; do sleep 1; done";
        let build = format!("{wait}; MIX_ENV=prod mix archive.build");
        self.run("/tmp/project", "sh", &["-ec", &build])?;
        fs::read_dir(&project)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "ez"))
            .ok_or_else(|| "mix archive.build made no archive".into())
    }
}
