//! The layers: one for each toolchain, several for the build cache, and a few facts in `store.toml`.

use crate::launch;
use exec::log::StepLog;
use pipeline::profile::Launch;

use libcnb::data::layer_content_metadata::{LayerContentMetadata, LayerTypes};
use libcnb::generic::GenericMetadata;
use libcnb::{read_toml_file, write_toml_file};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use store::tree::{self, Amount, TreeError};
use store::{CacheDir, FORMAT, Key, RECORD, Restored, Stamps, Store, TakeResult, Tool, ToolError};
use toml::Table;
use workdir::workspace::Places;

const ERLANG: &str = "erlang";
const ELIXIR: &str = "elixir";
const NODE: &str = "node";
const YARN: &str = "yarn";
/// `MIX_HOME`, created in every build from the cache.
const MIX: &str = "mix";
/// The layer with the variables of processes.
const START: &str = "start";

/// The layers for the cache. A change of one doesn't affect the others.
const CACHES: [&str; 6] = [
    "assets",
    "compiled",
    "deps",
    "downloads",
    "javascript",
    "notes",
];

/// Returns the cache layer for a tool that has no layer of its own.
fn tool_cache_name(name: &str) -> &'static str {
    if name.starts_with("node_modules") {
        "javascript"
    } else {
        "downloads"
    }
}

/// Returns the cache layer for a state entry.
fn state_cache_name(name: &str) -> &'static str {
    if name.starts_with("_build") || name.starts_with("generated") {
        "compiled"
    } else if name.starts_with("deps") {
        "deps"
    } else {
        "assets"
    }
}

/// The layers of this buildpack.
pub(crate) struct Layers {
    dir: PathBuf,
    caches: BTreeMap<&'static str, CacheDir>,
    /// The tools of this build that have their own layer, by the name of the layer.
    tools: Mutex<BTreeMap<String, Key>>,
    /// The record of the last build, later of this one. It persists when the cache is lost.
    record: Mutex<Option<String>>,
}

impl Layers {
    pub(crate) fn open(
        dir: &Path,
        store: Option<&libcnb::data::store::Store>,
    ) -> Result<Self, TreeError> {
        let mut caches = BTreeMap::new();
        for name in CACHES {
            caches.insert(name, CacheDir::open_at(dir.join(name), Stamps::Lost)?);
        }
        let record = store.and_then(|store| store.metadata.get(RECORD)?.as_str());
        Ok(Self {
            dir: dir.to_owned(),
            caches,
            tools: Mutex::default(),
            record: Mutex::new(record.map(str::to_owned)),
        })
    }

    /// Returns the paths for the steps.
    pub(crate) fn places(&self) -> Places {
        Places {
            erlang: self.dir.join(ERLANG),
            elixir: self.dir.join(ELIXIR),
            node: self.dir.join(NODE),
            yarn: self.dir.join(YARN),
            mix_home: self.dir.join(MIX).join("home"),
            // This isn't a layer: with the package archives in it, it would change in every build.
            hex_home: self.dir.join("hex-home"),
        }
    }

    /// Returns the contents of `store.toml`.
    pub(crate) fn store(&self) -> libcnb::data::store::Store {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let mut metadata = Table::new();
        if let Some(record) = record.as_ref() {
            metadata.insert(RECORD.to_owned(), record.clone().into());
        }
        libcnb::data::store::Store { metadata }
    }

    /// Writes the layer with the variables of processes.
    pub(crate) fn write_launch(&self, app: &Path, launch: &Launch) -> Result<(), TreeError> {
        let start = self.dir.join(START);
        let variables = launch::variables(app, launch, &self.dir.join(MIX));
        tree::remove(&start)?;
        fs::create_dir_all(&start)
            .and_then(|()| variables.write_to_layer_dir(&start))
            .map_err(|source| TreeError::new(&start, "write", source))
    }

