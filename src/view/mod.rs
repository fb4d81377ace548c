//! Views of one's own: what an application may change about the service without changing the service.
//!
//! This is what drf-chunked-upload's users do by subclassing its view: a type that implements [`View`] says what is
//! different, and each method that it leaves out is the ready-made component's. docs/view.md shows one.

mod completion;
mod completion_hook;
mod refusal;

pub use completion::Completion;
pub(crate) use completion_hook::CompletionHook;
pub use refusal::Refusal;

use std::collections::HashMap;

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use serde_json::{Map, Value};

use crate::identity::Identity;
use crate::settings::Settings;
use crate::uploads::Upload;

/// What a request is, as far as it is known before its body is read.
#[derive(Clone, Copy)]
pub struct RequestContext<'a> {
    /// The request's method, URI and headers.
    pub request: &'a Parts,
    /// Who is asking.
    pub identity: &'a Identity,
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
    fn field_name<'a>(&'a self, context: RequestContext<'a>) -> &'a str {
        &context.settings.field_name
    }

    /// The most bytes that the file may have; `None` for no limit.
    fn max_bytes(&self, context: RequestContext<'_>) -> Option<u64> {
        context.settings.max_bytes
    }

    /// Whether a completion verifies the checksum.
    fn checksum_check(&self, context: RequestContext<'_>) -> ChecksumCheck {
        if context.settings.checksum_required { ChecksumCheck::Required } else { ChecksumCheck::IfSent }
    }

    /// Decides whether a chunk or a completion may change the upload, beyond the service's own rules. It is asked when
    /// the request's body has been read, and before anything of it counts.
    ///
    /// `upload` is as it stands without the request's bytes, with the name that the request gives it. A whole file at
    /// once is asked for once.
    ///
    /// # Errors
    /// A [`Refusal`] is the answer, and the upload stays as it was.
    async fn validate(&self, context: RequestContext<'_>, upload: &Upload, fields: &Fields) -> Result<(), Refusal> {
        let _ = (context, upload, fields);
        Ok(())
    }

    /// Changes what is answered of an upload: adds fields, or removes some.
    fn describe(&self, context: RequestContext<'_>, upload: &Upload, answer: &mut Map<String, Value>) {
        let _ = (context, upload, answer);
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
        context: RequestContext<'_>,
        completion: &Completion<'_>,
    ) -> Result<Option<Response<Bytes>>, Refusal> {
        let _ = context;
        completion.call_url().await
    }
}

/// The view of the ready-made component: all as the settings say.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultView;

impl View for DefaultView {}
