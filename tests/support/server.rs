//! A server for one test.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Client;

/// The first start takes the longest time, because it compiles the component.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The changes that tests wait for take milliseconds, so this is long enough.
const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// The file of Spin's key-value stores in the state folder.
const DATABASE: &str = "sqlite_key_value.db";

/// Settings with users, by a trusted proxy's header.
pub const USERS: [(&str, &str); 2] = [("auth", "header"), ("auth_header_secret", "of the tests")];

/// What that proxy sends of one of them.
pub const LOGIN: [(&str, &str); 2] = [("x-remote-user", "ann"), ("x-auth-secret", "of the tests")];

/// The repository's root, where spin.toml is.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether the tests run on Spin rather than on this repository's host.
pub fn on_spin() -> bool {
    std::env::var("UPLOAD_TEST_RUNTIME").is_ok_and(|runtime| runtime == "spin")
}

/// The manifest that the tests run.
pub fn manifest() -> String {
    std::env::var("UPLOAD_TEST_MANIFEST").unwrap_or_else(|_| "spin.toml".to_owned())
}

/// The manifest's text, for a file in another folder.
fn manifest_elsewhere() -> String {
    let text = std::fs::read_to_string(root().join(manifest())).expect("the manifest");
    text.replace("source = \"target/", &format!("source = \"{}/target/", root().display()))
}

/// The path of the host's program. The first call builds the program and the component.
pub fn host() -> &'static Path {
    static HOST: OnceLock<PathBuf> = OnceLock::new();
    HOST.get_or_init(|| {
        // This builds the same files as `cargo run --release`, so that nothing is built twice.
        let mut build = Command::new(env!("CARGO"));
        // One of the host's crates is built again when these variables differ. Here they have this test's values.
        for (name, _) in std::env::vars() {
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                build.env_remove(name);
            }
        }
        run(build.args(["build", "--release", "--quiet"]));
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
        let host = target.join("release").join(format!("host{}", std::env::consts::EXE_SUFFIX));
        run(Command::new(&host).args(["--build-only", "--from", &manifest()]));
        host
    })
}

/// Runs a program in the repository's root, and fails if the program fails.
pub fn run(command: &mut Command) {
    let status = command.current_dir(root()).status().expect("the command starts");
    assert!(status.success(), "{command:?} failed: {status}");
}

/// A running server with its own data folder. Dropping it kills the server.
pub struct Server {
    /// The arguments that the server is started with, except for the address.
    arguments: Vec<String>,
    process: Child,
    address: String,
    state: TempDir,
}

impl Server {
    /// A server with the default settings.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// A server with these variables.
    pub fn with(variables: &[(&str, &str)]) -> Self {
        Self::from(tempfile::tempdir().expect("a folder"), &manifest(), variables, &[])
    }

    /// A server with these variables that knows users, and a client that is logged in as one of them.
    pub fn with_user(variables: &[(&str, &str)]) -> (Self, Client) {
        let server = Self::with(&[&USERS, variables].concat());
        let client = server.client().with_headers(&LOGIN);
        (server, client)
    }

    /// A server with these variables whose component stands under this route.
    pub fn at_route(route: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("spin.toml");
        let text = manifest_elsewhere().replace("route = \"/...\"", &format!("route = \"{route}\""));
        std::fs::write(&path, text).expect("a manifest");
        Self::from(tempfile::tempdir().expect("a folder"), path.to_str().expect("a path"), variables, &[])
    }

    /// A server with these options of this repository's host.
    pub fn with_options(options: &[&str]) -> Self {
        Self::from(tempfile::tempdir().expect("a folder"), &manifest(), &[], options)
    }

    /// A server of another application of this repository, such as `examples/own-view`. The application is built first.
    pub fn of_example(folder: &str) -> Self {
        Self::of_example_with(folder, &[])
    }

    /// The same, with these variables.
    pub fn of_example_with(folder: &str, variables: &[(&str, &str)]) -> Self {
        let manifest = format!("{folder}/spin.toml");
        run(Command::new(host()).args(["--build-only", "--from", &manifest]));
        Self::configured(&manifest, None, variables)
    }

