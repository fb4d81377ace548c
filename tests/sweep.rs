//! Sweeps on a store in memory, by a clock that the tests set.

#[path = "native/clock.rs"]
#[allow(dead_code)]
mod clock;
#[path = "support/data.rs"]
#[allow(dead_code)]
mod data;
#[path = "native/stores.rs"]
#[allow(dead_code)]
mod stores;

use clock::{TestClock, now, pass};
use futures::StreamExt;
use jiff::SignedDuration;
use pollster::block_on;
use spin_chunked_upload::store::Store;
use spin_chunked_upload::uploads::{
    Algorithm, Append, Clock, Error, Expected, NewUpload, Owner, Sweep, SweepCursor, Upload, Uploads,
};
use stores::{Call, WatchedStore};
use uuid::Uuid;

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn request(store: &WatchedStore) -> Uploads<WatchedStore> {
    Uploads::new(store.clone(), None, TestClock)
}

fn create(store: &WatchedStore) -> Append<WatchedStore> {
    let new = NewUpload {
        id: Uuid::new_v4(),
        filename: "f".to_owned(),
        path: "f.part".to_owned(),
        user: Some("ann".to_owned()),
        total: None,
        algorithm: Algorithm::Md5,
        segment_size: 100,
        listed: true,
    };
    request(store).create(new).unwrap()
}

async fn begin(store: &WatchedStore, bytes: &[u8]) -> Upload {
    let mut append = create(store);
    append.write(bytes).await.unwrap();
    append.commit().await.unwrap()
}

async fn open_append(store: &WatchedStore, id: Uuid) -> Append<WatchedStore> {
    let uploads = request(store);
    let upload = uploads.find(id).await.unwrap();
    let offset = upload.offset();
    uploads.append(upload, offset, None).unwrap()
}

async fn complete(store: &WatchedStore, id: Uuid) -> Upload {
    let uploads = request(store);
    uploads.complete(uploads.find(id).await.unwrap(), Expected::Any, "f.done".to_owned()).await.unwrap()
}

async fn read(store: &WatchedStore, upload: &Upload) -> Vec<u8> {
    request(store).read(upload, 0..upload.offset()).map(|segment| segment.unwrap().to_vec()).concat().await
}

/// A step with enough time.
fn step_from(from: Option<SweepCursor>) -> Sweep {
    Sweep { expiration_delta: DAY, keep_records: false, adopt: false, from, budget: DAY }
}

/// Runs steps until there is no more to do, and returns the numbers of expired uploads and of orphans.
async fn sweep(store: &WatchedStore, keep_records: bool) -> (usize, usize) {
    let (mut expired, mut orphans, mut from) = (0, 0, None);
    for _ in 0..1_000 {
        let step = request(store).sweep(Sweep { keep_records, ..step_from(from) }).await.unwrap();
        expired += step.expired;
        orphans += step.orphans;
        from = step.next;
        if from.is_none() {
            return (expired, orphans);
        }
    }
    panic!("the sweep does not end");
}

#[test]
fn expired_uploads_go_and_others_stay() {
    let (store, file) = (WatchedStore::default(), data::bytes(1, 1_000));
    block_on(async {
        let expired = begin(&store, &file).await;
        let done = begin(&store, &file).await;
        complete(&store, done.id).await;
        pass(DAY + SignedDuration::from_secs(299));
        assert_eq!(sweep(&store, false).await, (0, 0), "a completion may be under way, by a clock that is late");
        let open = begin(&store, &file).await;
        pass(SignedDuration::from_secs(1));
        assert_eq!(sweep(&store, false).await, (1, 10));

        assert!(matches!(request(&store).find(expired.id).await, Err(Error::NotFound)));
        assert_eq!(request(&store).find(open.id).await.unwrap(), open);
        let done = request(&store).find(done.id).await.unwrap();
        assert!(read(&store, &done).await == file);
        let listed = request(&store).list(&Owner::User("ann".to_owned()), None, 10).await.unwrap();
        assert_eq!(listed.cursors.len(), 2);
        let left: Vec<_> = store.all_keys().into_iter().filter(|key| key.contains(&expired.id.to_string())).collect();
        assert_eq!(left, [format!("upload/{}/deleted", expired.id)]);
        pass(DAY + SignedDuration::from_mins(6));
        sweep(&store, false).await;
        assert!(store.all_keys().iter().all(|key| key.contains(&done.id.to_string()) || key.ends_with("/deleted")));
    });
}

