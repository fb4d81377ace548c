//! A component's output: `logs/<component>_stdout.txt` and `…_stderr.txt` in the state folder, and the terminal.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use anyhow::{Context, Result};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

/// One of a component's two output streams.
#[derive(Clone)]
pub struct ComponentLog {
    file: Arc<File>,
}

impl ComponentLog {
    /// Opens the log of the component's `stream` ("stdout" or "stderr") for appending.
    pub fn open(state_dir: &Path, component_id: &str, stream: &str) -> Result<Self> {
        let folder = state_dir.join("logs");
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let path = folder.join(format!("{component_id}_{stream}.txt"));
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self { file: Arc::new(file) })
    }
}

impl IsTerminal for ComponentLog {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for ComponentLog {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

/// Writes without a buffer. Log lines are short and rare, and they must not be lost when the process ends.
impl AsyncWrite for ComponentLog {
    fn poll_write(self: Pin<&mut Self>, _: &mut TaskContext<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // A full disk or a closed terminal must not fail the guest's request.
        let _ = (&*self.file).write_all(bytes);
        let _ = io::stderr().write_all(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
