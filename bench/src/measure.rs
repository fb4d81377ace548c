//! The measurements. Each one starts its own server on its own folder, and verifies what it has uploaded.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::client::{Client, Upload};
use crate::contender::{Contender, Protocol, Tools};
use crate::content::Content;
use crate::figure::{Figure, median};
use crate::server::{Server, Usage};

const MIB: u64 = 1 << 20;
const SMALL_FILE: u64 = 10_000;
const SMALL_CHUNK: u64 = 10_000;
/// A figure for one chunk or one completion is the median of this many.
const AROUND: u64 = 21;

/// The sizes and numbers of a run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub size: u64,
    pub chunk: u64,
    pub clients: u64,
    pub small_files: u64,
    pub chunks: u64,
    pub huge: Option<u64>,
    pub latency: Duration,
}

/// The figures of a measurement.
pub type Found = Vec<(Figure, f64)>;

/// Measures contenders on the same files.
pub struct Bench {
    pub plan: Plan,
    pub tools: Tools,
    large: Content,
    /// One file for each client.
    parts: Vec<Content>,
    small: Content,
    mebibyte: Content,
}

/// A measurement of one contender.
pub type Measurement = fn(&Bench, Contender) -> Result<Found>;

/// The measurements with the names that progress shows, in the order of the run.
pub const MEASUREMENTS: [(&str, Measurement); 7] = [
    ("one client", Bench::one_client),
    ("clients at once", Bench::clients_at_once),
    ("small files", Bench::small_files),
    ("small completions", Bench::small_completions),
    ("many chunks", Bench::many_chunks),
    ("huge file", Bench::huge),
    ("far store", Bench::far_store),
];

impl Bench {
    /// Makes the files.
    pub fn new(plan: Plan, tools: Tools) -> Self {
        let part = plan.size / plan.clients;
        Self {
            large: Content::new(1, plan.size),
            parts: (0..plan.clients).map(|client| Content::new(2 + client, part)).collect(),
            small: Content::new(100, SMALL_FILE),
            mebibyte: Content::new(101, MIB),
            plan,
            tools,
        }
    }

    fn start(&self, contender: Contender) -> Result<Server> {
        contender.start(&self.tools, if contender == Contender::Host { &["--stats"] } else { &[] })
    }

    fn one_client(&self, contender: Contender) -> Result<Found> {
        let server = self.start(contender)?;
        let (client, content) = (Client::new(contender, &server), &self.large);
        let mut found = vec![(Figure::StartUp, millis(server.started_in))];
        let (before, began) = (server.usage()?, Instant::now());
        let mut upload = client.upload();
        self.send_chunks(&client, &mut upload, content, contender)?;
        let completing = Instant::now();
        client.complete(&mut upload, content)?;
        found.push((Figure::Upload, began.elapsed().as_secs_f64()));
        if contender.protocol() == Protocol::Chunked {
            found.push((Figure::Completion, millis(completing.elapsed())));
        }
        let usage = server.usage()?;
        found.extend([(Figure::UploadCpu, usage.cpu - before.cpu), (Figure::UploadMemory, usage.memory)]);
        // The first download is timed, and also verifies the file. A second download would be faster, because the
        // file would be in memory.
        match client.download(&upload, content)? {
            Some(time) => found.push((Figure::Download, content.len as f64 / 1e6 / time.as_secs_f64())),
            None => client.verify(&upload, content)?,
        }
        if contender == Contender::Host {
            let made = stats(&server.stop()?).filter_map(|line| line["instantiation_us"].as_f64()).collect();
            found.push((Figure::Instantiation, median(made) / 1000.0));
            let size = std::fs::metadata(self.tools.component()).context("no component")?.len();
            found.push((Figure::ComponentSize, size as f64 / 1e6));
        }
        Ok(found)
    }

