//! Requests to other servers.

use bytes::{Bytes, BytesMut};
use futures::future::{Either, LocalBoxFuture, select};
use futures::stream::StreamExt;
use http::{Request, Response};
use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{self as spin_http, FullBody};
use spin_sdk::time::sleep;

use crate::http::{Limits, Outbound, OutboundError};

/// Sends requests to the servers that the manifest's `allowed_outbound_hosts` allows.
pub(in crate::spin) struct SpinOutbound;

impl Outbound for SpinOutbound {
    fn send(
        &self,
        request: Request<Bytes>,
        limits: Limits,
    ) -> LocalBoxFuture<'_, Result<Response<Bytes>, OutboundError>> {
        Box::pin(async move {
            let (answer, timeout) = (Box::pin(exchange(request, limits.answer_bytes)), Box::pin(sleep(limits.timeout)));
            match select(answer, timeout).await {
                Either::Left((answer, _)) => answer,
                Either::Right(_) => Err(OutboundError::Timeout(limits.timeout)),
            }
        })
    }
}

async fn exchange(request: Request<Bytes>, limit: usize) -> Result<Response<Bytes>, OutboundError> {
    let response = spin_http::send(request.map(FullBody::new)).await.map_err(OutboundError::failed)?;
    let (head, body) = response.into_parts();
    let (mut frames, mut whole) = (body.stream(), BytesMut::new());
    while let Some(frame) = frames.next().await {
        whole.extend_from_slice(&frame.map_err(OutboundError::failed)?);
        if whole.len() > limit {
            return Err(OutboundError::TooLong(limit));
        }
    }
    Ok(Response::from_parts(head, whole.freeze()))
}
