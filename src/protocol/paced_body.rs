//! A body in steps, for a parser that takes all it can get.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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
/// parts says by [`Turns`] when something came of the bytes, and the body fails where nothing does.
pub(super) struct Paced {
    body: CheckedBody,
    delimiter_len: usize,
    handed_out: usize,
    ended: bool,
    turns: Turns,
}

/// What whoever reads the parts says to the body beneath the parser, and learns of it.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Bytes handed out since something came of them.
    fruitless: AtomicUsize,
    paused: AtomicBool,
    /// Whether the last bytes handed out may be the beginning of a delimiter.
    at_delimiter: AtomicBool,
}

impl Turns {
    /// Says that something came of the bytes so far.
    pub(super) fn progress(&self) {
        self.0.fruitless.store(0, Ordering::Relaxed);
    }

    /// Makes the body wait, or go on.
    pub(super) fn pause(&self, paused: bool) {
        self.0.paused.store(paused, Ordering::Relaxed);
    }

    /// Whether a parser that has given what it can of a part's contents has given all that it was handed: it keeps back
    /// what may be the beginning of a delimiter, and nothing else.
    pub(super) fn nothing_is_kept(&self) -> bool {
        !self.0.at_delimiter.load(Ordering::Relaxed)
    }
}

impl Paced {
    const LIMIT: usize = 64 * 1024;
    /// What may be handed out without anything coming of it: some turns' worth.
    const FRUITLESS: usize = 16 * Self::LIMIT;

    /// A body whose parts end with delimiters of this length, the line break before them included.
    pub(super) fn new(body: CheckedBody, delimiter_len: usize) -> (Self, Turns) {
        let turns = Turns::default();
        (Self { body, delimiter_len, handed_out: 0, ended: false, turns: turns.clone() }, turns)
    }

    fn give_turn<T>(&mut self, context: &Context<'_>) -> Poll<T> {
        self.handed_out = 0;
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes note of bytes that are handed out, and says whether there have been too many that nothing came of.
    fn hand_out(&mut self, bytes: &[u8]) -> bool {
        self.handed_out += bytes.len();
        // Fewer bytes than a delimiter may go on with one that began before them.
        let last = bytes.len().checked_sub(self.delimiter_len).map(|start| &bytes[start..]);
        let at_delimiter = last.is_none_or(|last| last.contains(&b'\r'));
        self.turns.0.at_delimiter.store(at_delimiter, Ordering::Relaxed);
        self.turns.0.fruitless.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len() > Self::FRUITLESS
    }
}

impl Stream for Paced {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.turns.0.paused.load(Ordering::Relaxed) {
            // Whoever has paused it polls again.
            return Poll::Pending;
        }
        if self.ended {
            return Poll::Ready(None);
        }
        if self.handed_out >= Self::LIMIT {
            return self.give_turn(context);
        }
        let piece = self.body.poll_next_unpin(context);
        match &piece {
            Poll::Ready(Some(Ok(bytes))) => {
                if self.hand_out(bytes) {
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