    /// A server of the application of this manifest, with this runtime configuration. The application is built first.
    pub fn of(manifest: &str, config: Option<&str>) -> Self {
        run(Command::new(host()).args(["--build-only", "--from", manifest]));
        Self::configured(manifest, config, &[])
    }

    /// A server with these variables. This runtime configuration says where its key-value stores are.
    pub fn with_runtime_config(config: &str, variables: &[(&str, &str)]) -> Self {
        Self::configured(&manifest(), Some(config), variables)
    }

    fn configured(manifest: &str, config: Option<&str>, variables: &[(&str, &str)]) -> Self {
        let state = tempfile::tempdir().expect("a folder");
        let path = state.path().join("runtime-config.toml");
        std::fs::write(&path, config.unwrap_or_default()).expect("a configuration");
        let arguments = ["--runtime-config-file", path.to_str().expect("a path")];
        Self::from(state, manifest, variables, &arguments)
    }

    /// A server with these variables. Its component may also open the key-value stores with these labels.
    pub fn with_stores(labels: &[&str], variables: &[(&str, &str)]) -> Self {
        let state = tempfile::tempdir().expect("a folder");
        let list = labels.iter().map(|label| format!("\"{label}\", ")).collect::<String>();
        let manifest = manifest_elsewhere().replace("key_value_stores = [", &format!("key_value_stores = [{list}"));
        let path = state.path().join("spin.toml");
        std::fs::write(&path, manifest).expect("a manifest");
        // All stores are in one file, which tests can read.
        let database = state.path().join(DATABASE);
        let entry = |label| format!("[key_value_store.{label}]\ntype = \"spin\"\npath = {database:?}\n");
        let stores = labels.iter().map(entry);
        let config = state.path().join("runtime-config.toml");
        std::fs::write(&config, stores.collect::<String>()).expect("a configuration");
        let config = ["--runtime-config-file", config.to_str().expect("a path")];
        Self::from(state, path.to_str().expect("a path"), variables, &config)
    }

    fn from(state: TempDir, manifest: &str, variables: &[(&str, &str)], more: &[&str]) -> Self {
        let mut arguments: Vec<String> = if on_spin() { vec!["up".to_owned()] } else { vec!["--no-build".to_owned()] };
        arguments.extend(["--from".to_owned(), manifest.to_owned()]);
        arguments.extend(["--state-dir".to_owned(), state.path().to_str().expect("a path").to_owned()]);
        arguments
            .extend(variables.iter().flat_map(|(name, value)| ["--variable".to_owned(), format!("{name}={value}")]));
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        let (process, address) = spawn(&arguments, "127.0.0.1:0");
        Self { arguments, process, address, state }
    }

    /// A server with the default settings. Its process may not write files longer than `bytes`.
    pub fn with_file_limit(bytes: u64) -> Self {
        let server = Self::start();
        let rlimit = format!("--fsize={bytes}:{bytes}");
        run(Command::new("prlimit").args(["--pid", &server.process_id().to_string(), &rlimit]));
        server
    }

    /// Kills the server (SIGKILL), and starts it again on the same port and data.
    pub fn crash_and_restart(&mut self) {
        self.kill();
        self.restart();
    }

    /// Starts a killed server again, on the same port and data.
    pub fn restart(&mut self) {
        (self.process, self.address) = spawn(&self.arguments, &self.address);
    }

    /// Kills the server, and starts it again with these variables on the same port and data.
    pub fn restart_with(&mut self, variables: &[(&str, &str)]) {
        self.kill();
        for (name, value) in variables {
            let start = format!("{name}=");
            if let Some(index) = self.arguments.iter().position(|argument| argument.starts_with(&start)) {
                self.arguments.drain(index - 1..=index);
            }
            self.arguments.extend(["--variable".to_owned(), format!("{start}{value}")]);
        }
        self.restart();
    }

    /// Kills the server (SIGKILL).
    pub fn kill(&mut self) {
        self.signal("KILL");
        self.process.wait().expect("the server ends");
    }

    /// Sends a signal by name, such as `TERM`, to the server's process group, because Spin serves in a child process.
    pub fn signal(&self, name: &str) {
        run(Command::new("kill").args([&format!("-{name}"), "--", &format!("-{}", self.process.id())]));
    }

