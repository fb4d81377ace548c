//! The actions of clients: chunks with equal or different bytes and any lengths, completions, deletions, downloads and
//! sweeps.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use md5::{Digest, Md5};
use spin_chunked_upload::uploads::{Algorithm, Error, Expected, NewUpload, Sweep, Upload, Uploads};
use uuid::Uuid;

use crate::application::Application;
use crate::bug::Bug;
use crate::clock::{self, SimClock};
use crate::store::SimStore;

/// How long after its creation an upload expires.
pub const EXPIRATION: SignedDuration = SignedDuration::from_hours(20);
/// The longest file, in bytes.
const LONGEST: usize = 60;

/// What clients have tried, and which responses they got. The contract is about this.
#[derive(Default)]
pub struct Ledger {
    /// The uploads that clients have begun.
    pub uploads: Vec<Uuid>,
    /// The attempts to complete each upload.
    pub completions: BTreeMap<Uuid, Vec<Completion>>,
    /// The uploads that a client has tried to delete.
    pub deleted: BTreeSet<Uuid>,
    /// The highest acknowledged offset of each upload.
    pub offsets: BTreeMap<Uuid, u64>,
    /// The first total of each upload that was acknowledged.
    pub totals: BTreeMap<Uuid, u64>,
    /// A rule of the contract that an action found broken.
    pub broken: Option<String>,
    /// The number of acknowledged chunks.
    pub chunks: u64,
}

/// An attempt to complete an upload.
#[derive(Clone, Debug, Default)]
pub struct Completion {
    /// When the attempt ended or its process was lost; `None` while it goes on.
    pub ended_at: Option<Timestamp>,
    /// The checksum that the completion was acknowledged with.
    pub acknowledged: Option<String>,
}

/// Records the end of an attempt, even if its process is lost.
struct Trying {
    ledger: Rc<RefCell<Ledger>>,
    id: Uuid,
    index: usize,
}

impl Trying {
    fn begin(ledger: &Rc<RefCell<Ledger>>, id: Uuid) -> Self {
        let index = {
            let mut ledger = ledger.borrow_mut();
            let tries = ledger.completions.entry(id).or_default();
            tries.push(Completion::default());
            tries.len() - 1
        };
        Self { ledger: ledger.clone(), id, index }
    }

    fn with(&self, change: impl FnOnce(&mut Completion)) {
        if let Some(tries) = self.ledger.borrow_mut().completions.get_mut(&self.id) {
            change(&mut tries[self.index]);
        }
    }
}

impl Drop for Trying {
    fn drop(&mut self) {
        self.with(|completion| completion.ended_at = Some(clock::now()));
    }
}

/// A client.
#[derive(Clone)]
pub struct Client {
    /// The store of the records.
    pub store: SimStore,
    pub application: Application,
    pub ledger: Rc<RefCell<Ledger>>,
    pub random: Rc<RefCell<fastrand::Rng>>,
    pub bug: Option<Bug>,
    /// Whether the client mostly completes uploads and sweeps.
    pub at_expiry: bool,
    /// How far the clock of the client's requests is ahead of the simulated time.
    pub ahead: SignedDuration,
}

type Tried = Result<(), Error>;

impl Client {
    /// Takes this number of actions, one after the other.
    pub async fn run(self, actions: usize) {
        for _ in 0..actions {
            let _ = self.act().await;
        }
    }

    async fn act(&self) -> Tried {
        let upload = self.upload();
        let action = match (self.at_expiry, self.below(16)) {
            (true, action) => [0, 1, 2, 8, 8, 8, 8, 9, 9, 15, 15, 15, 15, 15, 15, 15][action],
            (false, action) => action,
        };
        match (action, upload) {
            (0, _) | (_, None) => self.create().await,
            (1..=7, Some(id)) => self.append(id).await,
            (8..=11, Some(id)) => self.complete(id).await,
            (12, Some(id)) => self.delete(id).await,
            (13 | 14, Some(id)) => self.download(id).await,
            (_, Some(_)) => self.sweep().await,
        }
    }

