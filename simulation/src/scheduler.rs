//! The scheduler. Its seed decides which operation is done next and what the outcome is.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Waker};

use futures::future::LocalBoxFuture;
use jiff::SignedDuration;

use crate::bug::Bug;
use crate::clock;
use crate::store::{Answer, Operation, Pending, StoreId, World};

/// The longest time that the store takes for an operation. Nearly all writes that take effect after their failure was
/// reported do so within this time, too.
const LATENCY: SignedDuration = SignedDuration::from_secs(5);

/// What may go wrong in a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// One of this many operations fails; 0 if none fails.
    pub failures: u32,
    /// One of this many steps loses a process; 0 if none is lost.
    pub crashes: u32,
    /// Whether reads and listings may be stale.
    pub stale: bool,
    /// One of this many writes is acknowledged before the store has it; 0 if none is. The store keeps the order of the
    /// writes of one key, and loses none.
    pub early: u32,
}

impl Faults {
    pub const NONE: Self = Self { failures: 0, crashes: 0, stale: false, early: 0 };
}

/// A write that takes effect later.
struct Late {
    store: StoreId,
    operation: Operation,
    /// Whether it was acknowledged. Otherwise its failure was reported, or its process was lost.
    acknowledged: bool,
}

impl Late {
    /// Whether both are acknowledged writes of one key. They take effect in their order.
    fn is_ordered_with(&self, other: &Self) -> bool {
        self.acknowledged && other.acknowledged && self.is_of(other.store, &other.operation)
    }

    fn is_of(&self, store: StoreId, operation: &Operation) -> bool {
        self.store == store && self.operation.key() == operation.key()
    }
}

/// A client's process. `running` is `None` when the process has ended or is lost.
pub struct Process {
    pub running: Option<LocalBoxFuture<'static, ()>>,
}

pub struct Scheduler {
    pub world: Rc<RefCell<World>>,
    pub random: fastrand::Rng,
    pub faults: Faults,
    pub processes: Vec<Process>,
    late: Vec<Late>,
    pub shown: bool,
    pub steps: u64,
    pub crashes: u64,
    /// Whether requests of one round went on in the next round.
    pub overlapped: bool,
}

impl Scheduler {
    pub fn new(world: Rc<RefCell<World>>, random: fastrand::Rng, faults: Faults, shown: bool) -> Self {
        Self {
            world,
            random,
            faults,
            processes: Vec::new(),
            late: Vec::new(),
            shown,
            steps: 0,
            crashes: 0,
            overlapped: false,
        }
    }

    /// Starts a process.
    pub fn start(&mut self, running: LocalBoxFuture<'static, ()>) {
        self.processes.push(Process { running: Some(running) });
        self.poll(self.processes.len() - 1);
    }

    /// Runs until all processes are done or pause.
    pub fn run(&mut self) {
        loop {
            let waiting: Vec<usize> = {
                let world = self.world.borrow();
                let is_due = |pending: &Pending| !matches!(pending.operation, Operation::Pause);
                (0..world.pending.len()).filter(|index| is_due(&world.pending[*index])).collect()
            };
            self.apply_late(false);
            if waiting.is_empty() {
                // The longest latency goes by, and all late writes take effect.
                clock::advance(LATENCY);
                self.apply_late(true);
                return;
            }
            self.step(&waiting);
        }
    }

    /// Lets the processes that pause go on.
    pub fn resume(&mut self) {
        let paused = {
            let mut world = self.world.borrow_mut();
            let (paused, rest) = std::mem::take(&mut world.pending)
                .into_iter()
                .partition::<Vec<_>, _>(|pending| matches!(pending.operation, Operation::Pause));
            world.pending = rest;
            paused
        };
        self.overlapped |= !paused.is_empty();
        for pending in paused {
            pending.answer(Answer::Done);
            self.poll(pending.process);
        }
    }

    fn step(&mut self, waiting: &[usize]) {
        self.steps += 1;
        if self.one_in(self.faults.crashes) {
            let index = waiting[self.random.usize(..waiting.len())];
            let process = self.world.borrow().pending[index].process;
            return self.crash(process);
        }
        // No operation should wait longer than the longest latency, so the oldest one goes first when it is due.
        let oldest = waiting.iter().copied().min_by_key(|index| self.world.borrow().pending[*index].since);
        let is_due =
            |index: &usize| clock::now().duration_since(self.world.borrow().pending[*index].since) > LATENCY / 2;
        let index = oldest.filter(is_due).unwrap_or_else(|| waiting[self.random.usize(..waiting.len())]);
        clock::advance(SignedDuration::from_millis(self.random.i64(0..200)));
        let pending = self.world.borrow_mut().pending.swap_remove(index);
        let answer = self.decide(&pending);
        self.show(&pending, &answer);
        pending.answer(answer);
        self.poll(pending.process);
    }

