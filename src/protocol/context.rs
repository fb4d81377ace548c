//! The context in which the protocols handle a request.

use http::request::Parts;
use jiff::Timestamp;
use uuid::Uuid;

use crate::http::Outbound;
use crate::http::failure::Failure;
use crate::http::urls::Urls;
use crate::identity::Identity;
use crate::settings::Settings;
use crate::store::Store;
use crate::uploads::{self, Upload, Uploads};
use crate::view::{CompletionHook, RequestContext, View};

/// One request, and everything that the protocols need to handle it.
pub(super) struct Context<S, V> {
    pub(super) settings: Settings,
    pub(super) uploads: Uploads<S>,
    pub(super) view: V,
    pub(super) outbound: Option<Box<dyn Outbound>>,
    pub(super) urls: Urls,
    pub(super) identity: Identity,
    /// The request without its body.
    pub(super) request: Parts,
}

impl<S: Store, V: View> Context<S, V> {
    pub(super) fn method_error(&self, allow: &'static str) -> Failure {
        Failure::Method { method: self.request.method.clone(), allow }
    }

    /// The request as a view sees it.
    pub(super) fn for_view(&self) -> RequestContext<'_> {
        RequestContext { request: &self.request, identity: &self.identity, settings: &self.settings }
    }

    /// The completion hook, where one is set.
    pub(super) fn hook(&self) -> Option<CompletionHook<'_>> {
        let settings = self.settings.on_completion.as_ref()?;
        Some(CompletionHook { settings, outbound: self.outbound.as_deref() })
    }

    /// The upload with this id, if the client may see it.
    pub(super) async fn find(&self, id: Uuid) -> Result<Upload, uploads::Error> {
        let upload = self.uploads.find(id).await?;
        if self.may_see(&upload) { Ok(upload) } else { Err(uploads::Error::NotFound) }
    }

    fn may_see(&self, upload: &Upload) -> bool {
        match &self.identity {
            Identity::Anyone => true,
            Identity::Nobody => false,
            Identity::User(user) => !self.settings.user_restricted || upload.user.as_ref() == Some(user),
        }
    }

    /// Checks that the upload is not too old to be continued or completed.
    pub(super) fn check_not_expired(&self, upload: &Upload) -> Result<(), uploads::Error> {
        let expired = upload.is_expired(self.uploads.now(), self.settings.expiration_delta);
        if expired { Err(uploads::Error::Expired) } else { Ok(()) }
    }

    /// The path of an upload's file, ending with this extension.
    pub(super) fn file_path(&self, id: Uuid, created_at: Timestamp, extension: &str) -> String {
        let folder = self.settings.folder(created_at);
        let slash = if folder.is_empty() { "" } else { "/" };
        format!("{folder}{slash}{id}{extension}")
    }

    /// The path of an upload's file once the upload is complete: its path now, with the extension of complete files.
    pub(super) fn complete_file_path(&self, upload: &Upload) -> String {
        let settings = &self.settings;
        let stem = upload.path.strip_suffix(&settings.incomplete_ext);
        match stem {
            Some(stem) => format!("{stem}{}", settings.complete_ext),
            // The setting has changed since the upload began.
            None => self.file_path(upload.id, upload.created_at, &settings.complete_ext),
        }
    }
}
