//! Converts Spin's bodies to the service's, and back.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::stream::StreamExt;
use http_body::Frame;
use spin_sdk::http::body::IncomingBodyExt;

use crate::error_chain::error_chain;
use crate::http::{BodyError, RequestBody, ResponseBody};
use crate::uploads;

type Incoming = spin_sdk::wasip3::http_compat::IncomingRequestBody;

/// The frames of a request's body as they arrive.
pub(super) fn from_incoming(body: Incoming) -> RequestBody {
    body.stream().map(|frame| frame.map_err(|error| BodyError::CutOff(error.into()))).boxed_local()
}

/// A response's body as Spin takes it.
pub struct Body(ResponseBody);

impl From<ResponseBody> for Body {
    fn from(body: ResponseBody) -> Self {
        Self(body)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = uploads::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, uploads::Error>>> {
        let frame = match &mut self.0 {
            ResponseBody::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            ResponseBody::Full(bytes) => Poll::Ready(Some(Ok(std::mem::take(bytes)))),
            ResponseBody::Stream(bytes) => bytes.as_mut().poll_next(context),
        };
        frame.map(|frame| {
            frame.map(|bytes| {
                // The client sees a body that is cut off. Only the log can say why.
                bytes.map(Frame::data).inspect_err(|error| log::error!(error:% = error_chain(error); "download_failed"))
            })
        })
    }
}
