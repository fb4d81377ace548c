//! Keeps a listing of keys apart from the other store operations of the instance.
//!
//! One instance handles many requests at once, on one thread. Spin's SQLite store holds its lock while a listing lasts.
//! Any other operation waits for that lock, and it blocks the thread that would read the rest of the listing. So both
//! wait for ever, and the server waits with them (Spin 4.1). Operations of other instances only wait until the listing
//! ends.
//!
//! So all requests of an instance share one gate, in a thread-local variable. A request that has to wait checks the
//! gate each millisecond, because one task can't wake another without wit-bindgen's `inter-task-wakeup`. Components
//! with that feature trap on wasmtime 48 ("waitable cannot be used synchronously while added to a waitable set").

use std::cell::RefCell;
use std::time::Duration;

use spin_sdk::time::sleep;

const LOOK_AGAIN: Duration = Duration::from_millis(1);

thread_local! {
    static GATE: RefCell<Gate> = const { RefCell::new(Gate::new()) };
}

/// What is under way, and what waits. Listings and operations take turns. When a listing ends, as many operations as
/// wait then go before the next listing. Further operations do not go before a listing that waits.
struct Gate {
    listing: bool,
    listings_waiting: usize,
    operations: usize,
    operations_waiting: usize,
    /// How many operations go before the next listing.
    turns: usize,
}

impl Gate {
    const fn new() -> Self {
        Self { listing: false, listings_waiting: 0, operations: 0, operations_waiting: 0, turns: 0 }
    }

    fn admits_operation(&self) -> bool {
        !self.listing && (self.listings_waiting == 0 || self.turns > 0)
    }

    fn admits_listing(&self) -> bool {
        !self.listing && self.operations == 0 && (self.turns == 0 || self.operations_waiting == 0)
    }
}

fn with<T>(change: impl FnOnce(&mut Gate) -> T) -> T {
    GATE.with_borrow_mut(change)
}

/// An operation on one key under way. It must end by itself: while nobody polls it, all listings wait, and then all
/// further operations.
pub(super) struct Operation;

/// Waits until no listing is under way and it is an operation's turn. Keep the returned value until the operation is
/// done.
pub(super) async fn operation() -> Operation {
    let waiting = Waiting::new(|gate| &mut gate.operations_waiting);
    while !with(|gate| gate.admits_operation()) {
        sleep(LOOK_AGAIN).await;
    }
    drop(waiting);
    with(|gate| {
        gate.turns = gate.turns.saturating_sub(1);
        gate.operations += 1;
    });
    Operation
}

impl Drop for Operation {
    fn drop(&mut self) {
        with(|gate| gate.operations -= 1);
    }
}

/// A listing under way.
pub(super) struct Listing;

/// Waits until nothing else is under way and it is a listing's turn. Keep the returned value until all keys are read.
pub(super) async fn listing() -> Listing {
    let waiting = Waiting::new(|gate| &mut gate.listings_waiting);
    while !with(|gate| gate.admits_listing()) {
        sleep(LOOK_AGAIN).await;
    }
    drop(waiting);
    with(|gate| gate.listing = true);
    Listing
}

impl Drop for Listing {
    fn drop(&mut self) {
        with(|gate| {
            gate.listing = false;
            gate.turns = gate.operations_waiting;
        });
    }
}

/// Counts a waiting operation or listing, until this value is dropped.
struct Waiting(fn(&mut Gate) -> &mut usize);

impl Waiting {
    fn new(count: fn(&mut Gate) -> &mut usize) -> Self {
        with(|gate| *count(gate) += 1);
        Self(count)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        with(|gate| *(self.0)(gate) -= 1);
    }
}
