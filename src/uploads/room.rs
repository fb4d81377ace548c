//! Room in memory, which all requests of an instance share.
//!
//! One instance of the component handles many requests at once, and has 128 MiB on hosted platforms. Each request holds
//! values of the store, which may have 10 MB each. While less than half of the room is in use, a request takes what
//! makes it fast. Beyond that, it takes what it needs. It waits if that does not fit.
//!
//! The allocator tells what is in use, so nothing is missed. The room itself counts only what is about to be used.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{self, LocalBoxFuture};

/// How long a request waits before it looks for room again.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Half of the time in which a client must send something while other requests wait for room.
const HALF_STALL_TIME: Duration = Duration::from_secs(5);
/// How many bytes it must send in that time.
const PROGRESS: u64 = 16 * 1024;
/// So few bytes need no room: all requests of an instance together hold little of them.
const FEW: usize = 64 * 1024;
/// How often each other request looks for room until one that has not looked loses its turn.
const PATIENCE: u64 = 20;

/// What the room has to know of its instance.
pub trait Memory {
    /// How many bytes are in use now.
    fn in_use(&self) -> usize;

    /// Returns after this time.
    fn sleep(&self, time: Duration) -> LocalBoxFuture<'static, ()>;
}

/// The room that the requests of an instance share. The default has no end.
#[derive(Clone, Default)]
pub struct Room(Option<Rc<Shared>>);

struct Shared {
    memory: Box<dyn Memory>,
    limit: usize,
    /// The bytes that requests are about to use.
    promised: Cell<usize>,
    waiting: RefCell<VecDeque<Waiting>>,
    last_ticket: Cell<u64>,
    /// How often requests have looked for room.
    looks: Cell<u64>,
    /// Values that can be read again.
    spare: RefCell<VecDeque<Weak<RefCell<Option<Bytes>>>>>,
}

/// A request that waits.
struct Waiting {
    ticket: u64,
    /// Which of all looks was its last one.
    looked: u64,
}

impl Room {
    /// Room for this many bytes in all.
    pub fn new(memory: impl Memory + 'static, limit: usize) -> Self {
        Self(Some(Rc::new(Shared {
            memory: Box::new(memory),
            limit,
            promised: Cell::default(),
            waiting: RefCell::default(),
            last_ticket: Cell::default(),
            looks: Cell::default(),
            spare: RefCell::default(),
        })))
    }

    /// Waits until there is room for this many bytes. The requests wait in the order of their calls. Use the bytes while
    /// the returned value lives.
    ///
    /// A caller that waits must hold nothing that could make room. It should be polled until it ends, or be dropped:
    /// others wait behind it for a while.
    pub(super) async fn take(&self, bytes: usize) -> Promise {
        let Some(shared) = &self.0 else {
            return Promise::default();
        };
        let ticket = Ticket::draw(shared);
        while bytes > FEW && !(ticket.has_turn() && shared.makes_room(bytes)) {
            shared.memory.sleep(LOOK_AGAIN).await;
        }
        shared.promise(bytes)
    }

    /// Takes room for this many bytes, if less than half of the room is in use then.
    pub(super) fn take_if_ample(&self, bytes: usize) -> Option<Promise> {
        match &self.0 {
            None => Some(Promise::default()),
            Some(shared) => (shared.used() + bytes <= shared.limit / 2).then(|| shared.promise(bytes)),
        }
    }

    /// Takes room for a value of this many bytes that nobody waits for yet, if room is ample. The value may arrive while
    /// its promise stands, so it needs twice its room.
    pub(super) fn take_ahead(&self, bytes: usize) -> Option<Promise> {
        match &self.0 {
            None => Some(Promise::default()),
            Some(shared) => (shared.used() + 2 * bytes <= shared.limit / 2).then(|| shared.promise(bytes)),
        }
    }

    /// Whether less than half of the room is in use.
    pub(super) fn is_ample(&self) -> bool {
        self.0.as_ref().is_none_or(|shared| shared.used() <= shared.limit / 2)
    }

