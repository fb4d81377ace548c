//! Hostile requests: invalid HTTP, bodies with a wrong length, names and boundaries that are made to be confused with
//! something else, and more requests at once than the host handles.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use http::Method;
use support::{Client, Form, Server, data, server};

/// The head of a request with a first chunk of `length` bytes. The chunk is the body itself.
fn chunk_head(server: &Server, length: usize, more: &str) -> Vec<u8> {
    format!(
        "PUT /uploads/?filename=f HTTP/1.1\r\nHost: {}\r\nContent-Type: application/octet-stream\r\n\
         Content-Range: bytes 0-{}/{length}\r\n{more}\r\n",
        server.address(),
        length - 1
    )
    .into_bytes()
}

/// The status line of the response; empty if there is none.
fn status_line(connection: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut piece = [0; 1024];
    while !answer.contains(&b'\n') {
        match connection.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(length) => answer.extend_from_slice(&piece[..length]),
        }
    }
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

fn status_of(client: &Client, request: &[u8]) -> String {
    status_line(&mut client.send_raw(request))
}

#[test]
fn a_slow_body_is_waited_for_and_keeps_nobody_else_waiting() {
    let (server, file) = (Server::start(), data::bytes(1, 10));
    let client = server.client();
    let mut slow = client.send_raw(&chunk_head(&server, file.len(), "Content-Length: 10\r\n"));
    for byte in &file {
        slow.write_all(&[*byte]).unwrap();
        // The next byte waits until another client has uploaded a whole file.
        client.upload_whole("other", b"abc").expect(200);
    }
    assert_eq!(status_line(&mut slow), "HTTP/1.1 200 OK");
}

#[test]
fn a_body_shorter_than_it_says_leaves_nothing() {
    let (server, file) = (Server::start(), data::bytes(2, 2_500_000));
    let client = server.client();
    for (more, body) in [
        ("Content-Length: 2500000\r\n", file[..2_400_000].to_vec()),
        ("Transfer-Encoding: chunked\r\n", [b"261c00\r\n", &file[..2_400_000]].concat()),
        ("Transfer-Encoding: chunked\r\n", [b"10\r\n", &file[..16], b"\r\nnonsense\r\n"].concat()),
    ] {
        let connection = client.send_raw(&[chunk_head(&server, file.len(), more), body].concat());
        connection.shutdown(std::net::Shutdown::Write).unwrap();
        let answer = status_line(&mut { connection });
        assert!(!answer.contains(" 200 "), "{more}{answer}");
        server.wait_until_stored(Vec::is_empty);
    }
}

#[test]
fn what_follows_a_body_is_not_part_of_it() {
    let (server, file) = (Server::start(), data::bytes(3, 10));
    let request = [&chunk_head(&server, 10, "Content-Length: 10\r\n"), file.as_slice(), b"and more\r\n\r\n"].concat();
    let answer = server.client().exchange_raw(&request);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("\"offset\":10,"), "{answer}");
    assert!(answer.contains("HTTP/1.1 400 "), "what follows is a request of its own, and a bad one: {answer}");
    // A chunk that is longer than its range is refused.
    let reply = server.client().put_form("/uploads/", "bytes 0-8/9", Form::new().file("file", "f", &file));
    assert!(reply.expect(400).text("detail").starts_with("File size doesn't match headers"));
}

#[test]
fn a_body_with_two_lengths_is_refused() {
    let server = Server::start();
    let client = server.client();
    let smuggled = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    for more in ["Content-Length: 3\r\nContent-Length: 5\r\n", "Content-Length: -3\r\n", "Content-Length: 3x\r\n"] {
        let answer = status_of(&client, &[&chunk_head(&server, 3, more), smuggled.as_slice()].concat());
        assert_eq!(answer, "HTTP/1.1 400 Bad Request", "{more}");
    }
    // RFC 9112, 6.3: the transfer coding overrides the length, or the request is refused. The length never ends the
    // body.
    let more = "Content-Length: 3\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n";
    let answer = client.exchange_raw(&[&chunk_head(&server, 3, more), smuggled.as_slice()].concat());
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(server.stored(), []);
}

