//! Checks the contract: everything that was acknowledged holds, nothing that a record names is missing, and sweeps
//! leave only the keys of uploads.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use jiff::SignedDuration;
use md5::{Digest, Md5};
use spin_chunked_upload::uploads::{Error, Expected, Upload};
use uuid::Uuid;

use crate::client::{Client, Completion};

/// How far apart two completions of one upload may end and still count as a race.
///
/// Two requests that complete one upload with different bytes at the same time may both succeed: without
/// compare-and-swap, no store can tell which one was first. This excuses a completion only for the time that the other
/// one needs for its last read of the upload and its write. These are two of the longest latencies. One more is for a
/// write that takes effect late, when its request may already have failed or be lost. The last part is the age of a
/// stale value.
const RACE: SignedDuration = SignedDuration::from_secs(18);

type Checked = Result<(), String>;

/// Checks an upload while others may still be open.
pub async fn upload(client: &Client, id: Uuid, single_writer: bool) -> Checked {
    let (tries, was_deleted, offset) = {
        let ledger = client.ledger.borrow();
        let tries = ledger.completions.get(&id).cloned().unwrap_or_default();
        (tries, ledger.deleted.contains(&id), ledger.offsets.get(&id).copied().unwrap_or_default())
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
    let checksum = hex::encode(Md5::digest(&bytes));
    if found.is_complete() {
        let said = found.checksum().map(|checksum| checksum.hex.as_str()).unwrap_or_default();
        if said != checksum {
            return Err(format!("{id} is complete with other bytes than were verified"));
        }
        return check_acknowledged(id, &tries, &checksum);
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
fn check_acknowledged(id: Uuid, tries: &[Completion], served: &str) -> Checked {
    for (index, completion) in tries.iter().enumerate() {
        let (Some(checksum), Some(ended_at)) = (&completion.acknowledged, completion.ended_at) else {
            continue;
        };
        let races = |(other, rival): (usize, &Completion)| {
            let after = rival.ended_at.map_or(RACE, |rival| rival.duration_since(ended_at));
            let earliest = if rival.acknowledged.is_some() { SignedDuration::ZERO } else { -RACE };
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

/// Checks that the last sweep has left only the keys of complete uploads and the records of purged ones.
pub async fn orphans(client: &Client, keys: Vec<String>) -> Checked {
    let mut kept = BTreeSet::new();
    for key in keys {
        let id = key.split('/').find_map(|part| Uuid::try_parse(part.get(part.len().checked_sub(36)?..)?).ok());
        let Some(id) = id else {
            return Err(format!("{key} is left"));
        };
        match client.request().find(id).await {
            Ok(upload) if upload.is_complete() => drop(kept.insert(key)),
            Ok(upload) if upload.is_purged() && !key.starts_with("data/") && !key.starts_with("page/") => {}
            _ => return Err(format!("{key} is left of an upload that isn't complete")),
        }
    }
    Ok(())
}
