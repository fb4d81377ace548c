//! The service's routes.

use uuid::Uuid;

use super::{manage, openapi};
use crate::http::path::normalize;
use crate::http::urls;

/// What a request's path stands for.
pub(super) enum Route {
    Welcome,
    OpenApi,
    DeleteExpired,
    Uploads,
    Upload(Uuid),
    /// A stored file: the paths that it may be served under, and the id in these paths.
    File(Vec<String>, Uuid),
    Nothing,
}

impl Route {
    /// What a path in normal form stands for, as it is or below `prefix`. All of the service's URLs begin with the prefix.
    /// A proxy in front cuts it off, or passes it on.
    pub(super) fn below(prefix: &str, path: &str) -> Self {
        let rest = path.strip_prefix(&*normalize(prefix)).filter(|_| !prefix.is_empty());
        let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with('/'));
        match (Self::of(path), rest.map(Self::of)) {
            (Self::File(mut paths, id), Some(Self::File(more, _))) => {
                paths.extend(more);
                Self::File(paths, id)
            }
            (Self::File(..) | Self::Nothing, Some(route)) if !matches!(route, Self::Nothing) => route,
            (route, _) => route,
        }
    }

    fn of(path: &str) -> Self {
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
            Some((path, id)) => Self::File(vec![path], id),
            None => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "123e4567-e89b-12d3-a456-426614174000";

    fn shown(route: &Route) -> String {
        match route {
            Route::Welcome => "welcome".to_owned(),
            Route::OpenApi => "openapi".to_owned(),
            Route::DeleteExpired => "manage".to_owned(),
            Route::Uploads => "list".to_owned(),
            Route::Upload(_) => "upload".to_owned(),
            Route::File(paths, _) => paths.join(" or ").replace(ID, "ID"),
            Route::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn a_proxy_may_cut_off_the_prefix_or_not() {
        let rows = [
            ("/files", "/", "welcome"),
            ("/files", "/files", "welcome"),
            ("/files", "/files/", "welcome"),
            ("/files", "/files/openapi.json", "openapi"),
            ("/files", "/files/uploads/", "list"),
            ("/files", "/uploads/", "list"),
            ("/files", "/files/uploads/ID", "upload"),
            ("/files", "/files/manage/delete_expired_uploads", "manage"),
            ("/files", "/files/other", "nothing"),
            ("/files", "/filesystem/uploads/", "nothing"),
            ("/files", "/a/ID.done", "a/ID.done"),
            ("/files", "/files/a/ID.done", "files/a/ID.done or a/ID.done"),
            ("/a/b", "/a/b/uploads/", "list"),
            ("/%61/%c3%a9", "/a/%C3%A9/uploads/", "list"),
            ("", "/a%20b/ID.done", "a b/ID.done"),
            // An escaped slash is no slash.
            ("", "/a%2FID.done", "nothing"),
            ("", "/a%2Fb/ID.done", "nothing"),
            ("", "/uploads%2FID", "nothing"),
            // The service's own paths come first.
            ("/uploads", "/uploads/ID", "upload"),
            ("/uploads", "/uploads/uploads/ID", "upload"),
            ("", "/uploads/", "list"),
            ("", "/files/uploads/", "nothing"),
        ];
        for (prefix, path, expected) in rows {
            assert_eq!(shown(&Route::below(prefix, &path.replace("ID", ID))), expected, "{prefix} {path}");
        }
    }
}
