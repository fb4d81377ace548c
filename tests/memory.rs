//! The memory that a large request takes.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use http::Method;
use support::{Client, Form, Server, data, path_of, server};

const FILE: u64 = 1 << 30;
const ALLOWED_GROWTH_KIB: u64 = 64 << 10;

#[test]
fn a_chunk_of_a_gibibyte_needs_little_memory() {
    let server = Server::start();
    server.client().begin(b"abc", 1);
    let Some(idle) = server.peak_memory_kib() else { return };

    let whole = Form::new().field("filename", "f").file("file", "blob", b"|").into_body();
    let split = whole.iter().position(|byte| *byte == b'|').unwrap();
    let (before, after) = (&whole[..split], &whole[split + 1..]);
    let head = format!(
        "PUT /uploads/ HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: {}\r\n\
         Content-Range: bytes 0-{}/{FILE}\r\nContent-Length: {}\r\n\r\n",
        server.address(),
        Form::content_type(),
        FILE - 1,
        before.len() as u64 + FILE + after.len() as u64
    );
    let mut connection = server.client().send_raw(&[head.as_bytes(), before].concat());
    let block = data::bytes(1, 1 << 20);
    for _ in 0..FILE >> 20 {
        connection.write_all(&block).unwrap();
    }
    connection.write_all(after).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(&format!("\"offset\":{FILE}")), "{answer}");

    let growth = server.peak_memory_kib().unwrap() - idle;
    assert!(growth <= ALLOWED_GROWTH_KIB, "it took {} MiB", growth >> 10);
}

/// The largest segments that are allowed, and less memory than an instance has on hosted platforms.
fn small_instances() -> Option<(Server, Client)> {
    let options = ["--instance-memory", "96MiB", "--variable", "segment_size=10000000", "--variable", "manage_token=m"];
    let server = (!server::on_spin()).then(|| Server::with_options(&options))?;
    let client = server.client();
    Some((server, client))
}

/// Begins an upload of this file with one request, which stops before its end. So many bytes are sent.
fn begin_slowly(client: &Client, file: &[u8], sent: usize) -> TcpStream {
    let head = format!(
        "PUT /uploads/ HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Disposition: attachment; filename=f\r\n\
         Content-Type: application/octet-stream\r\nContent-Range: bytes 0-{}/{}\r\nContent-Length: {}\r\n\r\n",
        client.address(),
        file.len() - 1,
        file.len(),
        file.len(),
    );
    client.send_raw(&[head.as_bytes(), &file[..sent]].concat())
}

/// Sends the rest of the file, of which so many bytes are sent, and checks it with its md5.
fn finish(client: &Client, mut connection: TcpStream, file: &[u8], sent: usize) {
    connection.write_all(&file[sent..]).unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{response}");
    let upload: serde_json::Value = serde_json::from_str(body).unwrap();
    client.complete(upload["url"].as_str().unwrap(), &data::md5(file)).expect(200);
}

/// Begins a download, of which the client reads nothing yet.
fn download_slowly(client: &Client, path: &str) -> TcpStream {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", client.address());
    client.send_raw(request.as_bytes())
}

/// The file of a response that has begun so.
fn read_file(mut response: Vec<u8>, mut connection: TcpStream) -> Vec<u8> {
    connection.read_to_end(&mut response).unwrap();
    let end = response.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    response.split_off(end + 4)
}

#[test]
fn slow_uploads_fit_their_instances() {
    let Some((_server, client)) = small_instances() else { return };
    let file = data::bytes(1, 20_000_000);
    // Each has a segment of its own after the first byte.
    let begin = |_| {
        let slow = begin_slowly(&client, &file, 1);
        client.get("/").expect(200);
        slow
    };
    let slow: Vec<_> = (0..32).map(begin).collect();
    thread::scope(|scope| {
        for connection in slow {
            scope.spawn(|| finish(&client, connection, &file, 1));
        }
    });
}

#[test]
fn slow_downloads_fit_their_instances() {
    let Some((_server, client)) = small_instances() else { return };
    let file = data::bytes(1, 60_000_000);
    let path = path_of(&client.upload_whole("f", &file).expect(200).text("file"));
    let mut slow: Vec<_> = (0..32).map(|_| (download_slowly(&client, &path), vec![0; 100_000])).collect();
    // While one goes on, the others stand still.
    for (connection, begun) in &mut slow {
        connection.read_exact(begun).unwrap();
    }
    thread::scope(|scope| {
        for (connection, begun) in slow {
            scope.spawn(|| assert!(read_file(begun, connection) == file));
        }
    });
}

/// Requests of all kinds share an instance. Those that are fast are done while the slow ones stand still.
#[test]
fn slow_requests_of_all_kinds_fit_their_instances() {
    let Some((_server, client)) = small_instances() else { return };
    let manager = client.clone().with_headers(&[("Authorization", "Bearer m")]);
    let file = data::bytes(1, 30_000_000);
    let path = path_of(&client.upload_whole("f", &file).expect(200).text("file"));
    let mut uploads = Vec::new();
    let mut downloads = Vec::new();
    for _ in 0..6 {
        uploads.push(begin_slowly(&client, &file, file.len() - 1));
        downloads.push(download_slowly(&client, &path));
    }
    for _ in 0..3 {
        thread::scope(|scope| {
            scope.spawn(|| client.upload_whole("f", &file).expect(200));
            scope.spawn(|| assert!(client.get(&path).expect(200).body == file));
            scope.spawn(|| manager.send(Method::POST, "/manage/delete_expired_uploads", &[], b"").expect(200));
        });
    }
    thread::scope(|scope| {
        for (upload, download) in uploads.into_iter().zip(downloads) {
            scope.spawn(|| finish(&client, upload, &file, file.len() - 1));
            scope.spawn(|| assert!(read_file(Vec::new(), download) == file));
        }
    });
}
