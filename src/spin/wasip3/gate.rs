//! Keeps a listing of keys apart from the other store operations of the instance.
//!
//! One instance handles many requests at once, on one thread. Spin's SQLite store holds its lock for as long as a listing
//! lasts, and any other operation waits for that lock on the very thread that would read on in the listing: both then
//! wait for ever, and the server with them (Spin 4.1). Operations of other instances merely wait for the listing's end.
//!
//! So this is the one thing that requests of an instance share, and it belongs to none of them. A request that has to wait
//! looks again each millisecond: a task can't be woken by another one without wit-bindgen's `inter-task-wakeup`, whose
//! components trap on wasmtime 48 ("waitable cannot be used synchronously while added to a waitable set").

use std::cell::RefCell;
use std::time::Duration;

use spin_sdk::time::sleep;

const LOOK_AGAIN: Duration = Duration::from_millis(1);

thread_local! {
    static GATE: RefCell<Gate> = const { RefCell::new(Gate::new()) };
}

/// Who is through the gate, and who waits. Listings and operations take turns: those that wait when a listing ends go
/// before the next listing, and none that comes later goes before a listing that waits.
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
        !self.listing && self.operations == 0 && self.turns == 0
    }
}

fn with<T>(change: impl FnOnce(&mut Gate) -> T) -> T {
    GATE.with_borrow_mut(change)
}

/// An operation on one key under way.
pub(super) struct Operation;

/// Lets an operation on one key pass when no listing is under way. Keep what this returns until it is done.
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

/// Lets a listing pass when no other operation is under way. Keep what this returns until all keys are read.
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

/// Counts one that waits, for as long as it does.
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
