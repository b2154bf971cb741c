//! Deploys with `bin/compile`.

use super::host::{Host, run};
use super::platform::{Built, CLEAN, Kept, Platform, variables};
use super::subject::Subject;
use crate::{App, Deploy, copy};
use mirror::AppDir;
use std::fs;
use std::path::Path;
use std::time::Duration;

pub(super) struct Classic {
    app: App,
}

impl Classic {
    pub(super) fn new() -> Self {
        let app = App::on(&Host::shared().server, "", AppDir::Tmpfs);
        app.add_tools();
        Self { app }
    }

    fn set_variables(&self, subject: &Subject, build: &str) {
        let env = self.app.sandbox.tmp().join("env");
        for entry in fs::read_dir(&env).expect("the config vars") {
            fs::remove_file(entry.expect("a config var").path()).expect("a config var to remove");
        }
        for (name, value) in variables(subject, build) {
            self.app.config(&name, &value);
        }
    }
}

fn remove_all_but(folder: &Path, prefixes: &[&str]) {
    for entry in fs::read_dir(folder).expect("a folder of the cache") {
        let entry = entry.expect("an entry of the cache");
        let name = entry.file_name().into_string().expect("a name of ours");
        if !prefixes.iter().any(|prefix| name.starts_with(prefix)) {
            fs::remove_dir_all(entry.path()).expect("a tool goes");
        }
    }
}

impl From<Deploy> for Built {
    fn from(deploy: Deploy) -> Self {
        Self {
            succeeded: deploy.succeeded,
            log: deploy.log(),
            took: deploy.took,
            slug: deploy.slug.clone(),
            kept: Kept::BuildDir(Box::new(deploy)),
        }
    }
}

impl Platform for Classic {
    fn source(&self) -> &Path {
        self.app.source()
    }

    fn deploy(&self, subject: &Subject, build: &str) -> Built {
        self.set_variables(subject, build);
        self.app.deploy().into()
    }

    fn deploy_clean(&self, subject: &Subject, entirely: bool) -> Built {
        if entirely {
            self.lose_cache();
        }
        let ours = self.app.cache().join("mixpack");
        for entry in fs::read_dir(&ours).into_iter().flatten() {
            let entry = entry.expect("an entry of the cache").path();
            if entry.ends_with("tools") {
                remove_all_but(
                    &entry,
                    &["erlang-", "elixir-", "hex-", "mix_tasks-", "node-"],
                );
            } else if entry.is_dir() {
                fs::remove_dir_all(entry).expect("a folder of the cache goes");
            } else if !entry.ends_with("format") {
                fs::remove_file(entry).expect("a file of the cache goes");
            }
        }
        let source = self.app.source();
        fs::remove_dir_all(source).expect("the old source goes");
        copy(&subject.source, source);
        self.deploy(subject, CLEAN)
    }

    fn kill(&self, subject: &Subject, after: Duration) {
        self.set_variables(subject, "killed");
        let (mut process, build_dir) = self.app.start_deploy();
        std::thread::sleep(after);
        // The build may have ended by itself.
        let _ = process.kill();
        process.wait().expect("it ends");
        fs::remove_dir_all(self.app.on_host(&build_dir)).expect("its directory goes");
    }

    fn move_cache(&self, times: bool) {
        let cache = self.app.cache();
        let aside = cache.with_extension("aside");
        fs::rename(cache, &aside).expect("the cache moves");
        if times {
            let [from, to] = [&aside, cache].map(|path| path.to_string_lossy());
            run("cp", &["--archive", &from, &to], Path::new("/"));
        } else {
            copy(&aside, cache);
        }
        fs::remove_dir_all(&aside).expect("the old cache goes");
        self.app.sandbox.give(cache).expect("the cache");
    }

    fn lose_cache(&self) {
        let cache = self.app.cache();
        fs::remove_dir_all(cache).expect("the cache goes");
        fs::create_dir(cache).expect("an empty cache");
        self.app.sandbox.give(cache).expect("the cache");
    }

    fn answer(&self, built: Built) -> String {
        let Kept::BuildDir(deploy) = built.kept else {
            unreachable!("made by deploy()");
        };
        let web = self.app.web(&deploy);
        let mut dyno = self.app.ship(*deploy);
        dyno.config_vars
            .insert("PHX_SERVER".to_owned(), "true".to_owned());
        let server = dyno.start(&web);
        let page = server.get("/");
        let printed = server.stop();
        // Mix prints this if a dyno compiles.
        let compiled: Vec<&str> = crate::compiling(&printed);
        format!("{page}\n{compiled:?}")
    }

    fn discard(&self, built: Built) {
        fs::remove_dir_all(built.slug).expect("the build directory goes");
    }
}