#[test]
fn a_record_can_be_kept() {
    let (store, file) = (WatchedStore::default(), data::bytes(2, 1_000));
    block_on(async {
        let upload = begin(&store, &file).await;
        pass(DAY * 2);
        assert_eq!(sweep(&store, true).await, (1, 10));
        let kept = request(&store).find(upload.id).await.unwrap();
        assert!(kept.is_purged() && kept.is_expired(now(), DAY * 100));
        assert_eq!(kept.offset(), 1_000);
        assert!(matches!(request(&store).append(kept.clone(), 1_000, None), Err(Error::Expired)));
        let completed = request(&store).complete(kept, Expected::Any, "f.done".to_owned()).await;
        assert!(matches!(completed, Err(Error::Expired)));
        assert_eq!(sweep(&store, true).await, (0, 0));
        assert_eq!(sweep(&store, false).await, (0, 0), "what is kept stays kept");
    });
}

#[test]
fn orphans_go_when_no_request_can_name_them_any_more() {
    let (store, file) = (WatchedStore::default(), data::bytes(3, 1_000));
    block_on(async {
        let upload = begin(&store, &file[..300]).await;
        // Two requests crash, and a third one is slow.
        let mut crashed = open_append(&store, upload.id).await;
        crashed.write(&data::bytes(4, 700)).await.unwrap();
        drop(crashed);
        let mut first_crashed = create(&store);
        first_crashed.write(&file).await.unwrap();
        drop(first_crashed);
        pass(SignedDuration::from_hours(13));
        let mut slow = open_append(&store, upload.id).await;
        slow.write(&file[300..600]).await.unwrap();
        pass(SignedDuration::from_hours(11));
        assert_eq!(sweep(&store, false).await, (0, 0), "nothing is old enough");
        slow.commit().await.unwrap();
        complete(&store, upload.id).await;
        pass(SignedDuration::from_secs(1));
        assert_eq!(sweep(&store, false).await, (0, 17), "seven segments of the one that crashed, ten of the other");

        let done = request(&store).find(upload.id).await.unwrap();
        assert!(read(&store, &done).await == file[..600]);
        pass(DAY * 2);
        sweep(&store, false).await;
        assert!(read(&store, &done).await == file[..600]);
        let other: Vec<_> = store.all_keys().into_iter().filter(|key| !key.contains(&done.id.to_string())).collect();
        assert_eq!(other, Vec::<String>::new());
        let first_record = store.all_keys().into_iter().find(|key| *key == format!("upload/{}", done.id));
        assert_eq!(first_record, None, "a complete upload needs one record");
    });
}

#[test]
fn a_request_that_is_too_late_commits_nothing() {
    let (store, file) = (WatchedStore::default(), data::bytes(5, 1_000));
    block_on(async {
        let upload = begin(&store, &file[..300]).await;
        let before = store.all_keys();
        let mut late = open_append(&store, upload.id).await;
        late.write(&file[300..]).await.unwrap();
        pass(SignedDuration::from_hours(12) + SignedDuration::from_secs(1));
        assert!(matches!(late.commit().await, Err(Error::TooLate)));
        let mut expired = open_append(&store, upload.id).await;
        expired.set_deadline(now() + SignedDuration::from_secs(1));
        expired.write(&file[300..]).await.unwrap();
        pass(SignedDuration::from_secs(1));
        assert!(matches!(expired.commit().await, Err(Error::Expired)));
        assert_eq!(store.all_keys(), before);
    });
}

