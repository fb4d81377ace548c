//! The service's routes.

use uuid::Uuid;

use super::{manage, openapi};
use crate::http::urls;

/// What a request's path stands for.
pub(super) enum Route {
    Welcome,
    OpenApi,
    DeleteExpired,
    Uploads,
    Upload(Uuid),
    /// A stored file: the path that it is served under, and the id in that path.
    File(String, Uuid),
    Nothing,
}

impl Route {
    pub(super) fn of(path: &str) -> Self {
        // Only one slash is removed at each end. `//manage/…` is another path, and a proxy's rule for `/manage/` does
        // not match it.
        let path = path.strip_prefix('/').unwrap_or(path);
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.is_empty() {
            return Self::Welcome;
        }
        if path == openapi::PATH {
            return Self::OpenApi;
        }
        if path == manage::DELETE_EXPIRED {
            return Self::DeleteExpired;
        }
        if path == urls::UPLOADS {
            return Self::Uploads;
        }
        if let Some(id) = path.strip_prefix(urls::UPLOADS).and_then(|rest| urls::parse_id(rest.strip_prefix('/')?)) {
            return Self::Upload(id);
        }
        match urls::parse_file_path(path) {
            Some((path, id)) => Self::File(path, id),
            None => Self::Nothing,
        }
    }
}
