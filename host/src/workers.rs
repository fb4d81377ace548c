//! The threads that serve. Each one has its own runtime and its own instances.
//!
//! A connection and the instance that handles its request take turns on one thread. On two threads, each would wait at
//! every frame of a body until the other gets a processor. New connections are spread over the threads. A request
//! leaves the thread of its connection only if another thread has less to do.

use std::sync::Arc;

use tokio::runtime::Handle;

/// A thread and its load.
pub struct Worker<C> {
    pub runtime: Handle,
    pub component: C,
    connections: Load,
    requests: Load,
}

/// Counts connections or requests in progress: one for each clone.
#[derive(Default)]
struct Load(Arc<()>);

/// A connection or a request in progress. It counts until it is dropped.
pub struct Underway(#[expect(dead_code, reason = "it is there to be dropped")] Arc<()>);

impl Load {
    fn now(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }

    fn one_more(&self) -> Underway {
        Underway(self.0.clone())
    }
}

impl<C> Worker<C> {
    /// The only thread of this runtime, with this copy of the component.
    pub fn new(runtime: Handle, component: C) -> Self {
        Self { runtime, component, connections: Load::default(), requests: Load::default() }
    }
}

/// All the threads.
pub struct Workers<C>(Vec<Arc<Worker<C>>>);

impl<C> Workers<C> {
    /// Takes these threads.
    pub fn new(workers: impl IntoIterator<Item = Worker<C>>) -> Self {
        Self(workers.into_iter().map(Arc::new).collect())
    }

    /// The thread for a new connection.
    pub fn for_connection(&self) -> Option<(Arc<Worker<C>>, Underway)> {
        let worker = self.0.iter().min_by_key(|worker| worker.connections.now())?;
        Some((worker.clone(), worker.connections.one_more()))
    }

    /// The thread for a request that came to `own`.
    pub fn for_request(&self, own: &Arc<Worker<C>>) -> (Arc<Worker<C>>, Underway) {
        let least = self.0.iter().min_by_key(|worker| (worker.requests.now(), !Arc::ptr_eq(worker, own)));
        let worker = least.unwrap_or(own);
        (worker.clone(), worker.requests.one_more())
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn two_threads(runtime: &Runtime) -> Workers<()> {
        Workers::new([(); 2].map(|()| Worker::new(runtime.handle().clone(), ())))
    }

    #[test]
    fn a_request_leaves_its_connections_thread_only_for_one_with_less_to_do() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let workers = two_threads(&runtime);
        let (own, _connection) = workers.for_connection().unwrap();
        let goes_to_own = |(worker, _): &(Arc<Worker<()>>, Underway)| Arc::ptr_eq(worker, &own);

        let first = workers.for_request(&own);
        let second = workers.for_request(&own);
        let third = workers.for_request(&own);
        assert_eq!([&first, &second, &third].map(goes_to_own), [true, false, true]);
        drop(second);
        assert!(!goes_to_own(&workers.for_request(&own)));
        drop((first, third));
        assert!(goes_to_own(&workers.for_request(&own)));
    }

    #[test]
    fn connections_are_spread_over_the_threads() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let workers = two_threads(&runtime);
        let (first, underway) = workers.for_connection().unwrap();
        let (second, _underway) = workers.for_connection().unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
        drop(underway);
        assert!(Arc::ptr_eq(&first, &workers.for_connection().unwrap().0));
    }
}