    /// Writes the types of each layer, and drops those that this build didn't use.
    pub(crate) fn finish(&self, launch: &Launch, log: &StepLog<'_>) -> Result<(), TreeError> {
        let runs_mix = !launch.release_alone;
        // Node may only be needed during the build.
        let runs_node = runs_mix && launch.runs_node;
        let tools = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        for name in [ERLANG, ELIXIR, NODE, YARN] {
            let Some(key) = tools.get(name) else {
                self.drop_layer(name)?;
                continue;
            };
            let runs = match name {
                NODE => runs_node,
                YARN => runs_node && launch.yarn,
                _ => runs_mix,
            };
            let types = LayerTypes {
                launch: runs,
                build: true,
                cache: true,
            };
            self.describe(name, types, Some(key))?;
            log.detail(&format!(
                "{name}: for the build{} and the next ones",
                if runs { ", the image" } else { "" }
            ));
        }
        let hex = self.dir.join(MIX).join("hex");
        fs::create_dir_all(&hex)
            .map_err(|source| TreeError::new(&hex, "create the folder", source))?;
        let build = LayerTypes {
            build: true,
            ..LayerTypes::default()
        };
        let mix = LayerTypes {
            launch: runs_mix,
            ..build
        };
        self.describe(MIX, mix, None)?;
        let start = LayerTypes {
            launch: true,
            ..LayerTypes::default()
        };
        self.describe(START, start, None)?;
        for (name, cache) in &self.caches {
            cache.close()?;
            let cache = LayerTypes {
                cache: true,
                ..LayerTypes::default()
            };
            self.describe(name, cache, None)?;
        }
        Ok(())
    }

    fn describe(&self, name: &str, types: LayerTypes, key: Option<&Key>) -> Result<(), TreeError> {
        let table = |key: &Key| -> Table {
            let entries = key.iter();
            entries
                .map(|(name, value)| (name.clone(), value.clone().into()))
                .collect()
        };
        let content = LayerContentMetadata::<GenericMetadata> {
            types: Some(types),
            metadata: key.map(table),
        };
        let path = self.description(name);
        write_toml_file(&content, &path)
            .map_err(|error| TreeError::new(&path, "write", std::io::Error::other(error)))
    }

    fn description(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.toml"))
    }

    fn drop_layer(&self, name: &str) -> Result<(), TreeError> {
        tree::remove(&self.description(name))?;
        tree::remove(&self.dir.join(name))
    }

    /// Returns the key of a restored layer.
    fn key_of_layer(&self, name: &str) -> Option<Key> {
        let content: LayerContentMetadata = read_toml_file(self.description(name)).ok()?;
        let values = content.metadata?;
        values
            .into_iter()
            .map(|(name, value)| Some((name, value.as_str()?.to_owned())))
            .collect()
    }

    /// Returns the name of the layer at a path, if it is one.
    fn layer_at<'a>(&self, place: &'a Path) -> Option<&'a str> {
        let inside = place.strip_prefix(&self.dir).ok()?;
        let mut parts = inside.components();
        let name = parts.next()?.as_os_str().to_str()?;
        parts.next().is_none().then_some(name)
    }

    fn cache(&self, name: &str) -> &CacheDir {
        &self.caches[name]
    }

    fn tool_layer(
        &self,
        layer: &str,
        key: &Key,
        place: &Path,
        make: &mut dyn FnMut(&Path) -> Result<(), ToolError>,
    ) -> Result<Tool, ToolError> {
        let mut key = key.clone();
        key.insert("format".to_owned(), FORMAT.to_owned());
        let is_cached = self.key_of_layer(layer).as_ref() == Some(&key) && place.is_dir();
        let mut tools = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        tools.insert(layer.to_owned(), key);
        drop(tools);
        if is_cached {
            return Ok(Tool::Reused);
        }
        self.drop_layer(layer)?;
        make(place)?;
        Ok(Tool::Made)
    }
}

impl Store for Layers {
    fn tool(
        &self,
        name: &str,
        key: &Key,
        place: &Path,
        make: &mut dyn FnMut(&Path) -> Result<(), ToolError>,
    ) -> Result<Tool, ToolError> {
        match self.layer_at(place) {
            Some(layer) => self.tool_layer(layer, key, place, make),
            None => self
                .cache(tool_cache_name(name))
                .tool(name, key, place, make),
        }
    }

