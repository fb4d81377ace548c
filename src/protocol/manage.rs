//! Management: `POST /manage/delete_expired_uploads`, which a scheduler calls. The peer has a command of that name.

use http::header::AUTHORIZATION;
use http::{Method, Request, Response, StatusCode};
use serde::Serialize;
use subtle::ConstantTimeEq;

use crate::http::failure::Failure;
use crate::http::{ResponseBody, response};
use crate::settings::Settings;
use crate::store::Store;
use crate::uploads::{Sweep, Swept, Uploads};

pub(super) const DELETE_EXPIRED: &str = "manage/delete_expired_uploads";

/// What a step has done, and how to go on.
#[derive(Serialize)]
struct Answer {
    /// Expired uploads that were deleted, or purged of their contents.
    deleted: usize,
    /// Keys of orphans that were removed.
    removed: usize,
    /// Whether to call again, with this cursor.
    more: bool,
    cursor: Option<String>,
}

/// Takes one step of a sweep, if the request has the token.
pub(super) async fn delete_expired<S: Store, B>(
    settings: &Settings,
    uploads: &Uploads<S>,
    request: &Request<B>,
) -> Result<Response<ResponseBody>, Failure> {
    let token = settings.manage_token.as_ref().ok_or(Failure::NotFound)?;
    check_token(request, token)?;
    if request.method() != Method::POST {
        return Err(Failure::Method { method: request.method().clone(), allow: "POST" });
    }
    let sweep = read_query(request.uri().query().unwrap_or_default(), settings)?;
    let Swept { expired, orphans, next } = uploads.sweep(sweep).await?;
    let (more, cursor) = (next.is_some(), next.map(|cursor| cursor.to_string()));
    Ok(response::json(StatusCode::OK, &Answer { deleted: expired, removed: orphans, more, cursor }))
}

fn check_token<B>(request: &Request<B>, token: &str) -> Result<(), Failure> {
    let mut lines = request.headers().get_all(AUTHORIZATION).iter();
    let (header, more) = (lines.next(), lines.next());
    // Of two tokens, neither counts.
    let header = header.filter(|_| more.is_none()).and_then(|value| value.to_str().ok());
    let sent = header.and_then(|text| text.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    match sent {
        Some((_, sent)) if bool::from(sent.trim().as_bytes().ct_eq(token.as_bytes())) => Ok(()),
        _ => Err(Failure::ManageToken),
    }
}

fn read_query(text: &str, settings: &Settings) -> Result<Sweep, Failure> {
    let Settings { expiration_delta, sweep_budget: budget, .. } = *settings;
    let mut sweep = Sweep { expiration_delta, keep_records: false, adopt: false, from: None, budget };
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        match name.as_ref() {
            "keep_record" => sweep.keep_records = value.parse().map_err(|_| Failure::Query("keep_record"))?,
            "adopt" => sweep.adopt = value.parse().map_err(|_| Failure::Query("adopt"))?,
            "cursor" => sweep.from = Some(value.parse().map_err(|_| Failure::Query("cursor"))?),
            _ => {}
        }
    }
    Ok(sweep)
}
