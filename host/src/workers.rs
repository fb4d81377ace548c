//! The threads that serve, each with a runtime and instances of its own.
//!
//! A connection and the instance that answers its request take turns on one thread: on two, each would wait for the
//! other to get a processor, at every piece of a body. Connections are spread over the threads as they come; a request
//! leaves its connection's thread only where another one has less to do.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::runtime::Component;

/// A thread, and what it has to do.
pub struct Worker {
    pub runtime: Handle,
    pub component: Component,
    connections: Load,
    requests: Load,
}

/// Counts what is under way: as much as there are clones.
#[derive(Default)]
struct Load(Arc<()>);

/// Something under way; it counts until it is dropped.
pub struct Underway(#[expect(dead_code, reason = "it is there to be dropped")] Arc<()>);

impl Load {
    fn now(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }

    fn one_more(&self) -> Underway {
        Underway(self.0.clone())
    }
}

impl Worker {
    /// The thread of this runtime, which has no other, with this copy of the component.
    pub fn new(runtime: Handle, component: Component) -> Self {
        Self { runtime, component, connections: Load::default(), requests: Load::default() }
    }
}

/// All the threads.
pub struct Workers(Vec<Arc<Worker>>);

impl Workers {
    /// These threads.
    pub fn new(workers: impl IntoIterator<Item = Worker>) -> Self {
        Self(workers.into_iter().map(Arc::new).collect())
    }

    /// The thread for a new connection.
    pub fn for_connection(&self) -> Option<(Arc<Worker>, Underway)> {
        let worker = self.0.iter().min_by_key(|worker| worker.connections.now())?;
        Some((worker.clone(), worker.connections.one_more()))
    }

    /// The thread for a request that came to `own`.
    pub fn for_request(&self, own: &Arc<Worker>) -> (Arc<Worker>, Underway) {
        let least = self.0.iter().min_by_key(|worker| (worker.requests.now(), !Arc::ptr_eq(worker, own)));
        let worker = least.unwrap_or(own);
        (worker.clone(), worker.requests.one_more())
    }
}