    fn take(&self, name: &str, key: &Key, place: &Path) -> Result<TakeResult, TreeError> {
        self.cache(tool_cache_name(name)).take(name, key, place)
    }

    fn put(&self, name: &str, key: &Key, from: &Path) -> Result<Amount, TreeError> {
        self.cache(tool_cache_name(name)).put(name, key, from)
    }

    fn drop_tool(&self, name: &str, key: &Key) -> Result<(), TreeError> {
        self.cache(tool_cache_name(name)).drop_tool(name, key)
    }

    fn mark_used(&self, name: &str, key: &Key) -> bool {
        self.cache(tool_cache_name(name)).mark_used(name, key)
    }

    fn restore(&self, name: &str, key: &Key, place: &Path) -> Result<Restored, TreeError> {
        self.cache(state_cache_name(name)).restore(name, key, place)
    }

    fn save(&self, name: &str, key: &Key, from: &Path, skip: &[&str]) -> Result<Amount, TreeError> {
        self.cache(state_cache_name(name))
            .save(name, key, from, skip)
    }

    fn drop_state(&self, name: &str) -> Result<(), TreeError> {
        self.cache(state_cache_name(name)).drop_state(name)
    }

    fn scratch(&self, name: &str) -> Result<PathBuf, TreeError> {
        self.cache("downloads").scratch(name)
    }

    fn shared(&self) -> Option<PathBuf> {
        None
    }

    fn read_note(&self, name: &str) -> Option<String> {
        if name == RECORD {
            let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
            return record.clone();
        }
        self.cache("notes").read_note(name)
    }

    fn write_note(&self, name: &str, text: &str) -> Result<(), TreeError> {
        if name == RECORD {
            let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
            *record = Some(text.to_owned());
            return Ok(());
        }
        self.cache("notes").write_note(name, text)
    }

    fn forget_unused(&self) -> Result<(), TreeError> {
        self.caches.values().try_for_each(CacheDir::forget_unused)
    }

    fn measure(&self) -> BTreeMap<String, Amount> {
        let tools = [ERLANG, ELIXIR, NODE, YARN]
            .map(|name| (name.to_owned(), tree::measure(&self.dir.join(name))));
        let caches = self.caches.values().flat_map(CacheDir::measure);
        let mut held: BTreeMap<String, Amount> = BTreeMap::new();
        for (name, amount) in tools.into_iter().chain(caches) {
            *held.entry(name).or_default() += amount;
        }
        held
    }

    fn clear(&self) -> Result<(), TreeError> {
        for name in [ERLANG, ELIXIR, NODE, YARN] {
            self.drop_layer(name)?;
        }
        self.caches.values().try_for_each(CacheDir::clear)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layer_of_other_format_is_rebuilt() {
        let dir = tempfile::tempdir().unwrap();
        let key = Key::from([("otp".to_owned(), "OTP-27.3.4".to_owned())]);
        let place = dir.path().join(ERLANG);
        let build = || {
            let layers = Layers::open(dir.path(), None).unwrap();
            let made = layers.tool("erlang", &key, &place, &mut |place| {
                fs::create_dir(place).unwrap();
                Ok(())
            });
            let tools = layers.tools.lock().unwrap();
            let described = layers.describe(ERLANG, LayerTypes::default(), tools.get(ERLANG));
            described.unwrap();
            made.unwrap()
        };
        let description = dir.path().join("erlang.toml");
        let edit = |from: &str, to: &str| {
            let text = fs::read_to_string(&description).unwrap();
            assert!(text.contains(from), "{text}");
            fs::write(&description, text.replace(from, to)).unwrap();
        };
        let format = format!("format = \"{FORMAT}\"\n");
        assert_eq!(build(), Tool::Made);
        assert_eq!(build(), Tool::Reused);
        // Mixpack 0.1.0 wrote no format.
        for other in ["", "format = \"4711\"\n"] {
            edit(&format, other);
            assert_eq!(build(), Tool::Made, "{other:?}");
        }
    }
}
