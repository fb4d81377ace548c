//! Requests that share the memory of an instance. The whole service runs on a store in memory, and a test says how much
//! memory is in use.

#[path = "support/data.rs"]
#[allow(dead_code)]
mod data;
#[path = "native/sleep.rs"]
mod sleep;
#[path = "native/stores.rs"]
#[allow(dead_code)]
mod stores;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{LocalBoxFuture, join};
use futures::{StreamExt, stream};
use http::{Request, Response, StatusCode};
use pollster::block_on;
use serde_json::Value;
use spin_chunked_upload::http::{RequestBody, ResponseBody};
use spin_chunked_upload::protocol::Service;
use spin_chunked_upload::settings::Settings;
use spin_chunked_upload::uploads::{Memory, Room, SystemClock};
use stores::WatchedStore;

const SEGMENT: usize = 2_000_000;
const LIMIT: usize = 10_000_000;

/// How much memory is in use.
#[derive(Clone, Default)]
struct Used(Rc<Cell<usize>>);

impl Memory for Used {
    fn in_use(&self) -> usize {
        self.0.get()
    }

    fn sleep(&self, _: Duration) -> LocalBoxFuture<'static, ()> {
        sleep::until_next_poll()
    }
}

struct Instance {
    store: WatchedStore,
    used: Used,
    room: Room,
}

impl Instance {
    fn new() -> Self {
        let used = Used::default();
        Self { store: WatchedStore::default(), room: Room::new(used.clone(), LIMIT), used }
    }

    async fn send(&self, request: Request<RequestBody>) -> Response<ResponseBody> {
        let settings = Settings::read(|name| (name == "segment_size").then(|| SEGMENT.to_string())).unwrap();
        let service = Service::new(settings, self.store.clone(), None, SystemClock).with_room(self.room.clone());
        service.handle(request).await
    }

    /// Uploads this file with one `PUT`, and returns its path.
    async fn upload(&self, file: &[u8]) -> String {
        let response = self.send(put(file.len(), stream::iter([Ok(Bytes::copy_from_slice(file))]).boxed_local())).await;
        let upload = json(response, StatusCode::OK).await;
        let url = upload["url"].as_str().unwrap();
        let form = format!("md5={}", data::md5(file));
        let request = Request::post(url)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(stream::iter([Ok(Bytes::from(form))]).boxed_local());
        let upload = json(self.send(request.unwrap()).await, StatusCode::OK).await;
        upload["file"].as_str().unwrap().to_owned()
    }

    /// The frames of a download.
    async fn download(&self, path: &str, range: &str) -> Vec<Bytes> {
        let request = Request::get(path).header("Range", range).body(stream::empty().boxed_local()).unwrap();
        let response = self.send(request).await;
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
        let ResponseBody::Stream(frames) = response.into_body() else { panic!("no stream") };
        frames.map(Result::unwrap).collect().await
    }
}

/// A request that begins an upload with the whole file.
fn put(len: usize, body: RequestBody) -> Request<RequestBody> {
    Request::put("http://localhost/uploads/")
        .header("Content-Type", "application/octet-stream")
        .header("Content-Disposition", "attachment; filename=f")
        .header("Content-Range", format!("bytes 0-{}/{len}", len - 1))
        .body(body)
        .unwrap()
}

async fn json(response: Response<ResponseBody>, status: StatusCode) -> Value {
    let found = response.status();
    let ResponseBody::Full(bytes) = response.into_body() else { panic!("a stream") };
    let answer = String::from_utf8_lossy(&bytes);
    assert_eq!(found, status, "{answer}");
    serde_json::from_str(&answer).unwrap()
}

fn values(instance: &Instance) -> usize {
    instance.store.all_keys().iter().filter(|key| key.starts_with("data/")).count()
}

#[test]
fn uploads_have_smaller_segments_while_memory_is_short() {
    let (instance, file) = (Instance::new(), data::bytes(1, 2 * SEGMENT + 500_000));
    block_on(instance.upload(&file));
    assert_eq!(values(&instance), 3);

    let instance = Instance::new();
    instance.used.0.set(LIMIT / 4 * 3);
    let path = block_on(instance.upload(&file));
    assert_eq!(values(&instance), 5);

    // In smaller frames, too.
    for used in [0, LIMIT / 4 * 3] {
        instance.used.0.set(used);
        let frames = block_on(instance.download(&path, "bytes=999999-"));
        assert_eq!(frames.concat(), &file[999_999..]);
        assert_eq!(frames.iter().all(|frame| frame.len() <= 65_536), used > 0);
    }
    let frames = block_on(instance.download(&path, "bytes=2500000-2500001"));
    assert_eq!(frames.concat(), &file[2_500_000..2_500_002]);
}

#[test]
fn a_download_reads_a_segment_again_if_its_room_was_needed() {
    let (instance, file) = (Instance::new(), data::bytes(1, SEGMENT));
    let path = block_on(instance.upload(&file));
    instance.used.0.set(LIMIT / 4 * 3);
    let request = Request::get(&path).body(stream::empty().boxed_local()).unwrap();
    block_on(async {
        let ResponseBody::Stream(mut frames) = instance.send(request).await.into_body() else { panic!("no stream") };
        let mut read = frames.next().await.unwrap().unwrap().to_vec();
        instance.store.take_calls();
        instance.used.0.set(LIMIT);
        let waiting = async {
            instance.upload(&file).await;
        };
        let makes_room = async {
            // The upload that waits has dropped the rest of the segment by now.
            instance.used.sleep(Duration::ZERO).await;
            instance.used.sleep(Duration::ZERO).await;
            instance.used.0.set(LIMIT / 4 * 3);
        };
        join(waiting, makes_room).await;
        instance.store.take_calls();
        while let Some(frame) = frames.next().await {
            read.extend(frame.unwrap());
        }
        assert_eq!(read, file);
        assert!(!instance.store.take_calls().is_empty(), "the segment was read once");
    });
}

#[test]
fn a_client_that_stalls_makes_room_for_others_that_wait() {
    let (instance, file) = (Instance::new(), data::bytes(1, 1_000_000));
    let stalled = put(file.len(), stream::iter([Ok(Bytes::from_static(b"a"))]).chain(stream::pending()).boxed_local());
    block_on(async {
        let stalled = async {
            let refusal = json(instance.send(stalled).await, StatusCode::REQUEST_TIMEOUT).await;
            assert_eq!(refusal["code"], "body_stalled");
            instance.used.0.set(0);
        };
        let waiting = async {
            instance.used.0.set(LIMIT);
            instance.upload(&file).await;
        };
        join(stalled, waiting).await;
    });
    assert_eq!(values(&instance), 1);
}
