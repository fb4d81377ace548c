//! Components in wasmtime. They are compiled once, and the result is cached.
//!
//! Instances are made as Spin makes them. An instance of a WASI 0.3 component handles several requests, and an instance
//! of a WASI 0.2 component handles one.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::time::Sleep;
use wasmtime::component::{GuestTaskId, Linker};
use wasmtime::{Cache, Config, Engine, PoolingAllocationConfig, Store, StoreContextMut};
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, ProxyHandler, ProxyPre, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::p3::bindings::ServicePre;
use wasmtime_wasi_http::{WasiHttpView, p2};

use crate::component_log::ComponentLog;
use crate::guest::{GuestState, Shared};
use crate::interfaces;
use crate::key_value::Stores;
use crate::manifest::Manifest;
use crate::outbound::{CallComponent, Outbound};
use crate::variables::Resolver;

/// Spin's instance reuse. An instance handles this many requests at once, and this many in all; then a new instance
/// takes over. An idle instance ends after this time.
const CONCURRENT_REQUESTS: usize = 16;
const REQUESTS_IN_ALL: usize = 128;
const IDLE_TIME: Duration = Duration::from_secs(1);
/// How many core modules the pool expects of a component: its own and the adapters around it.
const CORE_INSTANCES: u32 = 5;
/// What a component's memory is measured in, and the most that one can have.
const PAGE: usize = 64 << 10;
const MAX_MEMORY: usize = 4 << 30;

/// The component, ready to handle requests.
pub type Component = ProxyHandler<Loaded>;

/// A loaded component, which instances are made from.
#[derive(Clone)]
pub struct Loaded {
    proxy: Arc<ProxyPre<GuestState>>,
    shared: Arc<Shared>,
    stopped: Stopped,
}

/// Whether all requests are done. An instance that ends after that ends because the program ends.
pub type Stopped = Arc<AtomicBool>;

/// The options for loading components.
pub struct Options<'a> {
    /// The state folder. The components' logs are in it.
    pub state_dir: &'a Path,
    /// The application's key-value stores.
    pub stores: &'a Stores,
    /// How many requests there may be at once.
    pub concurrent_requests: u32,
    /// How many bytes of memory an instance may have.
    pub instance_memory: usize,
    /// Whether to print the resources that each instance has used.
    pub stats: bool,
    /// Set by the server when all requests are done.
    pub stopped: Stopped,
}

/// Reads an amount of memory: bytes, or a number of `KiB`, `MiB` or `GiB`.
///
/// # Errors
/// If the text is no amount, or more than a component can have.
pub fn parse_memory(text: &str) -> Result<usize, String> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("", 1)];
    let read = units.into_iter().find_map(|(unit, bytes)| {
        let number: usize = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        number.checked_mul(bytes)
    });
    match read {
        Some(bytes) if (PAGE..=MAX_MEMORY).contains(&bytes) => Ok(bytes / PAGE * PAGE),
        _ => Err("expected bytes, or such as 64MiB; from 64KiB to 4GiB".to_owned()),
    }
}

/// The application's components by name, once all are loaded.
type Components = Arc<OnceLock<BTreeMap<String, Component>>>;

/// Loads the manifest's components, and returns the public one.
pub fn load(manifest: &Manifest, variables: &Resolver<'_>, options: &Options<'_>) -> Result<Component> {
    let engine = engine(options).context("cannot start wasmtime")?;
    let all = Components::default();
    let mut components = BTreeMap::new();
    for (id, entry) in &manifest.components {
        let hosts =
            entry.allowed_outbound_hosts.iter().map(|host| variables.expand(host)).collect::<Result<Vec<_>>>()?;
        let shared = Shared {
            stores: options.stores.allowed(id, &entry.key_value_stores)?,
            variables: variables.component_variables(entry)?,
            outbound: Outbound::new(&hosts, call_component(all.clone()))?,
            stdout: ComponentLog::open(options.state_dir, id, "stdout")?,
            stderr: ComponentLog::open(options.state_dir, id, "stderr")?,
            stats: options.stats,
        };
        let proxy = Arc::new(load_one(&engine, &manifest.source(entry))?);
        let loaded = Loaded { proxy, shared: Arc::new(shared), stopped: options.stopped.clone() };
        components.insert(id.clone(), ProxyHandler::new(loaded));
    }
    let components = all.get_or_init(|| components);
    components.get(&manifest.public).cloned().context("the manifest's public component is not loaded")
}

fn call_component(components: Components) -> CallComponent {
    Arc::new(move |name, request| {
        let component = components.get()?.get(name)?.clone();
        Some(Box::pin(async move { component.handle((), request).await }))
    })
}

/// The same component with separate instances.
pub fn another(component: &Component) -> Component {
    ProxyHandler::new(component.state().clone())
}

