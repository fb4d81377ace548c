//! What the host holds for the component's instances.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

use crate::component_log::ComponentLog;
use crate::key_value::Database;
use crate::variables::Variables;

/// What all instances share.
pub struct Application {
    /// The keys and values of all stores.
    pub database: Database,
    /// The labels that the component may open.
    pub key_value_stores: Vec<String>,
    /// The component's variables.
    pub variables: Variables,
    /// Where the component's output goes.
    pub stdout: ComponentLog,
    /// Where its error output goes.
    pub stderr: ComponentLog,
}

/// What the host holds for one instance.
pub struct GuestState {
    /// What all instances share.
    pub application: Arc<Application>,
    /// The instance's resources.
    pub table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
}

/// wasmtime's defaults, and no outbound requests: the manifest allows the component none.
struct Hooks;

type IoResult = Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>;

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        _: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: IoResult,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, IoResult), wasmtime_wasi_http::Error>> + Send> {
        Box::new(std::future::ready(Err(wasmtime_wasi_http::Error::HttpRequestDenied)))
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
    pub fn new(application: Arc<Application>) -> Self {
        let wasi = WasiCtx::builder().stdout(application.stdout.clone()).stderr(application.stderr.clone()).build();
        Self { application, table: ResourceTable::new(), wasi, http: WasiHttpCtx::new(), hooks: Hooks }
    }
}
