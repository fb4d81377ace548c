//! Requests to other servers.

use std::time::Duration;

use bytes::Bytes;
use futures::future::LocalBoxFuture;
use http::{HeaderName, HeaderValue, Request, Response, Uri};
use spin_sdk::http::{Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme};
use spin_sdk::wit::wasi::http0_2_0::outgoing_handler;
use wasi::clocks::monotonic_clock::subscribe_duration;
use wasi::io::poll::{Pollable, poll};
use wasi::io::streams::StreamError;

use crate::http::{Limits, Outbound, OutboundError};

/// Sends requests to the servers that the manifest's `allowed_outbound_hosts` allows.
pub(in crate::spin) struct SpinOutbound;

/// How many bytes may be written at once without asking the host for its limit (WASI 0.2, `blocking-write-and-flush`).
const WRITE: usize = 4096;
/// How many bytes are read at once.
const READ: u64 = 16 * 1024;

impl Outbound for SpinOutbound {
    fn send(
        &self,
        request: Request<Bytes>,
        limits: Limits,
    ) -> LocalBoxFuture<'_, Result<Response<Bytes>, OutboundError>> {
        // The call may block: this instance has nothing else to do meanwhile.
        Box::pin(std::future::ready(exchange(&request, limits)))
    }
}

fn exchange(request: &Request<Bytes>, limits: Limits) -> Result<Response<Bytes>, OutboundError> {
    let deadline = Deadline::new(limits.timeout);
    let outgoing = outgoing_request(request)?;
    let body = outgoing.body().map_err(|()| OutboundError::failed("the request has no body"))?;
    let answer = outgoing_handler::handle(outgoing, None).map_err(OutboundError::failed)?;
    write(body, request.body())?;
    let pollable = answer.subscribe();
    let response = loop {
        deadline.wait(&pollable)?;
        if let Some(response) = answer.get() {
            break response
                .map_err(|()| OutboundError::failed("the answer was taken twice"))?
                .map_err(OutboundError::failed)?;
        }
    };
    read(&response, &deadline, limits.answer_bytes)
}

fn outgoing_request(request: &Request<Bytes>) -> Result<OutgoingRequest, OutboundError> {
    let headers: Vec<_> =
        request.headers().iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    let outgoing = OutgoingRequest::new(Fields::from_list(&headers).map_err(OutboundError::failed)?);
    let uri = request.uri();
    let target =
        set_target(&outgoing, uri).and_then(|()| outgoing.set_method(&Method::Other(request.method().to_string())));
    target.map_err(|()| OutboundError::failed(format!("{uri} can't be called")))?;
    Ok(outgoing)
}

fn set_target(outgoing: &OutgoingRequest, uri: &Uri) -> Result<(), ()> {
    let scheme = if uri.scheme() == Some(&http::uri::Scheme::HTTPS) { Scheme::Https } else { Scheme::Http };
    outgoing.set_scheme(Some(&scheme))?;
    outgoing.set_authority(uri.authority().map(http::uri::Authority::as_str))?;
    outgoing.set_path_with_query(uri.path_and_query().map(http::uri::PathAndQuery::as_str))
}

fn write(body: OutgoingBody, bytes: &[u8]) -> Result<(), OutboundError> {
    let stream = body.write().map_err(|()| OutboundError::failed("the request's body was taken twice"))?;
    for frame in bytes.chunks(WRITE) {
        stream.blocking_write_and_flush(frame).map_err(OutboundError::failed)?;
    }
    drop(stream);
    OutgoingBody::finish(body, None).map_err(OutboundError::failed)
}

fn read(response: &IncomingResponse, deadline: &Deadline, limit: usize) -> Result<Response<Bytes>, OutboundError> {
    let mut answer = Response::builder().status(response.status());
    for (name, value) in response.headers().entries() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(OutboundError::failed)?;
        answer = answer.header(name, HeaderValue::from_bytes(&value).map_err(OutboundError::failed)?);
    }
    let body = response.consume().map_err(|()| OutboundError::failed("the answer's body was taken twice"))?;
    let stream = body.stream().map_err(|()| OutboundError::failed("the answer's body was taken twice"))?;
    let (pollable, mut whole) = (stream.subscribe(), Vec::new());
    loop {
        deadline.wait(&pollable)?;
        match stream.read(READ) {
            Ok(frame) => whole.extend(frame),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => return Err(OutboundError::failed(error.to_debug_string())),
        }
        if whole.len() > limit {
            return Err(OutboundError::TooLong(limit));
        }
    }
    answer.body(whole.into()).map_err(OutboundError::failed)
}

/// The time by which the whole exchange must be done.
struct Deadline {
    timeout: Duration,
    timer: Pollable,
}

impl Deadline {
    fn new(timeout: Duration) -> Self {
        Self { timeout, timer: subscribe_duration(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX)) }
    }

    /// Waits until `pollable` is ready, or until the time is over.
    fn wait(&self, pollable: &Pollable) -> Result<(), OutboundError> {
        match poll(&[pollable, &self.timer]).contains(&0) {
            true => Ok(()),
            false => Err(OutboundError::Timeout(self.timeout)),
        }
    }
}
