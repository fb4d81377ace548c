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
    fn keys_are_recognised() {
        let (id, tag) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(parse(&open(id)), Some((id, Role::Open)));
        assert_eq!(parse(&complete(id)), Some((id, Role::Complete)));
        assert_eq!(parse(&deleted(id)), Some((id, Role::Deleted)));
        assert_eq!(parse(&data(id, u64::MAX, tag)), Some((id, Role::Segment { offset: u64::MAX, tag })));
        assert_eq!(parse(&page(id, tag)), Some((id, Role::Page(tag))));
        for other in ["", "upload", "upload/x", "data/x/0-y", "else/1", &format!("upload/{id}/else")] {
            assert_eq!(parse(other), None, "{other}");
        }
        assert!(data(id, u64::MAX, tag).len() < 255);
    }
}