/// The steps of a sweep without any time. Each step does only what it must do.
async fn hurried_sweep(store: &WatchedStore) -> Vec<(usize, usize, Vec<Call>)> {
    let (mut from, mut steps) = (None, Vec::new());
    loop {
        store.take_calls();
        let hurried = Sweep { budget: SignedDuration::ZERO, ..step_from(from) };
        let step = request(store).sweep(hurried).await.unwrap();
        steps.push((step.expired, step.orphans, store.take_calls()));
        assert!(step.next.is_none_or(|next| from.is_none_or(|from| next > from)), "a step gets further");
        from = step.next;
        if from.is_none() {
            return steps;
        }
    }
}

#[test]
fn a_step_is_bounded_and_the_next_one_goes_on() {
    let store = WatchedStore::default();
    block_on(async {
        for _ in 0..200 {
            begin(&store, &[1; 250]).await;
        }
        pass(DAY * 2);
        let steps = hurried_sweep(&store).await;
        for (_, _, calls) in &steps {
            assert_eq!(calls.iter().filter(|call| **call == Call::Keys).count(), 1);
            assert!(calls.len() <= 1 + 32 * 20, "{calls:?}");
        }
        let expired: usize = steps.iter().map(|(expired, _, _)| expired).sum();
        let orphans: usize = steps.iter().map(|(_, orphans, _)| orphans).sum();
        assert_eq!((expired, orphans), (200, 600));
        assert!(store.all_keys().iter().all(|key| key.ends_with("/deleted")));
        pass(DAY * 2);
        assert_eq!(sweep(&store, false).await, (0, 0));
        assert_eq!(store.all_keys(), Vec::<String>::new());
    });
}

#[test]
fn an_upload_of_many_segments_takes_many_steps() {
    let (store, file) = (WatchedStore::default(), data::bytes(7, 30_000));
    block_on(async {
        let expired = begin(&store, &file).await;
        pass(DAY * 2);
        let steps = hurried_sweep(&store).await;
        assert!(steps.len() >= 300 / 32 && steps.iter().all(|(_, orphans, _)| *orphans <= 32), "{}", steps.len());
        assert_eq!(store.all_keys(), [format!("upload/{}/deleted", expired.id)]);
    });
}

#[test]
fn a_walk_through_a_long_list_takes_many_steps_and_finds_all_orphans() {
    let (store, file) = (WatchedStore::default(), data::bytes(8, 60_000));
    block_on(async {
        let mut upload = begin(&store, &file[..100]).await;
        for start in (100..file.len()).step_by(100) {
            if start % 1_000 == 0 {
                let mut crashed = open_append(&store, upload.id).await;
                crashed.write(&data::bytes(1, 150)).await.unwrap();
                drop(crashed);
            }
            let mut append = open_append(&store, upload.id).await;
            append.write(&file[start..start + 100]).await.unwrap();
            upload = append.commit().await.unwrap();
        }
        let upload = complete(&store, upload.id).await;
        pass(DAY * 2);
        let steps = hurried_sweep(&store).await;
        assert!(steps.len() > 10, "{}", steps.len());
        // Each append that crashed has stored one full segment. The rest of it never reached the store.
        assert_eq!(steps.iter().map(|(_, orphans, _)| orphans).sum::<usize>(), 59);
        assert!(read(&store, &upload).await == file);
        assert_eq!(sweep(&store, false).await, (0, 0));
    });
}

#[test]
fn more_keys_than_a_step_holds_take_more_steps() {
    let store = WatchedStore::default();
    block_on(async {
        let upload = begin(&store, &[1; 2_500_000]).await;
        let other = begin(&store, &[1; 100]).await;
        pass(DAY * 2);
        let mut steps = Vec::new();
        let mut from = None;
        loop {
            let step = request(&store).sweep(step_from(from)).await.unwrap();
            steps.push(step.orphans);
            from = step.next;
            if from.is_none() {
                break;
            }
        }
        assert_eq!((steps.len(), steps.iter().sum::<usize>()), (2, 25_001));
        let mut marks = [upload.id, other.id].map(|id| format!("upload/{id}/deleted"));
        marks.sort();
        assert_eq!(store.all_keys(), marks);
    });
}

