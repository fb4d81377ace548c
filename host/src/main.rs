//! Serves the application of a `spin.toml` without the Spin CLI.
//!
//! It builds each component with the manifest's own command, and runs it in wasmtime with Spin's interfaces. It keeps
//! keys in the same SQLite file and table as Spin, so that both can serve the same folder.
//!
//! It supports the parts of Spin that this project needs: HTTP components of WASI 0.3 and 0.2, one of them public and
//! under one route, key-value stores, variables and outbound requests. It is no alternative to Spin. Where the two
//! differ, this program is wrong.

mod build;
mod component_log;
mod guest;
mod instance_stats;
mod interfaces;
mod key_value;
mod manifest;
mod outbound;
mod page_cache;
mod refusal;
mod route;
mod runtime;
mod runtime_config;
mod server;
mod spin_headers;
mod variables;
mod workers;

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use tokio::runtime::{Builder, Runtime};

use manifest::Manifest;
use runtime::Stopped;
use runtime_config::RuntimeConfig;
use variables::Resolver;
use workers::{Worker, Workers};

const NO_RUNTIME: &str = "cannot start the asynchronous runtime";

/// Build and serve the application in spin.toml
#[derive(Parser)]
#[command(name = "host", version)]
struct Options {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:3000", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,

    /// The application's manifest
    #[arg(short, long, default_value = "spin.toml", value_name = "FILE")]
    from: PathBuf,

    /// Folder of the key-value store and the logs [default: .spin beside the manifest]
    #[arg(long, value_name = "FOLDER")]
    state_dir: Option<PathBuf>,

    /// Spin's runtime configuration, for key-value stores: [key_value_store.LABEL] tables of type "spin" or "redis"
    #[arg(long, value_name = "FILE")]
    runtime_config_file: Option<PathBuf>,

    /// Set an application variable (also: SPIN_VARIABLE_NAME=value in the environment)
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = variables::parse_assignment)]
    variables: Vec<(String, String)>,

    /// Delay each request to the key-value store by this time, as a store far away does
    #[arg(long, default_value = "0ms", value_name = "DURATION", value_parser = humantime::parse_duration)]
    store_latency: Duration,

    /// Requests that are handled at once; further requests wait, and their bodies are not read
    #[arg(long, default_value = "512", value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=4096))]
    concurrent_requests: u32,

    /// Memory that an instance of a component may have, in bytes or with a unit such as 64MiB
    #[arg(long, default_value = "128MiB", value_name = "SIZE", value_parser = runtime::parse_memory)]
    instance_memory: usize,

    /// How long requests in flight may go on after Ctrl-C or SIGTERM
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    stop_timeout: Duration,

    /// Print a line of JSON when an instance of a component ends: its instantiation time, memory and requests at once
    #[arg(long)]
    stats: bool,

    /// Serve the last build, without building
    #[arg(long, conflicts_with = "build_only")]
    no_build: bool,

    /// Build the components and stop
    #[arg(long)]
    build_only: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let manifest = Manifest::read(&options.from)?;
    if options.build_only {
        return build::build(&manifest);
    }
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let accepting = Builder::new_current_thread().enable_all().build().context(NO_RUNTIME)?;
    let one_thread = || Builder::new_multi_thread().worker_threads(1).enable_all().build().context(NO_RUNTIME);
    let serving = (0..threads).map(|_| one_thread()).collect::<Result<Vec<_>>>()?;
    // The host listens first, so that it reports a port in use before it builds.
    let listener = accepting.block_on(server::listen(options.listen))?;
    if !options.no_build {
        build::build(&manifest)?;
    }
    let resolver = Resolver::new(&manifest, &options.variables)?;
    let state_dir = options.state_dir.clone().unwrap_or_else(|| manifest.folder().join(".spin"));
    create_folder(&state_dir)?;
    let config =
        options.runtime_config_file.as_deref().map_or_else(|| Ok(RuntimeConfig::default()), RuntimeConfig::read)?;
    let stores = config.open_stores(&state_dir, options.store_latency)?;
    let stopped = Stopped::default();
    let component = runtime::load(
        &manifest,
        &resolver,
        &runtime::Options {
            state_dir: &state_dir,
            stores: &stores,
            concurrent_requests: options.concurrent_requests,
            instance_memory: options.instance_memory,
            stats: options.stats,
            stopped: stopped.clone(),
        },
    )?;
    let worker = |runtime: &Runtime| Worker::new(runtime.handle().clone(), runtime::another(&component));
    let workers = Workers::new(serving.iter().map(worker));
    let serving = server::Options {
        route: manifest.route,
        concurrent_requests: options.concurrent_requests,
        stop_timeout: options.stop_timeout,
        stopped,
    };
    accepting.block_on(server::serve(listener, workers, serving))
}

fn create_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create the folder {}", folder.display()))
}
