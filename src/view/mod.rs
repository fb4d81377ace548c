//! Views: what an application may change about the service without changing the service.
//!
//! Users of drf-chunked-upload do this by subclassing its view. Here, an application implements [`View`]. It writes the
//! methods that differ, and the other methods do what the ready-made component does. docs/view.md shows an example.

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

/// What is known of a request before its body is read.
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
    /// A checksum must be sent, and it must match.
    Required,
    /// A checksum must match if it is sent.
    IfSent,
    /// A checksum is ignored.
    Never,
}

/// How an application's uploads differ from the ready-made component's.
///
/// One value handles one request, and lives as long as the response is sent. Each method has a default, which follows
/// the settings.
#[allow(async_fn_in_trait)] // A component has one thread: nothing needs to be `Send`.
pub trait View: 'static {
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

    /// Decides whether a chunk or a completion may change the upload, beyond the service's own rules. The service calls
    /// this after it has read the request's body, and before it commits anything.
    ///
    /// `upload` does not have the request's bytes yet, but it has the filename that the request gives it. For a whole
    /// file in one request, the service calls this once.
    ///
    /// # Errors
    /// The client gets the [`Refusal`] as its answer, and the upload stays as it was.
    async fn validate(&self, context: RequestContext<'_>, upload: &Upload, fields: &Fields) -> Result<(), Refusal> {
        let _ = (context, upload, fields);
        Ok(())
    }

    /// Changes an answer that describes an upload: adds fields, or removes some.
    fn describe(&self, context: RequestContext<'_>, upload: &Upload, answer: &mut Map<String, Value>) {
        let _ = (context, upload, answer);
    }

    /// The service calls this when an upload's file is whole and verified, right before the upload is complete for
    /// good. The return value is the completion's answer; `None` stands for the upload's description.
    ///
    /// It may run more than once for one upload: after it has failed, after the store has failed, or when requests
    /// race. [`Completion::idempotency_key`] is the same in each run with the same bytes. It doesn't run again after a
    /// client has got the completion's answer. The default calls the URL of the setting `on_completion_url`, if one is
    /// set.
    ///
    /// # Errors
    /// The client gets the [`Refusal`] as its answer, and the upload stays open.
    async fn on_completion(
        &self,
        context: RequestContext<'_>,
        completion: &Completion<'_>,
    ) -> Result<Option<Response<Bytes>>, Refusal> {
        let _ = context;
        completion.call_url().await
    }
}

/// The view of the ready-made component. It follows the settings in everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultView;

impl View for DefaultView {}
