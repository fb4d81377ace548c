//! The keys of an upload's parts. All are shorter than 255 bytes, the hosted platforms' limit.

use uuid::Uuid;

use super::list::ListCursor;

/// The record of an upload that is open.
pub(super) fn open(id: Uuid) -> String {
    format!("upload/{id}")
}

/// The record of an upload that is complete.
pub(super) fn complete(id: Uuid) -> String {
    format!("upload/{id}/complete")
}

/// The mark of an upload that was deleted.
pub(super) fn deleted(id: Uuid) -> String {
    format!("upload/{id}/deleted")
}

/// A segment of the file: the bytes from `offset` on, written under this tag.
pub(super) fn data(id: Uuid, offset: u64, tag: Uuid) -> String {
    format!("data/{id}/{offset}-{tag}")
}

/// A page of the list of chunks, written under this tag.
pub(super) fn page(id: Uuid, tag: Uuid) -> String {
    format!("page/{id}/{tag}")
}

/// The key whose value is the newest mark of the deployment.
pub(super) const OWN_MARK: &str = "mark/own";

/// The mark of a deployment in the store of its records.
pub(super) fn records_mark(mark: Uuid) -> String {
    format!("mark/records/{mark}")
}

/// The mark of a deployment in the store of its contents, where that is another store.
pub(super) fn blobs_mark(mark: Uuid) -> String {
    format!("mark/blobs/{mark}")
}

/// What a mark says of the store that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MarkOf {
    /// The store has the deployment's records.
    Records,
    /// The store has the deployment's contents.
    Blobs,
}

/// The mark in a key; `None` if the key is not that of a mark.
pub(super) fn parse_mark(key: &str) -> Option<(MarkOf, Uuid)> {
    let (kind, mark) = key.strip_prefix("mark/")?.split_once('/')?;
    let kind = match kind {
        "records" => MarkOf::Records,
        "blobs" => MarkOf::Blobs,
        _ => return None,
    };
    Some((kind, Uuid::try_parse(mark).ok()?))
}

/// What a key of the store means for an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The record of an open upload.
    Open,
    /// The record of a complete upload.
    Complete,
    /// The mark of a deleted upload.
    Deleted,
    /// A segment from this offset on, written under this tag.
    Segment { offset: u64, tag: Uuid },
    /// A page that was written under this tag.
    Page(Uuid),
    /// An upload's entry in a list.
    Listed(ListCursor),
}

/// The upload that a key belongs to, and the key's role; `None` if the key is not this service's.
pub(super) fn parse(key: &str) -> Option<(Uuid, Role)> {
    let (kind, rest) = key.split_once('/')?;
    if kind == "list" {
        let cursor: ListCursor = rest.split_once('/')?.1.parse().ok()?;
        return Some((cursor.id(), Role::Listed(cursor)));
    }
    let (id, part) = rest.split_once('/').unwrap_or((rest, ""));
    let role = match (kind, part) {
        ("upload", "") => Role::Open,
        ("upload", "complete") => Role::Complete,
        ("upload", "deleted") => Role::Deleted,
        ("data", segment) => {
            let (offset, tag) = segment.split_once('-')?;
            Role::Segment { offset: offset.parse().ok()?, tag: Uuid::try_parse(tag).ok()? }
        }
        ("page", tag) => Role::Page(Uuid::try_parse(tag).ok()?),
        _ => return None,
    };
    Some((Uuid::try_parse(id).ok()?, role))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_recognised() {
        let mark = Uuid::from_u128(1);
        assert_eq!(parse_mark(&records_mark(mark)), Some((MarkOf::Records, mark)));
        assert_eq!(parse_mark(&blobs_mark(mark)), Some((MarkOf::Blobs, mark)));
        for other in ["", OWN_MARK, "mark/", "mark/blobs/x", &open(mark), &format!("mark/else/{mark}")] {
            assert_eq!(parse_mark(other), None, "{other}");
        }
    }

    #[test]
    fn keys_are_recognised() {
        let (id, tag) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(parse(&open(id)), Some((id, Role::Open)));
        assert_eq!(parse(&complete(id)), Some((id, Role::Complete)));
        assert_eq!(parse(&deleted(id)), Some((id, Role::Deleted)));
        assert_eq!(parse(&data(id, u64::MAX, tag)), Some((id, Role::Segment { offset: u64::MAX, tag })));
        assert_eq!(parse(&page(id, tag)), Some((id, Role::Page(tag))));
        for mark in [OWN_MARK, &records_mark(id), &blobs_mark(id)] {
            assert_eq!(parse(mark), None, "a mark belongs to no upload");
        }
        for other in ["", "upload", "upload/x", "data/x/0-y", "else/1", &format!("upload/{id}/else")] {
            assert_eq!(parse(other), None, "{other}");
        }
        assert!(data(id, u64::MAX, tag).len() < 255);
    }
}
