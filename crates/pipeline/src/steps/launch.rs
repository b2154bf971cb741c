//! What the slug needs to start: `.profile.d`, `export`, the build record.

use crate::context::Context;
use crate::profile::{self, Launch};
use crate::record;
use crate::sbom::Component;
use crate::steps::project::Project;
use crate::workspace::{self, is_own};
use app::facts::{PROCFILE, join};
use app::launcher;
use app::plan::{Assets, Slim};
use exec::log::StepLog;
use messages::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use store::tree::{self, TreeError};

/// The environment of processes, and the contents of the slug.
#[derive(Debug, Default)]
pub(crate) struct Start {
    pub(crate) launch: Launch,
    /// Where the front end writes them down.
    pub(crate) components: Vec<Component>,
}

impl Context<'_> {
    pub(crate) fn profile(&self, project: &Project) -> Result<Start, Error> {
        let header = match self.workspace.start {
            workspace::Start::ProfileD { .. } => "Writing .profile.d",
            workspace::Start::FrontEnd => "Configuring processes",
        };
        let log = self.log.step(header);
        let mut launch = self.launch_environment(project)?;
        // `mix hex.organization auth`, in a hook, leaves its key there. No dyno fetches packages.
        let hex_home = self.workspace.real(&self.workspace.places.hex_home);
        tree::remove(&hex_home.join("hex.config"))?;
        if !launch.release_alone {
            launch.git_answers = self.write_git()?;
        }
        let components = match self.workspace.start {
            workspace::Start::ProfileD { .. } => {
                self.profile_d(&launch)?;
                Vec::new()
            }
            workspace::Start::FrontEnd => self.components(project, launch.runs_node),
        };
        self.launcher(&log)?;
        self.keep_record(&log)?;
        log.detail(&format!("MIX_ENV={}", launch.mix_env));
        Ok(Start { launch, components })
    }

    /// What the launch depends on.
    fn launch_environment(&self, project: &Project) -> Result<Launch, Error> {
        let node = self.node_stays()?;
        let record = self.record().clone();
        let node_bins: Vec<String> = self
            .plan
            .assets
            .iter()
            .filter(|assets| assets.install.is_some() && self.node_modules_ship())
            .flat_map(Assets::bins)
            .collect();
        Ok(Launch {
            mix_env: self.plan.mix_env.value.clone(),
            tests_only: self.workspace.environment.tests_only().is_some(),
            node,
            runs_node: node && (self.plan.node_use.is_some() || self.plan.slim == Slim::None),
            yarn: node && self.workspace.real(&self.workspace.places.yarn).is_dir(),
            phx_server: record.phoenix && record.release.is_some(),
            node_bins,
            git_answers: false,
            release_alone: self.release_stands_alone(project.release.as_ref()),
        })
    }

    /// Writes the record, for `bin/release` and `bin/test` and for the next build.
    fn keep_record(&self, log: &StepLog<'_>) -> Result<(), Error> {
        let mut record = self.record().clone();
        // bash may have made it from the value of a config var.
        let shown = |args: &String| self.workspace.environment.without_values(args) == *args;
        if !record.test_args.as_ref().is_none_or(shown) {
            record.test_args = None;
            log.warning("test_args contains the value of a config var and was not saved. Set the config var test_args instead");
        }
        let json = record.to_json()?;
        self.write(record::PATH, &json)?;
        // The app has been built: that the next build knows less of this one does not end it.
        if let Err(error) = self.workspace.store.write_note(store::RECORD, &json) {
            log.warning(&format!("the build record could not be cached: {error}"));
            log.warning("the next build may use newer versions where the app requests none");
        }
        Ok(())
    }

    fn profile_d(&self, launch: &Launch) -> Result<(), Error> {
        let root = Path::new(&self.plan.runtime_path);
        let mut script = profile::elixir_script(root, launch);
        if !launch.release_alone {
            script.push_str(&profile::git_script(root, launch.git_answers));
        }
        self.write(profile::ELIXIR_SCRIPT, &script)?;
        if let Some(mut script) = profile::node_script(root, launch) {
            if !launch.tests_only {
                script.push_str(profile::node_env_script());
            }
            self.write(profile::NODE_SCRIPT, &script)?;
        }
        if let Some(export) = self.workspace.export() {
            let script = profile::export_script(&self.workspace.app, launch);
            fs::write(export, script).map_err(TreeError::at(export, "write"))?;
        }
        Ok(())
    }

    /// With `remove_node=true` neither Node nor what npm installed ships.
    fn node_stays(&self) -> Result<bool, Error> {
        if self.plan.node.is_none() {
            return Ok(false);
        }
        if !self.plan.remove_node {
            return Ok(true);
        }
        let places = &self.workspace.places;
        for place in [&places.node, &places.yarn] {
            let given = self.plan.node_given && place == &places.node;
            if !given && is_own(place) {
                tree::remove(&self.workspace.real(place))?;
            }
        }
        for assets in &self.plan.assets {
            for modules in assets.modules() {
                tree::remove(&self.workspace.real(Path::new(&modules)))?;
            }
        }
        Ok(false)
    }

    /// What starts processes in the app's folder, where that is not the top of the slug.
    fn launcher(&self, log: &StepLog<'_>) -> Result<(), Error> {
        let app_dir = &self.plan.app_dir.value;
        if app_dir == "." {
            return Ok(());
        }
        let procfile = self.plan.app_procfile.as_ref();
        self.write(launcher::PATH, &launcher::script(app_dir, procfile))?;
        let script = self.workspace.real(Path::new(launcher::PATH));
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))
            .map_err(TreeError::at(&script, "make executable"))?;
        if let Some(procfile) = procfile {
            let path = join(app_dir, PROCFILE);
            self.write(PROCFILE, &launcher::procfile(&path, procfile))?;
            log.detail(&format!(
                "Procfile: the process types of {path}, which run in {app_dir}"
            ));
        }
        Ok(())
    }

    pub(crate) fn write(&self, path: &str, text: &str) -> Result<(), Error> {
        let path = self.workspace.real(Path::new(path));
        if let Some(parent) = path.parent() {
            if let Some(to) = self.bounds.leads_out(parent) {
                let place = parent.strip_prefix(&self.workspace.app).unwrap_or(parent);
                let place = place.display().to_string();
                return Err(Error::LeadsOut { place, to });
            }
            fs::create_dir_all(parent).map_err(TreeError::at(parent, "create the folder"))?;
        }
        // A link of this name is replaced, not written through.
        tree::remove(&path)?;
        fs::write(&path, text).map_err(TreeError::at(&path, "write"))?;
        Ok(())
    }
}