    fn below(&self, end: usize) -> usize {
        self.random.borrow_mut().usize(..end)
    }

    /// One of the two newest uploads.
    fn upload(&self) -> Option<Uuid> {
        let count = self.ledger.borrow().uploads.len();
        let from = count.saturating_sub(2);
        (count > 0).then(|| self.ledger.borrow().uploads[from + self.below(count - from)])
    }

    /// The uploads as a new request sees them.
    pub fn request(&self) -> Uploads<SimStore> {
        self.request_by(SimClock::new(self.random.clone()).ahead(self.ahead))
    }

    fn request_by(&self, clock: SimClock) -> Uploads<SimStore> {
        let in_one_store = self.bug == Some(Bug::OneStore) && self.below(4) == 0;
        let one_store = in_one_store.then(|| self.application.in_one_store());
        let application = one_store.as_ref().unwrap_or(&self.application);
        application.uploads(&self.store.world, self.store.process, clock)
    }

    async fn create(&self) -> Tried {
        let id = uuid::Builder::from_random_bytes(std::array::from_fn(|_| self.random.borrow_mut().u8(..))).into_uuid();
        let total = (self.below(2) == 0).then(|| 1 + self.below(LONGEST) as u64);
        let new = NewUpload {
            id,
            filename: "f".to_owned(),
            path: "f.part".to_owned(),
            user: None,
            total,
            algorithm: Algorithm::Md5,
            segment_size: 1 + u32::try_from(self.below(5)).unwrap_or_default(),
            listed: self.below(2) == 0,
        };
        self.ledger.borrow_mut().uploads.push(id);
        let mut append = self.request().create(new)?;
        append.set_deadline(append.upload().expires_at(EXPIRATION));
        self.fill(&mut append, total).await?;
        let upload = append.commit().await?;
        self.acknowledged(&upload);
        Ok(())
    }

    async fn append(&self, id: Uuid) -> Tried {
        let uploads = self.request();
        let upload = uploads.find(id).await?;
        if upload.is_expired(uploads.now(), EXPIRATION) {
            return Ok(());
        }
        let (deadline, offset) = (upload.expires_at(EXPIRATION), upload.offset());
        // An unknown total may be given now. It may be less than what is there. A known total may be left out.
        let late = match self.below(16) {
            0 => Some(self.below(offset as usize + 2) as u64),
            1..=3 => Some(offset + self.below(LONGEST) as u64),
            _ => None,
        };
        let total = upload.total.or(late);
        let said = if self.below(3) == 0 && upload.total.is_some() { None } else { total };
        let mut append = uploads.append(upload, offset, said)?;
        append.set_deadline(deadline);
        // A client that does not know the total may send more than that.
        let known = total.filter(|_| said.is_some() || self.below(2) == 0);
        self.fill(&mut append, known.map(|total| total.saturating_sub(offset))).await?;
        if self.below(12) == 0 {
            append.discard().await;
            return Ok(());
        }
        let upload = append.commit().await?;
        self.acknowledged(&upload);
        Ok(())
    }

    /// Writes a chunk. The bytes are the usual ones or others. The announced length is right, wrong or missing.
    /// Sometimes there is a long pause.
    async fn fill(&self, append: &mut spin_chunked_upload::uploads::Append<SimStore>, left: Option<u64>) -> Tried {
        let most = left.map_or(24, |left| left.min(24)) as usize;
        let start = append.upload().offset();
        let salt = if self.below(4) == 0 { self.below(250) as u8 } else { 0 };
        // Sometimes the whole rest, so that some uploads can be completed; otherwise less.
        let len = if self.below(3) == 0 { most } else { self.below(most + 1) };
        let bytes: Vec<u8> =
            (0..len).map(|index| (start as u8).wrapping_add(index as u8).wrapping_mul(31) ^ salt).collect();
        match self.below(4) {
            0 => {}
            1 => append.expect(self.below(2 * most + 1) as u64),
            _ => append.expect(len as u64),
        }
        let pauses_at = if self.below(10) == 0 { self.below(len + 1) } else { usize::MAX };
        let (before, after) = bytes.split_at(pauses_at.min(len));
        self.write_around_pause(append, before, after, pauses_at != usize::MAX).await
    }

