//! The simulated time, which all requests see.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};
use spin_chunked_upload::uploads::Clock;
use uuid::Uuid;

/// The time at which each history begins, in microseconds: 2026-11-23T00:00:00Z.
const START: i64 = 1_795_392_000_000_000;

thread_local! {
    static NOW: Cell<i64> = const { Cell::new(START) };
}

/// Begins a history.
pub fn reset() {
    NOW.set(START);
}

/// The time now.
pub fn now() -> Timestamp {
    Timestamp::from_microsecond(NOW.get()).unwrap_or_default()
}

/// Lets time go by.
pub fn advance(by: SignedDuration) {
    NOW.set(NOW.get() + i64::try_from(by.as_micros()).unwrap_or(i64::MAX));
}

/// A request's clock. It shows the simulated time, or a time that is ahead of it.
#[derive(Clone)]
pub struct SimClock {
    random: Rc<RefCell<fastrand::Rng>>,
    ahead: SignedDuration,
}

impl SimClock {
    /// A clock that shows the simulated time. The random part of its tags comes from `random`.
    pub fn new(random: Rc<RefCell<fastrand::Rng>>) -> Self {
        Self { random, ahead: SignedDuration::ZERO }
    }

    /// The same clock, ahead by this time.
    pub fn ahead(self, ahead: SignedDuration) -> Self {
        Self { ahead, ..self }
    }

    /// The same clock, 30 hours further ahead. A sweep with this clock does not wait for the grace time of orphans.
    pub fn hasty(self) -> Self {
        Self { ahead: self.ahead + SignedDuration::from_hours(30), ..self }
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        now() + self.ahead
    }

    fn tag(&self) -> Uuid {
        let random: [u8; 10] = std::array::from_fn(|_| self.random.borrow_mut().u8(..));
        let milliseconds = u64::try_from(self.now().as_millisecond()).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid()
    }
}
