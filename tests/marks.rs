//! Sweeps where a store of contents is shared, was changed, or is older than its mark. The stores are in memory, and the
//! tests set the clock.

#[path = "native/clock.rs"]
#[allow(dead_code)]
mod clock;
#[path = "support/data.rs"]
#[allow(dead_code)]
mod data;
#[path = "native/stores.rs"]
#[allow(dead_code)]
mod stores;

use clock::{TestClock, pass};
use futures::StreamExt;
use jiff::SignedDuration;
use pollster::block_on;
use spin_chunked_upload::store::Store;
use spin_chunked_upload::uploads::{Algorithm, Error, Expected, NewUpload, Sweep, Swept, Upload, Uploads};
use stores::{Call, WatchedStore};
use uuid::Uuid;

const DAY: SignedDuration = SignedDuration::from_hours(24);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// After a mark, contents are not judged for so long.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// An application: its records are in one store, and its contents in another one, if there is one.
#[derive(Clone)]
struct Application {
    records: WatchedStore,
    blobs: Option<WatchedStore>,
}

impl Application {
    fn with_blobs(blobs: &WatchedStore) -> Self {
        Self { records: WatchedStore::default(), blobs: Some(blobs.clone()) }
    }

    fn request(&self) -> Uploads<WatchedStore> {
        Uploads::new(self.records.clone(), self.blobs.clone(), TestClock)
    }

    async fn begin(&self, file: &[u8]) -> Upload {
        let new = NewUpload {
            id: Uuid::new_v4(),
            filename: "f".to_owned(),
            path: "f.part".to_owned(),
            user: None,
            total: None,
            algorithm: Algorithm::Md5,
            segment_size: 100,
            listed: true,
        };
        let mut append = self.request().create(new).unwrap();
        append.write(file).await.unwrap();
        append.commit().await.unwrap()
    }

    async fn upload(&self, file: &[u8]) -> Upload {
        let upload = self.begin(file).await;
        self.request().complete(upload, Expected::Any, "f.done".to_owned()).await.unwrap()
    }

    /// Stores contents whose request is lost before it commits.
    async fn crash(&self) {
        let new_upload = self.begin(b"").await;
        let mut append = self.request().append(new_upload.clone(), 0, None).unwrap();
        append.write(&[1; 250]).await.unwrap();
        drop(append);
        self.records.inner.delete(&format!("upload/{}", new_upload.id)).await.unwrap();
    }

    async fn sweep(&self) -> Result<Swept, Error> {
        self.sweep_with(false).await
    }

    async fn sweep_with(&self, adopt: bool) -> Result<Swept, Error> {
        let sweep = Sweep { expiration_delta: DAY * 7, keep_records: false, adopt, from: None, budget: DAY };
        self.request().sweep(sweep).await
    }

    async fn serves(&self, upload: &Upload, file: &[u8]) -> bool {
        let upload = self.request().find(upload.id).await.unwrap();
        let read: Vec<_> = self.request().read(&upload, 0..upload.offset()).collect().await;
        let read: Result<Vec<_>, _> = read.into_iter().collect();
        read.is_ok_and(|read| read.concat() == file)
    }
}

/// Two applications with one blob store. The second one has marked it later, and the first one has uploaded a file since.
async fn shared(blobs: &WatchedStore, file: &[u8]) -> (Application, Application, Upload) {
    let [other, one] = [(); 2].map(|()| Application::with_blobs(blobs));
    other.upload(file).await;
    pass(HOUR);
    one.upload(file).await;
    pass(HOUR);
    let upload = other.upload(file).await;
    pass(DAY * 3);
    (one, other, upload)
}

fn is_shared(swept: &Result<Swept, Error>) -> bool {
    matches!(swept, Err(Error::SharedStores { .. }))
}

#[test]
fn two_applications_that_share_blobs_delete_nothing_of_each_other() {
    let (blobs, file) = (WatchedStore::default(), data::bytes(1, 1_000));
    let [one, other] = [(); 2].map(|()| Application::with_blobs(&blobs));
    block_on(async {
        let [first, second] = [one.upload(&file).await, other.upload(&file).await];
        let expired = one.begin(&file).await;
        pass(DAY * 8);
        let before = (one.records.inner.snapshot(), blobs.inner.snapshot());
        assert!(is_shared(&one.sweep().await) && is_shared(&other.sweep().await));
        assert_eq!((one.records.inner.snapshot(), blobs.inner.snapshot()), before, "nothing is deleted");
        assert!(one.serves(&first, &file).await && other.serves(&second, &file).await);
        assert!(one.request().find(expired.id).await.is_ok());
        // Uploads go on.
        one.upload(&file).await;
    });
}

