//! Builds with `pack`.

use super::host::{Host, run};
use super::platform::{Built, CLEAN, Kept, Platform, variables};
use super::subject::Subject;
use crate::copy;
use crate::pack::{self, Buildpack};
use std::fs;
use std::path::Path;
use std::time::Duration;

pub(super) struct Images {
    app: pack::App,
}

impl Images {
    pub(super) fn new() -> Self {
        let app = pack::App::on_host(&Host::shared().server, vec![Buildpack::under_test()]);
        Self { app }
    }

    fn build(&self, subject: &Subject, build: &str) -> Built {
        self.app.set_env(variables(subject, build));
        let image = self.app.build();
        let copied = tempfile::tempdir().expect("a folder for files of an image");
        if image.succeeded {
            self.app
                .image()
                .copy_out(&["workspace", "layers"], copied.path());
        }
        Built {
            succeeded: image.succeeded,
            log: image.log,
            took: image.took,
            slug: copied.path().to_owned(),
            kept: Kept::Copy(copied),
        }
    }
}

impl Platform for Images {
    fn source(&self) -> &Path {
        self.app.path()
    }

    fn deploy(&self, subject: &Subject, build: &str) -> Built {
        self.build(subject, build)
    }

    fn deploy_clean(&self, subject: &Subject, _entirely: bool) -> Built {
        self.app.forget();
        let source = self.app.path();
        for entry in fs::read_dir(source).expect("the old source") {
            let path = entry.expect("an entry of it").path();
            run("rm", &["-r", &path.to_string_lossy()], source);
        }
        copy(&subject.source, source);
        self.build(subject, CLEAN)
    }

    fn kill(&self, subject: &Subject, after: Duration) {
        self.app.set_env(variables(subject, "killed"));
        self.app.build_and_interrupt(after);
    }

    /// The lifecycle does so in every build, and keeps no times.
    fn move_cache(&self, _times: bool) {}

    fn lose_cache(&self) {
        self.app.lose_cache();
    }

    fn answer(&self, _built: Built) -> String {
        let web = self.app.image().start(&["--env=PHX_SERVER=true"]);
        let page = web.get("/");
        let compiled: Vec<String> = crate::compiling(&web.log())
            .into_iter()
            .map(str::to_owned)
            .collect();
        format!("{page}\n{compiled:?}")
    }

    fn discard(&self, _built: Built) {}
}
