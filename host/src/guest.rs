//! The host's state for the instances of a component.

use std::sync::Arc;

use wasmtime::component::{HasData, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

use crate::component_log::ComponentLog;
use crate::instance_stats::InstanceStats;
use crate::key_value::{Store, Stores};
use crate::outbound::{IoResult, Outbound, Sent};
use crate::variables::Variables;

/// What all instances of a component share.
pub struct Shared {
    /// The key-value stores that the component may open.
    pub stores: Stores,
    /// The component's variables.
    pub variables: Variables,
    /// Sends the component's requests to other servers and components.
    pub outbound: Outbound,
    /// Where the component's output goes.
    pub stdout: ComponentLog,
    /// Where its error output goes.
    pub stderr: ComponentLog,
    /// Whether to print the resources that each instance has used.
    pub stats: bool,
}

impl Shared {
    /// The key-value store with this label, if the component may open it.
    pub fn open_store(&self, label: &str) -> Option<Store> {
        self.stores.get(label).cloned()
    }
}

/// The host's state for one instance.
pub struct GuestState {
    /// What all instances of its component share.
    pub shared: Arc<Shared>,
    /// The instance's resources.
    pub table: ResourceTable,
    /// The resources that the instance has used so far.
    pub stats: InstanceStats,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
}

/// wasmtime's defaults, except for requests that the component sends.
struct Hooks(Arc<Shared>);

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: IoResult,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let shared = self.0.clone();
        Box::new(async move { shared.outbound.send(request, options).await })
    }
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for GuestState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

impl GuestState {
    /// The state of a new instance.
    pub fn new(shared: Arc<Shared>) -> Self {
        let wasi = WasiCtx::builder().stdout(shared.stdout.clone()).stderr(shared.stderr.clone()).build();
        let hooks = Hooks(shared.clone());
        Self {
            shared,
            table: ResourceTable::new(),
            stats: InstanceStats::default(),
            wasi,
            http: WasiHttpCtx::new(),
            hooks,
        }
    }
}

/// The interfaces of both kinds of component use the whole state of the instance.
pub struct Interfaces;

impl HasData for Interfaces {
    type Data<'a> = &'a mut GuestState;
}
