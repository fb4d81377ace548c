//! The list of an upload's chunks. It stays small, however many chunks there are.
//!
//! The record holds the newest chunks themselves. When they are more than [`FANOUT`], the oldest of them are written
//! into a page. One entry on the next level stands for the page. When a level has too many pages, they become a page of
//! the next level, and so on. So a list of n chunks has a few entries on each of log(n) levels. The entries of the
//! highest level come first in the file.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::{Damage, Error};

/// How many entries make a page.
const FANOUT: usize = 16;

/// Enough levels for any file: an entry of the highest level stands for 16^15 chunks.
const MAX_LEVELS: usize = 16;

/// A range of the file's bytes: a chunk, or the chunks of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub(super) struct Entry {
    /// The length in bytes.
    pub(super) len: u64,
    /// The tag that the chunk or the page was written under.
    pub(super) tag: Uuid,
    /// The size of a chunk's segments in bytes, if it is not the upload's.
    pub(super) segment_size: Option<NonZeroU32>,
}

impl Entry {
    /// An entry for a page, or for a chunk in segments of the upload's size.
    pub(super) fn new(len: u64, tag: Uuid) -> Self {
        Self { len, tag, segment_size: None }
    }
}

/// An entry as it is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Usual(u64, Uuid),
    Short(u64, Uuid, NonZeroU32),
}

impl From<Written> for Entry {
    fn from(written: Written) -> Self {
        match written {
            Written::Usual(len, tag) => Self::new(len, tag),
            Written::Short(len, tag, size) => Self { len, tag, segment_size: Some(size) },
        }
    }
}

impl From<Entry> for Written {
    fn from(Entry { len, tag, segment_size }: Entry) -> Self {
        match segment_size {
            None => Self::Usual(len, tag),
            Some(size) => Self::Short(len, tag, size),
        }
    }
}

/// The list: `levels[0]` holds chunks, `levels[n]` pages of entries of the level below.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Chunks {
    levels: Vec<Vec<Entry>>,
}

impl Chunks {
    /// How many bytes the chunks have together.
    pub(super) fn len(&self) -> u64 {
        self.levels.iter().flatten().map(|entry| entry.len).sum()
    }

    /// The levels from the highest, which begins the file, to the chunks: each with its number.
    pub(super) fn levels(&self) -> impl Iterator<Item = (usize, &[Entry])> {
        self.levels.iter().map(Vec::as_slice).enumerate().rev()
    }

    /// Adds a chunk at the end.
    pub(super) fn push(&mut self, chunk: Entry) {
        self.push_at(0, chunk);
    }

    /// Takes a page of entries out of a level that has too many, and puts one entry for the page on the level above.
    /// That entry has the tag that the page is written under.
    ///
    /// One call, and so one page, is enough for each commit. A commit adds at most one entry to a level. The levels
    /// above the lowest get an entry so rarely that a later commit can write their page before they need another.
    pub(super) fn take_page(&mut self, tag: Uuid) -> Option<Vec<Entry>> {
        let level = self.levels.iter().position(|entries| entries.len() >= FANOUT)?;
        let page: Vec<Entry> = self.levels[level].drain(..FANOUT).collect();
        let len = page.iter().map(|entry| entry.len).sum();
        self.push_at(level + 1, Entry::new(len, tag));
        Some(page)
    }

    /// What is wrong with a list that was read; `None` if nothing is.
    pub(super) fn fault(&self) -> Option<&'static str> {
        if self.levels.len() > MAX_LEVELS {
            return Some("its list has too many levels");
        }
        match len_of(self.levels.iter().flatten()) {
            Some(_) => None,
            None => Some("the lengths on its list can't be"),
        }
    }

    fn push_at(&mut self, level: usize, entry: Entry) {
        if self.levels.len() <= level {
            self.levels.resize(level + 1, Vec::new());
        }
        self.levels[level].push(entry);
    }
}

/// How many bytes the entries have together. `None` if an entry has no bytes, or if all have more bytes than a file can
/// have.
fn len_of<'a>(mut entries: impl Iterator<Item = &'a Entry>) -> Option<u64> {
    let len = entries.try_fold(0, |sum: u64, entry| sum.checked_add(entry.len).filter(|_| entry.len > 0))?;
    i64::try_from(len).is_ok().then_some(len)
}

/// A page as it is stored.
pub(super) fn page_to_json(page: &[Entry]) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(page).map_err(|error| Damage::new("a page can't be written").because(error).into())
}

/// The page that an entry stands for, as it was stored. The page must have as many bytes as the entry says. So a page
/// of several entries can't contain itself.
pub(super) fn page_from_json(json: &[u8], stands_for: Entry) -> Result<Vec<Entry>, Error> {
    let page: Vec<Entry> =
        serde_json::from_slice(json).map_err(|error| Damage::new("a page can't be read").because(error))?;
    if len_of(page.iter()) == Some(stands_for.len) {
        Ok(page)
    } else {
        Err(Damage::new("a page is not what its list says").into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// All chunks in the order of the file, pages read from `pages`.
    fn flatten(level: usize, entries: &[Entry], pages: &HashMap<Uuid, Vec<Entry>>) -> Vec<u64> {
        match level {
            0 => entries.iter().map(|entry| entry.len).collect(),
            _ => entries.iter().flat_map(|entry| flatten(level - 1, &pages[&entry.tag], pages)).collect(),
        }
    }

    #[test]
    fn the_list_keeps_order_and_stays_small() {
        let (mut chunks, mut pages) = (Chunks::default(), HashMap::new());
        let count = 70_000;
        let mut largest = 0;
        for number in 1..=count {
            let tag = Uuid::from_u128(number);
            if let Some(page) = chunks.take_page(tag) {
                pages.insert(tag, page);
            }
            chunks.push(Entry::new(u64::try_from(number).unwrap(), tag));
            largest = largest.max(serde_json::to_vec(&chunks).unwrap().len());
        }
        let found: Vec<u64> = chunks.levels().flat_map(|(level, entries)| flatten(level, entries, &pages)).collect();
        assert_eq!(found, (1..=70_000).collect::<Vec<u64>>());
        assert_eq!(chunks.len(), found.iter().sum::<u64>());
        assert!(largest < 5_000, "the list took {largest} bytes");
    }
}
