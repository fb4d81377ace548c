//! Runs the uploads on a simulated store under a seeded scheduler, and checks the storage contract.
//!
//! Each seed is one history. Some clients race on a few uploads. The stores answer in any order, fail, apply writes
//! after they have reported their failure or success, and return stale values. Processes are lost. Records and contents
//! are in one store or in two, and other applications and programs use the same stores. After each round, the simulation
//! checks everything that was acknowledged. `--bug` breaks one thing that the contract depends on, and a useful checker
//! must find it.

mod application;
mod bug;
mod check;
mod client;
mod clock;
mod history;
mod neighbour;
mod scheduler;
mod store;

use std::process::ExitCode;

use clap::Parser;

use bug::Bug;

/// Simulate the uploads on a store with faults, and check the storage contract
#[derive(Parser)]
struct Options {
    /// How many histories to run
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,

    /// The first history's seed
    #[arg(long, default_value_t = 1)]
    from: u64,

    /// Run this history alone, and show it step by step
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,

    /// Break one thing that the contract depends on
    #[arg(long, value_enum)]
    bug: Option<Bug>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let (seeds, shown) = match options.seed {
        Some(seed) => (seed..seed + 1, true),
        None => (options.from..options.from + options.seeds, false),
    };
    let mut totals = history::Totals::default();
    for seed in seeds.clone() {
        match history::run(seed, options.bug, shown) {
            Ok(run) => totals.add(&run),
            Err(broken) => {
                eprintln!("seed {seed}: {broken}");
                let bug = options.bug.map(|bug| format!(" --bug {}", bug.name())).unwrap_or_default();
                eprintln!("replay it: cargo run --release -p simulation -- --seed {seed}{bug}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{} histories from seed {} on, the contract held: {totals}", seeds.end - seeds.start, seeds.start);
    ExitCode::SUCCESS
}
