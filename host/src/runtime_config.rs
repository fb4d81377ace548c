//! Spin's runtime configuration file: where the application's key-value stores are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::key_value::{Database, Late, Redis, Store, Stores};

/// The label that needs no configuration, and the file of its store in the state folder.
const DEFAULT_LABEL: &str = "default";
const DEFAULT_FILE: &str = "sqlite_key_value.db";

/// A file for `--runtime-config-file`. This host reads key-value stores only, and refuses anything else.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeConfig {
    #[serde(default)]
    key_value_store: BTreeMap<String, toml::Table>,
    /// The file's own folder. Paths in the file are relative to it.
    #[serde(skip)]
    folder: PathBuf,
}

/// A store of type "spin": a SQLite file, or a database in memory.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SpinStore {
    path: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RedisStore {
    url: String,
}

impl RuntimeConfig {
    /// Reads the file.
    ///
    /// # Errors
    /// If the file can't be read, or has anything other than key-value stores.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let config: Self = toml::from_str(&text).with_context(|| {
            format!("cannot read {} (this host reads [key_value_store.LABEL] tables alone)", path.display())
        })?;
        Ok(Self { folder: path.parent().unwrap_or(Path::new("")).to_path_buf(), ..config })
    }

    /// Opens the stores: those of the file, and the default one. Each operation on them takes at least `latency`.
    ///
    /// # Errors
    /// If a store can't be opened, or has a type that this host doesn't have.
    pub fn open_stores(&self, state_dir: &Path, latency: Duration) -> Result<Stores> {
        let (mut stores, mut databases) = (Stores::default(), BTreeMap::new());
        let mut insert = |label: &str, store: Store| {
            let is_late = !latency.is_zero();
            stores.insert(label, if is_late { Store::new(Late { store, latency }) } else { store });
        };
        if !self.key_value_store.contains_key(DEFAULT_LABEL) {
            let path = state_dir.join(DEFAULT_FILE);
            insert(DEFAULT_LABEL, database(&mut databases, path)?.store(DEFAULT_LABEL));
        }
        for (label, table) in &self.key_value_store {
            let store = self.open_store(label, table, &mut databases);
            insert(label, store.with_context(|| format!("could not configure key-value store with label {label:?}"))?);
        }
        Ok(stores)
    }

    fn open_store(
        &self,
        label: &str,
        table: &toml::Table,
        databases: &mut BTreeMap<PathBuf, Database>,
    ) -> Result<Store> {
        let mut table = table.clone();
        let kind = table.remove("type");
        match kind.as_ref().and_then(toml::Value::as_str) {
            Some("spin") => match table.try_into::<SpinStore>()?.path {
                Some(path) => Ok(database(databases, self.folder.join(path))?.store(label)),
                None => Ok(Database::in_memory()?.store(label)),
            },
            Some("redis") => Ok(Store::new(Redis::new(&table.try_into::<RedisStore>()?.url)?)),
            Some(kind) => bail!("this host has no stores of type {kind:?}: use \"spin\" or \"redis\", or Spin itself"),
            None => bail!("it has no type: \"spin\" or \"redis\""),
        }
    }
}

/// The database at this path. It is opened only once, even if several stores are in it.
fn database(databases: &mut BTreeMap<PathBuf, Database>, path: PathBuf) -> Result<Database> {
    if let Some(known) = databases.get(&path) {
        return Ok(known.clone());
    }
    let database = Database::open(&path)?;
    databases.insert(path, database.clone());
    Ok(database)
}
