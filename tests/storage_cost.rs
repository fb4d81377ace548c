//! Counts the store operations that requests cost. The whole service runs on a store in memory, and gets HTTP messages.

#[path = "support/data.rs"]
#[allow(dead_code)]
mod data;
#[path = "native/stores.rs"]
#[allow(dead_code)]
mod stores;

use bytes::Bytes;
use futures::StreamExt;
use http::{Method, Request, StatusCode};
use pollster::block_on;
use serde_json::Value;
use spin_chunked_upload::http::{RequestBody, ResponseBody};
use spin_chunked_upload::protocol::Service;
use spin_chunked_upload::settings::Settings;
use spin_chunked_upload::uploads::SystemClock;
use stores::{Call, WatchedStore};

const SEGMENT: usize = 1_000;

/// Sends a request to the service, and returns the status and the whole body.
fn send(store: &WatchedStore, request: Request<Vec<u8>>) -> (StatusCode, Vec<u8>) {
    let settings = Settings::read(|name| (name == "segment_size").then(|| SEGMENT.to_string())).unwrap();
    let service = Service::new(settings, store.clone(), None, SystemClock);
    let body = |bytes: Vec<u8>| -> RequestBody { futures::stream::iter([Ok(Bytes::from(bytes))]).boxed_local() };
    block_on(async {
        let response = service.handle(request.map(body)).await;
        let status = response.status();
        let bytes = match response.into_body() {
            ResponseBody::Full(bytes) => bytes.to_vec(),
            ResponseBody::Stream(bytes) => bytes.map(|item| item.unwrap().to_vec()).concat().await,
        };
        (status, bytes)
    })
}

fn put(store: &WatchedStore, path: &str, file_len: usize, from: usize, chunk: &[u8]) -> Value {
    let head = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n";
    let body = [head.as_bytes(), chunk, b"\r\n--x--\r\n"].concat();
    let request = Request::builder()
        .method(Method::PUT)
        .uri(format!("http://localhost{path}"))
        .header("Content-Type", "multipart/form-data; boundary=x")
        .header("Content-Range", format!("bytes {from}-{}/{file_len}", from + chunk.len() - 1))
        .body(body)
        .unwrap();
    let (status, body) = send(store, request);
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap()
}

fn complete(store: &WatchedStore, path: &str, md5: &str) -> Value {
    let request = Request::post(format!("http://localhost{path}"))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(format!("md5={md5}").into_bytes())
        .unwrap();
    let (status, body) = send(store, request);
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap()
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Cost {
    gets: usize,
    values: usize,
    other_sets: usize,
    deletes: usize,
    largest_record: usize,
}

fn cost(calls: &[Call]) -> Cost {
    let mut cost = Cost::default();
    for call in calls {
        match call {
            Call::Get(_) => cost.gets += 1,
            Call::Set(key, _) if key.starts_with("data/") => cost.values += 1,
            Call::Set(key, len) => {
                cost.other_sets += 1;
                if key.starts_with("upload/") {
                    cost.largest_record = cost.largest_record.max(*len);
                }
            }
            Call::Delete(_) => cost.deletes += 1,
            Call::Keys => panic!("keys were listed"),
        }
    }
    cost
}

#[test]
fn a_chunk_costs_the_same_however_large_the_file_is() {
    let store = WatchedStore::default();
    let (chunks, chunk_len) = (10_000, 2 * SEGMENT + 1);
    let file = data::bytes(1, chunks * chunk_len);
    let mut path = "/uploads/".to_owned();
    // The first upload leaves the deployment's mark.
    put(&store, &path, 2, 0, b"a");
    for number in 0..chunks {
        let from = number * chunk_len;
        store.take_calls();
        let answer = put(&store, &path, file.len(), from, &file[from..from + chunk_len]);
        let cost = cost(&store.take_calls());
        assert_eq!(cost.values, 3, "one write a value");
        assert!((1..=2).contains(&cost.other_sets), "the record, and at times a page of it: {cost:?}");
        // A request reads the upload's three records at the beginning and before the commit. A new upload reads none of
        // them, but looks for the deployment's mark, which takes two reads.
        assert_eq!(cost.gets, if number == 0 { 2 } else { 6 });
        assert_eq!(cost.deletes, 0);
        assert!(cost.largest_record < 8_000, "{cost:?}");
        if number == 0 {
            path = answer["url"].as_str().unwrap().replace("http://localhost", "");
        }
    }

    store.take_calls();
    let answer = complete(&store, &path, &data::md5(&file));
    let completion = cost(&store.take_calls());
    assert_eq!((completion.gets, completion.values, completion.other_sets, completion.deletes), (6, 0, 1, 0));

    let download = Request::get(answer["file"].as_str().unwrap()).body(Vec::new()).unwrap();
    let (status, body) = send(&store, download);
    assert!(status == StatusCode::OK && body == file);
    let download = cost(&store.take_calls());
    let pages = download.gets - 3 - 3 * chunks;
    assert!(pages <= chunks / 15, "three records, the values, and a page for every 16 chunks: {download:?}");

    // A range costs the segments that it reads, and the pages on the way to them.
    let range = Request::get(answer["file"].as_str().unwrap()).header("Range", "bytes=9000000-9000009");
    let (status, body) = send(&store, range.body(Vec::new()).unwrap());
    assert!(status == StatusCode::PARTIAL_CONTENT && body == file[9_000_000..9_000_010]);
    assert!(cost(&store.take_calls()).gets <= 3 + 4 + 2);
}

/// A completion of one chunk has the same costs as the completion of 10,000 chunks in the test above.
#[test]
fn a_completion_costs_what_it_costs_for_one_chunk() {
    let store = WatchedStore::default();
    let file = data::bytes(2, SEGMENT);
    let answer = put(&store, "/uploads/", file.len(), 0, &file);
    store.take_calls();
    complete(&store, &answer["url"].as_str().unwrap().replace("http://localhost", ""), &data::md5(&file));
    let completion = cost(&store.take_calls());
    assert_eq!((completion.gets, completion.values, completion.other_sets, completion.deletes), (6, 0, 1, 0));
}

#[test]
fn a_store_that_fails_is_a_503_that_says_when_to_come_again() {
    let store = WatchedStore::default();
    let file = data::bytes(3, SEGMENT);
    let answer = put(&store, "/uploads/", 2 * SEGMENT, 0, &file);
    store.fail(|_| true);
    let request = Request::get(answer["url"].as_str().unwrap()).body(Vec::new()).unwrap();
    let (status, body) = send(&store, request);
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!String::from_utf8(body).unwrap().contains("told to fail"));
}
