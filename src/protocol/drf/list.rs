//! The list of uploads: the peer's plain array, or pages of it for a client with many uploads.

use futures::stream::TryStreamExt;
use http::header::LINK;
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::error::Error;
use super::{COMPLETE, INCOMPLETE, describe};
use crate::http::failure::Failure;
use crate::http::{ResponseBody, response};
use crate::identity::Identity;
use crate::protocol::Context;
use crate::store::Store;
use crate::uploads::{ListCursor, Owner, Upload};
use crate::view::View;

/// The most uploads on a page.
const MAX_LIMIT: usize = 1_000;

/// What the query asks for.
#[derive(Debug, Default)]
struct Query {
    limit: Option<usize>,
    after: Option<ListCursor>,
    status: Option<u8>,
}

/// Answers with the uploads that the request's user may list, oldest first.
pub(super) async fn list_uploads<S: Store, V: View>(context: &Context<S, V>) -> Result<Response<ResponseBody>, Error> {
    let text = context.request.uri.query().unwrap_or_default();
    let query = Query::read(text)?;
    let Some(owner) = owner(context) else {
        return Ok(response::json(StatusCode::OK, &[(); 0]));
    };
    match query.limit {
        Some(limit) => {
            let (uploads, last) = page(context, owner, &query, limit).await?;
            let mut array = JsonArray::new();
            uploads.iter().for_each(|upload| array.push(&describe(context, upload)));
            let mut response = array.into_response();
            if let Some(cursor) = last {
                link_next(&mut response, &context.urls.next_page(text, cursor));
            }
            Ok(response)
        }
        None => all(context, owner, &query).await,
    }
}

/// Answers with all uploads at once. It reads the records one after the other, and keeps only their JSON.
async fn all<S: Store, V: View>(
    context: &Context<S, V>,
    owner: Owner<'_>,
    query: &Query,
) -> Result<Response<ResponseBody>, Error> {
    let cursors = context.uploads.list(owner, query.after, usize::MAX).await?;
    let mut uploads = context.uploads.look_up(owner, cursors);
    let mut array = JsonArray::new();
    while let Some(upload) = uploads.try_next().await? {
        if query.wants(&upload) {
            array.push(&describe(context, &upload));
        }
    }
    Ok(array.into_response())
}

/// Adds a link to the next page (RFC 8288).
fn link_next(response: &mut Response<ResponseBody>, url: &str) {
    if let Ok(link) = HeaderValue::try_from(format!("<{url}>; rel=\"next\"")) {
        response.headers_mut().insert(LINK, link);
    }
}

/// A JSON array that is being written. It keeps only the text of its elements.
struct JsonArray(Vec<u8>);

impl JsonArray {
    fn new() -> Self {
        Self(vec![b'['])
    }

    fn push(&mut self, element: &impl Serialize) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        // Strings and numbers always serialise.
        let _ = serde_json::to_writer(&mut self.0, element);
    }

    fn into_response(mut self) -> Response<ResponseBody> {
        self.0.push(b']');
        response::full(StatusCode::OK, "application/json", self.0)
    }
}

/// At most `limit` uploads, and the cursor after which the next page begins, if there is a next page.
async fn page<S: Store, V: View>(
    context: &Context<S, V>,
    owner: Owner<'_>,
    query: &Query,
    limit: usize,
) -> Result<(Vec<Upload>, Option<ListCursor>), Error> {
    let mut page = Vec::new();
    let mut after = query.after;
    loop {
        // One cursor more than a page needs tells whether the list goes on.
        let cursors = context.uploads.list(owner, after, limit + 1).await?;
        let is_last = cursors.len() <= limit;
        let mut uploads = context.uploads.look_up(owner, cursors.clone());
        while let Some(upload) = uploads.try_next().await? {
            if !query.wants(&upload) {
                continue;
            }
            if page.len() == limit {
                return Ok((page, after));
            }
            after = Some(ListCursor::of(&upload));
            page.push(upload);
        }
        if is_last {
            return Ok((page, None));
        }
        // The next listing begins after the uploads that were left out.
        after = cursors.last().copied().max(after);
    }
}

/// Whose uploads are listed; `None` if no uploads are listed. Without users, an upload's URL is all that it takes to
/// delete the upload, so there is no list.
fn owner<S: Store, V: View>(context: &Context<S, V>) -> Option<Owner<'_>> {
    match (&context.identity, context.settings.user_restricted) {
        (Identity::Nobody | Identity::Anyone, _) => None,
        (Identity::User(_), false) => Some(Owner::Anyone),
        (Identity::User(user), true) => Some(Owner::User(user)),
    }
}

impl Query {
    fn read(text: &str) -> Result<Self, Failure> {
        let mut query = Self::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match name.as_ref() {
                "limit" => query.limit = Some(parse_limit(&value).ok_or(Failure::Query("limit"))?),
                "cursor" => query.after = Some(value.parse().map_err(|_| Failure::Query("cursor"))?),
                "status" => query.status = Some(parse_status(&value).ok_or(Failure::Query("status"))?),
                _ => {}
            }
        }
        Ok(query)
    }

    fn wants(&self, upload: &Upload) -> bool {
        match self.status {
            None => true,
            Some(status) => upload.is_complete() == (status == COMPLETE),
        }
    }
}

fn parse_limit(text: &str) -> Option<usize> {
    text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit))
}

fn parse_status(text: &str) -> Option<u8> {
    text.parse().ok().filter(|status| [INCOMPLETE, COMPLETE].contains(status))
}
