//! Decides what a sweep does with one upload. The decision uses only what was found, and does not read the store.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::super::clock::drawn_at;
use super::super::record::Upload;
use super::window::Contents;

/// The age from which something that no record names is an orphan.
const ORPHAN_AGE: SignedDuration = SignedDuration::from_hours(24);
/// How long a sweep leaves an upload alone after its expiry. A completion may become final 40 s after the expiry, by
/// its own clock. Clocks may be 60 s apart, the write of the record may take 60 s, and a read may be 60 s old.
const EXPIRY_MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// What the listed keys tell about an upload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) open: bool,
    pub(super) complete: bool,
    pub(super) deleted: bool,
    /// The upload's segments and pages, as far as the step holds them.
    pub(super) contents: Contents,
    /// The upload's key on a list, and the time of creation in that key.
    pub(super) listing: Option<(String, Timestamp)>,
}

/// What to do with an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The listing and the record do not go together. The record may be in another store, it may have been removed
    /// meanwhile, or the read was stale. The sweep leaves everything alone.
    Unclear,
    /// The upload was deleted. Its contents are orphans. The rest of its records is removed once the mark is old.
    Deleted,
    /// No record was committed. Old contents are orphans, and an old entry on a list is removed. Recent contents may
    /// still be committed, and contents from before the deployment's mark may be another deployment's.
    Uncommitted { orphans: Contents, listing: Option<String> },
    /// The upload lost its contents in an earlier sweep. Contents that are left are orphans.
    Purged,
    /// The upload has expired. It is deleted or purged.
    Expired,
    /// The upload stays.
    Kept {
        /// The contents that are old enough to be orphans, unless a record names them.
        suspects: Contents,
        /// Whether the record that the upload had while it was open is no longer needed.
        drops_open_record: bool,
    },
}

/// The time of a sweep, how long uploads last, and what the sweep may judge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ages {
    pub(super) now: Timestamp,
    pub(super) expiration_delta: SignedDuration,
    /// The time before which contents without a record may be another deployment's (`mark.rs`).
    pub(super) judged_from: Option<Timestamp>,
}

impl Ages {
    /// Whether something of this time is an orphan, if no record names it.
    pub(super) fn is_old(&self, time: Timestamp) -> bool {
        self.now.duration_since(time) > ORPHAN_AGE
    }

    /// Whether the tag was drawn so long ago that no append can commit under it any more.
    fn is_old_tag(&self, tag: Uuid) -> bool {
        drawn_at(tag).is_some_and(|drawn_at| self.is_old(drawn_at))
    }

    /// Whether the tag of an upload without a record was drawn when the stores had this deployment's mark.
    fn is_judged(&self, tag: Uuid) -> bool {
        let Some(judged_from) = self.judged_from else {
            return true;
        };
        drawn_at(tag).is_some_and(|drawn_at| drawn_at >= judged_from)
    }

    fn orphans(&self, found: &Found) -> Contents {
        let mut orphans = self.old_contents(found);
        orphans.segments.retain(|(_, tag)| self.is_judged(*tag));
        orphans.pages.retain(|tag| self.is_judged(*tag));
        orphans
    }

    fn old_contents(&self, found: &Found) -> Contents {
        let Contents { segments, pages } = &found.contents;
        Contents {
            segments: segments.iter().copied().filter(|(_, tag)| self.is_old_tag(*tag)).collect(),
            pages: pages.iter().copied().filter(|tag| self.is_old_tag(*tag)).collect(),
        }
    }
}

/// Decides on an upload by its keys, and by its record if `find` has returned one.
pub(super) fn verdict(found: &Found, upload: Option<&Upload>, ages: Ages) -> Verdict {
    let Some(upload) = upload else {
        return match found {
            Found { deleted: true, .. } => Verdict::Deleted,
            Found { open: true, .. } | Found { complete: true, .. } => Verdict::Unclear,
            _ => uncommitted(found, ages),
        };
    };
    if found.deleted || found.complete && !upload.is_complete() {
        return Verdict::Unclear;
    }
    if upload.is_purged() {
        return Verdict::Purged;
    }
    if upload.is_expired(ages.now - EXPIRY_MARGIN, ages.expiration_delta) {
        return Verdict::Expired;
    }
    Verdict::Kept {
        suspects: ages.old_contents(found),
        drops_open_record: found.open && upload.completed_at.is_some_and(|completed_at| ages.is_old(completed_at)),
    }
}

