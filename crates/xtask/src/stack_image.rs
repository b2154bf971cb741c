//! Root filesystems made from Debian's packages: one that resembles the build image of heroku-24,
//! and a bare one to run in. Nothing of what a buildpack installs is in them.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::thread;

use crate::debian::{KEYRING, archive};
use crate::process::{Result, ensure, run};

const SUITE: &str = "trixie";

/// Those of heroku-24-build (contracts 1.7) that builds of Elixir apps come into touch with.
const LIKE_HEROKU: &str = "bash,build-essential,bzip2,ca-certificates,coreutils,\
                           curl,file,git,jq,libncurses6,libssl-dev,libssl3t64,\
                           locales,openssh-client,procps,rsync,unzip,xz-utils,zip";

/// What Erlang's programs are linked with, and nothing else: no compiler, git, curl or locales.
const BARE: &str = "libncurses6,libssl3t64,libstdc++6";

/// Makes the image like Heroku's in the directory `like_heroku` and the bare one in `bare`, which
/// must not exist.
pub(crate) fn make(like_heroku: &Path, bare: &Path) -> Result {
    ensure("debootstrap", "debootstrap")?;
    ensure(KEYRING, "debian-archive-keyring")?;
    let archive = archive()?;
    // debootstrap uses one core.
    thread::scope(|scope| {
        let bare = scope.spawn(|| {
            make_one(bare, BARE, &archive)
                // What a thread gives must be able to leave it.
                .map_err(|error| error.to_string())
        });
        make_one(like_heroku, LIKE_HEROKU, &archive)?;
        Ok(bare.join().map_err(|_| "the bare image was not made")??)
    })
}

fn make_one(root: &Path, packages: &str, archive: &str) -> Result {
    // In a mount namespace of its own, so that an interrupted run leaves nothing mounted.
    run(Command::new("unshare")
        .args([
            "--mount",
            "debootstrap",
            "--variant=minbase",
            "--arch=amd64",
        ])
        .arg(format!("--keyring={KEYRING}"))
        .arg(format!("--include={packages}"))
        .args([SUITE.as_ref(), root.as_os_str(), archive.as_ref()])
        // An older debootstrap has no script of the suite's name; that of sid is the same.
        .arg("/usr/share/debootstrap/scripts/sid"))?;

    if packages == LIKE_HEROKU {
        // The one locale of Heroku's images beside C.UTF-8, which old buildpacks set.
        run(Command::new("chroot").arg(root).args([
            "localedef",
            "-i",
            "en_US",
            "-f",
            "UTF-8",
            "en_US.UTF-8",
        ]))?;
    }
    append(
        &root.join("etc/passwd"),
        "heroku:x:1000:1000::/app:/bin/bash\n",
    )?;
    append(&root.join("etc/group"), "heroku:x:1000:\n")?;
    for unneeded in [
        "var/cache/apt",
        "var/lib/apt/lists",
        "usr/share/doc",
        "usr/share/man",
    ] {
        let dir = root.join(unneeded);
        fs::remove_dir_all(&dir)?;
        fs::create_dir(&dir)?;
    }
    Ok(())
}

fn append(file: &Path, line: &str) -> Result {
    fs::OpenOptions::new()
        .append(true)
        .open(file)?
        .write_all(line.as_bytes())?;
    Ok(())
}
