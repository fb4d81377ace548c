//! The least that any upload service on Spin has to do.
//!
//! `/store` writes the request's body to the key-value store, in values of the size that this project writes, and with as
//! many writes at once. Any other path, such as `/drop`, reads the body and drops it. Both respond with the number of bytes.

use std::rc::Rc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use futures::stream::{FuturesUnordered, StreamExt, TryStreamExt};
use http::StatusCode;
use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::http_service;
use spin_sdk::key_value::Store;
use uuid::Uuid;

// These are this project's own sizes. A component that writes less at a time would not show the limit.
const SEGMENT_SIZE: usize = 1_000_000;
const WRITES_IN_FLIGHT: usize = 8;

#[http_service]
async fn handle(request: Request) -> impl IntoResponse {
    let stores = request.uri().path() == "/store";
    let answer = if stores { store(request).await } else { count(request).await };
    match answer {
        Ok(length) => (StatusCode::OK, length.to_string()),
        Err(reason) => (StatusCode::INTERNAL_SERVER_ERROR, reason),
    }
}

async fn count(request: Request) -> Result<usize, String> {
    let mut pieces = request.into_body().stream();
    let mut length = 0;
    while let Some(piece) = pieces.next().await {
        length += piece.map_err(|error| error.to_string())?.len();
    }
    Ok(length)
}

async fn store(request: Request) -> Result<usize, String> {
    let store = Rc::new(Store::open_default().await.map_err(|error| error.to_string())?);
    let id = Uuid::new_v4();
    let mut pieces = request.into_body().stream();
    let (mut length, mut writes) = (0, FuturesUnordered::new());
    let mut segment = BytesMut::with_capacity(SEGMENT_SIZE);
    let write = |length: usize, value: Bytes| {
        let (store, key) = (store.clone(), format!("limit/{id}/{length}"));
        async move { store.set(key, value).await.map_err(|error| error.to_string()) }
    };
    while let Some(piece) = pieces.next().await {
        let mut piece = piece.map_err(|error| error.to_string())?;
        length += piece.len();
        while !piece.is_empty() {
            let room = SEGMENT_SIZE - segment.len();
            segment.extend_from_slice(&piece.split_to(room.min(piece.len())));
            if segment.len() == SEGMENT_SIZE {
                while writes.len() >= WRITES_IN_FLIGHT {
                    writes.try_next().await?;
                }
                let value = std::mem::replace(&mut segment, BytesMut::with_capacity(SEGMENT_SIZE));
                let mut write = Box::pin(write(length - piece.len(), value.freeze()));
                // A future does nothing before it is polled, so this poll starts the write.
                match futures::poll!(&mut write) {
                    Poll::Ready(written) => written?,
                    Poll::Pending => writes.push(write),
                }
            }
        }
    }
    writes.push(Box::pin(write(length, segment.freeze())));
    writes.try_collect::<()>().await?;
    Ok(length)
}