    /// Waits until the server ends by itself.
    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait().expect("the server ends")
    }

    /// The server's process.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// The peak memory of the process; `None` if it is unknown. That is so without a /proc, and on Spin, which serves
    /// in a child process.
    pub fn peak_memory_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process_id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).filter(|_| !on_spin())?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// The folder of its data.
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// What the component has logged so far: lines of JSON.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.state().join("logs/upload_stderr.txt")).unwrap_or_default()
    }

    /// The host and the port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A client of this server.
    pub fn client(&self) -> Client {
        Client::new(&self.address)
    }

    /// Moves the creation time of the upload with this URL back by this number of hours.
    pub fn age(&mut self, url: &str, hours: i64) {
        let key = format!("upload/{}", url.rsplit('/').next().expect("an id"));
        let database = self.database();
        let record: Vec<u8> = database
            .query_row("SELECT value FROM spin_key_value WHERE key = ?1", [&key], |row| row.get(0))
            .expect("the record");
        let mut record: serde_json::Value = serde_json::from_slice(&record).expect("JSON");
        let created_at: jiff::Timestamp = record["created_at"].as_str().expect("a time").parse().expect("a time");
        record["created_at"] = (created_at - jiff::SignedDuration::from_hours(hours)).to_string().into();
        database
            .execute("UPDATE spin_key_value SET value = ?1 WHERE key = ?2", (record.to_string().into_bytes(), &key))
            .expect("the record is written");
    }

    /// The store's database itself.
    pub fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.state.path().join(DATABASE)).expect("the database")
    }

    /// All keys of the default store, apart from the deployment's mark, and the lengths of their values.
    pub fn stored(&self) -> Vec<(String, i64)> {
        self.stored_in("default")
    }

    /// All keys of a store, apart from the deployments' marks, and the lengths of their values.
    pub fn stored_in(&self, store: &str) -> Vec<(String, i64)> {
        let database = self.database();
        let query =
            "SELECT key, length(value) FROM spin_key_value WHERE store = ?1 AND key NOT LIKE 'mark/%' ORDER BY key";
        let mut statement = match database.prepare(query) {
            // Spin creates the table when a component first opens a store.
            Err(error) if error.to_string().contains("no such table") => return Vec::new(),
            prepared => prepared.expect("Spin's table"),
        };
        let rows = statement.query_map([store], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?))).expect("rows");
        rows.collect::<Result<_, _>>().expect("keys and lengths")
    }
}

impl Server {
    /// Waits until the stored keys and lengths are as expected, and fails if they never are.
    #[track_caller]
    pub fn wait_until_stored(&self, is_so: impl Fn(&Vec<(String, i64)>) -> bool) {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        while !is_so(&self.stored()) {
            assert!(Instant::now() < deadline, "waited in vain; there is {:?}", self.stored());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that has ended by itself is not killed, because another process may have its number.
        if matches!(self.process.try_wait(), Ok(None)) {
            self.kill();
        }
    }
}

/// Starts a server. File permissions apply to it even if root runs the tests. A write beyond the limit on the length of
/// files fails, and does not end the server.
const START: &str = r#"
trap '' XFSZ
[ "$(id -u)" != 0 ] || exec setpriv --bounding-set=-dac_override "$0" "$@"
exec "$0" "$@"
"#;

fn spawn(arguments: &[String], listen: &str) -> (Child, String) {
    let host = host();
    let mut process = Command::new("sh")
        .current_dir(root())
        .args(["-c", START])
        .arg(if on_spin() { Path::new("spin") } else { host })
        .args(arguments)
        .args(["--listen", listen])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("the server starts");
    let address = read_address(&mut process);
    (process, address)
}

/// Waits for the line `Serving http://…`, and keeps reading so that the server never waits for a reader.
fn read_address(process: &mut Child) -> String {
    let lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
    let (found, address) = mpsc::channel();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if let Some(address) = line.strip_prefix("Serving http://") {
                let _ = found.send(address.trim().to_owned());
            }
        }
    });
    address.recv_timeout(START_TIMEOUT).unwrap_or_else(|_| panic!("the server did not start: {:?}", process.try_wait()))
}
