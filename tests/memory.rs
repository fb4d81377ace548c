//! The memory that a large request takes.

mod support;

use std::io::{Read, Write};

use support::{Form, Server, data};

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
