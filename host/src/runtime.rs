//! The component in wasmtime: compiled once (and cached), instantiated as Spin does it, several requests to an
//! instance.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::time::Sleep;
use wasmtime::component::{GuestTaskId, Linker};
use wasmtime::{Cache, Config, Engine, PoolingAllocationConfig, Store, StoreContextMut};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, Proxy, ProxyHandler, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::p3::bindings::{Service, ServicePre};

use crate::component_log::ComponentLog;
use crate::guest::{Application, GuestState};
use crate::interfaces;
use crate::key_value::Database;
use crate::manifest::Manifest;
use crate::variables::Variables;

/// Spin's instance reuse: so many requests at once, so many in all, then a new instance; idle ones go after a second.
const CONCURRENT_REQUESTS: usize = 16;
const REQUESTS_IN_ALL: usize = 128;
const IDLE_TIME: Duration = Duration::from_secs(1);
/// The memory that Akamai Functions gives an instance.
const MEMORY_LIMIT: usize = 128 << 20;

/// Whether all requests are done, and what ends from now on ends with the program.
pub static STOPPED: AtomicBool = AtomicBool::new(false);

/// The component, ready to handle requests.
pub type Component = ProxyHandler<Loaded>;

/// What instances are made from.
pub struct Loaded {
    service: ServicePre<GuestState>,
    application: Arc<Application>,
}

/// Loads the manifest's component, with its state in `state_dir`.
pub fn load(manifest: &Manifest, variables: Variables, state_dir: &Path) -> Result<Component> {
    let engine = engine().context("cannot start wasmtime")?;
    let source = manifest.source();
    let component = wasmtime::component::Component::from_file(&engine, &source)
        .map_err(anyhow::Error::from)
        .with_context(|| format!("cannot load {} (is it built?)", source.display()))?;
    let service = link(&engine, &component).context("cannot link the component")?;
    let application = Application {
        database: Database::open(state_dir)?,
        key_value_stores: manifest.component.key_value_stores.clone(),
        variables,
        stdout: ComponentLog::open(state_dir, &manifest.component_id, "stdout")?,
        stderr: ComponentLog::open(state_dir, &manifest.component_id, "stderr")?,
    };
    Ok(ProxyHandler::new(Loaded { service, application: Arc::new(application) }))
}

fn engine() -> Result<Engine> {
    let mut config = Config::new();
    let mut pool = PoolingAllocationConfig::new();
    pool.max_memory_size(MEMORY_LIMIT);
    config
        .wasm_component_model_async(true)
        .allocation_strategy(pool)
        // Without a cache folder, the component is compiled at each start.
        .cache(Cache::from_file(None).ok());
    Ok(Engine::new(&config)?)
}

fn link(engine: &Engine, component: &wasmtime::component::Component) -> Result<ServicePre<GuestState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    interfaces::add_to_linker(&mut linker)?;
    Ok(ServicePre::new(linker.instantiate_pre(component)?)?)
}

impl HandlerState for Loaded {
    type StoreData = GuestState;
    type WorkerExpiration = IdleExpiration;
    type WorkerState = Reuse;

    async fn instantiate(&self) -> wasmtime::Result<Instance<GuestState, IdleExpiration, Reuse>> {
        let mut store = Store::new(self.service.engine(), GuestState::new(self.application.clone()));
        let service: Service = self.service.instantiate_async(&mut store).await?;
        Ok(Instance {
            store,
            proxy: Proxy::P3(service),
            view: GuestState::http,
            expiration: IdleExpiration(Box::pin(tokio::time::sleep(IDLE_TIME))),
            state: Reuse,
        })
    }
}

/// Ends an instance that has been idle; a request may take as long as it needs.
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

/// How an instance takes requests.
pub struct Reuse;

impl WorkerState for Reuse {
    type StoreData = GuestState;
    type RequestData = ();

    fn should_accept_request(&self, concurrent_count: usize, total_count: usize) -> ShouldAccept {
        if total_count >= REQUESTS_IN_ALL {
            ShouldAccept::Never
        } else if concurrent_count >= CONCURRENT_REQUESTS {
            ShouldAccept::No
        } else {
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
        // The end of the program ends idle instances too, which wasmtime can't tell from a failure.
        if let Err(error) = result
            && !STOPPED.load(Ordering::Relaxed)
        {
            eprintln!("an instance of the component failed: {error:?}");
        }
        drop(store);
    }
}
