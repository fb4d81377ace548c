//! The keys that an upload's parts stand under; all below 255 bytes, the hosted platforms' limit.

use uuid::Uuid;

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

/// A value of the file's bytes: those from `offset` on, written by the request with this tag.
pub(super) fn data(id: Uuid, offset: u64, tag: Uuid) -> String {
    format!("data/{id}/{offset}-{tag}")
}

/// A page of the list of chunks, written by the request with this tag.
pub(super) fn page(id: Uuid, tag: Uuid) -> String {
    format!("page/{id}/{tag}")
}