fn uncommitted(found: &Found, ages: Ages) -> Verdict {
    let old_listing = found.listing.as_ref().filter(|(_, created_at)| ages.is_old(*created_at));
    Verdict::Uncommitted { orphans: ages.orphans(found), listing: old_listing.map(|(key, _)| key.clone()) }
}

#[cfg(test)]
mod tests {
    use super::super::super::checksum::{Algorithm, Checksum};
    use super::super::super::record::{NewUpload, Progress};
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_795_392_000, 0);
    const AGES: Ages = Ages { now: NOW, expiration_delta: SignedDuration::from_hours(48), judged_from: None };

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
        Found { contents: contents(ages), ..Found::default() }
    }

    /// A segment and a page of each of these ages in hours.
    fn contents(ages: &[i64]) -> Contents {
        let tags = || ages.iter().map(|age| tag(hours(*age)));
        Contents { segments: tags().map(|tag| (0, tag)).collect(), pages: tags().collect() }
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
        Verdict::Kept { suspects: contents(suspects), drops_open_record }
    }

    #[test]
    fn without_a_record() {
        let entry = |age| Found { listing: Some(("list/k".to_owned(), ago(hours(age)))), ..found(&[1, 30]) };
        let uncommitted = |listing: Option<&str>| Verdict::Uncommitted {
            orphans: contents(&[30]),
            listing: listing.map(str::to_owned),
        };
        let rows = [
            (found(&[1, 30]), uncommitted(None)),
            (entry(23), uncommitted(None)),
            (entry(25), uncommitted(Some("list/k"))),
            // A mark wins, however old the rest is.
            (Found { deleted: true, ..entry(25) }, Verdict::Deleted),
            // The listing saw a record, but `find` found none.
            (Found { open: true, ..found(&[1, 30]) }, Verdict::Unclear),
            (Found { complete: true, ..found(&[1, 30]) }, Verdict::Unclear),
        ];
        for (found, expected) in rows {
            assert_eq!(verdict(&found, None, AGES), expected, "{found:?}");
        }
    }

    #[test]
    fn contents_from_before_the_mark_are_not_judged_without_a_record() {
        let ages = Ages { judged_from: Some(ago(hours(40))), ..AGES };
        let found = found(&[1, 30, 40, 41]);
        let uncommitted = Verdict::Uncommitted { orphans: contents(&[30, 40]), listing: None };
        assert_eq!(verdict(&found, None, ages), uncommitted);
        let open = Found { open: true, ..found };
        assert_eq!(verdict(&open, Some(&upload(hours(1))), ages), kept(&[30, 40, 41], false));
    }

    #[test]
    fn an_open_upload_expires_five_minutes_late() {
        let margin = SignedDuration::from_mins(5);
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
    fn what_does_not_go_together_is_left_alone() {
        let stale = Found { open: true, complete: true, ..found(&[1, 30]) };
        assert_eq!(verdict(&stale, Some(&upload(hours(1000))), AGES), Verdict::Unclear);
        let marked = Found { open: true, deleted: true, ..found(&[1, 30]) };
        assert_eq!(verdict(&marked, Some(&upload(hours(1000))), AGES), Verdict::Unclear);
    }

    #[test]
    fn a_purged_upload_has_no_contents() {
        let mut purged = upload(hours(100));
        purged.purge();
        assert_eq!(verdict(&Found { open: true, ..found(&[1, 30]) }, Some(&purged), AGES), Verdict::Purged);
    }

    #[test]
    fn a_tag_without_a_time_is_never_old() {
        let mut found = found(&[25]);
        found.contents.pages.insert(Uuid::from_u128(5));
        found.contents.segments.insert((7, Uuid::from_u128(5)));
        assert_eq!(AGES.old_contents(&found), contents(&[25]));
    }
}
