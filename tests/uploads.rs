//! The storage contract on a store in memory: the state that requests in any order leave behind.

#[path = "support/data.rs"]
#[allow(dead_code)]
mod data;
#[path = "native/stores.rs"]
#[allow(dead_code)]
mod stores;

use futures::StreamExt;
use jiff::SignedDuration;
use pollster::block_on;
use proptest::prelude::*;
use spin_chunked_upload::store::Store;
use spin_chunked_upload::uploads::{
    Algorithm, Append, Error, Expected, NewUpload, Sweep, SystemClock, Upload, Uploads,
};
use stores::{Call, WatchedStore};
use uuid::Uuid;

/// The uploads as a new request sees them.
fn request(store: &WatchedStore) -> Uploads<WatchedStore> {
    Uploads::new(store.clone(), None, SystemClock)
}

fn create(store: &WatchedStore, total: usize, segment_size: u32) -> Append<WatchedStore> {
    create_of(store, Some(total as u64), segment_size)
}

fn create_without_total(store: &WatchedStore, segment_size: u32) -> Append<WatchedStore> {
    create_of(store, None, segment_size)
}

fn create_of(store: &WatchedStore, total: Option<u64>, segment_size: u32) -> Append<WatchedStore> {
    let new = NewUpload {
        id: Uuid::new_v4(),
        filename: "f".to_owned(),
        path: "f.part".to_owned(),
        user: None,
        total,
        algorithm: Algorithm::Md5,
        segment_size,
        listed: true,
    };
    request(store).create(new).unwrap()
}

async fn append(store: &WatchedStore, id: Uuid, offset: usize, bytes: &[u8]) -> Result<Upload, Error> {
    let mut append = begin(store, id, offset).await?;
    match append.write(bytes).await {
        Ok(()) => append.commit().await,
        Err(error) => {
            append.discard().await;
            Err(error)
        }
    }
}

async fn begin(store: &WatchedStore, id: Uuid, offset: usize) -> Result<Append<WatchedStore>, Error> {
    let uploads = request(store);
    let upload = uploads.find(id).await?;
    uploads.append(upload, offset as u64, None)
}

async fn complete(store: &WatchedStore, upload: Upload, md5: &str) -> Result<Upload, Error> {
    request(store).complete(upload, Expected::Checksum(md5), "f.done".to_owned()).await
}

async fn read(store: &WatchedStore, upload: &Upload, from: usize, to: usize) -> Result<Vec<u8>, Error> {
    let mut segments = request(store).read(upload, from as u64..to as u64);
    let mut bytes = Vec::new();
    while let Some(segment) = segments.next().await {
        bytes.extend_from_slice(&segment?);
    }
    Ok(bytes)
}

/// A sweep with enough time to end in one step.
fn whole_sweep() -> Sweep {
    let day = SignedDuration::from_hours(24);
    Sweep { expiration_delta: day, keep_records: false, adopt: false, from: None, budget: day }
}

/// Begins an upload with two chunks.
async fn begun(store: &WatchedStore, file: &[u8]) -> Uuid {
    let mut first = create(store, file.len(), 100);
    first.write(&file[..250]).await.unwrap();
    let id = first.commit().await.unwrap().id;
    append(store, id, 250, &file[250..500]).await.unwrap();
    id
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any chunks, in frames and segments of any size, come back byte for byte, in any range.
    #[test]
    fn what_goes_in_comes_out(
        lengths in prop::collection::vec(1_usize..400, 1..90),
        frame in 1_usize..500,
        segment_size in 1_u32..300,
        cut in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let file = data::bytes(1, lengths.iter().sum());
        let store = WatchedStore::default();
        block_on(async {
            let id = create(&store, file.len(), segment_size).commit().await.unwrap().id;
            let mut offset = 0;
            for len in lengths {
                let mut append = begin(&store, id, offset).await.unwrap();
                for bytes in file[offset..offset + len].chunks(frame) {
                    append.write(bytes).await.unwrap();
                }
                offset += len;
                prop_assert_eq!(append.commit().await.unwrap().offset(), offset as u64);
            }
            let upload = complete(&store, request(&store).find(id).await.unwrap(), &data::md5(&file)).await.unwrap();
            prop_assert!(read(&store, &upload, 0, file.len()).await.unwrap() == file);
            let (a, b) = (cut.0.index(file.len() + 1), cut.1.index(file.len() + 1));
            let (from, to) = (a.min(b), a.max(b));
            prop_assert!(read(&store, &upload, from, to).await.unwrap() == file[from..to]);

            request(&store).delete(&upload).await.unwrap();
            request(&store).sweep(whole_sweep()).await.unwrap();
            prop_assert_eq!(store.all_keys(), vec![format!("upload/{id}/deleted")]);
            Ok(())
        })?;
    }
}

