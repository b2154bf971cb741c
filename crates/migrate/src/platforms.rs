//! The commands that change the buildpacks on a platform, and that change them back.

use crate::{APP_JSON, File, app_json, buildpacks};
use app::facts::buildpacks::{Entry, FILE, Kind};

/// A platform that runs buildpacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    Heroku,
    Dokku,
    Gigalixir,
}

/// What to type, one command a line. `  # …` is a remark for the reader.
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
const REVERT: &str = "git revert --no-edit HEAD  # the commit above";

/// The commands for the platforms that the repository shows signs of.
pub(crate) fn commands(files: &[File], url: &str) -> Vec<Commands> {
    let text = |path: &str| {
        files
            .iter()
            .find(|file| file.path == path)
            .map(|file| file.text.as_str())
    };
    let listed = text(APP_JSON).and_then(app_json::addresses);
    let dot_buildpacks = text(FILE);
    let mentions = |words: &[&str]| {
        let has = |text: &str| words.iter().any(|word| text.contains(word));
        files.iter().any(|file| has(&file.text))
    };
    let on_heroku = text(APP_JSON).is_some()
        || mentions(&["heroku buildpacks:", "heroku config:", "git push heroku"]);
    let on_gigalixir = mentions(&["gigalixir"]);
    let on_dokku = mentions(&["dokku"]);
    let in_file = dot_buildpacks.is_some();
    let mut platforms = Vec::new();
    if on_heroku || !(in_file || on_gigalixir || on_dokku) {
        platforms.push(heroku(listed.as_deref(), url));
    }
    if on_dokku || in_file && !on_gigalixir {
        platforms.push(dokku(in_file, url));
    }
    if on_gigalixir || in_file && !on_dokku {
        platforms.push(gigalixir(in_file, url));
    }
    platforms
}

/// The buildpacks of Phoenix's guide.
const USUAL: [&str; 2] = [
    "hashnuke/elixir",
    "https://github.com/gjaldon/heroku-buildpack-phoenix-static.git",
];

fn heroku(listed: Option<&[String]>, url: &str) -> Commands {
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
    let mut back = vec![REVERT.to_owned(), format!("heroku buildpacks:remove {url}")];
    for (at, address) in &old {
        forward.push(format!("heroku buildpacks:remove {address}"));
        back.push(format!("heroku buildpacks:add --index {at} {address}"));
    }
    // Those before the first one stay.
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

fn dokku(in_file: bool, url: &str) -> Commands {
    let mut forward = Vec::new();
    let mut back = vec![REVERT.to_owned()];
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

fn gigalixir(in_file: bool, url: &str) -> Commands {
    let mut forward = Vec::new();
    if !in_file {
        forward.extend([
            format!("echo {url} > .buildpacks"),
            "git add .buildpacks".to_owned(),
        ]);
    }
    forward.extend([COMMIT.to_owned(), "git push gigalixir main".to_owned()]);
    let back = vec![REVERT.to_owned(), "git push gigalixir main".to_owned()];
    Commands {
        platform: Platform::Gigalixir,
        forward,
        back,
    }
}
