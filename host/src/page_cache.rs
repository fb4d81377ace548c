//! Gives back the memory of data that is written and does not change any more.
//!
//! Otherwise, bytes that are on the disk stay in the system's page cache, up to the whole length of a file, until the
//! system needs the memory for something else. If they are given back early, the same pages take the next bytes.

use std::fs::File;
use std::io;
use std::path::Path;

/// How many bytes stay in the cache: the last ones that were written. A file is often read right after its upload.
const KEPT: u64 = 64 << 20;

/// A file that grows, and how much of it has been given back.
pub struct Growing {
    file: File,
    given_back: u64,
}

impl Growing {
    /// Opens a file that SQLite writes. The pages of its present content are left alone.
    ///
    /// Keep this value as long as SQLite has the file open. If a process closes any descriptor of a file, it loses all
    /// its locks on that file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let given_back = file.metadata()?.len();
        Ok(Self { file, given_back })
    }

    /// Gives back the pages of the added bytes, except for the last ones. The pages must already be on the disk.
    pub fn give_back(&mut self) {
        // This is only a hint to the system. If it fails, the pages stay in memory.
        let Ok(metadata) = self.file.metadata() else { return };
        let end = metadata.len().saturating_sub(KEPT);
        #[cfg(target_os = "linux")]
        if let Some(added) = end.checked_sub(self.given_back).and_then(std::num::NonZero::new) {
            let _ = rustix::fs::fadvise(&self.file, self.given_back, Some(added), rustix::fs::Advice::DontNeed);
        }
        self.given_back = self.given_back.max(end);
    }
}