fn load_one(engine: &Engine, source: &Path) -> Result<ProxyPre<GuestState>> {
    let component = wasmtime::component::Component::from_file(engine, source)
        .map_err(anyhow::Error::from)
        .with_context(|| format!("cannot load {} (is it built?)", source.display()))?;
    link(engine, &component).with_context(|| format!("cannot link {}", source.display()))
}

fn engine(options: &Options<'_>) -> Result<Engine> {
    let mut config = Config::new();
    let mut pool = PoolingAllocationConfig::new();
    pool.max_memory_size(options.instance_memory);
    // Enough for all requests that are admitted. Each one may have its own instance (WASI 0.2), and may call another
    // component.
    let instances = 2 * options.concurrent_requests;
    pool.total_component_instances(instances).total_memories(instances);
    // A component that takes back a call, such as a timer's, waits on a stack of its own for a moment.
    pool.total_stacks(2 * instances);
    pool.total_core_instances(CORE_INSTANCES * instances).total_tables(CORE_INSTANCES * instances);
    config
        .wasm_component_model_async(true)
        .allocation_strategy(pool)
        // Without a cache folder, the component is compiled at each start.
        .cache(Cache::from_file(None).ok());
    Ok(Engine::new(&config)?)
}

fn link(engine: &Engine, component: &wasmtime::component::Component) -> Result<ProxyPre<GuestState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    interfaces::add_to_linker(&mut linker)?;
    let instance = linker.instantiate_pre(component)?;
    Ok(match ServicePre::new(instance.clone()) {
        Ok(service) => ProxyPre::P3(service),
        Err(_) => ProxyPre::P2(p2::bindings::ProxyPre::new(instance)?),
    })
}

impl HandlerState for Loaded {
    type StoreData = GuestState;
    type WorkerExpiration = IdleExpiration;
    type WorkerState = Reuse;

    async fn instantiate(&self) -> wasmtime::Result<Instance<GuestState, IdleExpiration, Reuse>> {
        let (engine, requests) = match &*self.proxy {
            ProxyPre::P2(proxy) => (proxy.engine(), 1),
            ProxyPre::P3(service) => (service.engine(), REQUESTS_IN_ALL),
        };
        let mut store = Store::new(engine, GuestState::new(self.shared.clone()));
        store.limiter(|state| &mut state.stats);
        let began = Instant::now();
        let proxy = self.proxy.instantiate_async(&mut store).await?;
        store.data_mut().stats.made_in(began.elapsed());
        Ok(Instance {
            store,
            proxy,
            view: GuestState::http,
            expiration: IdleExpiration(Box::pin(tokio::time::sleep(IDLE_TIME))),
            state: Reuse { requests, at_once: AtomicUsize::new(0), stopped: self.stopped.clone() },
        })
    }
}

/// Ends an instance that has been idle. A request may take as long as it needs.
pub struct IdleExpiration(Pin<Box<Sleep>>);

impl WorkerExpiration for IdleExpiration {
    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>, status: WorkerStatus, since: Instant) -> Poll<()> {
        if status != WorkerStatus::Idle {
            return Poll::Pending;
        }
        let deadline = (since + IDLE_TIME).into();
        if self.0.deadline() != deadline {
            self.0.as_mut().reset(deadline);
        }
        self.0.as_mut().poll(context)
    }
}

/// Limits the requests of an instance.
pub struct Reuse {
    requests: usize,
    /// The largest number of requests at once so far.
    at_once: AtomicUsize,
    stopped: Stopped,
}

impl WorkerState for Reuse {
    type StoreData = GuestState;
    type RequestData = ();

    fn should_accept_request(&self, concurrent_count: usize, total_count: usize) -> ShouldAccept {
        if total_count >= self.requests {
            ShouldAccept::Never
        } else if concurrent_count >= CONCURRENT_REQUESTS {
            ShouldAccept::No
        } else {
            self.at_once.fetch_max(concurrent_count + 1, Ordering::Relaxed);
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        _: StoreContextMut<'_, GuestState>,
        (): (),
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        Box::pin(std::future::pending())
    }

    fn drop(&self, store: Store<GuestState>, result: wasmtime::Result<()>) {
        // The end of the program ends idle instances, too. wasmtime can't distinguish this from a failure.
        if let Err(error) = result
            && !self.stopped.load(Ordering::Relaxed)
        {
            eprintln!("an instance of the component failed: {error:?}");
        }
        let state = store.data();
        if state.shared.stats {
            state.stats.print(self.at_once.load(Ordering::Relaxed));
        }
        drop(store);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_has_units() {
        assert_eq!(parse_memory("134217728"), Ok(128 << 20));
        assert_eq!(parse_memory("64MiB"), Ok(64 << 20));
        assert_eq!(parse_memory("1 GiB"), Ok(1 << 30));
        assert_eq!(parse_memory("100000"), Ok(PAGE), "whole pages");
        for text in ["", "MiB", "64", "64MB", "-1", "5GiB", "99999999999999999999GiB", "18446744073709551615KiB"] {
            assert!(parse_memory(text).is_err(), "{text}");
        }
    }
}
