//! Converts Spin's requests to the service's, and the service's responses to Spin's.

use bytes::Bytes;
use futures::sink::SinkExt;
use futures::stream::{self, StreamExt};
use http::uri::InvalidUri;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use spin_sdk::http::{Fields, IncomingRequest, OutgoingResponse, ResponseOutparam};

use crate::error_chain::error_chain;
use crate::http::{BodyError, RequestBody, ResponseBody};

/// How many bytes the host gets at a time.
const FRAME: usize = 256 * 1024;

/// The request, with its body in frames as they arrive.
pub(super) fn from_incoming(incoming: IncomingRequest) -> Result<Request<RequestBody>, http::Error> {
    let uri = incoming.uri().parse().map_err(|error: InvalidUri| http::Error::from(error))?;
    let method = Method::from_bytes(incoming.method().to_string().as_bytes())?;
    let headers = headers(&incoming)?;
    let frames = incoming.into_body_stream().map(|frame| {
        frame.map(Bytes::from).map_err(|error| BodyError::CutOff(anyhow::Error::msg(error.to_debug_string())))
    });
    let mut request = Request::new(frames.boxed_local());
    *request.uri_mut() = uri;
    *request.method_mut() = method;
    *request.headers_mut() = headers;
    Ok(request)
}

fn headers(incoming: &IncomingRequest) -> Result<HeaderMap, http::Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in incoming.headers().entries() {
        headers.append(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_bytes(&value)?);
    }
    Ok(headers)
}

/// The answer to a request that the host itself should have refused.
pub(super) fn bad_request() -> Response<ResponseBody> {
    let mut response = Response::<ResponseBody>::default();
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

/// Sends the response. A file's bytes are sent as they are read.
pub(super) async fn send(response: Response<ResponseBody>, out: ResponseOutparam) {
    let (head, body) = response.into_parts();
    let headers: Vec<_> =
        head.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    let fields = Fields::from_list(&headers).unwrap_or_else(|error| {
        log::error!(error:% = error; "response_failed");
        Fields::new()
    });
    let outgoing = OutgoingResponse::new(fields);
    // The host takes any status from 100 to 999.
    let _ = outgoing.set_status_code(head.status.as_u16());
    let mut sink = std::pin::pin!(outgoing.take_body());
    out.set(outgoing);
    let mut frames = match body {
        ResponseBody::Full(bytes) => stream::iter([Ok(bytes)]).boxed_local(),
        ResponseBody::Stream(bytes) => bytes,
    };
    while let Some(frame) = frames.next().await {
        let bytes = match frame {
            Ok(bytes) => bytes,
            Err(error) => {
                // The client sees a body shorter than its length. Only the log can say why.
                log::error!(error:% = error_chain(&error); "download_failed");
                return;
            }
        };
        for frame in bytes.chunks(FRAME) {
            // A client that has gone needs no more bytes.
            if sink.send(frame.to_vec()).await.is_err() {
                return;
            }
        }
    }
}
