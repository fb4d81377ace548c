//! A running contender: its process group, the resources that it uses, and its end.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use procfs::process::Process;
use tempfile::TempDir;

const START_TIMEOUT: Duration = Duration::from_secs(120);
/// The pause between two checks whether a server responds. Smaller differences in the start-up time do not matter.
const LOOK_AGAIN: Duration = Duration::from_micros(500);

/// A running server with its own data folder. Dropping it kills the server.
pub struct Server {
    process: Child,
    lines: Receiver<String>,
    /// The address that it listens on.
    pub address: String,
    /// The folder of its data.
    pub folder: TempDir,
    /// The time from its start to its first response.
    pub started_in: Duration,
}

/// The resources that a server has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// CPU time of all its processes, in seconds.
    pub cpu: f64,
    /// The sum of its processes' peaks, in MiB.
    pub memory: f64,
}

impl Server {
    /// Starts the command for this data folder and a free port, and waits until the server responds to HTTP.
    pub fn start(folder: TempDir, command: impl FnOnce(&TempDir, u16) -> Command) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = command(&folder, port);
        let began = Instant::now();
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let lines = BufReader::new(process.stdout.take().context("no output")?).lines();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let address = format!("127.0.0.1:{port}");
        let mut server = Self { process, lines: receiver, address, folder, started_in: Duration::ZERO };
        server.wait_for_answer(began)?;
        server.started_in = began.elapsed();
        Ok(server)
    }

    fn wait_for_answer(&mut self, began: Instant) -> Result<()> {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let url = format!("http://{}/", self.address);
        loop {
            if TcpStream::connect(&self.address).is_ok() && agent.get(&url).call().is_ok() {
                return Ok(());
            }
            if let Some(status) = self.process.try_wait()? {
                bail!("a server ended before it answered: {status}");
            }
            if began.elapsed() > START_TIMEOUT {
                bail!("a server did not answer within {START_TIMEOUT:?}");
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// The resources that its process group has used.
    pub fn usage(&self) -> Result<Usage> {
        let group = i32::try_from(self.process.id())?;
        let ticks = procfs::ticks_per_second();
        let mut usage = Usage::default();
        for process in procfs::process::all_processes()?.flatten() {
            usage = usage + of_process(&process, group, ticks).unwrap_or_default();
        }
        Ok(usage)
    }

    /// Asks the server to stop, waits for its end, and returns the lines that it has printed.
    pub fn stop(mut self) -> Result<Vec<String>> {
        self.signal("TERM");
        self.process.wait()?;
        Ok(self.lines.iter().collect())
    }

    fn signal(&self, name: &str) {
        let group = format!("-{}", self.process.id());
        let _ = Command::new("kill").args([&format!("-{name}"), "--", &group]).stderr(Stdio::null()).status();
    }
}

/// The resources that a process has used; `None` if it is not in the group or has just ended.
fn of_process(process: &Process, group: i32, ticks: u64) -> Option<Usage> {
    let stat = process.stat().ok().filter(|stat| stat.pgrp == group)?;
    let status = process.status().ok()?;
    let cpu = (stat.utime + stat.stime) as f64 / ticks as f64;
    Some(Usage { cpu, memory: status.vmhwm? as f64 / 1024.0 })
}

impl std::ops::Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, memory: self.memory + other.memory }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            self.signal("KILL");
            let _ = self.process.wait();
        }
    }
}
