//! One history: rounds of clients that race, with seconds or hours between the rounds, and checks after each round.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use futures::FutureExt;
use jiff::SignedDuration;

use crate::bug::Bug;
use crate::client::{Client, EXPIRATION, Ledger};
use crate::scheduler::{Faults, Scheduler};
use crate::store::{SimStore, World};
use crate::{check, clock};

/// The largest difference between two clocks, in seconds.
const MAX_SKEW: i64 = 60;

/// The counts of one or more histories.
#[derive(Default)]
pub struct Totals {
    steps: u64,
    crashes: u64,
    chunks: u64,
    completions: usize,
}

impl Totals {
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.crashes += other.crashes;
        self.chunks += other.chunks;
        self.completions += other.completions;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps, crashes, chunks, completions } = self;
        write!(
            formatter,
            "{steps} store operations, {crashes} lost processes, {chunks} chunks and {completions} completions acknowledged"
        )
    }
}

struct History {
    scheduler: Scheduler,
    ledger: Rc<RefCell<Ledger>>,
    random: Rc<RefCell<fastrand::Rng>>,
    bug: Option<Bug>,
}

/// Runs the history of a seed.
///
/// # Errors
/// The rule of the contract that was broken.
pub fn run(seed: u64, bug: Option<Bug>, shown: bool) -> Result<Totals, String> {
    clock::reset();
    let mut random = fastrand::Rng::with_seed(seed);
    let clients = random.usize(1..=4);
    let faults = Faults {
        failures: [0, 0, 200, 40][random.usize(..4)],
        crashes: [0, 0, 300, 60][random.usize(..4)],
        stale: random.u8(..3) == 0,
    };
    let skewed = random.u8(..2) == 0;
    let at_expiry = random.u8(..4) == 0;
    if shown {
        println!("seed {seed}: {clients} clients, {faults:?}");
    }
    let world = Rc::new(RefCell::new(World::new(bug)));
    let scheduler = Scheduler::new(world, random.fork(), faults, shown);
    let mut history = History { scheduler, ledger: Rc::default(), random: Rc::new(RefCell::new(random.fork())), bug };
    for round in 0..random.usize(2..6) {
        for _ in 0..clients {
            let skew = if bug == Some(Bug::FarClocks) { 10 * MAX_SKEW } else { MAX_SKEW };
            let ahead = SignedDuration::from_secs(if skewed { random.i64(0..=skew) } else { 0 });
            let client = Client { ahead, at_expiry, ..history.client() };
            history.scheduler.start(client.run(random.usize(1..8)).boxed_local());
        }
        history.scheduler.run();
        let one_writer = clients == 1 && !history.scheduler.overlapped;
        history.check(one_writer && !faults.stale && faults.failures == 0 && faults.crashes == 0)?;
        clock::advance(if at_expiry { jump_to_expiry(round, &mut random) } else { jump(&mut random) });
        history.scheduler.resume();
    }
    history.scheduler.run();
    history.end()
}

/// The time between two rounds: seconds, about half a day, about the lifetime of an upload, or longer than every grace
/// time.
fn jump(random: &mut fastrand::Rng) -> SignedDuration {
    let seconds = SignedDuration::from_secs(random.i64(0..60));
    match random.u8(..6) {
        0 | 1 => seconds,
        2 => EXPIRATION - SignedDuration::from_secs(20) + seconds,
        3 => EXPIRATION + seconds * 7,
        4 => SignedDuration::from_hours(11) + SignedDuration::from_mins(random.i64(0..120)),
        _ => SignedDuration::from_hours(25) + seconds,
    }
}

/// The time between two rounds of a history in which completions and sweeps meet at the expiry of uploads. The first
/// jump ends right before the expiry; the next ones take seconds.
fn jump_to_expiry(round: usize, random: &mut fastrand::Rng) -> SignedDuration {
    match round {
        0 => EXPIRATION - SignedDuration::from_secs(random.i64(0..30)),
        _ => SignedDuration::from_secs(random.i64(0..90)),
    }
}