/// A server undoes chunks alone: anything else would be stored as it came, compressed.
#[test]
fn a_body_that_is_coded_in_other_ways_is_refused() {
    // A WASI 0.2 component on Spin doesn't see the field.
    if server::on_spin() && server::manifest() != "spin.toml" {
        return;
    }
    let server = Server::start();
    let client = server.client();
    let chunks = b"3\r\nabc\r\n0\r\n\r\n";
    for more in ["Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"] {
        let more = format!("{more}Connection: close\r\n");
        let answer = client.exchange_raw(&[&chunk_head(&server, 3, &more), chunks.as_slice()].concat());
        assert!(answer.starts_with("HTTP/1.1 501 "), "{answer}");
        assert!(answer.contains("\"code\":\"unsupported_transfer_coding\""), "{answer}");
    }
    assert_eq!(server.stored(), []);
    let more = "Transfer-Encoding: Chunked\r\nConnection: close\r\n";
    let answer = client.exchange_raw(&[&chunk_head(&server, 3, more), chunks.as_slice()].concat());
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// Which of two hosts a request is for, or what stands before an `@`, others may see otherwise.
#[test]
fn a_host_that_can_be_mistaken_is_refused() {
    let server = Server::start();
    let client = server.client();
    let get = |head: &str| {
        client.exchange_raw(format!("GET /uploads/ HTTP/1.1\r\nConnection: close\r\n{head}\r\n").as_bytes())
    };
    let heads = [
        "Host: a.example\r\nHost: b.example\r\n",
        "Host: a.example\r\nHost: a.example\r\n",
        "Host: 127.0.0.1@evil.example\r\n",
        "Host: a b\r\n",
        "Host:\r\n",
        "",
    ];
    for head in heads {
        let answer = get(head);
        // Spin hangs up on what it can't read, and shows a WASI 0.2 component the first host alone.
        let is_hidden = server::manifest() != "spin.toml" && head.matches("Host").count() > 1;
        if server::on_spin() && (answer.is_empty() || is_hidden) {
            continue;
        }
        assert!(
            answer.starts_with("HTTP/1.1 400 ") && answer.contains("content-type: application/json"),
            "{head}{answer}"
        );
        assert!(answer.contains("\"code\":\"invalid_target\""), "{head}{answer}");
    }
    assert!(get("Host: a.example:80\r\n").starts_with("HTTP/1.1 200 "));

    // A target with a host in it needs no other one, and an old client may have none to say; as on Spin.
    let target = |version: &str, head: &str| {
        client
            .exchange_raw(format!("GET http://a.example/ HTTP/{version}\r\nConnection: close\r\n{head}\r\n").as_bytes())
    };
    for version in ["1.0", "1.1"] {
        assert!(target(version, "").contains("http://a.example/uploads/"));
        assert!(target(version, "Host: a.example\r\n").contains("http://a.example/uploads/"));
        let other = target(version, "Host: b.example\r\n");
        assert!(other.is_empty() || other.contains("\"code\":\"invalid_target\""), "{other}");
    }
    let old = client.exchange_raw(b"GET /uploads/ HTTP/1.0\r\n\r\n");
    assert!(old.is_empty() || old.starts_with("HTTP/1.0 400 "), "{old}");
}

#[test]
fn huge_headers_are_refused() {
    let server = Server::start();
    let client = server.client();
    let long = format!("X-Long: {}\r\nContent-Length: 0\r\n", "y".repeat(2_000_000));
    let many = format!("{}Content-Length: 0\r\n", "X-Many: y\r\n".repeat(10_000));
    for more in [long, many] {
        // The server may close the connection before it has read the whole head.
        let mut connection = client.send_raw(&[]);
        let _ = connection.write_all(&chunk_head(&server, 3, &more));
        let answer = status_line(&mut connection);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    client.upload_whole("f", b"abc").expect(200);
}

#[test]
fn a_boundary_is_not_mistaken() {
    let server = Server::start();
    let client = server.client();
    let form = |boundary: &str, content: &[u8]| {
        let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n");
        let md5 =
            format!("\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"md5\"\r\n\r\n{}", data::md5(content));
        [head.as_bytes(), content, md5.as_bytes(), format!("\r\n--{boundary}--\r\n").as_bytes()].concat()
    };
    let post = |parameter: &str, body: &[u8]| {
        let content_type = format!("multipart/form-data{parameter}");
        client.send(Method::POST, "/uploads/", &[("Content-Type", &content_type)], body)
    };
    // Contents that look like a boundary up to their last byte.
    for content in ["--x", "\r\n--y--\r\n", "\r\n-", "\r\n--", "\n--x--\r\n", "\r\n\r\n--x\r", "--x--\r\n--x--"] {
        let whole = post("; boundary=xx", &form("xx", content.as_bytes())).expect(200);
        assert_eq!(client.get(&whole.text("file")).body, content.as_bytes(), "{content:?}");
    }
    let boundaries = [
        ("; boundary=\"a b\"", "a b"),
        ("; charset=utf-8; boundary=-", "-"),
        // Common clients leave out quotes that should be there.
        ("; boundary====1700000000000===", "===1700000000000==="),
    ];
    for (parameter, boundary) in boundaries {
        post(parameter, &form(boundary, b"abc")).expect(200);
    }
    let before = server.stored();
    for parameter in ["", "; boundary", "; boundary=", "; boundary=y", "; boundary=\"x"] {
        let detail = post(parameter, &form("x", b"abc")).expect(400).text("detail");
        assert!(detail.starts_with("Multipart form parse error - "), "{parameter}: {detail}");
    }
    assert_eq!(server.stored(), before);
}

/// The range says where a chunk ends, so the service does not search most of the chunk for its end.
#[test]
fn the_end_of_a_long_chunk_is_not_mistaken() {
    let server = Server::start();
    let client = server.client();
    let put = |content: &[u8], length: usize| {
        let range = format!("bytes 0-{}/{length}", length - 1);
        client.put_form("/uploads/", &range, Form::new().file("file", "f", content))
    };
    let content_type = Form::content_type();
    let (_, boundary) = content_type.split_once("boundary=").unwrap();
    let nearly = format!("\r\n--{}", &boundary[..boundary.len() - 1]);
    for text in [nearly, "\r\n-".to_owned(), "\r".to_owned(), format!("--{boundary}--\n")] {
        let content = text.repeat(400_000 / text.len()).into_bytes();
        let url = put(&content, content.len()).expect(200).text("url");
        let whole = client.complete(&url, &data::md5(&content)).expect(200);
        assert!(client.get(&whole.text("file")).body == content, "{text:?}");
        let before = server.stored();
        for length in [content.len() - 1, content.len() + 1, content.len() + 100_000] {
            let detail = put(&content, length).expect(400).text("detail");
            assert!(detail.contains(&content.len().to_string()), "{text:?}, {length}: {detail}");
        }
        assert_eq!(server.stored(), before);
    }
}

#[test]
fn names_and_ids_lead_nowhere_else() {
    let server = Server::start();
    let client = server.client();
    for name in
        ["../../../etc/passwd", "/etc/passwd", "C:\\boot.ini", "..", "a\0b", "a\r\nSet-Cookie: b=c\r\n\r\n<html>"]
    {
        let name_in_query: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let (path, range) = (format!("/uploads/?filename={name_in_query}"), [("Content-Range", "bytes 0-2/3")]);
        let begun = client.send(Method::PUT, &path, &range, b"abc").expect(200);
        assert_eq!(begun.text("filename"), name);
        let file = client.complete(&begun.text("url"), &data::md5(b"abc")).expect(200).text("file");
        assert!(!file.contains("etc") && !file.contains(".."), "{file}");
        let download = client.get(&file).expect(200);
        assert_eq!(download.body, b"abc");
        assert_eq!(download.header("set-cookie"), "");
        assert!(download.header("content-disposition").starts_with("attachment; filename=\""));
    }
    let id = "123e4567-e89b-12d3-a456-426614174000";
    for path in [
        "/uploads/..%2f..%2fspin.toml".to_owned(),
        "/uploads/%00".to_owned(),
        format!("/uploads/{id}/complete"),
        format!("/uploads/{id}%2fcomplete"),
        format!("/chunked_uploads/../../{id}.done"),
        format!("/chunked_uploads/%2e%2e/{id}"),
        "/.spin/sqlite_key_value.db".to_owned(),
    ] {
        client.get(&path).expect(404);
        let answer =
            status_of(&client, format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", server.address()).as_bytes());
        assert_eq!(answer, "HTTP/1.1 404 Not Found", "as it is written: {path}");
    }
}

/// More requests than an instance takes (16) and than this repository's host handles at once (512). The rest wait, and
/// their bodies are not read.
const AT_ONCE: usize = 700;
/// The memory that all of these requests may take, in KiB. Each one needs memory for a response and a part of a body.
const ALLOWED_GROWTH_KIB: u64 = 700 * 1024;

#[test]
fn more_requests_than_the_host_takes_wait_for_their_turn() {
    let (server, file) = (Server::start(), data::bytes(4, 100_000));
    let client = server.client();
    client.upload_whole("f", b"abc").expect(200);
    let idle = server.peak_memory_kib();
    let head = chunk_head(&server, file.len(), "Content-Length: 100000\r\n");
    let half = [head.as_slice(), &file[..50_000]].concat();
    let connections: Vec<_> = (0..AT_ONCE).map(|_| client.send_raw(&half)).collect();
    for mut connection in connections {
        connection.write_all(&file[50_000..]).unwrap();
        assert_eq!(status_line(&mut connection), "HTTP/1.1 200 OK");
    }
    if let (Some(idle), Some(peak)) = (idle, server.peak_memory_kib()) {
        assert!(peak - idle < ALLOWED_GROWTH_KIB, "it took {} MiB more", (peak - idle) >> 10);
        println!("{} MiB more for {AT_ONCE} requests at once", (peak - idle) >> 10);
    }
}
