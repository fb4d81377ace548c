//! The servers that take part: how each one is installed and started, and which protocol it has.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::server::Server;

/// The releases that are measured.
const RUSTUS: &str = "0.5.10";
const TUS_SERVER: &str = "2.4.5";

/// A server that takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    /// This project on its own host.
    Host,
    /// This project on Spin.
    Spin,
    /// drf-chunked-upload under gunicorn.
    Drf,
    /// rustus.
    Rustus,
    /// @tus/server.
    TusServer,
    /// A component that drops the bytes, on this project's host.
    Drop,
    /// A component that stores the bytes and does nothing else, on this project's host.
    Store,
}

/// The protocol of a contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The protocol of drf-chunked-upload.
    Chunked,
    /// tus 1.0.
    Tus,
    /// A `PUT` of the bytes alone to this path.
    Bare(&'static str),
}

impl Contender {
    /// All contenders, in the order of the table.
    pub const ALL: [Self; 7] =
        [Self::Host, Self::Spin, Self::Drf, Self::Rustus, Self::TusServer, Self::Store, Self::Drop];

    /// The name in the table and for `--only`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "here",
            Self::Spin => "here-on-spin",
            Self::Drf => "drf-chunked-upload",
            Self::Rustus => "rustus",
            Self::TusServer => "tus-server",
            Self::Drop => "limit-drop",
            Self::Store => "limit-store",
        }
    }

    /// The name, with the release or a description.
    pub fn version(self) -> String {
        let what = match self {
            Self::Host => "this project on its host".to_owned(),
            Self::Spin => format!("on {}", output(Command::new("spin").arg("--version"))),
            // The release in tests/peer/requirements.txt.
            Self::Drf => "0.6.0 under gunicorn, 2 workers".to_owned(),
            Self::Rustus => RUSTUS.to_owned(),
            Self::TusServer => format!("{TUS_SERVER} on Node {}", output(Command::new("node").arg("--version"))),
            Self::Drop => "a component that drops the bytes".to_owned(),
            Self::Store => "a component that only stores the bytes".to_owned(),
        };
        format!("{}: {what}", self.name())
    }

    /// The contender's protocol.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Host | Self::Spin | Self::Drf => Protocol::Chunked,
            Self::Rustus | Self::TusServer => Protocol::Tus,
            Self::Drop => Protocol::Bare("/drop"),
            Self::Store => Protocol::Bare("/store"),
        }
    }

    /// Whether the contender can take part on this machine.
    pub fn is_here(self) -> bool {
        self != Self::Spin
            || Command::new("spin").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    }

    /// Builds the contender, or installs it into the folder of tools if it is missing there.
    pub fn install(self, tools: &Tools) -> Result<()> {
        match self {
            Self::Host | Self::Spin => tools.build("spin.toml"),
            Self::Drop | Self::Store => tools.build("bench/limits/spin.toml"),
            Self::Drf => tools.install_drf(),
            Self::Rustus => tools.install_rustus(),
            Self::TusServer => tools.install_tus_server(),
        }
    }

    /// Starts the contender on its own data folder. `options` are command line options of the host.
    pub fn start(self, tools: &Tools, options: &[&str]) -> Result<Server> {
        let folder = tempfile::tempdir_in(tools.folder("state")?)?;
        Server::start(folder, |folder, port| match self {
            Self::Host => tools.host("spin.toml", folder.path(), port, options),
            Self::Drop | Self::Store => tools.host("bench/limits/spin.toml", folder.path(), port, options),
            Self::Spin => tools.spin(folder.path(), port),
            Self::Drf => tools.drf(folder.path(), port),
            Self::Rustus => tools.rustus(folder.path(), port),
            Self::TusServer => tools.tus_server(folder.path(), port),
        })
    }
}

