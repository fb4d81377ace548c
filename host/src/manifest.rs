//! What this host reads of a `spin.toml` (manifest version 2).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

/// The application: its one HTTP component and its variables.
pub struct Manifest {
    folder: PathBuf,
    /// The component's name, which also names its log files.
    pub component_id: String,
    /// The component's entry.
    pub component: Component,
    /// The application's variables by name.
    pub variables: BTreeMap<String, Variable>,
}

/// A `[component.…]` table.
#[derive(Deserialize)]
pub struct Component {
    source: PathBuf,
    #[serde(default)]
    pub key_value_stores: Vec<String>,
    /// The component's variables: templates over the application's variables.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    pub build: Option<Build>,
}

/// A `[component.….build]` table.
#[derive(Deserialize)]
pub struct Build {
    pub command: String,
    workdir: Option<PathBuf>,
}

/// An entry of `[variables]`: a default, or a mark that a value must be given.
#[derive(Deserialize)]
pub struct Variable {
    pub default: Option<String>,
}

#[derive(Deserialize)]
struct File {
    spin_manifest_version: u32,
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
    trigger: Triggers,
    component: BTreeMap<String, Component>,
}

#[derive(Deserialize)]
struct Triggers {
    #[serde(default)]
    http: Vec<HttpTrigger>,
}

#[derive(Deserialize)]
struct HttpTrigger {
    route: String,
    component: String,
}

impl Manifest {
    /// Reads the manifest at `path`.
    ///
    /// # Errors
    /// Where it can't be read, or asks for more than this host has: one HTTP trigger that takes every path.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file: File = toml::from_str(&text).with_context(|| format!("cannot read {}", path.display()))?;
        Self::from_file(file, path).with_context(|| format!("cannot serve {}", path.display()))
    }

    fn from_file(mut file: File, path: &Path) -> Result<Self> {
        ensure!(file.spin_manifest_version == 2, "spin_manifest_version must be 2");
        let [trigger] = &file.trigger.http[..] else {
            bail!("this host serves exactly one [[trigger.http]]; use Spin for more");
        };
        ensure!(trigger.route == "/...", "this host serves the route \"/...\" only; use Spin for others");
        let component = file
            .component
            .remove(&trigger.component)
            .with_context(|| format!("there is no [component.{}]", trigger.component))?;
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(Self {
            folder: folder.to_path_buf(),
            component_id: trigger.component.clone(),
            component,
            variables: file.variables,
        })
    }

    /// The manifest's folder, which its paths are relative to.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The component's wasm file.
    pub fn source(&self) -> PathBuf {
        self.folder.join(&self.component.source)
    }

    /// The folder that the component's build command runs in.
    pub fn build_folder(&self) -> PathBuf {
        match self.component.build.as_ref().and_then(|build| build.workdir.as_ref()) {
            Some(workdir) => self.folder.join(workdir),
            None => self.folder.clone(),
        }
    }
}