    async fn write_around_pause(
        &self,
        append: &mut spin_chunked_upload::uploads::Append<SimStore>,
        before: &[u8],
        after: &[u8],
        pauses: bool,
    ) -> Tried {
        append.write(before).await?;
        if pauses {
            self.store.pause().await;
        }
        append.write(after).await
    }

    fn acknowledged(&self, upload: &Upload) {
        let mut ledger = self.ledger.borrow_mut();
        ledger.chunks += 1;
        let highest = ledger.offsets.entry(upload.id).or_default();
        *highest = upload.offset().max(*highest);
        let Some(total) = upload.total else {
            return;
        };
        ledger.totals.entry(upload.id).or_insert(total);
        if total < upload.offset() {
            ledger.broken = Some(format!("{} has {} bytes of {total}", upload.id, upload.offset()));
        }
    }

    async fn complete(&self, id: Uuid) -> Tried {
        let uploads = self.request();
        let upload = uploads.find(id).await?;
        if upload.is_expired(uploads.now(), EXPIRATION) {
            return Ok(());
        }
        let trying = Trying::begin(&self.ledger, id);
        let deadline = upload.expires_at(EXPIRATION);
        let mut verified = uploads.verify(upload, Expected::Any, "f.done".to_owned())?;
        verified.set_deadline(deadline);
        // A view or a hook may take a long time before the commit.
        if self.below(if self.at_expiry { 2 } else { 6 }) == 0 {
            self.store.pause().await;
        }
        let upload = verified.commit().await?;
        trying.with(|completion| completion.acknowledged = upload.checksum().map(|checksum| checksum.hex.clone()));
        Ok(())
    }

    async fn delete(&self, id: Uuid) -> Tried {
        let uploads = self.request();
        let upload = uploads.find(id).await?;
        self.ledger.borrow_mut().deleted.insert(id);
        uploads.delete(&upload).await
    }

    /// Downloads an upload that the reader finds complete. Its bytes must be those that were verified.
    async fn download(&self, id: Uuid) -> Tried {
        let uploads = self.request();
        let upload = uploads.find(id).await?;
        let Some(checksum) = upload.checksum().map(|checksum| checksum.hex.clone()) else {
            return Ok(());
        };
        // The reader notices a download that is cut off, but not wrong bytes.
        let segments: Vec<_> = uploads.read(&upload, 0..upload.offset()).try_collect().await?;
        let found = hex::encode(Md5::digest(segments.concat()));
        if found != checksum {
            self.ledger.borrow_mut().broken = Some(format!("a download of {id} had other bytes than were verified"));
        }
        Ok(())
    }

    /// Sweeps in steps, until the end.
    pub async fn sweep(&self) -> Tried {
        self.sweep_with(false).await
    }

    /// A sweep that may adopt the stores in each of its steps.
    pub async fn sweep_with(&self, adopt: bool) -> Tried {
        let clock = SimClock::new(self.random.clone()).ahead(self.ahead);
        let clock = if self.bug == Some(Bug::NoGrace) { clock.hasty() } else { clock };
        let mut from = None;
        loop {
            let keep_records = self.below(4) == 0;
            // Short steps are included, because they stop within an upload.
            let budget = SignedDuration::from_secs([0, 1, 1_000][self.below(3)]);
            let sweep = Sweep { expiration_delta: self.sweeps_after(), keep_records, adopt, from, budget };
            from = self.request_by(clock.clone()).sweep(sweep).await?.next;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    /// The time after which a sweep deletes an upload. With the bug `NoGrace`, the sweep's clock is ahead by 30 hours,
    /// and this time is 30 hours longer: the bug must affect orphans, and not the expiry of uploads.
    fn sweeps_after(&self) -> SignedDuration {
        if self.bug == Some(Bug::NoGrace) { EXPIRATION + SignedDuration::from_hours(30) } else { EXPIRATION }
    }
}
