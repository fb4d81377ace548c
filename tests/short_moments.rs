//! Listings during which memory is short for a moment: pages of lists, and windows of sweeps.

#[path = "native/clock.rs"]
#[allow(dead_code)]
mod clock;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use clock::{TestClock, now, pass};
use futures::future::LocalBoxFuture;
use futures::{FutureExt, StreamExt, stream};
use jiff::SignedDuration;
use pollster::block_on;
use spin_chunked_upload::store::{Keys, MemoryStore, Store, StoreError};
use spin_chunked_upload::uploads::{Algorithm, Error, Memory, NewUpload, Owner, Room, Sweep, Uploads};
use uuid::Uuid;

const LIMIT: usize = 100;

/// Memory that is short while some keys are listed.
#[derive(Clone, Default)]
struct Moment(Rc<Cell<bool>>);

impl Memory for Moment {
    fn in_use(&self) -> usize {
        if self.0.get() { LIMIT - 5 } else { 0 }
    }

    fn sleep(&self, _: Duration) -> LocalBoxFuture<'static, ()> {
        async {}.boxed_local()
    }
}

/// A store that lists one key first and another one last, as stores without an order may.
#[derive(Clone, Default)]
struct OddStore {
    inner: MemoryStore,
    ends: Rc<RefCell<[String; 2]>>,
    moment: Moment,
    /// The keys of a listing at which memory is short.
    short: Range<usize>,
}

impl Store for OddStore {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        self.inner.get(key).await
    }

    async fn set(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
        self.inner.set(key, value).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.inner.delete(key).await
    }

    fn keys(&self) -> Keys {
        let ([first, last], mut keys) =
            (self.ends.borrow().clone(), self.inner.snapshot().into_keys().collect::<Vec<_>>());
        keys.sort_by_key(|key| (*key == last, *key != first, key.clone()));
        let (moment, short) = (self.moment.clone(), self.short.clone());
        let listed = keys.into_iter().enumerate().map(move |(number, key)| {
            moment.0.set(short.contains(&number));
            Ok(key)
        });
        stream::iter(listed).boxed_local()
    }
}

fn request(store: &OddStore) -> Uploads<OddStore> {
    let room = Room::new(store.moment.clone(), LIMIT);
    Uploads::new(store.clone(), None, TestClock).with_room(room)
}

#[test]
fn each_upload_is_on_a_page() {
    let store = OddStore { short: 1_010..1_020, ..OddStore::default() };
    block_on(async {
        for number in 0..1_500 {
            let key = format!("list/-/{:016}-{}", 1_700_000_000_000_000_u64 + number, Uuid::new_v4());
            store.set(&key, Bytes::new()).await.unwrap();
        }
        let (mut after, mut all, mut goes_on) = (None, BTreeSet::new(), true);
        while goes_on {
            let page = request(&store).list(&Owner::Anyone, after, 100_000).await.unwrap();
            after = page.cursors.last().copied();
            all.extend(page.cursors);
            goes_on = page.goes_on;
        }
        assert_eq!(all.len(), 1_500);
    });
}

#[test]
fn a_deleted_upload_stays_deleted() {
    let store = OddStore { short: 2_002..2_004, ..OddStore::default() };
    block_on(async {
        // The last one in the order of ids is at the window's edge.
        let id = Uuid::max();
        let new = NewUpload {
            id,
            filename: "f".to_owned(),
            path: "f".to_owned(),
            user: None,
            total: None,
            algorithm: Algorithm::Md5,
            segment_size: 100,
            listed: false,
        };
        let mut append = request(&store).create(new).unwrap();
        append.write(b"abc").await.unwrap();
        append.commit().await.unwrap();
        // The request that deleted it was lost right after the mark.
        let mark = format!("upload/{id}/deleted");
        store.set(&mark, now().to_string().into()).await.unwrap();
        pass(SignedDuration::from_hours(25));
        for _ in 0..2_500 {
            let key = format!("upload/{}/deleted", Uuid::new_v4());
            store.set(&key, now().to_string().into()).await.unwrap();
        }
        *store.ends.borrow_mut() = [format!("upload/{id}"), mark];
        let sweep = Sweep {
            expiration_delta: SignedDuration::from_hours(100),
            keep_records: false,
            adopt: false,
            from: None,
            budget: SignedDuration::from_hours(1),
        };
        request(&store).sweep(sweep).await.unwrap();
        assert!(matches!(request(&store).find(id).await, Err(Error::NotFound)));
    });
}
