//! The commands that change the buildpacks on a platform, and those that revert the change.

use crate::{APP_JSON, Edited, File, app_json, buildpacks};
use app::facts::buildpacks::{Entry, FILE, Kind};

/// A platform that runs buildpacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    Heroku,
    Dokku,
    Gigalixir,
}

/// Commands to type, one per line. ` # …` is a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commands {
    pub platform: Platform,
    pub forward: Vec<String>,
    pub back: Vec<String>,
}

impl Platform {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Heroku => "Heroku",
            Self::Dokku => "Dokku",
            Self::Gigalixir => "Gigalixir",
        }
    }
}

const COMMIT: &str = "git commit --all --allow-empty --message \"Build with Mixpack\"";

/// Undoes [`COMMIT`]. An empty commit can't be reverted.
fn undo(changes_files: bool) -> String {
    if changes_files {
        return "git revert --no-edit HEAD  # the commit above".to_owned();
    }
    "git commit --allow-empty --message \"Build with the old buildpacks\"".to_owned()
}

/// Returns the commands for the platforms that the repository has files for, the likeliest first. None if the list of
/// buildpacks is unknown, or contains Mixpack already.
#[must_use]
pub fn commands(files: &[File], edited: &[Edited], url: &str) -> Vec<Commands> {
    let text = |path: &str| {
        let file = files.iter().find(|file| file.path == path);
        file.map(|file| file.text.as_str())
    };
    let listed = text(APP_JSON).and_then(app_json::addresses);
    let in_file = text(FILE).map(buildpacks::addresses);
    let is_settled = |path: &str, list: Option<&[String]>| {
        let is_ours = |address: &String| {
            *address == url || ![Kind::Other, Kind::OldRelease].contains(&Entry::of(address).kind())
        };
        list.is_some_and(|list| list.iter().any(is_ours))
            && edited.iter().all(|edited| edited.path != path)
    };
    let mentions = |words: &[&str]| {
        let has = |text: &str| words.iter().any(|word| text.contains(word));
        files.iter().any(|file| has(&file.text))
    };
    // Dokku has its own keys, such as `scripts.dokku`.
    let on_heroku = listed.is_some()
        || text(APP_JSON).is_some_and(|text| !text.contains("dokku"))
        || mentions(&["heroku buildpacks:", "heroku config:", "git push heroku"]);
    let (on_gigalixir, on_dokku) = (mentions(&["gigalixir"]), mentions(&["dokku"]));
    let has_file = in_file.is_some();
    let undo = undo(!edited.is_empty());
    let mut platforms = Vec::new();
    if (on_heroku || !(has_file || on_gigalixir || on_dokku))
        && !is_settled(APP_JSON, listed.as_deref())
    {
        platforms.push(heroku(listed.as_deref(), url, &undo));
    }
    if is_settled(FILE, in_file.as_deref()) {
        return platforms;
    }
    if on_dokku || has_file && !on_gigalixir {
        platforms.push(dokku(has_file, url, undo.clone()));
    }
    if on_gigalixir || has_file && !on_dokku {
        platforms.push(gigalixir(has_file, url, undo));
    }
    platforms
}

/// The buildpacks of Phoenix's guide.
const USUAL: [&str; 2] = [
    "hashnuke/elixir",
    "https://github.com/gjaldon/heroku-buildpack-phoenix-static.git",
];

fn heroku(listed: Option<&[String]>, url: &str, undo: &str) -> Commands {
    let is_old = |address: &str| {
        let entry = Entry::of(address);
        [Kind::OldElixir, Kind::Static].contains(&entry.kind())
            && buildpacks::is_known(&entry.owner)
    };
    let mut old: Vec<(usize, &str)> = Vec::new();
    for (at, address) in (1..).zip(listed.unwrap_or_default()) {
        if is_old(address) {
            old.push((at, address));
        }
    }
    if old.is_empty() {
        old = (1..).zip(USUAL).collect();
    }
    let mut forward = vec!["heroku buildpacks  # if it shows other names, remove those".to_owned()];
    let mut back = vec![undo.to_owned(), format!("heroku buildpacks:remove {url}")];
    for (at, address) in &old {
        forward.push(format!("heroku buildpacks:remove {address}"));
        back.push(format!("heroku buildpacks:add --index {at} {address}"));
    }
    // Buildpacks before the first removed one keep their index.
    let place = old.first().map_or(1, |(at, _)| *at);
    forward.push(format!("heroku buildpacks:add --index {place} {url}"));
    forward.push(COMMIT.to_owned());
    forward.push("git push heroku main".to_owned());
    back.push("git push heroku main".to_owned());
    Commands {
        platform: Platform::Heroku,
        forward,
        back,
    }
}

fn dokku(in_file: bool, url: &str, undo: String) -> Commands {
    let mut forward = Vec::new();
    let mut back = vec![undo];
    if !in_file {
        forward.push(
            "dokku buildpacks:report APP  # if it shows other names, remove those".to_owned(),
        );
        back.push(format!("dokku buildpacks:remove APP {url}"));
        for (at, address) in (1..).zip(USUAL) {
            forward.push(format!("dokku buildpacks:remove APP {address}"));
            back.push(format!("dokku buildpacks:add --index {at} APP {address}"));
        }
        forward.push(format!("dokku buildpacks:add --index 1 APP {url}"));
    }
    forward.extend([COMMIT.to_owned(), "git push dokku main".to_owned()]);
    back.push("git push dokku main".to_owned());
    Commands {
        platform: Platform::Dokku,
        forward,
        back,
    }
}

fn gigalixir(in_file: bool, url: &str, undo: String) -> Commands {
    let mut forward = Vec::new();
    if !in_file {
        forward.extend([
            format!("echo {url} > .buildpacks"),
            "git add .buildpacks".to_owned(),
        ]);
    }
    forward.extend([COMMIT.to_owned(), "git push gigalixir main".to_owned()]);
    let back = vec![undo, "git push gigalixir main".to_owned()];
    Commands {
        platform: Platform::Gigalixir,
        forward,
        back,
    }
}
