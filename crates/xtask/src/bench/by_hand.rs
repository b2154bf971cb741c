//! The lower bound: the commands that any buildpack has to run, by hand, in a persistent directory with installed
//! toolchains; and the cost of installing the toolchains.

use std::fs;
use std::path::Path;

use mirror::stack::Command;
use mirror::{Sandbox, Stack, Upstream};
use tempfile::TempDir;
use whole_builds::copy;

use super::app::{App, Change};
use super::measure::Costs;
use super::old_hosts::Published;
use super::sandbox::{sandbox, script};
use crate::archive::{unpack_tar_gz, unpack_zip};
use crate::process::Result;

const TOOLS: &str = "/opt/tools";
const ARCHIVES: &str = "/opt/archives";

/// Erlang, the next Erlang, Elixir, Node, Hex and rebar3, ready to run.
pub(crate) struct Tools {
    dir: TempDir,
}

impl Tools {
    pub(crate) fn install(
        stack: &Stack,
        upstream: &Upstream,
        published: &Published,
    ) -> Result<Self> {
        let tools = Self {
            dir: tempfile::tempdir()?,
        };
        let dir = tools.dir.path();
        for (archive, name) in [
            (&published.otp, "erlang"),
            (&published.next_otp, "next-erlang"),
            (&published.node, "node"),
        ] {
            let unpacked = unpack_tar_gz(archive, &dir.join("unpacked"))?;
            fs::rename(unpacked, dir.join(name))?;
        }
        unpack_zip(&published.elixir, &dir.join("elixir"))?;
        let keys = dir.join("mix/public_keys");
        fs::create_dir_all(&keys)?;
        fs::write(keys.join("mirror.pub"), &published.public_key)?;

        let sandbox = sandbox(stack, upstream)?.bind_rw(dir, TOOLS);
        sandbox.give(dir)?;
        let install = format!(
            "for erlang in erlang next-erlang; do\n\
               (cd {TOOLS}/$erlang && ./Install -cross -minimal {TOOLS}/$erlang)\n\
             done\n\
             export PATH={path} MIX_HOME={TOOLS}/mix LANG=C.UTF-8\n\
             mix local.hex --force\n\
             mix local.rebar --force",
            path = path("erlang")
        );
        script(upstream, &sandbox, "installing the toolchains", &install)?;
        Ok(tools)
    }

    pub(crate) fn shown_to(&self, sandbox: Sandbox, npm_registry: &str) -> Sandbox {
        sandbox
            .bind_ro(self.dir.path(), TOOLS)
            .env("MIX_ENV", "prod")
            .env("LANG", "C.UTF-8")
            .env("MIX_HOME", format!("{TOOLS}/mix"))
            .env("HEX_HOME", "/tmp/cache/hex")
            .env("npm_config_cache", "/tmp/cache/npm")
            .env("NPM_CONFIG_REGISTRY", npm_registry)
    }

    /// The commands of one deploy.
    pub(crate) fn command(sandbox: &Sandbox, is_phoenix: bool, change: Change) -> Command<'_> {
        let erlang = if change == Change::NewOtp {
            "next-erlang"
        } else {
            "erlang"
        };
        sandbox
            .command("sh", ["-ec", &commands(is_phoenix)])
            .env("PATH", path(erlang))
            .current_dir("/tmp/app")
    }

    /// Measures unpacking the archives of the toolchains with standard programs.
    pub(crate) fn unpacking(
        stack: &Stack,
        upstream: &Upstream,
        published: &Published,
        with_node: bool,
    ) -> Result<Unpacking> {
        let sandbox = sandbox(stack, upstream)?
            .bind_ro(&published.otp, format!("{ARCHIVES}/otp.tar.gz"))
            .bind_ro(&published.elixir, format!("{ARCHIVES}/elixir.zip"))
            .bind_ro(&published.node, format!("{ARCHIVES}/node.tar.gz"));
        let node = if with_node {
            format!("gunzip -c {ARCHIVES}/node.tar.gz | tar -x -C node")
        } else {
            ":".to_owned()
        };
        let unpack = [
            format!("gunzip -c {ARCHIVES}/otp.tar.gz | tar -x -C otp"),
            format!("unzip -q {ARCHIVES}/elixir.zip -d elixir"),
            node,
        ];
        let folders = "cd $(mktemp -d /tmp/tools-XXXX); mkdir otp elixir node";
        let run = |what, text: &str| script(upstream, &sandbox, what, text);
        let otp = run(
            "unpacking OTP",
            &format!("cd $(mktemp -d /tmp/otp-XXXX); mkdir otp\n{}", unpack[0]),
        )?;
        let one_by_one = run("unpacking", &format!("{folders}\n{}", unpack.join("\n")))?;
        let together = format!(
            "{folders}\n({})& ({})& ({})\nwait",
            unpack[0], unpack[1], unpack[2]
        );
        let at_once = run("unpacking at once", &together)?;
        let linked = run(
            "linking",
            "cp -al $(ls -d /tmp/tools-* | head -n 1) /tmp/linked",
        )?;
        Ok(Unpacking {
            otp,
            one_by_one,
            at_once,
            linked,
        })
    }
}

/// The toolchain phase by hand.
pub(crate) struct Unpacking {
    /// The costs of OTP alone.
    pub(crate) otp: Costs,
    pub(crate) one_by_one: Costs,
    pub(crate) at_once: Costs,
    /// A hard-linked copy of the unpacked trees.
    pub(crate) linked: Costs,
}

fn path(erlang: &str) -> String {
    format!("{TOOLS}/node/bin:{TOOLS}/elixir/bin:{TOOLS}/{erlang}/bin:/usr/local/bin:/usr/bin:/bin")
}

/// Returns the commands of a user who knows the state: `npm ci` only if nothing is installed.
fn commands(is_phoenix: bool) -> String {
    let mix = "mix do deps.get --only prod + compile";
    if is_phoenix {
        format!("{mix}\n(cd assets; [ -d node_modules ] || npm ci; npm run deploy)\nmix phx.digest")
    } else {
        mix.to_owned()
    }
}

/// Updates `/tmp/app` to the app's newest commit. A new OTP recompiles everything, as in the shell buildpacks.
pub(crate) fn check_out(app: &App, change: Change, tmp: &Path) -> Result {
    let dir = tmp.join("app");
    copy(&app.dir, &dir);
    if change == Change::NewOtp {
        fs::remove_dir_all(dir.join("_build"))?;
    }
    Ok(())
}
