//! A real `PostgreSQL` on loopback, from Debian's packages.

use crate::dyno::free_port;
use crate::{App, copy, stack, toolchains};
use mirror::Sandbox;
use mirror::stack::Process;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

const PROGRAMS: &str = "/usr/lib/postgresql/17/bin";
const PASSWORD: &str = "p0stgres-passw0rd";

/// A server with an empty database, for as long as this lives.
pub struct Postgres {
    sandbox: Sandbox,
    port: u16,
    _server: Process,
}

fn part() -> PathBuf {
    let part = toolchains().join("postgres");
    part.canonicalize()
        .expect("PostgreSQL: run `cargo xtask toolchains`")
}

impl Postgres {
    pub fn start() -> Self {
        let files = part();
        let sandbox = stack()
            .sandbox()
            .expect("a sandbox")
            .bind_ro(files.join("lib"), "/usr/lib/postgresql")
            .bind_ro(files.join("share"), "/usr/share/postgresql")
            .bind_ro(files.join("libraries"), "/opt/libraries")
            .env("LD_LIBRARY_PATH", "/opt/libraries")
            .env("PATH", format!("{PROGRAMS}:/usr/bin:/bin"))
            .env("LANG", "C.UTF-8")
            .env("PGPASSWORD", PASSWORD);
        let password = sandbox.tmp().join("password");
        fs::write(&password, PASSWORD).expect("a file for the password");
        sandbox.give(&password).expect("the password");
        let init = "initdb --pgdata=/tmp/data --username=postgres --pwfile=/tmp/password --auth=md5 \
                    --no-sync --no-instructions";
        expect(
            sandbox
                .command("bash", ["-c", init])
                .output()
                .expect("initdb runs"),
        );
        let port = free_port();
        let serve = format!(
            "exec postgres -D /tmp/data -p {port} -c listen_addresses=127.0.0.1 \
             -c unix_socket_directories=/tmp -c fsync=off -c jit=off 2>/tmp/log"
        );
        let server = sandbox
            .command("bash", ["-c", &serve])
            .spawn()
            .expect("postgres starts");
        let postgres = Self {
            sandbox,
            port,
            _server: server,
        };
        let until = Instant::now() + Duration::from_mins(1);
        while !postgres.psql("SELECT 1").status.success() {
            let log = fs::read_to_string(postgres.sandbox.tmp().join("log")).unwrap_or_default();
            assert!(Instant::now() < until, "PostgreSQL does not answer: {log}");
            std::thread::sleep(Duration::from_millis(100));
        }
        postgres
    }

    /// As Heroku sets it for an add-on.
    pub fn database_url(&self) -> String {
        format!(
            "postgres://postgres:{PASSWORD}@127.0.0.1:{}/postgres",
            self.port
        )
    }

    fn psql(&self, sql: &str) -> Output {
        let port = self.port.to_string();
        let args = ["-h", "127.0.0.1", "-U", "postgres", "-p", &port];
        let args = args.into_iter().chain(["-X", "-A", "-t", "-c", sql]);
        self.sandbox
            .command("psql", args)
            .output()
            .expect("psql runs")
    }

    /// The result of a statement: a line for each row, with `|` between values.
    #[track_caller]
    pub fn ask(&self, sql: &str) -> String {
        expect(self.psql(sql)).trim_end().to_owned()
    }
}

/// Puts Debian's driver, `p1_pgsql`, into the source of an app that brings its driver.
pub fn bring_driver(app: &App) {
    let driver = Path::new("vendor/p1_pgsql");
    copy(&part().join("p1_pgsql"), &app.source.join(driver));
}

#[track_caller]
fn expect(output: Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout).expect("UTF-8")
}
