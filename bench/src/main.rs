//! Measures the same uploads to this service and to the servers that people run today.
//!
//! All contenders have the same machine, the same files and the same client, and they take turns in each repetition.
//! The content of each upload is verified, except for the two limits: only the number of their bytes is checked.

mod client;
mod contender;
mod content;
mod figure;
mod machine;
mod measure;
mod report;
mod server;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;

use contender::{Contender, Tools};
use measure::{Bench, MEASUREMENTS, Plan};
use report::Report;

/// Measure this service beside its peers
#[derive(Parser)]
struct Options {
    /// A run of two or three minutes, with less of everything
    #[arg(long)]
    quick: bool,

    /// Repetitions of each measurement [default: 5; quick: 3]
    #[arg(long)]
    repetitions: Option<usize>,

    /// MiB of the large file [default: 1024; quick: 256]
    #[arg(long)]
    size: Option<u64>,

    /// MiB of a chunk
    #[arg(long, default_value_t = 8)]
    chunk: u64,

    /// Clients at once
    #[arg(long, default_value_t = 8)]
    clients: u64,

    /// Files of 10 kB [default: 20000; quick: 1000]
    #[arg(long)]
    small_files: Option<u64>,

    /// Chunks of 10 kB of one upload [default: 10000; quick: 500]
    #[arg(long)]
    chunks: Option<u64>,

    /// Also complete a file of this many GiB
    #[arg(long, value_name = "GIB")]
    huge: Option<u64>,

    /// Latency of the store in the measurement of a far store, in milliseconds
    #[arg(long, default_value_t = 20)]
    latency: u64,

    /// Only these contenders, by their names in the table
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,

    /// Only the measurements whose names contain one of these words
    #[arg(long, value_delimiter = ',')]
    measure: Vec<String>,

    /// Write all samples to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let contenders = contenders(&options.only)?;
    let tools = Tools::new()?;
    for contender in &contenders {
        eprintln!("{} …", contender.name());
        contender.install(&tools).with_context(|| format!("cannot install {}", contender.name()))?;
    }
    let bench = Bench::new(plan(&options)?, tools);
    let mut report = Report::default();
    for repetition in 1..=options.repetitions.unwrap_or(if options.quick { 3 } else { 5 }) {
        for (name, measure) in MEASUREMENTS {
            if !options.measure.is_empty() && !options.measure.iter().any(|word| name.contains(word)) {
                continue;
            }
            eprintln!("repetition {repetition}: {name}");
            for contender in &contenders {
                let found = measure(&bench, *contender).with_context(|| format!("{name}, {}", contender.name()))?;
                report.add(*contender, found);
            }
        }
    }
    println!("{}\n", machine::describe()?);
    println!("{}\n", contenders.iter().map(|one| one.version()).collect::<Vec<_>>().join("; "));
    println!("{}\n", report.table(&contenders, &bench.plan));
    for (goal, is_met) in report.goals() {
        println!("{} {goal}", if is_met { "met:    " } else { "NOT MET:" });
    }
    if let Some(path) = options.json {
        let mut json = report.to_json(&bench.plan);
        json["machine"] = machine::describe()?.into();
        json["contenders"] = contenders.iter().map(|one| one.version()).collect();
        let json = serde_json::to_string_pretty(&json)?;
        std::fs::write(&path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn contenders(only: &[String]) -> Result<Vec<Contender>> {
    if let Some(unknown) = only.iter().find(|name| !Contender::ALL.iter().any(|one| one.name() == *name)) {
        let names = Contender::ALL.map(Contender::name).join(", ");
        bail!("there is no contender {unknown:?}; there are {names}");
    }
    let wanted = |one: &Contender| only.is_empty() || only.iter().any(|name| one.name() == name);
    Ok(Contender::ALL.into_iter().filter(wanted).filter(|one| one.is_here()).collect())
}

fn plan(options: &Options) -> Result<Plan> {
    let less = |quick: u64, full: u64| if options.quick { quick } else { full };
    let plan = Plan {
        size: options.size.unwrap_or(less(256, 1024)) << 20,
        chunk: options.chunk << 20,
        clients: options.clients,
        small_files: options.small_files.unwrap_or(less(1_000, 20_000)),
        chunks: options.chunks.unwrap_or(less(500, 10_000)),
        huge: options.huge.map(|gibibytes| gibibytes << 30),
        latency: Duration::from_millis(options.latency),
    };
    ensure!(plan.chunk > 0 && plan.clients > 0, "a chunk has at least a mebibyte, and there is at least one client");
    ensure!(plan.size >= plan.clients << 20, "the file is too small for so many clients");
    ensure!(plan.chunks > 100, "the 100th chunk is measured too");
    Ok(plan)
}