#[test]
fn an_application_that_never_sweeps_is_safe_too() {
    let (blobs, file) = (WatchedStore::default(), data::bytes(2, 1_000));
    let [one, other] = [(); 2].map(|()| Application::with_blobs(&blobs));
    block_on(async {
        one.upload(&file).await;
        pass(DAY * 3);
        assert_eq!(one.sweep().await.unwrap().orphans, 0);
        let upload = other.upload(&file).await;
        pass(DAY * 3);
        assert!(is_shared(&one.sweep().await));
        assert!(other.serves(&upload, &file).await);
    });
}

#[test]
fn a_store_of_records_that_is_another_applications_blob_store_is_shared() {
    let (store, file) = (WatchedStore::default(), data::bytes(3, 1_000));
    let one = Application { records: store.clone(), blobs: None };
    let other = Application::with_blobs(&store);
    block_on(async {
        let [first, second] = [one.upload(&file).await, other.upload(&file).await];
        pass(DAY * 3);
        assert!(is_shared(&one.sweep().await) && is_shared(&other.sweep().await));
        assert!(one.serves(&first, &file).await && other.serves(&second, &file).await);
    });
}

/// Fault: the variable `store` names another store than before.
#[test]
fn a_sweep_with_other_records_stops() {
    let (store, file) = (WatchedStore::default(), data::bytes(4, 1_000));
    let right = Application { records: store.clone(), blobs: None };
    block_on(async {
        let upload = right.upload(&file).await;
        pass(DAY * 3);
        let wrong = Application::with_blobs(&store);
        assert!(is_shared(&wrong.sweep().await));
        assert!(right.serves(&upload, &file).await);
        assert!(is_shared(&right.sweep().await), "the wrong one has left a mark");
        assert_eq!(right.sweep_with(true).await.unwrap().orphans, 0);
        assert_eq!(right.sweep().await.unwrap().orphans, 0);
        assert!(right.serves(&upload, &file).await);
    });
}

#[test]
fn orphans_of_an_applications_own_go() {
    for apart in [false, true] {
        let [records, blobs] = [(); 2].map(|()| WatchedStore::default());
        let application = Application { records, blobs: apart.then_some(blobs) };
        block_on(async {
            application.begin(b"a").await;
            pass(MARGIN);
            application.crash().await;
            pass(DAY + SignedDuration::from_secs(1));
            assert_eq!(application.sweep().await.unwrap().orphans, 2, "apart: {apart}");
        });
    }
}

#[test]
fn stores_from_before_marks_go_to_the_first_sweep_and_lose_nothing() {
    let (blobs, file) = (WatchedStore::default(), data::bytes(5, 1_000));
    let [one, other] = [(); 2].map(|()| Application::with_blobs(&blobs));
    block_on(async {
        let [first, second] = [one.upload(&file).await, other.upload(&file).await];
        let expired = one.begin(&file).await;
        for store in [&one.records, &other.records, &blobs] {
            store.forget_marks();
        }
        pass(DAY * 8);
        assert_eq!(one.sweep().await.unwrap().expired, 1);
        assert!(matches!(one.request().find(expired.id).await, Err(Error::NotFound)));
        pass(DAY * 3);
        assert!(one.sweep().await.is_ok());
        assert!(is_shared(&other.sweep().await));
        assert!(is_shared(&one.sweep().await), "the other one's sweep has left a mark");
        assert!(one.serves(&first, &file).await && other.serves(&second, &file).await);
    });
}

