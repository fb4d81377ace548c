//! One history: rounds of clients that race, with seconds or hours between the rounds, and checks after each round.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use futures::FutureExt;
use jiff::SignedDuration;

use spin_chunked_upload::uploads::Error;

use crate::application::Application;
use crate::bug::Bug;
use crate::client::{Client, EXPIRATION};
use crate::scheduler::{Faults, Scheduler};
use crate::store::{SimStore, StoreId, World};
use crate::{check, clock, neighbour};

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
    applications: Vec<Application>,
    /// The stores that another program uses, too.
    neighbours: Vec<StoreId>,
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
    let applications = Application::draw(&mut random);
    let clients = random.usize(applications.len()..=4);
    let faults = Faults {
        failures: [0, 0, 200, 40][random.usize(..4)],
        crashes: [0, 0, 300, 60][random.usize(..4)],
        stale: random.u8(..3) == 0,
        early: [0, 0, 0, 3][random.usize(..4)],
    };
    // Only at an expiry do clocks that are too far apart show.
    let has_far_clocks = bug == Some(Bug::FarClocks);
    let skewed = random.u8(..2) == 0 || has_far_clocks;
    let at_expiry = random.u8(..4) == 0 || has_far_clocks;
    let has_neighbours = random.u8(..4) == 0;
    if shown {
        let stores = applications.iter().map(|Application { records, blobs, .. }| (records, blobs));
        println!("seed {seed}: {clients} clients, {faults:?}, stores {:?}", stores.collect::<Vec<_>>());
    }
    let world = Rc::new(RefCell::new(World::new(bug)));
    let neighbours = if has_neighbours { Application::stores(&applications) } else { Vec::new() };
    neighbour::move_in(&mut world.borrow_mut(), &neighbours);
    let scheduler = Scheduler::new(world, random.fork(), faults, shown);
    let mut history =
        History { scheduler, applications, neighbours, random: Rc::new(RefCell::new(random.fork())), bug };
    for round in 0..random.usize(2..6) {
        for number in 0..clients {
            let skew = if has_far_clocks { 10 * MAX_SKEW } else { MAX_SKEW };
            let ahead = SignedDuration::from_secs(if skewed { random.i64(0..=skew) } else { 0 });
            let client = Client { ahead, at_expiry, ..history.client(number % history.applications.len()) };
            history.scheduler.start(client.run(random.usize(1..8)).boxed_local());
        }
        history.scheduler.run();
        let one_writer = clients == 1 && !history.scheduler.overlapped;
        history.check(one_writer && faults == Faults::NONE)?;
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
    /// A client of an application in a process of its own.
    fn client(&self, application: usize) -> Client {
        let application = self.applications[application].clone();
        let process = self.scheduler.processes.len();
        let store = SimStore { world: self.scheduler.world.clone(), process, store: application.records };
        Client {
            store,
            ledger: application.ledger.clone(),
            application,
            random: self.random.clone(),
            bug: self.bug,
            ahead: SignedDuration::ZERO,
            at_expiry: false,
        }
    }

    /// Runs an action of a client on stores without faults, while no other client runs.
    fn alone<T: 'static>(
        &mut self,
        application: usize,
        action: impl AsyncFnOnce(Client) -> T + 'static,
    ) -> Result<T, String> {
        let paused = std::mem::take(&mut self.scheduler.world.borrow_mut().pending);
        let faults = std::mem::replace(&mut self.scheduler.faults, Faults::NONE);
        let (client, result) = (self.client(application), Rc::new(RefCell::new(None)));
        let returned = result.clone();
        self.scheduler.start(async move { *returned.borrow_mut() = Some(action(client).await) }.boxed_local());
        self.scheduler.run();
        self.scheduler.faults = faults;
        self.scheduler.world.borrow_mut().pending = paused;
        result.take().ok_or_else(|| "a request never ended".to_owned())
    }

    fn check(&mut self, single_writer: bool) -> Result<(), String> {
        neighbour::check(&self.scheduler.world.borrow(), &self.neighbours)?;
        for number in 0..self.applications.len() {
            let application = self.applications[number].clone();
            if let Some(broken) = application.ledger.borrow().broken.clone() {
                return Err(broken);
            }
            if self.may_lose(&application) {
                continue;
            }
            let ids = application.ledger.borrow().uploads.clone();
            for id in ids {
                let checked =
                    async move |client| check::upload(&Client { bug: None, ..client }, id, single_writer).await;
                self.alone(number, checked)??;
            }
        }
        Ok(())
    }

    /// Whether another application with the same store of contents may take this one's contents for orphans. So it is if
    /// this one had uploads and no mark for hours, because the writes of its mark have failed.
    fn may_lose(&self, application: &Application) -> bool {
        let Faults { failures, crashes, .. } = self.scheduler.faults;
        let is_shared = self.applications.len() > 1 && application.blobs.is_some();
        let is_unmarked = || !application.has_mark(&self.scheduler.world.borrow());
        if is_shared && failures + crashes > 0 && is_unmarked() {
            application.was_unmarked.set(true);
        }
        application.was_unmarked.get()
    }

    /// Each application sweeps three times, each time after 50 hours. The first sweep comes after all grace times. A
    /// later sweep also removes the marks of deleted uploads, which are then old enough.
    fn end(mut self) -> Result<Totals, String> {
        self.check(false)?;
        for _ in 0..3 {
            clock::advance(SignedDuration::from_hours(50));
            for number in 0..self.applications.len() {
                self.sweep(number, false)?;
            }
        }
        self.check(false)?;
        if self.applications.len() == 1 {
            self.alone(0, async move |client| check::orphans(&Client { bug: None, ..client }).await)??;
        } else if self.applications[0].blobs.is_some() && self.random.borrow_mut().bool() {
            self.update()?;
        } else {
            self.adopt()?;
        }
        Ok(self.totals())
    }

    /// Sweeps without faults. Only a sweep of stores that are shared may stop.
    fn sweep(&mut self, application: usize, adopt: bool) -> Result<(), String> {
        match self.alone(application, async move |client| client.sweep_with(adopt).await)? {
            Ok(()) => Ok(()),
            Err(Error::SharedStores { .. }) if self.applications.len() > 1 && !adopt => Ok(()),
            Err(error) => Err(format!("a sweep without faults failed: {error}")),
        }
    }

    /// The first application adopts the stores, and goes on to sweep them. The other one's files stay. In half of the
    /// histories, both applications also have requests during an adoption, and it has the faults of the history.
    fn adopt(&mut self) -> Result<(), String> {
        if self.random.borrow_mut().bool() {
            self.adopt_among_requests()?;
        }
        for adopts in [true, false, false] {
            self.sweep(0, adopts)?;
            clock::advance(SignedDuration::from_hours(50));
        }
        self.check(false)
    }

    fn adopt_among_requests(&mut self) -> Result<(), String> {
        let adopter = self.client(0);
        self.scheduler.start(async move { drop(adopter.sweep_with(true).await) }.boxed_local());
        for number in 0..self.applications.len() {
            let client = self.client(number);
            self.scheduler.start(client.run(4).boxed_local());
        }
        self.scheduler.run();
        self.scheduler.resume();
        self.scheduler.run();
        self.check(false)?;
        for hours in [25, 50] {
            clock::advance(SignedDuration::from_hours(hours));
            for number in 0..self.applications.len() {
                self.sweep(number, false)?;
            }
            self.check(false)?;
        }
        Ok(())
    }

    /// All that happened was with a version without marks. Then both applications are updated, and both sweep. (If the
    /// first one has a single store, its sweep does not expect other contents there, and only marks tell of them.)
    fn update(&mut self) -> Result<(), String> {
        self.scheduler.world.borrow_mut().forget_marks();
        for _ in 0..2 {
            for number in 0..self.applications.len() {
                self.sweep(number, false)?;
            }
            clock::advance(SignedDuration::from_hours(50));
        }
        self.check(false)
    }

    fn totals(&self) -> Totals {
        let acknowledged = |tries: &Vec<crate::client::Completion>| tries.iter().any(|one| one.acknowledged.is_some());
        let mut totals = Totals { steps: self.scheduler.steps, crashes: self.scheduler.crashes, ..Totals::default() };
        for application in &self.applications {
            let ledger = application.ledger.borrow();
            totals.chunks += ledger.chunks;
            totals.completions += ledger.completions.values().filter(|tries| acknowledged(tries)).count();
        }
        totals
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
        let world = Rc::new(RefCell::new(World::new(None)));
        let scheduler = Scheduler::new(world, fastrand::Rng::with_seed(1), Faults::NONE, false);
        let applications = Application::draw(&mut fastrand::Rng::with_seed(1));
        let mut history = History { scheduler, applications, neighbours: Vec::new(), random: Rc::default(), bug: None };
        let kept = history.alone(0, async move |client| contract::check(&client.store).await);
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
