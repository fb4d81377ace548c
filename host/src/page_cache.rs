//! Keeps written data that nobody changes any more from filling the memory.
//!
//! Bytes that are on the disk would otherwise stay in the system's page cache until it needs the memory for something else,
//! a file's whole length of them. Given back early, the same pages take the next bytes.

use std::fs::File;
use std::io;
use std::path::Path;

/// Bytes that stay, the last ones that were written: a file is often asked for right after its upload.
const KEPT: u64 = 64 << 20;

/// A file that grows, and how much of it has been given back.
pub struct Growing {
    file: File,
    given_back: u64,
}

impl Growing {
    /// A file that another program writes. Its present content is left as it is.
    ///
    /// Keep it for as long as SQLite has the file: closing any descriptor of a file ends the process's locks on it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let given_back = file.metadata()?.len();
        Ok(Self { file, given_back })
    }

    /// Gives back the pages of what has been added, but for the last ones. They have to be on the disk.
    pub fn give_back(&mut self) {
        // A hint: where it can't be given, memory is used as it would be without.
        let Ok(metadata) = self.file.metadata() else { return };
        let end = metadata.len().saturating_sub(KEPT);
        #[cfg(target_os = "linux")]
        if let Some(added) = end.checked_sub(self.given_back).and_then(std::num::NonZero::new) {
            let _ = rustix::fs::fadvise(&self.file, self.given_back, Some(added), rustix::fs::Advice::DontNeed);
        }
        self.given_back = self.given_back.max(end);
    }
}