#[test]
fn an_operator_can_say_that_the_stores_belong_together() {
    let (blobs, file) = (WatchedStore::default(), data::bytes(6, 1_000));
    let [one, other] = [(); 2].map(|()| Application::with_blobs(&blobs));
    block_on(async {
        let [first, second] = [one.upload(&file).await, other.upload(&file).await];
        pass(DAY * 3);
        assert_eq!(one.sweep_with(true).await.unwrap().orphans, 0);
        assert_eq!(one.sweep().await.unwrap().orphans, 0);
        assert!(one.serves(&first, &file).await);
        assert!(other.serves(&second, &file).await, "what is older than the new mark stays");
        assert!(is_shared(&other.sweep().await));
        let third = other.upload(&file).await;
        pass(DAY * 3);
        assert!(is_shared(&one.sweep().await), "the other application is still there");
        assert!(other.serves(&third, &file).await);
    });
}

/// The simulation found that contents of the other application were lost.
#[test]
fn an_application_with_one_store_can_adopt_it() {
    let (store, file) = (WatchedStore::default(), data::bytes(11, 1_000));
    let one = Application { records: store.clone(), blobs: None };
    let other = Application::with_blobs(&store);
    block_on(async {
        let [first, second] = [one.upload(&file).await, other.upload(&file).await];
        pass(DAY * 3);
        one.sweep_with(true).await.unwrap();
        pass(MARGIN);
        one.crash().await;
        pass(DAY * 3);
        assert_eq!(one.sweep().await.unwrap().orphans, 2, "its own orphans go");
        assert!(one.serves(&first, &file).await && other.serves(&second, &file).await);
    });
}

#[test]
fn records_that_move_take_their_mark_along() {
    let (blobs, file) = (WatchedStore::default(), data::bytes(7, 1_000));
    let (old, new) = (Application::with_blobs(&blobs), Application::with_blobs(&blobs));
    block_on(async {
        let upload = old.upload(&file).await;
        for (key, value) in old.records.inner.snapshot() {
            new.records.set(&key, value).await.unwrap();
        }
        pass(DAY * 3);
        assert!(new.sweep().await.is_ok());
        assert!(new.serves(&upload, &file).await);
    });
}

/// An upload that began before its application had marks gets one with its next chunk, so that its newest contents are
/// safe.
#[test]
fn a_chunk_leaves_a_mark_in_a_store_of_contents() {
    let (blobs, file) = (WatchedStore::default(), data::bytes(12, 1_000));
    let [one, other] = [(); 2].map(|()| Application::with_blobs(&blobs));
    block_on(async {
        let begun = other.begin(&file[..500]).await;
        for store in [&other.records, &blobs] {
            store.forget_marks();
        }
        one.sweep().await.unwrap();
        pass(HOUR);
        let mut append = other.request().append(begun, 500, None).unwrap();
        append.write(&file[500..]).await.unwrap();
        let whole = append.commit().await.unwrap();
        pass(DAY * 2);
        assert!(is_shared(&one.sweep().await));
        let done = other.request().complete(whole, Expected::Any, "f.done".to_owned()).await.unwrap();
        assert!(other.serves(&done, &file).await);
    });
}

#[test]
fn another_blob_store_gets_its_mark() {
    let (blobs, file) = (WatchedStore::default(), data::bytes(8, 1_000));
    let mut application = Application::with_blobs(&WatchedStore::default());
    let stranger = Application::with_blobs(&blobs);
    block_on(async {
        application.upload(&file).await;
        // The stranger is of a version without marks.
        let strange = stranger.upload(&file).await;
        blobs.forget_marks();
        pass(DAY * 3);
        application.blobs = Some(blobs.clone());
        assert_eq!(application.sweep().await.unwrap().orphans, 0);
        assert_eq!(blobs.marks().len(), 1);
        assert!(stranger.serves(&strange, &file).await);
        pass(MARGIN);
        application.crash().await;
        pass(DAY * 3);
        assert!(application.sweep().await.unwrap().orphans > 0);
        assert!(stranger.serves(&strange, &file).await);
    });
}

