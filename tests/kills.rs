//! The server is killed at random moments, again and again, while clients upload. Every upload still finishes, and
//! every file comes back unchanged. After a sweep, every key that is left belongs to a finished upload or marks a
//! deleted one.

mod support;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use pollster::block_on;
use spin_chunked_upload::store::{MemoryStore, Store};
use spin_chunked_upload::uploads::{Clock, Sweep, Uploads};
use support::{Client, Form, Reply, Server, data, path_of};
use uuid::Uuid;

const UPLOADERS: u64 = 6;
/// The number of kills. `UPLOAD_TEST_KILLS` sets another number.
const KILLS: usize = 100;

/// An upload that was acknowledged as complete.
struct Finished {
    id: String,
    file: String,
    content: Vec<u8>,
}

#[test]
fn nothing_acknowledged_is_lost_however_often_the_server_is_killed() {
    let kills = std::env::var("UPLOAD_TEST_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let mut server = Server::with(&[("manage_token", "of the tests")]);
    let (client, stop, finished) = (server.client(), AtomicBool::new(false), Mutex::new(Vec::new()));
    let mut random = fastrand::Rng::with_seed(1);
    std::thread::scope(|scope| {
        for number in 0..UPLOADERS {
            let (client, stop, finished) = (&client, &stop, &finished);
            scope.spawn(move || upload_until(client, number, stop, finished));
        }
        for _ in 0..kills {
            // The moment of the kill is random.
            std::thread::sleep(Duration::from_millis(random.u64(20..250)));
            server.crash_and_restart();
        }
        stop.store(true, Ordering::Relaxed);
    });
    let finished = finished.into_inner().unwrap();
    assert!(finished.len() >= UPLOADERS as usize, "{} uploads were finished", finished.len());

    let authorization = [("Authorization", "Bearer of the tests")];
    client.send(Method::POST, "/manage/delete_expired_uploads", &authorization, &[]).expect(200);
    for upload in &finished {
        assert!(client.get(&upload.file).expect(200).body == upload.content, "{}", upload.id);
    }
    account_for_all_keys(&server, &finished);
}

fn upload_until(client: &Client, number: u64, stop: &AtomicBool, finished: &Mutex<Vec<Finished>>) {
    let mut random = fastrand::Rng::with_seed(number);
    let mut seed = number;
    while !stop.load(Ordering::Relaxed) {
        seed += UPLOADERS;
        let content = data::bytes(seed, random.usize(1..6_000_000));
        let upload = upload(client, &mut random, content);
        finished.lock().unwrap().push(upload);
    }
}

/// Uploads a file in chunks. If there is no response, it continues at the offset that the server reports.
fn upload(client: &Client, random: &mut fastrand::Rng, content: Vec<u8>) -> Finished {
    let url = loop {
        let end = random.usize(1..=content.len());
        if let Some(reply) = put(client, "/uploads/", &content, 0, end) {
            break path_of(&reply.expect(200).text("url"));
        }
    };
    loop {
        let Some(state) = tried(client.try_send(Method::GET, &url, &[], &[])) else { continue };
        let state = state.expect(200);
        let offset = usize::try_from(state.json()["offset"].as_u64().unwrap()).unwrap();
        if state.json()["status"] == 2 {
            return Finished { id: state.text("id"), file: path_of(&state.text("file")), content };
        }
        if offset == content.len() {
            let form = [("Content-Type", "application/x-www-form-urlencoded")];
            let body = format!("md5={}", data::md5(&content));
            if let Some(reply) = tried(client.try_send(Method::POST, &url, &form, body.as_bytes())) {
                reply.expect(200);
            }
        } else {
            let end = content.len().min(offset + random.usize(1..2_000_000));
            if let Some(reply) = put(client, &url, &content, offset, end) {
                reply.expect(200);
            }
        }
    }
}

fn put(client: &Client, path: &str, content: &[u8], from: usize, to: usize) -> Option<Reply> {
    let range = format!("bytes {from}-{}/{}", to - 1, content.len());
    let headers = [("Content-Range", range.as_str()), ("Content-Type", &Form::content_type())];
    let body = Form::new().file("file", "f.bin", &content[from..to]).into_body();
    tried(client.try_send(Method::PUT, path, &headers, &body))
}

/// The response. If the server is gone, this waits a moment and returns `None`, because the server is back soon.
fn tried(reply: Result<Reply, ureq::Error>) -> Option<Reply> {
    reply.inspect_err(|_| std::thread::sleep(Duration::from_millis(5))).ok()
}

/// Sweeps a copy of the store by a clock two days ahead, and checks which keys are left.
fn account_for_all_keys(server: &Server, finished: &[Finished]) {
    let store = MemoryStore::default();
    let database = server.database();
    let mut rows = database.prepare("SELECT key, value FROM spin_key_value").unwrap();
    let rows = rows.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?))).unwrap();
    for row in rows {
        let (key, value) = row.unwrap();
        block_on(store.set(&key, Bytes::from(value))).unwrap();
    }
    for _ in 0..2 {
        let day = SignedDuration::from_hours(24);
        let mut sweep = Sweep { expiration_delta: day, keep_records: false, adopt: false, from: None, budget: day };
        loop {
            sweep.from = block_on(later(&store).sweep(sweep)).unwrap().next;
            if sweep.from.is_none() {
                break;
            }
        }
    }
    let expected_bytes: usize = finished.iter().map(|upload| upload.content.len()).sum();
    let (mut bytes, mut others) = (0, 0);
    for (key, value) in store.snapshot().into_iter().filter(|(key, _)| !key.starts_with("mark/")) {
        assert!(finished.iter().any(|upload| key.contains(&upload.id)) || key.ends_with("/deleted"), "{key} is left");
        match key.starts_with("data/") {
            true => bytes += value.len(),
            false => others += 1,
        }
    }
    assert_eq!(bytes, expected_bytes, "bytes of complete uploads, and no others");
    assert!(others >= finished.len());
}

/// A clock that is two days ahead.
struct LaterClock;

impl Clock for LaterClock {
    fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_hours(48)
    }

    fn tag(&self) -> Uuid {
        Uuid::now_v7()
    }
}

fn later(store: &MemoryStore) -> Uploads<MemoryStore> {
    Uploads::new(store.clone(), None, LaterClock)
}
