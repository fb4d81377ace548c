//! Refusals that the head of a request decides. They come before the body, and a client that still sends its body also
//! gets them.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use support::{Client, Server, data, path_of};

/// The head of a raw chunk.
fn head(server: &Server, path: &str, more: &[(&str, &str)]) -> String {
    let mut head = format!(
        "PUT {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n",
        server.address()
    );
    for (name, value) in more {
        head += &format!("{name}: {value}\r\n");
    }
    head + "\r\n"
}

type Headers = Vec<(&'static str, &'static str)>;

/// The refusals that the head alone decides: each with its status, its path and its headers.
fn refused(client: &Client) -> Vec<(u16, String, Headers)> {
    let file = data::bytes(1, 1_000);
    let open = client.begin(&file, 500);
    let complete = client.begin(&file, 1_000);
    client.complete(&complete, &data::md5(&file)).expect(200);
    let unknown = "/uploads/00000000-0000-4000-8000-000000000000".to_owned();
    let new = || "/uploads/?filename=f".to_owned();
    vec![
        (404, unknown, vec![("Content-Range", "bytes 0-7999999/8000000")]),
        (400, path_of(&open), vec![("Content-Range", "bytes 0-7999999/8000000")]),
        (400, path_of(&complete), vec![("Content-Range", "bytes 0-7999999/8000000")]),
        (400, new(), vec![("Content-Range", "no range")]),
        (400, new(), vec![]),
        (400, new(), vec![("Content-Range", "bytes 0-7999999/8000000"), ("Content-Digest", "no digest")]),
        (415, new(), vec![("Content-Range", "bytes 0-7999999/8000000"), ("Content-Encoding", "gzip")]),
        (400, new(), vec![("Content-Range", "no range"), ("Content-Length", "100")]),
        (400, new(), vec![("Content-Range", "bytes 0-7999999/8000000"), ("Content-Range", "bytes 0-7999999/8000000")]),
        (413, new(), vec![("Content-Range", "bytes 0-8999999/9000000"), ("Content-Length", "9000000")]),
    ]
}

fn with_length(headers: &Headers, expects: bool) -> Headers {
    let mut headers = headers.clone();
    if !headers.iter().any(|(name, _)| *name == "Content-Length") {
        headers.push(("Content-Length", "8000000"));
    }
    if expects {
        headers.push(("Expect", "100-continue"));
    }
    headers
}

fn answer(mut connection: TcpStream) -> String {
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).expect("an answer, and then the connection's end");
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_refusal_comes_before_the_body() {
    let server = Server::with(&[("max_chunk_bytes", "8000000")]);
    let client = server.client();
    for (status, path, headers) in refused(&client) {
        let head = head(&server, &path, &with_length(&headers, true));
        let mut connection = client.send_raw(head.as_bytes());
        let mut line = [0; 12];
        // The first line is that of the refusal. No `100 Continue` asks for the body.
        connection.read_exact(&mut line).expect("a status line");
        assert_eq!(String::from_utf8_lossy(&line), format!("HTTP/1.1 {status}"), "{headers:?}");
    }
}

#[test]
fn a_client_that_sends_on_sees_the_refusal() {
    let server = Server::with(&[("max_chunk_bytes", "8000000")]);
    let client = server.client();
    for (status, path, headers) in refused(&client) {
        let headers = with_length(&headers, false);
        let mut connection = client.send_raw(head(&server, &path, &headers).as_bytes());
        let length = headers.iter().find(|(name, _)| *name == "Content-Length").unwrap().1.parse().unwrap();
        connection.write_all(&vec![7; length]).expect("the server reads on");
        let answer = answer(connection);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.ends_with('}'), "{answer}");
    }
    let server = Server::with(&[("auth", "jwt"), ("auth_jwt_secret", "a secret of the tests")]);
    let client = server.client();
    let headers =
        [("Content-Range", "bytes 0-7999999/8000000"), ("Content-Length", "8000000"), ("Authorization", "Bearer x")];
    let mut connection = client.send_raw(head(&server, "/uploads/?filename=f", &headers).as_bytes());
    connection.write_all(&vec![7; 8_000_000]).expect("the server reads on");
    assert!(answer(connection).starts_with("HTTP/1.1 401"));
}

#[test]
fn a_refused_body_is_not_read_for_ever() {
    let server = Server::start();
    let client = server.client();
    let headers = [("Content-Range", "no range"), ("Content-Length", "1000000000")];
    let mut connection = client.send_raw(head(&server, "/uploads/?filename=f", &headers).as_bytes());
    let sent = (0..1_000).take_while(|_| connection.write_all(&[7; 1_000_000]).is_ok()).count();
    assert!(sent < 200, "the server took {sent} MB");
}
