//! Waiting for a time to pass, on the SDK's executor.

use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use spin_executor::{CancelOnDropToken, push_waker_and_get_token};
use wasi::clocks::monotonic_clock::subscribe_duration;

/// Returns after this time.
pub(super) async fn sleep(duration: Duration) {
    let began = Instant::now();
    // Each poll registers the timer anew, and takes back the registration of the poll before.
    let mut registered = None;
    poll_fn(move |context| {
        let left = duration.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Poll::Ready(());
        }
        let timer = subscribe_duration(u64::try_from(left.as_nanos()).unwrap_or(u64::MAX));
        let token = push_waker_and_get_token(timer, context.waker().clone());
        registered.replace(CancelOnDropToken::from(token));
        Poll::Pending
    })
    .await;
}
