//! Reads and drops the rest of a refused request's body.
//!
//! A server that closes a connection with unread bytes resets the connection, and the client never sees the answer (RFC
//! 9112, 9.6). A refusal comes before the body has been read. So the service goes on reading for a while, and drops
//! what it reads.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures::stream::{self, StreamExt};

use super::RequestBody;

/// How long the service reads the rest of a refused body.
pub(crate) const LINGER_TIME: Duration = Duration::from_secs(10);
/// How many bytes of a refused body's rest the service reads.
const LINGER_BYTES: u64 = 32 << 20;

/// The request's body for its reader, and a handle to what is left of the body when the reader has dropped it.
pub(crate) fn keep_rest(body: RequestBody) -> (RequestBody, Rest) {
    let rest = Rest(Rc::new(RefCell::new(Some(body))));
    let kept = rest.0.clone();
    let body = stream::poll_fn(move |context| {
        let mut kept = kept.borrow_mut();
        let Some(body) = kept.as_mut() else {
            return Poll::Ready(None);
        };
        let frame = body.poll_next_unpin(context);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            *kept = None;
        }
        frame
    });
    (body.boxed_local(), rest)
}

/// What is left of a request's body.
pub(crate) struct Rest(Rc<RefCell<Option<RequestBody>>>);

impl Rest {
    /// Reads past the rest, up to a bound. The caller ends it after [`LINGER_TIME`], for a client that sends no more.
    pub(crate) async fn read_past(self) {
        let Some(mut body) = self.0.take() else {
            return;
        };
        let mut left = LINGER_BYTES;
        while let Some(Ok(frame)) = body.next().await {
            left = left.saturating_sub(frame.len() as u64);
            if left == 0 {
                return;
            }
        }
    }
}