/// The output of a program; empty if the program can't be started.
fn output(command: &mut Command) -> String {
    command.output().map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// The repository, and the target folder that everything is built and installed into.
pub struct Tools {
    root: PathBuf,
    target: PathBuf,
}

impl Tools {
    /// The tools of this repository.
    pub fn new() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no repository")?.to_path_buf();
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        Ok(Self { root, target })
    }

    /// The component that is measured.
    pub fn component(&self) -> PathBuf {
        self.target.join("wasm32-wasip2/component/spin_chunked_upload.wasm")
    }

    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.target.join("bench").join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder)
    }

    fn host_program(&self) -> PathBuf {
        self.target.join("release/host")
    }

    /// Builds the host, and an application by its manifest.
    fn build(&self, manifest: &str) -> Result<()> {
        self.run(Command::new("cargo").args(["build", "--release", "--quiet", "--package", "host"]))?;
        self.run(Command::new(self.host_program()).args(["--build-only", "--from", manifest]))
    }

    fn install_drf(&self) -> Result<()> {
        let (folder, requirements) = (self.folder("drf")?, self.root.join("tests/peer/requirements.txt"));
        if folder.join("bin/gunicorn").exists() {
            return Ok(());
        }
        self.run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        self.run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", "-r"]).arg(requirements))
    }

    fn install_rustus(&self) -> Result<()> {
        let folder = self.folder("rustus")?;
        if folder.join("bin/rustus").exists() {
            return Ok(());
        }
        self.run(
            Command::new("cargo").args(["install", "rustus", "--version", RUSTUS, "--locked", "--root"]).arg(folder),
        )
    }

    fn install_tus_server(&self) -> Result<()> {
        let folder = self.folder("tus")?;
        if folder.join("node_modules/@tus/file-store").exists() {
            return Ok(());
        }
        let server = format!("@tus/server@{TUS_SERVER}");
        self.run(
            Command::new("npm")
                .args(["install", "--no-audit", "--no-fund", "--prefix"])
                .arg(folder)
                .args([server.as_str(), "@tus/file-store"]),
        )
    }

    /// Runs a program in the repository's root.
    fn run(&self, command: &mut Command) -> Result<()> {
        let status = command.current_dir(&self.root).status().with_context(|| format!("cannot run {command:?}"))?;
        ensure!(status.success(), "{command:?} failed: {status}");
        Ok(())
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    fn host(&self, manifest: &str, folder: &Path, port: u16, options: &[&str]) -> Command {
        let mut command = self.command(self.host_program());
        command.args(["--no-build", "--from", manifest, "--listen", &format!("127.0.0.1:{port}"), "--state-dir"]);
        command.arg(folder).args(options);
        command
    }

    fn spin(&self, folder: &Path, port: u16) -> Command {
        let mut command = self.command("spin");
        command.args(["up", "--quiet", "--listen", &format!("127.0.0.1:{port}"), "--state-dir"]).arg(folder);
        command
    }

    /// drf-chunked-upload with the set-up of tests/peer: users log in by token, and two workers serve them.
    fn drf(&self, folder: &Path, port: u16) -> Command {
        let mut command = Command::new(self.target.join("bench/drf/bin/gunicorn"));
        command.args(["--preload", "--workers", "2", "--bind", &format!("127.0.0.1:{port}"), "peer:application"]);
        command.current_dir(self.root.join("tests/peer"));
        command.env("PEER_FOLDER", folder).env("PEER_EXPIRATION_SECONDS", "86400").env("PEER_MAX_BYTES", "");
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("HOME", folder);
        command
    }

    fn rustus(&self, folder: &Path, port: u16) -> Command {
        let mut command = self.command(self.target.join("bench/rustus/bin/rustus"));
        command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--log-level", "ERROR"]);
        // The default limit of rustus is 256 KiB, which is less than a chunk.
        command.args(["--max-body-size", &(1 << 30).to_string()]);
        command.arg("--data-dir").arg(folder).arg("--info-dir").arg(folder);
        command
    }

    fn tus_server(&self, folder: &Path, port: u16) -> Command {
        let mut command = self.command("node");
        command.arg("bench/contenders/tus.mjs").arg(self.target.join("bench/tus")).arg(folder).arg(port.to_string());
        command
    }
}