#[test]
fn a_cursor_does_not_tell_an_id() {
    let store = WatchedStore::default();
    block_on(async {
        for _ in 0..40 {
            begin(&store, &[1; 250]).await;
        }
        let hurried = Sweep { budget: SignedDuration::ZERO, ..step_from(None) };
        let cursor = request(&store).sweep(hurried).await.unwrap().next.unwrap().to_string();
        let half = cursor.split('-').next().unwrap();
        assert_eq!(half.len(), 16);
        let ids = store.all_keys().into_iter().filter_map(|key| Some(key.strip_prefix("upload/")?.replace('-', "")));
        assert_eq!(ids.filter(|id| id.starts_with(half)).count(), 1);
    });
}

/// The uploads with their records in one store and their contents in another.
fn apart(records: &WatchedStore, blobs: &WatchedStore) -> Uploads<WatchedStore> {
    Uploads::new(records.clone(), Some(blobs.clone()), TestClock)
}

#[test]
fn uploads_whose_records_are_elsewhere_are_left_alone() {
    let (records, store) = (WatchedStore::default(), WatchedStore::default());
    block_on(async {
        let open = begin(&store, &data::bytes(1, 1_000)).await;
        let done = begin(&store, &data::bytes(2, 1_000)).await;
        complete(&store, done.id).await;
        store.forget_marks();
        pass(DAY * 3);
        let before = store.all_keys();
        let swept = apart(&records, &store).sweep(step_from(None)).await.unwrap();
        assert_eq!((swept.expired, swept.orphans, swept.next), (0, 0, None));
        assert_eq!(store.all_keys(), before);
        assert_eq!(request(&store).find(open.id).await.unwrap(), open);
    });
}

#[test]
fn a_damaged_record_stops_nothing_and_loses_nothing() {
    let (store, file) = (WatchedStore::default(), data::bytes(6, 1_000));
    block_on(async {
        let damaged = begin(&store, &file).await;
        let expired = begin(&store, &file).await;
        store.set(&format!("upload/{}", damaged.id), "{".into()).await.unwrap();
        store.set("other/key", "of somebody else's".into()).await.unwrap();
        pass(DAY * 3);
        assert_eq!(sweep(&store, false).await, (1, 10));
        assert!(matches!(request(&store).find(expired.id).await, Err(Error::NotFound)));
        assert_eq!(store.all_keys().iter().filter(|key| key.contains(&damaged.id.to_string())).count(), 12);
        assert!(store.all_keys().contains(&"other/key".to_owned()));
    });
}

#[test]
fn more_keys_than_a_step_holds_at_one_place_are_left_alone_and_passed() {
    let (records, store) = (WatchedStore::default(), WatchedStore::default());
    block_on(async {
        let elsewhere = begin(&store, &[1; 100]).await;
        let with_pages = begin(&store, &[1; 100]).await;
        for _ in 0..20_001 {
            let tag = TestClock.tag();
            store.set(&format!("data/{}/0-{tag}", elsewhere.id), "a".into()).await.unwrap();
            store.set(&format!("page/{}/{tag}", with_pages.id), "a".into()).await.unwrap();
        }
        store.forget_marks();
        pass(DAY * 3);
        let before = store.all_keys();
        let mut from = None;
        for _ in 0..20 {
            let step = apart(&records, &store).sweep(step_from(from)).await.unwrap();
            assert_eq!((step.expired, step.orphans), (0, 0));
            from = step.next;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(from, None, "the sweep ends");
        assert!(store.all_keys() == before);
    });
}