#[test]
fn of_two_requests_from_one_offset_one_commits() {
    let (store, file) = (WatchedStore::default(), data::bytes(2, 1_000));
    block_on(async {
        let id = begun(&store, &file).await;
        let keys = store.all_keys().len();
        let (mut first, mut second) = (begin(&store, id, 500).await.unwrap(), begin(&store, id, 500).await.unwrap());
        first.write(&data::bytes(3, 500)).await.unwrap();
        second.write(&file[500..]).await.unwrap();
        second.commit().await.unwrap();
        let lost = first.commit().await.unwrap_err();
        assert!(matches!(lost, Error::OffsetMismatch { expected: 1_000, provided: 500 }), "{lost:?}");
        assert_eq!(store.all_keys().len(), keys + 5, "the loser took its values along");
        let upload = complete(&store, request(&store).find(id).await.unwrap(), &data::md5(&file)).await.unwrap();
        assert!(read(&store, &upload, 0, 1_000).await.unwrap() == file);
    });
}

/// The race that no store without compare-and-swap can rule out: both requests read the record, and then both write it.
#[test]
fn of_two_requests_that_commit_at_once_the_last_one_stands_whole() {
    let (store, file) = (WatchedStore::default(), data::bytes(4, 1_000));
    block_on(async {
        let id = begun(&store, &file).await;
        let record = format!("upload/{id}");
        let mut late = begin(&store, id, 500).await.unwrap();
        late.write(&file[500..700]).await.unwrap();
        late.commit().await.unwrap();
        let late_record = store.inner.snapshot()[&record].clone();

        // The test stores that record again, as if it arrived late, after another request has committed a newer one.
        let (mut other, base) = (begin(&store, id, 700).await.unwrap(), request(&store).find(id).await.unwrap());
        other.write(&file[700..]).await.unwrap();
        other.commit().await.unwrap();
        assert_eq!(base.offset(), 700);
        spin_chunked_upload::store::Store::set(&store, &record, late_record).await.unwrap();

        assert_eq!(request(&store).find(id).await.unwrap().offset(), 700);
        append(&store, id, 700, &file[700..]).await.unwrap();
        let upload = complete(&store, request(&store).find(id).await.unwrap(), &data::md5(&file)).await.unwrap();
        assert!(read(&store, &upload, 0, 1_000).await.unwrap() == file);
    });
}

#[test]
fn a_late_record_reopens_neither_a_complete_nor_a_deleted_upload() {
    let (store, file) = (WatchedStore::default(), data::bytes(5, 500));
    block_on(async {
        let id = begun(&store, &file).await;
        let record = format!("upload/{id}");
        let late = store.inner.snapshot()[&record].clone();
        let upload = complete(&store, request(&store).find(id).await.unwrap(), &data::md5(&file)).await.unwrap();
        spin_chunked_upload::store::Store::set(&store, &record, late.clone()).await.unwrap();
        assert_eq!(request(&store).find(id).await.unwrap(), upload);

        let mut under_way = create(&store, 500, 100);
        under_way.write(&file).await.unwrap();
        let id_under_way = under_way.commit().await.unwrap().id;
        let stale = request(&store).find(id_under_way).await.unwrap();
        let upload = complete(&store, stale.clone(), &data::md5(&file)).await.unwrap();
        let record = format!("upload/{id_under_way}/complete");
        let late = store.inner.snapshot()[&record].clone();
        request(&store).delete(&upload).await.unwrap();
        assert!(matches!(complete(&store, stale, &data::md5(&file)).await, Err(Error::NotFound)));
        spin_chunked_upload::store::Store::set(&store, &record, late).await.unwrap();
        assert!(matches!(request(&store).find(id_under_way).await, Err(Error::NotFound)));
    });
}

/// A view or a hook may check a verified upload for a long time before the commit. If a completion with other bytes is
/// acknowledged in the meantime, that completion stands.
#[test]
fn of_two_completions_the_one_that_is_acknowledged_first_stands() {
    let (store, file) = (WatchedStore::default(), data::bytes(7, 500));
    block_on(async {
        let mut first = create_without_total(&store, 100);
        first.write(&file[..200]).await.unwrap();
        let id = first.commit().await.unwrap().id;
        let slow = request(&store)
            .verify(request(&store).find(id).await.unwrap(), Expected::Any, "f.done".to_owned())
            .unwrap();
        append(&store, id, 200, &file[200..]).await.unwrap();
        complete(&store, request(&store).find(id).await.unwrap(), &data::md5(&file)).await.unwrap();
        assert!(matches!(slow.commit().await, Err(Error::AlreadyComplete)));
        let upload = request(&store).find(id).await.unwrap();
        assert!(read(&store, &upload, 0, 500).await.unwrap() == file);
    });
}

