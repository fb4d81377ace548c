//! What a sweep makes of one upload: a decision by what was found alone, without a look into the store.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::super::record::Upload;

/// The age at which what no record names is an orphan.
const ORPHAN_AGE: SignedDuration = SignedDuration::from_hours(24);
/// How long after it expired an upload is left alone: longer than a completion takes that began right before.
const EXPIRY_MARGIN: SignedDuration = SignedDuration::from_secs(60);

/// What the listed keys tell of an upload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) open: bool,
    pub(super) complete: bool,
    pub(super) deleted: bool,
    /// The tags of its segments and pages.
    pub(super) tags: BTreeSet<Uuid>,
    /// Its key on a list, and when it was put there.
    pub(super) listing: Option<(String, Timestamp)>,
}

/// What is to be done with an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was deleted. Its contents are orphans; what is left of its records goes once the mark is old.
    Deleted,
    /// No record was committed. Old contents are orphans, and an old entry on a list goes; recent ones may still be
    /// committed.
    Uncommitted { orphans: BTreeSet<Uuid>, listing: Option<String> },
    /// It lost its contents in an earlier sweep. What is left of them are orphans.
    Purged,
    /// It has expired, and is to be deleted or purged.
    Expired,
    /// It stays.
    Kept {
        /// Tags that are old enough to be orphans, unless a record names them.
        suspects: BTreeSet<Uuid>,
        /// Whether the record that it had while it was open serves nobody any more.
        drops_open_record: bool,
    },
}

/// The time of a sweep, and how long uploads last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ages {
    pub(super) now: Timestamp,
    pub(super) expiration_delta: SignedDuration,
}

impl Ages {
    /// Whether what is from this time, and named by no record, is an orphan.
    pub(super) fn is_old(&self, time: Timestamp) -> bool {
        self.now.duration_since(time) > ORPHAN_AGE
    }

    /// Whether the tag was drawn so long ago that nobody can commit under it any more.
    fn is_old_tag(&self, tag: Uuid) -> bool {
        let drawn_at = tag.get_timestamp().and_then(|timestamp| {
            let (seconds, nanoseconds) = timestamp.to_unix();
            Timestamp::new(seconds.try_into().ok()?, nanoseconds.try_into().ok()?).ok()
        });
        drawn_at.is_some_and(|drawn_at| self.is_old(drawn_at))
    }

    fn old_tags(&self, found: &Found) -> BTreeSet<Uuid> {
        found.tags.iter().copied().filter(|tag| self.is_old_tag(*tag)).collect()
    }
}

/// Decides on an upload by its keys and its record, where it has one that counts.
pub(super) fn verdict(found: &Found, upload: Option<&Upload>, ages: Ages) -> Verdict {
    let Some(upload) = upload else {
        return if found.deleted { Verdict::Deleted } else { uncommitted(found, ages) };
    };
    if upload.is_purged() {
        return Verdict::Purged;
    }
    if upload.is_expired(ages.now - EXPIRY_MARGIN, ages.expiration_delta) {
        return Verdict::Expired;
    }
    Verdict::Kept {
        suspects: ages.old_tags(found),
        drops_open_record: found.open && upload.completed_at.is_some_and(|completed_at| ages.is_old(completed_at)),
    }
}

fn uncommitted(found: &Found, ages: Ages) -> Verdict {
    let old_listing = found.listing.as_ref().filter(|(_, created_at)| ages.is_old(*created_at));
    Verdict::Uncommitted { orphans: ages.old_tags(found), listing: old_listing.map(|(key, _)| key.clone()) }
}

