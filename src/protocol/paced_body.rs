//! A body in steps, for a parser that takes all it can get.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::stream::{Stream, StreamExt};

use super::body::BodyError;
use super::checked_body::CheckedBody;

/// A body that hands out at most [`Paced::LIMIT`] bytes before whoever reads it has had a turn, and its end not before
/// whoever reads it has had a turn with the last of the bytes.
///
/// multer takes all that it can get before it parses any of it: this bounds what that comes to. And where the first
/// bytes come together with the end, right after multer has found nothing to read, it takes the body for empty.
///
/// What stands between the parts' contents it keeps until there is an end to it, which may never come: whoever reads the
/// parts says by [`Progress`] when something came of the bytes, and the body fails where nothing does.
pub(super) struct Paced {
    body: CheckedBody,
    handed_out: usize,
    ended: bool,
    progress: Progress,
}

/// Counts the bytes handed out since something came of them.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<AtomicUsize>);

impl Progress {
    /// Says that something came of the bytes so far.
    pub(super) fn made(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl Paced {
    const LIMIT: usize = 256 * 1024;
    /// What may be handed out without anything coming of it: some turns' worth.
    const FRUITLESS: usize = 4 * Self::LIMIT;

    pub(super) fn new(body: CheckedBody) -> (Self, Progress) {
        let progress = Progress::default();
        (Self { body, handed_out: 0, ended: false, progress: progress.clone() }, progress)
    }

    fn give_turn<T>(&mut self, context: &Context<'_>) -> Poll<T> {
        self.handed_out = 0;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Stream for Paced {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if self.handed_out >= Self::LIMIT {
            return self.give_turn(context);
        }
        let piece = self.body.poll_next_unpin(context);
        match &piece {
            Poll::Ready(Some(Ok(bytes))) => {
                self.handed_out += bytes.len();
                let fruitless = self.progress.0.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
                if fruitless > Self::FRUITLESS {
                    return Poll::Ready(Some(Err(BodyError::LongPartHead(Self::FRUITLESS))));
                }
            }
            Poll::Ready(None) => {
                self.ended = true;
                if self.handed_out > 0 {
                    return self.give_turn(context);
                }
            }
            _ => self.handed_out = 0,
        }
        piece
    }
}