    fn decide(&mut self, pending: &Pending) -> Answer {
        let operation = &pending.operation;
        if self.one_in(self.faults.failures) {
            match self.random.u8(..3) {
                0 if operation.is_write() => self.apply(pending.store, operation),
                1 if operation.is_write() => self.delay(pending, false),
                _ => {}
            }
            return Answer::Failed;
        }
        let bug = self.world.borrow().bug;
        if operation.is_write() && (Bug::answers_early(bug, operation) || self.one_in(self.faults.early)) {
            self.delay(pending, true);
            return Answer::Done;
        }
        self.apply(pending.store, operation);
        let stale = self.faults.stale.then_some(&mut self.random);
        self.world.borrow().read(pending.store, operation, stale)
    }

    fn delay(&mut self, pending: &Pending, acknowledged: bool) {
        self.late.push(Late { store: pending.store, operation: pending.operation.clone(), acknowledged });
    }

    /// Applies a write after the acknowledged writes of the same key.
    fn apply(&mut self, store: StoreId, operation: &Operation) {
        if operation.is_write() {
            let is_before = |late: &mut Late| late.acknowledged && late.is_of(store, operation);
            for late in self.late.extract_if(.., is_before) {
                self.world.borrow_mut().apply(late.store, &late.operation);
            }
        }
        self.world.borrow_mut().apply(store, operation);
    }

    /// Loses a process. Its pending writes may take effect at once, later or never.
    fn crash(&mut self, process: usize) {
        self.crashes += 1;
        if self.shown {
            println!("{} process {process} is lost", clock::now());
        }
        self.processes[process].running = None;
        let lost = {
            let mut world = self.world.borrow_mut();
            let (lost, rest) = std::mem::take(&mut world.pending)
                .into_iter()
                .partition::<Vec<_>, _>(|pending| pending.process == process);
            world.pending = rest;
            lost
        };
        // With such a bug, a lost process takes the writes with it that were acknowledged early.
        let bug = self.world.borrow().bug;
        self.late.retain(|late| !Bug::answers_early(bug, &late.operation));
        for pending in lost.into_iter().filter(|pending| pending.operation.is_write()) {
            match self.random.u8(..3) {
                0 => self.apply(pending.store, &pending.operation),
                1 => self.delay(&pending, false),
                _ => {}
            }
        }
    }

    fn apply_late(&mut self, all: bool) {
        let mut index = 0;
        while index < self.late.len() {
            if !all && self.random.u8(..8) != 0 {
                index += 1;
                continue;
            }
            let chosen = &self.late[index];
            let first = self.late[..index].iter().position(|late| late.is_ordered_with(chosen)).unwrap_or(index);
            let Late { store, operation, .. } = self.late.remove(first);
            self.world.borrow_mut().apply(store, &operation);
            if self.shown {
                println!("{} late: {} {}", clock::now(), store.0, describe(&operation));
            }
        }
    }

    fn poll(&mut self, process: usize) {
        let Some(running) = &mut self.processes[process].running else {
            return;
        };
        if running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            self.processes[process].running = None;
        }
    }

    fn one_in(&mut self, chances: u32) -> bool {
        chances > 0 && self.random.u32(..chances) == 0
    }

    fn show(&self, pending: &Pending, answer: &Answer) {
        if self.shown {
            let said = match answer {
                Answer::Value(None) => "nothing".to_owned(),
                Answer::Value(Some(value)) => format!("{} bytes", value.len()),
                Answer::Keys(keys) => format!("{} keys", keys.len()),
                Answer::Done => "done".to_owned(),
                Answer::Failed => "failed".to_owned(),
            };
            let Pending { process, store, operation, .. } = pending;
            println!("{} {process}: store {}: {} -> {said}", clock::now(), store.0, describe(operation));
        }
    }
}

fn describe(operation: &Operation) -> String {
    match operation {
        Operation::Get(key) => format!("get {key}"),
        Operation::Set(key, value) => format!("set {key} ({} bytes)", value.len()),
        Operation::Delete(key) => format!("delete {key}"),
        Operation::Keys => "list".to_owned(),
        Operation::Pause => "pause".to_owned(),
    }
}
