//! Running other programs, and saying what went wrong with them.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};

pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// A program that did not end well.
#[derive(Debug)]
pub(crate) struct Failed {
    program: String,
    status: ExitStatus,
    output: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ended with {}\n{}",
            self.program, self.status, self.output
        )
    }
}

impl Error for Failed {}

/// What the program printed, or a [`Failed`] with all of it.
pub(crate) fn judge(program: &str, output: Output) -> Result<String> {
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Err(Box::new(Failed {
        program: program.to_owned(),
        status: output.status,
        output: text,
    }))
}

/// Runs a command without input; gives what it printed.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    judge(&program, output)
}

/// Installs a Debian package on this machine where a file that it brings is missing.
pub(crate) fn ensure(file_or_program: &str, package: &str) -> Result {
    let is_present = || {
        if file_or_program.starts_with('/') {
            return Path::new(file_or_program).exists();
        }
        std::env::var_os("PATH").is_some_and(|path| {
            std::env::split_paths(&path).any(|dir| dir.join(file_or_program).is_file())
        })
    };
    if is_present() {
        return Ok(());
    }
    // apt-get doesn't wait for another one that reads the lists.
    let lock = File::create(std::env::temp_dir().join("mixpack-packages.lock"))?;
    lock.lock()?;
    if is_present() {
        return Ok(());
    }
    println!("Installing the package {package}, which has {file_or_program}");
    run(Command::new("apt-get").args(["update", "--quiet=2"]))?;
    run(Command::new("apt-get")
        .args([
            "install",
            "--yes",
            "--quiet=2",
            "--no-install-recommends",
            package,
        ])
        .env("DEBIAN_FRONTEND", "noninteractive"))?;
    Ok(())
}
