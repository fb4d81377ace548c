//! A sleep without time: it ends at its second poll.

use std::task::Poll;

use futures::FutureExt;
use futures::future::{LocalBoxFuture, poll_fn};

/// Sleeps until it is polled again.
pub fn until_next_poll() -> LocalBoxFuture<'static, ()> {
    let mut has_slept = false;
    poll_fn(move |context| {
        context.waker().wake_by_ref();
        if std::mem::replace(&mut has_slept, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .boxed_local()
}
