//! A body in steps, for a parser that takes all it can get.

use std::pin::Pin;
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
pub(super) struct Paced {
    body: CheckedBody,
    handed_out: usize,
    ended: bool,
}

impl Paced {
    const LIMIT: usize = 256 * 1024;

    pub(super) fn new(body: CheckedBody) -> Self {
        Self { body, handed_out: 0, ended: false }
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
            Poll::Ready(Some(Ok(bytes))) => self.handed_out += bytes.len(),
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