#[test]
fn a_chunk_of_a_finished_upload_is_refused_at_its_commit() {
    let (store, file) = (WatchedStore::default(), data::bytes(6, 500));
    block_on(async {
        // Without a total, there is always room for more.
        let mut first = create_without_total(&store, 100);
        first.write(&file).await.unwrap();
        let id = first.commit().await.unwrap().id;
        let keys = store.all_keys().len();
        let (mut to_complete, mut to_delete) =
            (begin(&store, id, 500).await.unwrap(), begin(&store, id, 500).await.unwrap());
        to_complete.write(&file).await.unwrap();
        to_delete.write(&file).await.unwrap();
        let upload = complete(&store, request(&store).find(id).await.unwrap(), &data::md5(&file)).await.unwrap();
        assert!(matches!(to_complete.commit().await, Err(Error::AlreadyComplete)));
        request(&store).delete(&upload).await.unwrap();
        assert!(matches!(to_delete.commit().await, Err(Error::NotFound)));
        assert!(keys > 1);
        assert_eq!(store.all_keys(), vec![format!("upload/{id}/deleted")]);
    });
}

/// Two blocks with the same md5 (Wang et al., 2004). A request that uploads one block must not change the upload of the
/// other block.
#[test]
fn chunks_of_equal_md5_do_not_touch_each_other() {
    let first = hex::decode(concat!(
        "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f89",
        "55ad340609f4b30283e488832571415a085125e8f7cdc99fd91dbdf280373c5b",
        "d8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0",
        "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
    ))
    .unwrap();
    let second = hex::decode(concat!(
        "d131dd02c5e6eec4693d9a0698aff95c2fcab50712467eab4004583eb8fb7f89",
        "55ad340609f4b30283e4888325f1415a085125e8f7cdc99fd91dbd7280373c5b",
        "d8823e3156348f5bae6dacd436c919c6dd53e23487da03fd02396306d248cda0",
        "e99f33420f577ee8ce54b67080280d1ec69821bcb6a8839396f965ab6ff72a70"
    ))
    .unwrap();
    let md5 = data::md5(&first);
    assert!(first != second && md5 == data::md5(&second));

    let store = WatchedStore::default();
    block_on(async {
        let id = create(&store, 128, 1_000).commit().await.unwrap().id;
        let mut hostile = begin(&store, id, 0).await.unwrap();
        append(&store, id, 0, &first).await.unwrap();
        let upload = complete(&store, request(&store).find(id).await.unwrap(), &md5).await.unwrap();
        hostile.write(&second).await.unwrap();
        assert!(hostile.commit().await.is_err());
        let found = request(&store).find(id).await.unwrap();
        assert_eq!(found, upload);
        assert!(read(&store, &found, 0, 128).await.unwrap() == first);
    });
}

#[test]
fn a_store_that_fails_changes_nothing() {
    let (store, file) = (WatchedStore::default(), data::bytes(7, 1_000));
    block_on(async {
        let id = begun(&store, &file).await;
        let before = store.inner.snapshot();
        store.fail(|call| matches!(call, Call::Set(key, _) if key.starts_with("data/") && key.contains("/700-")));
        assert!(matches!(append(&store, id, 500, &file[500..]).await, Err(Error::Store(_))));
        assert_eq!(store.inner.snapshot(), before);
        store.fail(|call| matches!(call, Call::Get(key) if key.starts_with("upload/")));
        assert!(matches!(append(&store, id, 500, &file[500..]).await, Err(Error::Store(_))));
        assert_eq!(store.inner.snapshot(), before);
        store.heal();

        // The record may have been stored although its write failed, so its segments must stay.
        store.fail(|call| matches!(call, Call::Set(key, _) if key.starts_with("upload/")));
        assert!(matches!(append(&store, id, 500, &file[500..]).await, Err(Error::Store(_))));
        store.heal();
        assert_eq!(store.inner.snapshot().len(), before.len() + 5);
        append(&store, id, 500, &file[500..]).await.unwrap();
        let upload = complete(&store, request(&store).find(id).await.unwrap(), &data::md5(&file)).await.unwrap();
        assert!(read(&store, &upload, 0, 1_000).await.unwrap() == file);
    });
}

