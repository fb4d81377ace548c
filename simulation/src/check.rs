//! Checks the contract: everything that was acknowledged holds, nothing that a record names is missing, and sweeps
//! leave only the keys of uploads.

use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use md5::{Digest, Md5};
use spin_chunked_upload::uploads::{Error, Expected, Upload};
use uuid::Uuid;

use crate::application::Application;
use crate::client::{Client, Completion};
use crate::neighbour;

/// How far apart two completions of one upload may end and still count as a race.
///
/// Two requests that complete one upload with different bytes at the same time may both succeed: without
/// compare-and-swap, no store can tell which one was first. This excuses a completion only for the time that the other
/// one needs for its last read of the upload and its write. These are two of the longest latencies. One more is for a
/// write that takes effect late, when its request may already have failed or be lost. The last part is the age of a
/// stale value.
const RACE: SignedDuration = SignedDuration::from_secs(18);

/// How long a completion may go on after its write, where the contents have a store of their own: it may make a mark,
/// which takes five operations.
const MARKING: SignedDuration = SignedDuration::from_secs(25);

type Checked = Result<(), String>;

/// Checks an upload while others may still be open.
pub async fn upload(client: &Client, id: Uuid, single_writer: bool) -> Checked {
    let (tries, was_deleted, offset, total) = {
        let ledger = client.ledger.borrow();
        let tries = ledger.completions.get(&id).cloned().unwrap_or_default();
        let offset = ledger.offsets.get(&id).copied().unwrap_or_default();
        (tries, ledger.deleted.contains(&id), offset, ledger.totals.get(&id).copied())
    };
    let is_complete = tries.iter().any(|completion| completion.acknowledged.is_some());
    let uploads = client.request();
    let found = match uploads.find(id).await {
        Ok(found) => found,
        Err(Error::NotFound) if was_deleted || !is_complete => return Ok(()),
        Err(error) => return Err(format!("{id}: {error}, and it was acknowledged as complete: {is_complete}")),
    };
    if found.is_purged() && !is_complete {
        return Ok(());
    }
    let bytes = read(client, &found).await.map_err(|error| format!("{id} can't be read: {error}"))?;
    if bytes.len() as u64 != found.offset() {
        return Err(format!("{id} says that it has {} bytes, and has {}", found.offset(), bytes.len()));
    }
    if let Some(beyond) = found.total.filter(|total| *total < found.offset()) {
        return Err(format!("{id} has {} bytes of {beyond}", found.offset()));
    }
    if single_writer && total.is_some() && found.total != total {
        return Err(format!("{id} was acknowledged with the total {total:?}, and has the total {:?}", found.total));
    }
    let checksum = hex::encode(Md5::digest(&bytes));
    if found.is_complete() {
        let said = found.checksum().map(|checksum| checksum.hex.as_str()).unwrap_or_default();
        if said != checksum {
            return Err(format!("{id} is complete with other bytes than were verified"));
        }
        let marking = client.application.blobs.map_or(SignedDuration::ZERO, |_| MARKING);
        return check_acknowledged(id, &tries, &checksum, marking);
    }
    if is_complete {
        return Err(format!("{id} was acknowledged as complete, and is open"));
    }
    if single_writer && found.offset() < offset {
        return Err(format!("{id} was acknowledged up to {offset}, and stands at {}", found.offset()));
    }
    // The running checksum must be that of these bytes.
    match uploads.verify(found, Expected::Checksum(&checksum), String::new()) {
        Ok(_) | Err(Error::Incomplete { .. }) => Ok(()),
        Err(error) => Err(format!("{id} has another running checksum than its bytes: {error}")),
    }
}

/// Checks that each acknowledged completion is the one that is served, or raced with another one.
///
/// The rival wrote last. So it also ended last, but for the time that this completion was `marking` after its write.
fn check_acknowledged(id: Uuid, tries: &[Completion], served: &str, marking: SignedDuration) -> Checked {
    for (index, completion) in tries.iter().enumerate() {
        let (Some(checksum), Some(ended_at)) = (&completion.acknowledged, completion.ended_at) else {
            continue;
        };
        let races = |(other, rival): (usize, &Completion)| {
            let after = rival.ended_at.map_or(RACE, |rival| rival.duration_since(ended_at));
            let earliest = if rival.acknowledged.is_some() { -marking } else { -RACE - marking };
            other != index && (earliest..=RACE).contains(&after)
        };
        if checksum != served && !tries.iter().enumerate().any(races) {
            return Err(format!("{id} was acknowledged with the checksum {checksum}, and {served} is served"));
        }
    }
    Ok(())
}

async fn read(client: &Client, upload: &Upload) -> Result<Vec<u8>, Error> {
    let segments: Vec<_> = client.request().read(upload, 0..upload.offset()).try_collect().await?;
    Ok(segments.concat())
}

/// Checks that the last sweep has left only the keys of complete uploads and the records of purged ones, each in the
/// right store.
pub async fn orphans(client: &Client) -> Checked {
    let Application { records, blobs, .. } = client.application;
    let (in_records, in_blobs) = {
        let world = client.store.world.borrow();
        (world.keys(records), blobs.map(|blobs| world.keys(blobs)).unwrap_or_default())
    };
    let is_content = |key: &&String| key.starts_with("data/") || key.starts_with("page/");
    let is_others = |key: &str| neighbour::owns(key) || key.starts_with("mark/");
    let judged_from = blobs.map(|_| judged_from(&in_blobs));
    let own = |keys: Vec<String>| keys.into_iter().filter(|key| !is_others(key)).collect::<Vec<_>>();
    let (in_records, in_blobs) = (own(in_records), own(in_blobs));
    if let Some(key) = in_records.iter().find(|key| blobs.is_some() && is_content(key)) {
        return Err(format!("{key} is in the store of the records"));
    }
    if let Some(key) = in_blobs.iter().find(|key| !is_content(key)) {
        return Err(format!("{key} is in the store of the contents"));
    }
    for key in in_records.into_iter().chain(in_blobs) {
        let id = key.split('/').find_map(|part| Uuid::try_parse(part.get(part.len().checked_sub(36)?..)?).ok());
        let Some(id) = id else {
            return Err(format!("{key} is left"));
        };
        match client.request().find(id).await {
            Ok(upload) if upload.is_complete() => {}
            Ok(upload) if upload.is_purged() && !is_content(&&key) => {}
            Err(Error::NotFound) if judged_from.is_some_and(|judged_from| is_before(&key, judged_from)) => {}
            _ => return Err(format!("{key} is left of an upload that isn't complete")),
        }
    }
    Ok(())
}

/// The time before which a sweep leaves the contents of unknown uploads alone: five minutes after the newest mark.
fn judged_from(keys: &[String]) -> Timestamp {
    let marks = keys.iter().filter_map(|key| drawn_at(key.strip_prefix("mark/blobs/")?));
    marks.max().map_or(Timestamp::MAX, |newest| newest + SignedDuration::from_mins(5))
}

fn is_before(key: &str, time: Timestamp) -> bool {
    let tag = key.get(key.len().saturating_sub(36)..).unwrap_or_default();
    drawn_at(tag).is_some_and(|drawn_at| drawn_at < time)
}

fn drawn_at(tag: &str) -> Option<Timestamp> {
    let (seconds, nanoseconds) = Uuid::try_parse(tag).ok()?.get_timestamp()?.to_unix();
    Timestamp::new(seconds.try_into().ok()?, nanoseconds.try_into().ok()?).ok()
}
