//! The keys that one step of a sweep looks at: a bounded number of keys, from its cursor on.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{LocalBoxStream, StreamExt, TryStreamExt};
use uuid::Uuid;

use super::super::keys::{self, Role};
use super::super::mark::{ListedIn, Marks};
use super::super::{Error, Uploads};
use super::cursor::SweepCursor;
use super::verdict::Found;
use crate::store::{Store, StoreError};

/// How many keys one step holds. They take some 3 MB. An upload counts as one, and so does each of its segments and
/// pages.
const KEYS_A_STEP: usize = 20_000;
/// How many keys it holds while memory is short.
const KEYS_AT_LEAST: usize = 2_000;

/// The listed segments and pages of one upload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// Each segment's offset and tag.
    pub(super) segments: BTreeSet<(u64, Uuid)>,
    /// Each page's tag.
    pub(super) pages: BTreeSet<Uuid>,
}

impl Contents {
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.pages.is_empty()
    }

    fn len(&self) -> usize {
        self.segments.len() + self.pages.len()
    }

    /// Takes out the last of the contents, and returns its offset. Pages come after all segments.
    fn pop_last(&mut self) -> Option<u64> {
        match self.pages.pop_last() {
            Some(_) => Some(u64::MAX),
            None => self.segments.pop_last().map(|(offset, _)| offset),
        }
    }
}

/// The first uploads from a cursor on, and what their keys tell about them.
#[derive(Default)]
pub(super) struct Window {
    pub(super) uploads: BTreeMap<Uuid, Found>,
    /// The marks of deployments in both stores.
    pub(super) marks: Marks,
    /// The cursor of the first key that did not fit.
    pub(super) rest: Option<SweepCursor>,
    held: usize,
}

impl Window {
    fn add(&mut self, key: String, id: Uuid, role: Role, most: usize) {
        let is_new = !self.uploads.contains_key(&id);
        let found = self.uploads.entry(id).or_default();
        let before = found.contents.len();
        match role {
            Role::Open => found.open = true,
            Role::Complete => found.complete = true,
            Role::Deleted => found.deleted = true,
            Role::Segment { offset, tag } => drop(found.contents.segments.insert((offset, tag))),
            Role::Page(tag) => drop(found.contents.pages.insert(tag)),
            Role::Listed(cursor) => found.listing = Some((key, cursor.created_at())),
        }
        self.held += found.contents.len() - before + usize::from(is_new);
        while self.held > most {
            self.leave_out_last();
        }
    }

    /// Makes room: it leaves the last key to a later step.
    fn leave_out_last(&mut self) {
        let Some(mut last) = self.uploads.last_entry() else {
            return;
        };
        let id = *last.key();
        let place = last.get_mut().contents.pop_last();
        if place.is_none() {
            last.remove();
        }
        self.held -= 1;
        self.rest = Some(SweepCursor::at(id, place.unwrap_or_default()));
    }

    fn wants(&self, id: Uuid, role: Role) -> bool {
        let Some(rest) = self.rest else {
            return true;
        };
        match role {
            Role::Segment { offset, .. } => SweepCursor::at(id, offset) < rest,
            Role::Page(_) => SweepCursor::at(id, u64::MAX) < rest,
            // The upload of `rest` may have some of its contents in the window, and these are judged by its records. If
            // it has none there, keys of it that were listed before are left out, so all of it is.
            _ => SweepCursor::at(id, 0) < rest || self.uploads.contains_key(&id),
        }
    }
}

impl<S: Store> Uploads<S> {
    /// Lists all keys once, and keeps the first ones from `from` on.
    pub(super) async fn look(&self, from: Option<SweepCursor>) -> Result<Window, Error> {
        let mut window = Window::default();
        let mut keys = self.all_keys();
        while let Some((store, key)) = keys.try_next().await? {
            let Some((id, role)) = keys::parse(&key) else {
                window.marks.add(store, &key);
                continue;
            };
            let is_done = from.is_some_and(|from| match role {
                Role::Segment { offset, .. } => from.is_behind_offset(id, offset),
                _ => from.is_behind(id),
            });
            if !is_done && window.wants(id, role) {
                let most = if self.room.is_short() { KEYS_AT_LEAST } else { KEYS_A_STEP };
                window.add(key, id, role, most);
            }
        }
        Ok(window)
    }

    /// All keys of both stores, each with the store that has it.
    fn all_keys(&self) -> LocalBoxStream<'static, Result<(ListedIn, String), StoreError>> {
        let in_records = self.records.keys().map_ok(|key| (ListedIn::Records, key));
        match self.blobs_apart {
            true => in_records.chain(self.blobs.keys().map_ok(|key| (ListedIn::Blobs, key))).boxed_local(),
            false => in_records.boxed_local(),
        }
    }
}
