//! The applications of a history, and the stores that they have.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use spin_chunked_upload::uploads::{Clock, Uploads};

use crate::client::Ledger;
use crate::store::{SimStore, StoreId, World};

/// One application: where its records and its contents are, and what its clients know.
#[derive(Clone)]
pub struct Application {
    pub records: StoreId,
    /// The store of the contents, if that is another one.
    pub blobs: Option<StoreId>,
    pub ledger: Rc<RefCell<Ledger>>,
    /// Whether there were uploads when no mark could be written.
    pub was_unmarked: Rc<Cell<bool>>,
}

impl Application {
    fn new(records: usize, blobs: Option<usize>) -> Self {
        Self {
            records: StoreId(records),
            blobs: blobs.map(StoreId),
            ledger: Rc::default(),
            was_unmarked: Rc::default(),
        }
    }

    /// The applications of a history: mostly one, with one store or two. Two applications share a store by mistake: it
    /// has the contents of both, or the records of one and the contents of the other.
    pub fn draw(random: &mut fastrand::Rng) -> Vec<Self> {
        match random.u8(..8) {
            0..=2 => vec![Self::new(0, None)],
            3..=5 => vec![Self::new(0, Some(1))],
            6 => vec![Self::new(0, Some(1)), Self::new(2, Some(1))],
            _ => vec![Self::new(0, None), Self::new(1, Some(0))],
        }
    }

    /// The stores of these applications, each once.
    pub fn stores(applications: &[Self]) -> Vec<StoreId> {
        let mut stores: Vec<_> = applications
            .iter()
            .flat_map(|application| [Some(application.records), application.blobs])
            .flatten()
            .collect();
        stores.sort();
        stores.dedup();
        stores
    }

    /// The store of the contents.
    pub fn contents(&self) -> StoreId {
        self.blobs.unwrap_or(self.records)
    }

    /// The uploads as a process sees them.
    pub fn uploads(
        &self,
        world: &Rc<RefCell<World>>,
        process: usize,
        clock: impl Clock + 'static,
    ) -> Uploads<SimStore> {
        let handle = |store| SimStore { world: world.clone(), process, store };
        Uploads::new(handle(self.records), self.blobs.map(handle), clock)
    }

    /// The same application, with its contents in the store of its records.
    pub fn in_one_store(&self) -> Self {
        Self { blobs: None, ..self.clone() }
    }

    /// Whether the store of the contents has a mark of this application.
    pub fn has_mark(&self, world: &World) -> bool {
        let is_empty = |store, key: &str| world.value(store, key).is_some_and(|value| value.is_empty());
        let is_own = |mark: &str| is_empty(self.records, &format!("mark/records/{mark}"));
        let prefix = if self.blobs.is_some() { "mark/blobs/" } else { "mark/records/" };
        let keys = world.keys(self.contents());
        let marks = keys.iter().filter(|key| is_empty(self.contents(), key));
        marks.filter_map(|key| key.strip_prefix(prefix)).any(is_own)
    }
}