/// An upload needs no mark. A mark whose writes end anywhere, as when its request is lost, is made good.
#[test]
fn a_mark_that_is_half_made_is_repaired() {
    let file = data::bytes(9, 1_000);
    for fails in ["mark/records/", "mark/blobs/", "mark/own"] {
        let blobs = WatchedStore::default();
        let application = Application::with_blobs(&blobs);
        block_on(async {
            for store in [&application.records, &blobs] {
                store.fail(move |call| matches!(call, Call::Set(key, _) | Call::Get(key) if key.starts_with(fails)));
            }
            let upload = application.upload(&file).await;
            assert!(application.records.marks().len() + blobs.marks().len() < 3);
            application.records.heal();
            blobs.heal();
            pass(DAY * 3);
            assert!(application.sweep().await.is_ok(), "{fails}");
            application.upload(&file).await;
            assert!(application.records.marks().len() >= 2 && !blobs.marks().is_empty(), "{fails}");
            assert!(application.sweep().await.is_ok(), "{fails}");
            assert!(application.serves(&upload, &file).await);
            // A second application is noticed.
            Application::with_blobs(&blobs).upload(&file).await;
            assert!(is_shared(&application.sweep().await), "{fails}");
        });
    }
}

/// Two requests that draw a mark at once leave two. Both are the application's own.
#[test]
fn two_marks_of_one_application_are_as_good_as_one() {
    let (blobs, file) = (WatchedStore::default(), data::bytes(10, 1_000));
    let application = Application::with_blobs(&blobs);
    block_on(async {
        let upload = application.upload(&file).await;
        application.records.inner.delete("mark/own").await.unwrap();
        application.upload(&file).await;
        assert_eq!(blobs.marks().len(), 2);
        pass(DAY * 3);
        assert_eq!(application.sweep().await.unwrap().orphans, 0);
        assert!(application.serves(&upload, &file).await);
    });
}

#[test]
fn a_second_upload_leaves_no_second_mark() {
    let application = Application::with_blobs(&WatchedStore::default());
    block_on(async {
        for _ in 0..3 {
            application.upload(b"abc").await;
        }
        assert!(application.sweep().await.is_ok());
        assert_eq!(application.records.marks().len(), 2);
        assert_eq!(application.blobs.as_ref().unwrap().marks().len(), 1);
        // A mark is not an upload, so no list has it.
        let listed = application.request().list(&spin_chunked_upload::uploads::Owner::Anyone, None, 10).await.unwrap();
        assert_eq!(listed.cursors.len(), 3);
    });
}

/// A write of each kind fails in turn.
#[test]
fn an_adoption_that_fails_loses_nothing() {
    for kind in ["mark/records/", "mark/blobs/", "mark/own"] {
        let (blobs, file) = (WatchedStore::default(), data::bytes(20, 1_000));
        block_on(async {
            let (one, other, upload) = shared(&blobs, &file).await;
            for store in [&one.records, &blobs] {
                store.fail(move |call| matches!(call, Call::Set(key, _) if key.starts_with(kind)));
            }
            assert!(one.sweep_with(true).await.is_err(), "{kind}");
            one.records.heal();
            blobs.heal();
            // A sweep comes, and the operator repeats the call.
            let _ = one.sweep().await;
            assert!(other.serves(&upload, &file).await, "{kind}");
            one.sweep_with(true).await.unwrap();
            pass(DAY);
            one.sweep().await.unwrap();
            assert!(other.serves(&upload, &file).await, "{kind}");
        });
    }
}

/// A listing or a read may be from before the adoption, so a key that an adoption removes could come back.
#[test]
fn an_adoption_removes_no_mark() {
    let (blobs, file) = (WatchedStore::default(), data::bytes(21, 1_000));
    block_on(async {
        let (one, other, upload) = shared(&blobs, &file).await;
        let before = blobs.marks();
        one.sweep_with(true).await.unwrap();
        assert!(before.iter().all(|mark| blobs.marks().contains(mark)));
        // The value of a read from before the adoption.
        let adopted = blobs.inner.snapshot();
        for key in &before {
            blobs.inner.set(key, Default::default()).await.unwrap();
        }
        assert!(is_shared(&one.sweep().await));
        for key in before {
            blobs.inner.set(&key, adopted[&key].clone()).await.unwrap();
        }
        assert!(one.sweep().await.is_ok());
        assert!(other.serves(&upload, &file).await, "contents from before the adoption stay");
    });
}