#[test]
fn a_missing_value_or_a_damaged_record_is_told() {
    let (store, file) = (WatchedStore::default(), data::bytes(8, 500));
    block_on(async {
        let id = begun(&store, &file).await;
        let upload = complete(&store, request(&store).find(id).await.unwrap(), &data::md5(&file)).await.unwrap();
        let key = store.all_keys().into_iter().find(|key| key.starts_with("data/")).unwrap();
        spin_chunked_upload::store::Store::delete(&store, &key).await.unwrap();
        assert!(matches!(read(&store, &upload, 0, 500).await, Err(Error::Damaged(_))));

        let record = format!("upload/{id}/complete");
        spin_chunked_upload::store::Store::set(&store, &record, "{}".into()).await.unwrap();
        assert!(matches!(request(&store).find(id).await, Err(Error::Damaged(_))));
    });
}

#[test]
fn no_byte_is_stored_beyond_the_total() {
    let (store, file) = (WatchedStore::default(), data::bytes(9, 30));
    block_on(async {
        let mut first = create(&store, 10, 5);
        assert!(matches!(first.write(&file[..11]).await, Err(Error::PastTotal { total: 10 })));
        first.discard().await;
        assert_eq!(store.all_keys(), Vec::<String>::new());

        let mut first = create(&store, 10, 5);
        first.write(&file[..5]).await.unwrap();
        let id = first.commit().await.unwrap().id;
        let before = store.all_keys();
        // The append writes in two steps, because the bound applies to all its bytes.
        let mut second = begin(&store, id, 5).await.unwrap();
        second.write(&file[5..10]).await.unwrap();
        assert!(matches!(second.write(&file[10..11]).await, Err(Error::PastTotal { total: 10 })));
        second.discard().await;
        assert_eq!(store.all_keys(), before);
        assert_eq!(append(&store, id, 5, &file[5..10]).await.unwrap().offset(), 10);
    });
}

#[test]
fn a_total_that_comes_late_is_not_below_what_has_arrived() {
    let (store, file) = (WatchedStore::default(), data::bytes(9, 30));
    block_on(async {
        let mut first = create_without_total(&store, 5);
        first.write(&file[..20]).await.unwrap();
        let upload = first.commit().await.unwrap();
        let late = request(&store).append(upload.clone(), 20, Some(10));
        assert!(matches!(late, Err(Error::PastTotal { total: 10 })));
        let mut last = request(&store).append(upload, 20, Some(25)).unwrap();
        assert!(matches!(last.write(&file[20..26]).await, Err(Error::PastTotal { total: 25 })));
        last.discard().await;
    });
}

#[test]
fn a_large_upload_is_deleted_by_the_sweep_and_not_by_one_request() {
    let (store, file) = (WatchedStore::default(), data::bytes(9, 5_000));
    block_on(async {
        let mut append = create(&store, file.len(), 1);
        append.write(&file).await.unwrap();
        let upload = append.commit().await.unwrap();
        store.take_calls();
        request(&store).delete(&upload).await.unwrap();
        let deletes = store.take_calls().iter().filter(|call| matches!(call, Call::Delete(_))).count();
        assert!(deletes <= 1_010, "{deletes}");
        assert!(matches!(request(&store).find(upload.id).await, Err(Error::NotFound)));
        assert_eq!(request(&store).sweep(whole_sweep()).await.unwrap().orphans, 4_000);
        assert_eq!(store.all_keys(), [format!("upload/{}/deleted", upload.id)]);
    });
}

#[test]
fn what_fails_after_the_mark_is_no_failure_of_a_deletion() {
    let (store, file) = (WatchedStore::default(), data::bytes(9, 3_000));
    block_on(async {
        let mut first = create_without_total(&store, 100);
        first.write(&file[..100]).await.unwrap();
        let id = first.commit().await.unwrap().id;
        for start in (100..file.len()).step_by(100) {
            append(&store, id, start, &file[start..start + 100]).await.unwrap();
        }
        let upload = request(&store).find(id).await.unwrap();
        let page = store.all_keys().into_iter().find(|key| key.starts_with("page/")).unwrap();
        store.set(&page, "{".into()).await.unwrap();
        request(&store).delete(&upload).await.unwrap();
        assert!(matches!(request(&store).find(id).await, Err(Error::NotFound)));
        assert!(store.all_keys().iter().all(|key| !key.starts_with("upload/") || key.ends_with("/deleted")));
    });
}
