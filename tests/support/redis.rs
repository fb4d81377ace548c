//! A Redis server for one test.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A Redis server starts in milliseconds, so this is long enough.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running Redis server that writes each change to the disk. Dropping it kills the server.
pub struct RedisServer {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl RedisServer {
    /// A server on a free port; `None` if there is no redis-server.
    pub fn start() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        Some(Self { process: spawn(port, &folder)?, port, folder })
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: u8) -> String {
        format!("redis://127.0.0.1:{}/{database}", self.port)
    }

    /// Kills the server (SIGKILL).
    pub fn kill(&mut self) {
        self.process.kill().expect("the server is there");
        self.process.wait().expect("the server ends");
    }

    /// Starts a killed server again, on the same port and data.
    pub fn restart(&mut self) {
        self.process = spawn(self.port, &self.folder).expect("redis-server is there");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(port: u16, folder: &TempDir) -> Option<Child> {
    let process = Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        .args(["--save", "", "--appendonly", "yes", "--appendfsync", "always"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .ok()?;
    let deadline = Instant::now() + START_TIMEOUT;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "redis-server does not listen on port {port}");
        std::thread::sleep(Duration::from_millis(5));
    }
    Some(process)
}