impl History {
    /// A client in a process of its own.
    fn client(&self) -> Client {
        let store = SimStore { world: self.scheduler.world.clone(), process: self.scheduler.processes.len() };
        let ahead = SignedDuration::ZERO;
        Client {
            store,
            ledger: self.ledger.clone(),
            random: self.random.clone(),
            bug: self.bug,
            ahead,
            at_expiry: false,
        }
    }

    /// Runs an action of a client on a store without faults, while no other client runs.
    fn alone<T: 'static>(&mut self, action: impl AsyncFnOnce(Client) -> T + 'static) -> Result<T, String> {
        let paused = std::mem::take(&mut self.scheduler.world.borrow_mut().pending);
        let faults = std::mem::replace(&mut self.scheduler.faults, Faults { failures: 0, crashes: 0, stale: false });
        let (client, result) = (self.client(), Rc::new(RefCell::new(None)));
        let returned = result.clone();
        self.scheduler.start(async move { *returned.borrow_mut() = Some(action(client).await) }.boxed_local());
        self.scheduler.run();
        self.scheduler.faults = faults;
        self.scheduler.world.borrow_mut().pending = paused;
        result.take().ok_or_else(|| "a request never ended".to_owned())
    }

    fn check(&mut self, single_writer: bool) -> Result<(), String> {
        if let Some(broken) = self.ledger.borrow().broken.clone() {
            return Err(broken);
        }
        let ids = self.ledger.borrow().uploads.clone();
        for id in ids {
            self.alone(async move |client| check::upload(&client, id, single_writer).await)??;
        }
        Ok(())
    }

    /// Sweeps three times, each time after 50 hours. The first sweep comes after all grace times. A later sweep also
    /// removes the marks of deleted uploads, which are then old enough.
    fn end(mut self) -> Result<Totals, String> {
        self.check(false)?;
        for _ in 0..3 {
            clock::advance(SignedDuration::from_hours(50));
            let swept = self.alone(async move |client| client.sweep().await.is_ok())?;
            if !swept {
                return Err("a sweep without faults failed".to_owned());
            }
        }
        self.check(false)?;
        let keys = self.scheduler.world.borrow().keys();
        self.alone(async move |client| check::orphans(&client, keys).await)??;
        let ledger = self.ledger.borrow();
        let acknowledged = |tries: &Vec<crate::client::Completion>| tries.iter().any(|one| one.acknowledged.is_some());
        Ok(Totals {
            steps: self.scheduler.steps,
            crashes: self.scheduler.crashes,
            chunks: ledger.chunks,
            completions: ledger.completions.values().filter(|tries| acknowledged(tries)).count(),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;
    use spin_chunked_upload::store::contract;

    use super::*;

    #[test]
    fn the_contract_holds() {
        for seed in 0..2_000 {
            run(seed, None, false).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
        }
    }

    /// Without faults, the simulated store keeps the contract as other stores do.
    #[test]
    fn the_store_keeps_the_contract() {
        clock::reset();
        let faults = Faults { failures: 0, crashes: 0, stale: false };
        let world = Rc::new(RefCell::new(World::new(None)));
        let scheduler = Scheduler::new(world, fastrand::Rng::with_seed(1), faults, false);
        let mut history = History { scheduler, ledger: Rc::default(), random: Rc::default(), bug: None };
        let kept = history.alone(async move |client| contract::check(&client.store).await);
        kept.unwrap().unwrap();
    }

    /// A checker that finds nothing proves nothing.
    #[test]
    fn each_deliberate_bug_is_caught() {
        for bug in Bug::value_variants() {
            assert!((0..1_000).any(|seed| run(seed, Some(*bug), false).is_err()), "{bug:?} was not caught");
        }
    }

    #[test]
    fn a_seed_is_the_same_history_each_time() {
        let steps = || run(42, None, false).map(|totals| totals.steps).unwrap();
        assert_eq!(steps(), steps());
    }
}
