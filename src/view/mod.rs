//! Views of one's own: what an application may change about the service without changing the service.
//!
//! This is what drf-chunked-upload's users do by subclassing its view: a type that implements [`View`] says what is
//! different, and each method that it leaves out is the ready-made component's. README.md, "Your own view", shows one.

mod completion;
mod refusal;

pub use completion::Completion;
pub use refusal::Refusal;

use std::collections::HashMap;

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use serde_json::{Map, Value};

use crate::identity::Asking;
use crate::settings::Settings;
use crate::uploads::Upload;

/// What a request is, as far as it is known before its body is read.
#[derive(Clone, Copy)]
pub struct Visit<'a> {
    /// The request's method, URI and headers.
    pub request: &'a Parts,
    /// Who is asking.
    pub asking: &'a Asking,
    /// The application's settings.
    pub settings: &'a Settings,
}

/// The fields of a request's form by name: all but the file.
pub type Fields = HashMap<String, String>;

/// Whether a completion verifies the whole file's checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumCheck {
    /// It must be sent, and match.
    Required,
    /// It must match where it is sent.
    IfSent,
    /// It is ignored.
    Never,
}

/// How an application's uploads differ from the ready-made component's.
///
/// One value handles one request. Each method has a default, which follows the settings.
#[allow(async_fn_in_trait)] // A component has one thread: nothing needs to be `Send`.
pub trait View {
    /// The name of the form's file part.
    fn field_name<'a>(&'a self, visit: Visit<'a>) -> &'a str {
        &visit.settings.field_name
    }

    /// The most bytes that the file may have; `None` for no limit.
    fn max_bytes(&self, visit: Visit<'_>) -> Option<u64> {
        visit.settings.max_bytes
    }

    /// Whether a completion verifies the checksum.
    fn checksum_check(&self, visit: Visit<'_>) -> ChecksumCheck {
        if visit.settings.checksum_required { ChecksumCheck::Required } else { ChecksumCheck::IfSent }
    }

    /// Decides whether a chunk or a completion may change the upload, beyond the service's own rules. It is asked when
    /// the request's body has been read, and before anything of it counts.
    ///
    /// `upload` is as it stands without the request's bytes, with the name that the request gives it. A whole file at
    /// once is asked for once.
    ///
    /// # Errors
    /// A [`Refusal`] is the answer, and the upload stays as it was.
    async fn validate(&self, visit: Visit<'_>, upload: &Upload, fields: &Fields) -> Result<(), Refusal> {
        let _ = (visit, upload, fields);
        Ok(())
    }

    /// Changes what is answered of an upload: adds fields, or removes some.
    fn describe(&self, visit: Visit<'_>, upload: &Upload, answer: &mut Map<String, Value>) {
        let _ = (visit, upload, answer);
    }

    /// Is told that an upload's file is whole and verified, right before the upload is complete for good. What it
    /// returns is the completion's answer; `None` stands for the upload's description.
    ///
    /// It may run more than once for one upload: when its own answer or the store's failed the first time, or when
    /// requests race. [`Completion::idempotency_key`] is the same then. It doesn't run again once a client has had the
    /// answer. The default calls the URL of the setting `on_completion_url`, where there is one.
    ///
    /// # Errors
    /// A [`Refusal`] is the answer, and the upload stays open.
    async fn on_completion(
        &self,
        visit: Visit<'_>,
        completion: &Completion<'_>,
    ) -> Result<Option<Response<Bytes>>, Refusal> {
        let _ = visit;
        completion.call_url().await
    }
}

/// The view of the ready-made component: all as the settings say.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadyMade;

impl View for ReadyMade {}
