//! The bytes of a file, in memory.

use std::ops::Range;

use md5::{Digest, Md5};

/// A file larger than this repeats its bytes.
const LONGEST_BLOCK: u64 = 1 << 30;

/// A file.
pub struct Content {
    block: Vec<u8>,
    /// The length in bytes.
    pub len: u64,
    /// The md5 in hex. It is computed in advance, so that no figure includes the time for it.
    pub md5: String,
}

impl Content {
    /// A file of `len` bytes. The bytes don't repeat within the first gibibyte.
    pub fn new(seed: u64, len: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut block = vec![0; usize::try_from(len.min(LONGEST_BLOCK)).expect("a gibibyte at most")];
        random.fill(&mut block);
        let mut content = Self { block, len, md5: String::new() };
        let mut digest = Md5::new();
        content.pieces(0..len).for_each(|piece| digest.update(piece));
        content.md5 = hex::encode(digest.finalize());
        content
    }

    /// The bytes of a range, in frames.
    pub fn pieces(&self, range: Range<u64>) -> impl Iterator<Item = &[u8]> {
        let mut from = range.start;
        std::iter::from_fn(move || {
            let start = usize::try_from(from % self.block.len().max(1) as u64).ok()?;
            let len = usize::try_from(range.end.min(self.len) - from).ok()?.min(self.block.len() - start);
            from += len as u64;
            (len > 0).then(|| &self.block[start..start + len])
        })
    }
}