    fn clients_at_once(&self, contender: Contender) -> Result<Found> {
        let server = self.start(contender)?;
        let before = server.usage()?;
        let began = Instant::now();
        let uploads = at_once(self.parts.iter().map(|content| {
            let client = Client::new(contender, &server);
            move || {
                let mut upload = client.upload();
                self.send_chunks(&client, &mut upload, content, contender)?;
                client.complete(&mut upload, content)?;
                Ok(upload)
            }
        }))?;
        let time = began.elapsed();
        let Usage { cpu, memory } = server.usage()?;
        let client = Client::new(contender, &server);
        for (upload, content) in uploads.iter().zip(&self.parts) {
            client.verify(upload, content)?;
        }
        let mut found = vec![
            (Figure::AtOnce, time.as_secs_f64()),
            (Figure::AtOnceCpu, cpu - before.cpu),
            (Figure::AtOnceMemory, memory),
        ];
        if contender == Contender::Host {
            // Downloads need less memory, so the largest instance is one that took uploads.
            let lines = server.stop()?;
            let largest = stats(&lines).max_by_key(|line| line["memory_bytes"].as_u64()).context("no instance")?;
            let requests = largest["requests_at_once"].as_f64().unwrap_or_default().max(1.0);
            let memory = largest["memory_bytes"].as_f64().unwrap_or_default() / requests;
            found.push((Figure::AtOnceWasmMemory, memory / MIB as f64));
        }
        Ok(found)
    }

    fn small_files(&self, contender: Contender) -> Result<Found> {
        let server = self.start(contender)?;
        let each = self.plan.small_files / self.plan.clients;
        let progress = progress(contender, "small files", each * self.plan.clients);
        let began = Instant::now();
        let uploads = at_once((0..self.plan.clients).map(|_| {
            let (client, progress) = (Client::new(contender, &server), &progress);
            move || {
                let upload = |_| client.send_whole(&self.small).inspect(|_| progress.inc(1));
                (0..each).map(upload).collect::<Result<Vec<_>>>()
            }
        }))?;
        let time = began.elapsed().as_secs_f64();
        progress.finish_and_clear();
        at_once(uploads.iter().map(|uploads| {
            let client = Client::new(contender, &server);
            move || uploads.iter().try_for_each(|upload| client.verify(upload, &self.small))
        }))?;
        Ok(vec![(Figure::SmallFiles, (each * self.plan.clients) as f64 / time)])
    }

    fn small_completions(&self, contender: Contender) -> Result<Found> {
        if contender.protocol() != Protocol::Chunked {
            return Ok(Vec::new());
        }
        let server = self.start(contender)?;
        let client = Client::new(contender, &server);
        Ok(vec![(Figure::SmallCompletion, self.completion_of_a_mebibyte(&client)?)])
    }

    /// The median time of a completion of 1 MiB, in milliseconds.
    fn completion_of_a_mebibyte(&self, client: &Client) -> Result<f64> {
        let times: Result<_> = (0..AROUND).map(|_| self.complete_a_mebibyte(client)).collect();
        Ok(median(times?))
    }

    fn complete_a_mebibyte(&self, client: &Client) -> Result<f64> {
        let content = &self.mebibyte;
        let mut upload = client.upload();
        client.send(&mut upload, content, 0..content.len)?;
        let began = Instant::now();
        client.complete(&mut upload, content)?;
        let time = millis(began.elapsed());
        client.verify(&upload, content)?;
        Ok(time)
    }

