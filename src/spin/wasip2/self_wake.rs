//! Futures that wake themselves.
//!
//! The SDK's executor waits for what the host has to say whenever a future is pending, and panics where there is nothing
//! to wait for. A future that only wants another turn is given it here.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

struct Woken {
    woken: AtomicBool,
    outer: Waker,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Relaxed);
        self.outer.wake_by_ref();
    }
}

/// Runs a future, polling it again at once wherever it has woken itself.
pub(super) async fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    poll_fn(|context| {
        loop {
            let woken = Arc::new(Woken { woken: AtomicBool::new(false), outer: context.waker().clone() });
            let polled = future.as_mut().poll(&mut Context::from_waker(&Waker::from(woken.clone())));
            if polled.is_ready() || !woken.woken.load(Ordering::Relaxed) {
                return polled;
            }
        }
    })
    .await
}
