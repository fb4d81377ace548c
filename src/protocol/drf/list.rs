//! The list of uploads: the peer's plain array, or pages of it for a client with many uploads.

use std::rc::Rc;

use bytes::Bytes;
use futures::future;
use futures::stream::{self, Stream, StreamExt, TryStream, TryStreamExt};
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
use crate::uploads::{ListCursor, Listing, Owner, Upload};
use crate::view::View;

/// The most uploads on a page, and the most records that are read for one.
const MAX_LIMIT: usize = 1_000;
/// The most uploads on a list without a limit. A listing holds the place of each of them in memory.
const MAX_LISTED: usize = 100_000;
/// How many bytes of a list are sent at once.
const FRAME: usize = 32 * 1024;
/// The most bytes of a page that has to be in memory, because only its records tell which uploads are on it.
const MAX_PAGE: usize = 512 * 1024;

/// What the query asks for.
#[derive(Debug, Default)]
struct Query {
    limit: Option<usize>,
    after: Option<ListCursor>,
    status: Option<u8>,
}

/// Answers with the uploads that the request's user may list, oldest first.
///
/// A list costs one listing of the store's keys. If there are more uploads than the answer has, it has a link to the
/// next page.
pub(super) async fn list_uploads<S: Store, V: View>(
    context: &Rc<Context<S, V>>,
) -> Result<Response<ResponseBody>, Error> {
    let text = context.request.uri.query().unwrap_or_default();
    let query = Query::read(text)?;
    let Some(owner) = owner(context) else {
        return Ok(response::json(StatusCode::OK, &[(); 0]));
    };
    let (mut response, last) = match (query.limit, query.status) {
        (Some(limit), Some(_)) => chosen(context, owner, &query, limit).await?,
        (limit, _) => all(context, owner, query, limit.unwrap_or(MAX_LISTED)).await?,
    };
    if let Some(cursor) = last {
        link_next(&mut response, &context.urls.next_page(text, cursor));
    }
    Ok(response)
}

/// A response, and the cursor after which the next page begins, if there is a next page.
type Page = (Response<ResponseBody>, Option<ListCursor>);

/// The first `limit` uploads. Their records are read while the client takes the answer.
async fn all<S: Store, V: View>(
    context: &Rc<Context<S, V>>,
    owner: Owner,
    query: Query,
    limit: usize,
) -> Result<Page, Error> {
    let Listing { cursors, goes_on } = context.uploads.list(&owner, query.after, limit).await?;
    let last = cursors.last().copied().filter(|_| goes_on);
    let (uploads, context) = (context.uploads.look_up(owner, cursors), Rc::clone(context));
    let elements = uploads.try_filter_map(move |(_, upload)| {
        let wanted = upload.filter(|upload| query.wants(upload));
        future::ready(Ok(wanted.map(|upload| to_json(&describe(&context, &upload)))))
    });
    let mut frames = frames(elements).boxed_local();
    let first = frames.try_next().await?.unwrap_or_default();
    // A short list is whole in its first frame. It gets a length, and a failure of the store gets its status.
    let Some(second) = frames.try_next().await? else {
        return Ok((response::full(StatusCode::OK, JSON, first.to_vec()), last));
    };
    let frames = stream::iter([first, second]).map(Ok).chain(frames);
    Ok((response::streamed(StatusCode::OK, JSON, frames.boxed_local()), last))
}

/// At most `limit` uploads of the wanted status. The page is short if it would need too many records.
async fn chosen<S: Store, V: View>(
    context: &Rc<Context<S, V>>,
    owner: Owner,
    query: &Query,
    limit: usize,
) -> Result<Page, Error> {
    let Listing { cursors, goes_on } = context.uploads.list(&owner, query.after, MAX_LIMIT).await?;
    let end = cursors.last().copied();
    let mut uploads = context.uploads.look_up(owner, cursors);
    let (mut array, mut last, mut count) = (JsonArray::default(), None, 0);
    while let Some((cursor, upload)) = uploads.try_next().await? {
        last = Some(cursor);
        let Some(upload) = upload.filter(|upload| query.wants(upload)) else {
            continue;
        };
        array.push(&to_json(&describe(context, &upload)));
        count += 1;
        if count == limit || array.text.len() > MAX_PAGE {
            break;
        }
    }
    let last = last.filter(|last| goes_on || Some(*last) != end);
    Ok((response::full(StatusCode::OK, JSON, array.finish()), last))
}

/// Adds a link to the next page (RFC 8288).
fn link_next(response: &mut Response<ResponseBody>, url: &str) {
    if let Ok(link) = HeaderValue::try_from(format!("<{url}>; rel=\"next\"")) {
        response.headers_mut().insert(LINK, link);
    }
}

const JSON: &str = "application/json";

/// An element's text.
fn to_json(element: &impl Serialize) -> Vec<u8> {
    // Strings and numbers always serialise.
    serde_json::to_vec(element).unwrap_or_default()
}

/// A JSON array that is being written.
#[derive(Default)]
struct JsonArray {
    /// What has been written and not been sent yet.
    text: Vec<u8>,
    has_elements: bool,
}

impl JsonArray {
    fn push(&mut self, element: &[u8]) {
        self.text.push(if self.has_elements { b',' } else { b'[' });
        self.text.extend_from_slice(element);
        self.has_elements = true;
    }

    fn finish(mut self) -> Vec<u8> {
        self.text.extend_from_slice(if self.has_elements { b"]" } else { b"[]" });
        self.text
    }
}

/// The text of a JSON array with these elements, in frames.
fn frames<E>(elements: impl TryStream<Ok = Vec<u8>, Error = E> + Unpin) -> impl Stream<Item = Result<Bytes, E>> {
    let begun = Some((elements, JsonArray::default()));
    stream::try_unfold(begun, |state| async {
        let Some((mut elements, mut array)) = state else {
            return Ok(None);
        };
        while array.text.len() < FRAME {
            match elements.try_next().await? {
                Some(element) => array.push(&element),
                None => return Ok(Some((array.finish().into(), None))),
            }
        }
        let frame = std::mem::take(&mut array.text).into();
        Ok(Some((frame, Some((elements, array)))))
    })
}

/// Whose uploads are listed; `None` if no uploads are listed. Without users, an upload's URL is all that it takes to
/// delete the upload, so there is no list.
fn owner<S: Store, V: View>(context: &Context<S, V>) -> Option<Owner> {
    match (&context.identity, context.settings.user_restricted) {
        (Identity::Nobody | Identity::Anyone, _) => None,
        (Identity::User(_), false) => Some(Owner::Anyone),
        (Identity::User(user), true) => Some(Owner::User(user.clone())),
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