    fn many_chunks(&self, contender: Contender) -> Result<Found> {
        if matches!(contender.protocol(), Protocol::Bare(_)) {
            return Ok(Vec::new());
        }
        let server = self.start(contender)?;
        let content = Content::new(102, self.plan.chunks * SMALL_CHUNK);
        let (client, progress) = (Client::new(contender, &server), progress(contender, "chunks", self.plan.chunks));
        let mut upload = client.upload();
        let mut times = Vec::new();
        for number in 0..self.plan.chunks {
            let began = Instant::now();
            client.send(&mut upload, &content, number * SMALL_CHUNK..(number + 1) * SMALL_CHUNK)?;
            times.push(millis(began.elapsed()));
            progress.inc(1);
        }
        progress.finish_and_clear();
        client.complete(&mut upload, &content)?;
        client.verify(&upload, &content)?;
        let around = |place: u64| {
            let from = place.saturating_sub(AROUND / 2).max(1).min(self.plan.chunks.saturating_sub(AROUND));
            median(times.iter().skip(from as usize).take(AROUND as usize).copied().collect())
        };
        Ok(vec![
            (Figure::FirstChunk, times[0]),
            (Figure::TenthChunk, around(10)),
            (Figure::HundredthChunk, around(100)),
            (Figure::LastChunk, around(self.plan.chunks)),
        ])
    }

    fn huge(&self, contender: Contender) -> Result<Found> {
        let Some(huge) = self.plan.huge.filter(|_| contender.protocol() == Protocol::Chunked) else {
            return Ok(Vec::new());
        };
        let server = self.start(contender)?;
        let (client, content) = (Client::new(contender, &server), Content::new(103, huge));
        // A server's first completion takes longer than its later ones, whatever the size.
        self.complete_a_mebibyte(&client)?;
        let mut upload = client.upload();
        self.send_chunks(&client, &mut upload, &content, contender)?;
        let began = Instant::now();
        client.complete(&mut upload, &content)?;
        let time = began.elapsed();
        // These completions use the disk and the database of the huge file. A new server would have an empty database.
        let beside = self.completion_of_a_mebibyte(&client)?;
        client.verify(&upload, &content)?;
        Ok(vec![(Figure::HugeCompletion, millis(time)), (Figure::BesideHugeCompletion, beside)])
    }

    fn far_store(&self, contender: Contender) -> Result<Found> {
        if contender != Contender::Host || self.plan.latency.is_zero() {
            return Ok(Vec::new());
        }
        let chunk_time = |latency: Duration| -> Result<f64> {
            let latency = format!("{}us", latency.as_micros());
            let server = contender.start(&self.tools, &["--store-latency", &latency])?;
            let (client, content) = (Client::new(contender, &server), Content::new(104, AROUND * self.plan.chunk));
            let mut upload = client.upload();
            let mut times = Vec::new();
            for number in 0..AROUND {
                let began = Instant::now();
                client.send(&mut upload, &content, number * self.plan.chunk..(number + 1) * self.plan.chunk)?;
                times.push(millis(began.elapsed()));
            }
            client.complete(&mut upload, &content)?;
            client.verify(&upload, &content)?;
            Ok(median(times))
        };
        let (near, far) = (chunk_time(Duration::ZERO)?, chunk_time(self.plan.latency)?);
        let trips = (far - near) / millis(self.plan.latency);
        Ok(vec![(Figure::NearChunk, near), (Figure::FarChunk, far), (Figure::RoundTrips, trips)])
    }

    fn send_chunks(&self, client: &Client, upload: &mut Upload, content: &Content, contender: Contender) -> Result<()> {
        let progress = progress(contender, "MiB", content.len / MIB);
        let mut from = 0;
        while from < content.len {
            let to = content.len.min(from + self.plan.chunk);
            client.send(upload, content, from..to)?;
            progress.set_position(to / MIB);
            from = to;
        }
        progress.finish_and_clear();
        Ok(())
    }
}

/// Runs all tasks at once, each on its own thread.
fn at_once<T: Send, F: FnOnce() -> Result<T> + Send>(tasks: impl Iterator<Item = F>) -> Result<Vec<T>> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = tasks.map(|task| scope.spawn(task)).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a client panicked"))?).collect()
    })
}

/// The lines of JSON that the host has printed about its instances.
fn stats(lines: &[String]) -> impl Iterator<Item = Value> {
    lines.iter().filter_map(|line| serde_json::from_str(line).ok())
}

fn progress(contender: Contender, what: &str, length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:40} {bar:30} {pos}/{len}").unwrap_or(ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style).with_message(format!("{}, {what}", contender.name()))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