    /// Whether what can't wait should make do with what it has.
    pub(super) fn is_short(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| shared.used() > shared.limit / 4 * 3)
    }

    /// Keeps a value until the room is needed for something else.
    pub(super) fn keep(&self, value: Bytes) -> Spare {
        let spare = Spare(Rc::new(RefCell::new(Some(value))));
        if let Some(shared) = &self.0 {
            let mut all = shared.spare.borrow_mut();
            all.retain(|spare| spare.strong_count() > 0);
            all.push_back(Rc::downgrade(&spare.0));
        }
        spare
    }

    /// Returns once a client has to make room: it has sent next to nothing for ten seconds, and other requests wait.
    /// `received` counts what it has sent.
    pub(crate) async fn stalled(self, received: Rc<Cell<u64>>) {
        let Some(shared) = self.0 else {
            return future::pending().await;
        };
        loop {
            let before = received.get();
            shared.memory.sleep(HALF_STALL_TIME).await;
            // A request that waits itself asks its client for nothing, and does not poll this. Once it asks again, the client
            // has this time.
            shared.memory.sleep(HALF_STALL_TIME).await;
            if received.get() - before < PROGRESS && !shared.waiting.borrow().is_empty() {
                return;
            }
        }
    }
}

impl Shared {
    fn used(&self) -> usize {
        self.memory.in_use() + self.promised.get()
    }

    /// Whether there is room for this many bytes, after values that can be read again are dropped where need be.
    fn makes_room(&self, bytes: usize) -> bool {
        // A value that is larger than all the room must not wait for ever.
        let bytes = bytes.min(self.limit / 2);
        while self.used() + bytes > self.limit {
            let Some(spare) = self.spare.borrow_mut().pop_front() else {
                return false;
            };
            if let Some(value) = spare.upgrade() {
                value.take();
            }
        }
        true
    }

    fn promise(self: &Rc<Self>, bytes: usize) -> Promise {
        self.promised.update(|promised| promised + bytes);
        Promise(Some((Rc::clone(self), bytes)))
    }
}

/// Bytes that are about to be used. Drop it when they are.
#[derive(Default)]
#[must_use]
pub(super) struct Promise(Option<(Rc<Shared>, usize)>);

impl Drop for Promise {
    fn drop(&mut self) {
        if let Some((shared, bytes)) = &self.0 {
            shared.promised.update(|promised| promised - bytes);
        }
    }
}

/// A value that is dropped if its room is needed.
pub(super) struct Spare(Rc<RefCell<Option<Bytes>>>);

impl Spare {
    /// The value, if it is still there.
    pub(super) fn value(&self) -> Option<Bytes> {
        self.0.borrow().clone()
    }
}

/// A place among the requests that wait.
struct Ticket<'s> {
    shared: &'s Shared,
    number: u64,
}

impl<'s> Ticket<'s> {
    fn draw(shared: &'s Shared) -> Self {
        let number = shared.last_ticket.get() + 1;
        shared.last_ticket.set(number);
        shared.waiting.borrow_mut().push_back(Waiting { ticket: number, looked: shared.looks.get() });
        Self { shared, number }
    }