#[cfg(test)]
mod tests {
    use super::super::super::checksum::{Algorithm, Checksum};
    use super::super::super::record::{NewUpload, Progress};
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_795_392_000, 0);
    const AGES: Ages = Ages { now: NOW, expiration_delta: SignedDuration::from_hours(48) };

    fn ago(age: SignedDuration) -> Timestamp {
        NOW - age
    }

    fn hours(hours: i64) -> SignedDuration {
        SignedDuration::from_hours(hours)
    }

    fn tag(age: SignedDuration) -> Uuid {
        let milliseconds = u64::try_from(ago(age).as_millisecond()).unwrap();
        uuid::Builder::from_unix_timestamp_millis(milliseconds, &[7; 10]).into_uuid()
    }

    fn found(ages: &[i64]) -> Found {
        Found { tags: ages.iter().map(|age| tag(hours(*age))).collect(), ..Found::default() }
    }

    fn tags(ages: &[i64]) -> BTreeSet<Uuid> {
        found(ages).tags
    }

    fn upload(age: SignedDuration) -> Upload {
        let new = NewUpload {
            id: Uuid::from_u128(1),
            filename: "f".to_owned(),
            path: "f.part".to_owned(),
            user: None,
            total: None,
            algorithm: Algorithm::Md5,
            segment_size: 10,
            listed: true,
        };
        Upload::new(new, ago(age))
    }

    fn complete(created: SignedDuration, completed: SignedDuration) -> Upload {
        let mut upload = upload(created);
        upload.completed_at = Some(ago(completed));
        upload.checksum = Progress::Done(Checksum { algorithm: Algorithm::Md5, hex: String::new() });
        upload
    }

    fn kept(suspects: &[i64], drops_open_record: bool) -> Verdict {
        Verdict::Kept { suspects: tags(suspects), drops_open_record }
    }

    #[test]
    fn without_a_record() {
        let entry = |age| Found { listing: Some(("list/k".to_owned(), ago(hours(age)))), ..found(&[1, 30]) };
        let uncommitted =
            |listing: Option<&str>| Verdict::Uncommitted { orphans: tags(&[30]), listing: listing.map(str::to_owned) };
        let rows = [
            (found(&[1, 30]), uncommitted(None)),
            (entry(23), uncommitted(None)),
            (entry(25), uncommitted(Some("list/k"))),
            // A mark wins, however old the rest is.
            (Found { deleted: true, ..entry(25) }, Verdict::Deleted),
            // The listing saw a record that is gone by now: the same as none.
            (Found { open: true, ..found(&[1, 30]) }, uncommitted(None)),
        ];
        for (found, expected) in rows {
            assert_eq!(verdict(&found, None, AGES), expected, "{found:?}");
        }
    }

    #[test]
    fn an_open_upload_expires_a_minute_late() {
        let margin = SignedDuration::from_secs(60);
        let rows = [
            (hours(1), kept(&[30], false)),
            (hours(48), kept(&[30], false)),
            (hours(48) + margin - SignedDuration::from_secs(1), kept(&[30], false)),
            (hours(48) + margin, Verdict::Expired),
            (hours(1000), Verdict::Expired),
        ];
        for (age, expected) in rows {
            let found = Found { open: true, ..found(&[1, 30]) };
            assert_eq!(verdict(&found, Some(&upload(age)), AGES), expected, "{age:?}");
        }
    }

    #[test]
    fn a_complete_upload_never_expires() {
        let both = Found { open: true, complete: true, ..found(&[1, 30]) };
        let rows = [
            (complete(hours(1000), hours(999)), both.clone(), kept(&[30], true)),
            (complete(hours(1000), hours(24)), both.clone(), kept(&[30], false)),
            (complete(hours(1000), hours(999)), Found { open: false, ..both }, kept(&[30], false)),
        ];
        for (upload, found, expected) in rows {
            assert_eq!(verdict(&found, Some(&upload), AGES), expected, "{found:?}");
        }
    }

    #[test]
    fn a_purged_upload_has_no_contents() {
        let mut purged = upload(hours(100));
        purged.purge();
        assert_eq!(verdict(&Found { open: true, ..found(&[1, 30]) }, Some(&purged), AGES), Verdict::Purged);
    }

    #[test]
    fn a_tag_without_a_time_is_never_old() {
        let found = Found { tags: BTreeSet::from([Uuid::from_u128(5), tag(hours(25))]), ..Found::default() };
        assert_eq!(AGES.old_tags(&found), tags(&[25]));
    }
}
