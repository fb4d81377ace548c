//! Reading an upload's bytes, or any range of them: which parts of its contents they are in.

mod download;

use std::ops::Range;

use bytes::Bytes;
use futures::future;
use futures::stream::{self, LocalBoxStream, Stream, StreamExt, TryStreamExt};
use uuid::Uuid;

use super::chunks::{self, Entry};
use super::error::Damage;
use super::record::Upload;
use super::short_id::short_ids;
use super::{Error, Uploads, keys};
use crate::store::Store;

/// A file's bytes in order, each item at most a segment.
pub type ByteStream = LocalBoxStream<'static, Result<Bytes, Error>>;

/// A key of an upload's contents. Parts come in the order of the file. A page comes after all that it lists.
pub(super) enum Part {
    Segment(Segment),
    Page(String),
}

impl Part {
    pub(super) fn key(&self) -> &str {
        match self {
            Self::Page(key) => key,
            Self::Segment(segment) => &segment.key,
        }
    }
}

/// Bytes of the file: some or all of the segment under `key`.
#[derive(Clone)]
pub(super) struct Segment {
    key: String,
    /// How many bytes the whole segment has.
    len: usize,
    wanted: Range<usize>,
}

impl<S: Store> Uploads<S> {
    /// The bytes of `range`, up to the upload's offset.
    ///
    /// The stream ends with [`Error::Damaged`] if a part is missing (the upload may have been deleted meanwhile), or
    /// with [`Error::Store`].
    pub fn read(&self, upload: &Upload, range: Range<u64>) -> ByteStream {
        let segments = self.parts(upload, range).try_filter_map(|part| {
            future::ready(Ok(match part {
                Part::Segment(segment) => Some(segment),
                Part::Page(_) => None,
            }))
        });
        download::read(self.blobs.clone(), self.room.clone(), segments.boxed_local())
    }

    /// The keys of the upload's contents in `range`.
    pub(super) fn parts(
        &self,
        upload: &Upload,
        range: Range<u64>,
    ) -> impl Stream<Item = Result<Part, Error>> + 'static {
        let walk = Walk::new(self.blobs.clone(), upload, range);
        stream::try_unfold(walk, |mut walk| async move { Ok(walk.next().await?.map(|part| (part, walk))) })
    }
}

impl Segment {
    async fn fetch<S: Store>(&self, blobs: &S) -> Result<Bytes, Error> {
        let Self { key, wanted, .. } = self;
        let Some(bytes) = blobs.get(key).await? else {
            return Err(Damage::new(format!("{} is missing", short_ids(key))).into());
        };
        if bytes.len() < wanted.end {
            return Err(Damage::new(format!("{} has only {} bytes", short_ids(key), bytes.len())).into());
        }
        Ok(bytes.slice(wanted.clone()))
    }
}

/// A walk through the list of chunks and its pages.
struct Walk<S> {
    blobs: S,
    id: Uuid,
    segment_size: u64,
    range: Range<u64>,
    /// The steps that are still to do. The last one is the next.
    ahead: Vec<Step>,
}

enum Step {
    /// An entry of a level, and where its bytes begin in the file.
    Entry { level: usize, start: u64, entry: Entry },
    /// The rest of a chunk, from `from` on.
    Chunk { start: u64, from: u64, entry: Entry },
    /// A page whose entries have been visited.
    Leave { key: String },
}

impl<S: Store> Walk<S> {
    fn new(blobs: S, upload: &Upload, range: Range<u64>) -> Self {
        let mut walk =
            Self { blobs, id: upload.id, segment_size: u64::from(upload.segment_size), range, ahead: Vec::new() };
        let mut start = 0;
        let mut steps = Vec::new();
        for (level, entries) in upload.chunks.levels() {
            for entry in entries {
                steps.push(Step::Entry { level, start, entry: *entry });
                start += entry.len;
            }
        }
        walk.ahead.extend(steps.into_iter().rev());
        walk
    }

    async fn next(&mut self) -> Result<Option<Part>, Error> {
        while let Some(step) = self.ahead.pop() {
            match step {
                Step::Leave { key } => return Ok(Some(Part::Page(key))),
                Step::Entry { start, entry, .. } if !self.wants(start, entry.len) => {}
                Step::Entry { level: 0, start, entry } => self.ahead.push(Step::Chunk { start, from: 0, entry }),
                Step::Entry { level, start, entry } => self.open_page(level, start, entry).await?,
                Step::Chunk { start, from, entry } => {
                    if let Some(segment) = self.next_segment(start, from, entry) {
                        return Ok(Some(Part::Segment(segment)));
                    }
                }
            }
        }
        Ok(None)
    }

    fn wants(&self, start: u64, len: u64) -> bool {
        start < self.range.end && self.range.start < start + len
    }

    async fn open_page(&mut self, level: usize, mut start: u64, entry: Entry) -> Result<(), Error> {
        let key = keys::page(self.id, entry.tag);
        let Some(json) = self.blobs.get(&key).await? else {
            return Err(Damage::new(format!("{} is missing", short_ids(&key))).into());
        };
        let mut steps = Vec::new();
        for entry in chunks::page_from_json(&json, entry)? {
            steps.push(Step::Entry { level: level - 1, start, entry });
            start += entry.len;
        }
        self.ahead.push(Step::Leave { key });
        self.ahead.extend(steps.into_iter().rev());
        Ok(())
    }

    /// The chunk's segment at `from`, if any of it is wanted. The rest of the chunk becomes the next step.
    fn next_segment(&mut self, start: u64, mut from: u64, entry: Entry) -> Option<Segment> {
        let segment_size = entry.segment_size.map_or(self.segment_size, |size| size.get().into());
        if from == 0 && self.range.start > start {
            from = (self.range.start - start) / segment_size * segment_size;
        }
        let len = segment_size.min(entry.len - from.min(entry.len));
        let place = start + from;
        if len == 0 || place >= self.range.end {
            return None;
        }
        self.ahead.push(Step::Chunk { start, from: from + len, entry });
        let wanted_from = self.range.start.saturating_sub(place).min(len);
        let wanted_to = (self.range.end - place).min(len);
        let wanted = to_usize(wanted_from)..to_usize(wanted_to);
        Some(Segment { key: keys::data(self.id, place, entry.tag), len: to_usize(len), wanted })
    }
}

/// An offset within a segment, whose length fits a `u32`.
fn to_usize(place: u64) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}
