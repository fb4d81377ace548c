//! The parts of a `spin.toml` (manifest version 2) that this host reads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::route::Route;

/// The application: its HTTP components and its variables.
pub struct Manifest {
    folder: PathBuf,
    /// The name of the component that requests go to.
    pub public: String,
    /// The paths that requests to it have.
    pub route: Route,
    /// All components that a trigger names, by name. Requests go to the public one, and the components can call one
    /// another. A component's name is also in the names of its log files.
    pub components: BTreeMap<String, Component>,
    /// The application's variables by name.
    pub variables: BTreeMap<String, Variable>,
}

/// A `[component.…]` table.
#[derive(Deserialize)]
pub struct Component {
    source: PathBuf,
    #[serde(default)]
    pub key_value_stores: Vec<String>,
    /// The hosts that the component may send requests to: templates over the application's variables.
    #[serde(default)]
    pub allowed_outbound_hosts: Vec<String>,
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

/// An entry of `[variables]`. Without a default, the variable must be set.
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
    route: Reach,
    component: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Reach {
    Public(String),
    /// Only other components can call this route.
    Private {
        private: bool,
    },
}

impl Manifest {
    /// Reads the manifest at `path`.
    ///
    /// # Errors
    /// If the manifest can't be read, or needs more than this host has. This host has one public HTTP trigger, and
    /// private ones.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file: File = toml::from_str(&text).with_context(|| format!("cannot read {}", path.display()))?;
        Self::from_file(file, path).with_context(|| format!("cannot serve {}", path.display()))
    }

    fn from_file(mut file: File, path: &Path) -> Result<Self> {
        ensure!(file.spin_manifest_version == 2, "spin_manifest_version must be 2");
        let (mut public, mut components) = (None, BTreeMap::new());
        for HttpTrigger { route, component: id } in file.trigger.http {
            match route {
                Reach::Private { private: true } => {}
                Reach::Public(route) if public.is_none() => public = Some((id.clone(), Route::parse(&route)?)),
                _ => bail!("this host serves one public route, and private ones; use Spin for more"),
            }
            let component = file.component.remove(&id).with_context(|| format!("there is no [component.{id}]"))?;
            components.insert(id, component);
        }
        let (public, route) = public.context("there is no [[trigger.http]] with a route such as \"/...\"")?;
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(Self { folder: folder.to_path_buf(), public, route, components, variables: file.variables })
    }

    /// The manifest's folder. The paths in the manifest are relative to it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The component's wasm file.
    pub fn source(&self, component: &Component) -> PathBuf {
        self.folder.join(&component.source)
    }

    /// The folder that a build command runs in.
    pub fn build_folder(&self, build: &Build) -> PathBuf {
        match &build.workdir {
            Some(workdir) => self.folder.join(workdir),
            None => self.folder.clone(),
        }
    }
}