    /// Whether all requests before this one have given up, or are not polled any more.
    fn has_turn(&self) -> bool {
        let looks = self.shared.looks.get() + 1;
        self.shared.looks.set(looks);
        let mut waiting = self.shared.waiting.borrow_mut();
        let patience = PATIENCE * waiting.len() as u64;
        for request in waiting.iter_mut() {
            if request.ticket == self.number {
                request.looked = looks;
                return true;
            }
            if looks - request.looked <= patience {
                break;
            }
        }
        if let Some(own) = waiting.iter_mut().find(|request| request.ticket == self.number) {
            own.looked = looks;
        }
        false
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.shared.waiting.borrow_mut().retain(|request| request.ticket != self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const MB: usize = 1_000_000;

    /// Memory of which a test says how much is in use. Time stands still.
    #[derive(Clone, Default)]
    struct Told(Rc<Cell<usize>>);

    impl Memory for Told {
        fn in_use(&self) -> usize {
            self.0.get()
        }

        fn sleep(&self, _: Duration) -> LocalBoxFuture<'static, ()> {
            // Each poll looks again.
            let mut slept = false;
            future::poll_fn(move |_| {
                if std::mem::replace(&mut slept, true) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
            })
            .boxed_local()
        }
    }

    fn poll<T>(future: &mut LocalBoxFuture<'_, T>) -> Option<T> {
        future.now_or_never()
    }

    #[test]
    fn requests_wait_for_room_in_their_order() {
        let memory = Told::default();
        let room = Room::new(memory.clone(), 100 * MB);
        let first = poll(&mut room.take(40 * MB).boxed_local()).unwrap();
        memory.0.set(20 * MB);
        let (mut large, mut small) = (room.take(50 * MB).boxed_local(), room.take(10 * MB).boxed_local());
        assert!(poll(&mut large).is_none() && poll(&mut small).is_none());
        // There would be room for the small one, but it came later.
        assert!(poll(&mut small).is_none());
        drop(first);
        let large = poll(&mut large).unwrap();
        let small = poll(&mut small).unwrap();
        assert!(poll(&mut room.take(30 * MB).boxed_local()).is_none());
        drop((large, small));
        assert!(poll(&mut room.take(80 * MB).boxed_local()).is_some());
    }

    #[test]
    fn a_request_that_gives_up_holds_up_nobody() {
        let memory = Told::default();
        let room = Room::new(memory.clone(), 100 * MB);
        memory.0.set(90 * MB);
        let mut gone = room.take(50 * MB).boxed_local();
        assert!(poll(&mut gone).is_none());
        drop(gone);
        assert!(poll(&mut room.take(10 * MB).boxed_local()).is_some());
    }

    #[test]
    fn values_that_can_be_read_again_make_room() {
        let memory = Told::default();
        let room = Room::new(memory.clone(), 100 * MB);
        let (old, young) = (room.keep(Bytes::from_static(b"old")), room.keep(Bytes::from_static(b"young")));
        memory.0.set(95 * MB);
        // Dropping the value does not change what this memory says.
        assert!(poll(&mut room.take(10 * MB).boxed_local()).is_none());
        assert!(old.value().is_none() && young.value().is_none());
    }

    #[test]
    fn a_value_larger_than_the_room_gets_its_turn() {
        let room = Room::new(Told::default(), 100 * MB);
        assert!(poll(&mut room.take(1_000 * MB).boxed_local()).is_some());
    }

    #[test]
    fn a_stalled_request_ends_only_while_others_wait() {
        let memory = Told::default();
        let room = Room::new(memory.clone(), 100 * MB);
        let received = Rc::new(Cell::new(0));
        memory.0.set(100 * MB);
        let mut stalled = room.clone().stalled(Rc::clone(&received)).boxed_local();
        assert!((0..10).all(|_| poll(&mut stalled).is_none()));
        let mut waiting = room.take(MB).boxed_local();
        assert!(poll(&mut waiting).is_none());
        let sends = |_| {
            received.update(|received| received + PROGRESS);
            poll(&mut stalled)
        };
        assert!((0..10).map(sends).all(|ended| ended.is_none()));
        assert!((0..10).any(|_| poll(&mut stalled).is_some()));
    }

    #[test]
    fn a_few_bytes_never_wait() {
        let memory = Told::default();
        let room = Room::new(memory.clone(), 100 * MB);
        memory.0.set(100 * MB);
        let mut waiting = room.take(MB).boxed_local();
        assert!(poll(&mut waiting).is_none());
        assert!(poll(&mut room.take(FEW).boxed_local()).is_some());
    }

    #[test]
    fn a_request_that_is_not_polled_loses_its_turn() {
        let memory = Told::default();
        let room = Room::new(memory.clone(), 100 * MB);
        memory.0.set(100 * MB);
        let (mut forgotten, mut other) = (room.take(MB).boxed_local(), room.take(MB).boxed_local());
        assert!(poll(&mut forgotten).is_none() && poll(&mut other).is_none());
        memory.0.set(0);
        assert!(poll(&mut other).is_none());
        assert!((0..1_000).any(|_| poll(&mut other).is_some()));
        assert!(poll(&mut forgotten).is_some());
    }
}