/// Right after an adoption, an upload of the other application may still find its mark, by a read that is a minute old.
#[test]
fn an_upload_right_after_an_adoption_is_safe() {
    let (blobs, file) = (WatchedStore::default(), data::bytes(22, 1_000));
    block_on(async {
        let (one, other, _) = shared(&blobs, &file).await;
        let before = blobs.inner.snapshot();
        one.sweep_with(true).await.unwrap();
        let after = blobs.inner.snapshot();
        pass(MARGIN - SignedDuration::from_secs(1));
        for (key, value) in before.iter().filter(|(key, _)| key.starts_with("mark/")) {
            blobs.inner.set(key, value.clone()).await.unwrap();
        }
        let upload = other.upload(&file).await;
        for (key, value) in after.iter().filter(|(key, _)| key.starts_with("mark/")) {
            blobs.inner.set(key, value.clone()).await.unwrap();
        }
        pass(DAY * 2);
        assert!(one.sweep().await.is_ok());
        assert!(other.serves(&upload, &file).await);
    });
}

/// A mark in the store of the records says nothing of another blob store.
#[test]
fn a_blob_store_after_an_adoption_gets_its_mark() {
    let (store, blobs, file) = (WatchedStore::default(), WatchedStore::default(), data::bytes(23, 1_000));
    let mut one = Application { records: store.clone(), blobs: None };
    let (guest, stranger) = (Application::with_blobs(&store), Application::with_blobs(&blobs));
    block_on(async {
        one.upload(&file).await;
        guest.upload(&file).await;
        pass(DAY);
        one.sweep_with(true).await.unwrap();
        pass(DAY);
        // The stranger is of a version without marks.
        let strange = stranger.upload(&file).await;
        blobs.forget_marks();
        pass(DAY * 3);
        one.blobs = Some(blobs.clone());
        assert_eq!(one.sweep().await.unwrap().orphans, 0);
        assert_eq!(blobs.marks().len(), 1);
        assert!(stranger.serves(&strange, &file).await);
    });
}

#[test]
fn what_two_stores_adopted_stays_after_a_return_to_one() {
    let (store, file) = (WatchedStore::default(), data::bytes(24, 1_000));
    let mut one = Application { records: store.clone(), blobs: Some(WatchedStore::default()) };
    let guest = Application::with_blobs(&store);
    block_on(async {
        one.upload(&file).await;
        let upload = guest.upload(&file).await;
        pass(DAY * 3);
        assert!(is_shared(&one.sweep().await));
        one.sweep_with(true).await.unwrap();
        pass(DAY * 3);
        one.blobs = None;
        assert_eq!(one.sweep().await.unwrap().orphans, 0);
        assert!(guest.serves(&upload, &file).await);
    });
}

#[test]
fn a_sweep_that_stops_leaves_a_mark() {
    let (store, file) = (WatchedStore::default(), data::bytes(25, 1_000));
    let one = Application { records: store.clone(), blobs: None };
    let other = Application::with_blobs(&store);
    block_on(async {
        one.upload(&file).await;
        let upload = other.upload(&file).await;
        for store in [&one.records, &other.records] {
            store.forget_marks();
        }
        // Both are updated. The next upload of the first one leaves a mark, and the sweep of the other one stops.
        one.upload(&file).await;
        pass(DAY * 3);
        assert!(is_shared(&other.sweep().await));
        assert!(is_shared(&one.sweep().await));
        assert!(other.serves(&upload, &file).await);
    });
}

/// The one application has one store, or both have a blob store in common.
#[test]
fn an_application_whose_mark_was_adopted_leaves_a_new_one() {
    for apart in [false, true] {
        let (store, file) = (WatchedStore::default(), data::bytes(26, 1_000));
        let alone = Application { records: store.clone(), blobs: None };
        let one = if apart { Application::with_blobs(&store) } else { alone };
        let other = Application::with_blobs(&store);
        block_on(async {
            one.upload(&file).await;
            other.upload(&file).await;
            pass(DAY * 3);
            other.sweep_with(true).await.unwrap();
            assert!(other.sweep().await.is_ok());
            let upload = one.upload(&file).await;
            pass(DAY * 3);
            assert!(is_shared(&other.sweep().await), "apart: {apart}");
            assert!(one.serves(&upload, &file).await);
            // Each adoption takes the store from the other one.
            one.sweep_with(true).await.unwrap();
            assert!(one.sweep().await.is_ok());
            assert!(is_shared(&other.sweep().await) && is_shared(&one.sweep().await), "apart: {apart}");
        });
    }
}
