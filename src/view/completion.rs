//! A completion as a view sees it, right before it is final.

use std::ops::Range;

use bytes::Bytes;
use http::Response;
use serde_json::{Map, Value};

use super::{CompletionHook, Refusal};
use crate::uploads::{ByteStream, Upload};

/// An upload whose file is whole and verified, and that is about to be complete.
pub struct Completion<'a> {
    pub(crate) upload: &'a Upload,
    pub(crate) answer: &'a Map<String, Value>,
    pub(crate) read: &'a dyn Fn(Range<u64>) -> ByteStream,
    /// The hook, and the upload as the hook is told it.
    pub(crate) hook: Option<(CompletionHook<'a>, Map<String, Value>)>,
}

impl Completion<'_> {
    /// The upload as it will be when it is complete.
    pub fn upload(&self) -> &Upload {
        self.upload
    }

    /// The answer, unless the view returns another one.
    pub fn answer(&self) -> &Map<String, Value> {
        self.answer
    }

    /// The file's bytes in `range`, in order. Each item has at most `segment_size` bytes. Downloads serve the file only
    /// after it is complete. This method reads it before that.
    pub fn read(&self, range: Range<u64>) -> ByteStream {
        (self.read)(range)
    }

    /// Names the completion: by the upload, and by the checksum of the bytes that complete it.
    pub fn idempotency_key(&self) -> String {
        let checksum = self.upload.checksum().map_or("", |checksum| &checksum.hex);
        format!("{}-{checksum}", self.upload.id)
    }

    /// Calls the URL of the setting `on_completion_url`, and returns its answer. Returns `None` if no URL is set, or if
    /// the answer has no body.
    ///
    /// # Errors
    /// The refusal that the URL answered, or [`Refusal::Failed`].
    pub async fn call_url(&self) -> Result<Option<Response<Bytes>>, Refusal> {
        match &self.hook {
            Some((hook, told)) => hook.call(self.upload, told, &self.idempotency_key()).await,
            None => Ok(None),
        }
    }
}
