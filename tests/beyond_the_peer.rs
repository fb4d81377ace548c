//! Requests that this service accepts and the peer does not: raw bodies, unknown totals, empty files and digests. The
//! limit on a request's body is tested here, too.

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Method;
use md5::Digest;
use serde_json::json;
use support::{Client, Form, Reply, Server, data};

fn put_raw(client: &Client, path: &str, range: &str, headers: &[(&str, &str)], bytes: &[u8]) -> Reply {
    let mut all = vec![("Content-Range", range), ("Content-Type", "application/octet-stream")];
    all.extend(headers);
    client.send(Method::PUT, path, &all, bytes)
}

#[test]
fn a_chunk_may_be_the_body_itself() {
    let (server, file) = (Server::start(), data::bytes(1, 3_000));
    let client = server.client();
    let name = [("Content-Disposition", "attachment; filename=\"plain\"; filename*=UTF-8''na%C3%AFve.bin")];
    let begun = put_raw(&client, "/uploads/", "bytes 0-999/3000", &name, &file[..1_000]).expect(200);
    assert_eq!(begun.json()["filename"], "naïve.bin");
    let url = begun.text("url");
    put_raw(&client, &url, "bytes 1000-1999/3000", &[], &file[1_000..2_000]).expect(200);
    // The media type may be any type that isn't a form, and it may be missing.
    let range = ("Content-Range", "bytes 2000-2499/3000");
    client.send(Method::PUT, &url, &[range, ("Content-Type", "video/mp4")], &file[2_000..2_500]).expect(200);
    client.send(Method::PUT, &url, &[("Content-Range", "bytes 2500-2999/3000")], &file[2_500..]).expect(200);
    let complete = client.complete(&url, &data::md5(&file)).expect(200);
    assert!(client.get(&complete.text("file")).expect(200).body == file);

    let begun = put_raw(&client, "/uploads/?filename=a%20b.bin", "bytes 0-2/3", &[], b"abc").expect(200);
    assert_eq!(begun.json()["filename"], "a b.bin");
    let no_name = json!({"detail": {"filename": ["This field is required."]}});
    put_raw(&client, "/uploads/", "bytes 0-2/3", &[], b"abc").expect_json(400, no_name);
    let length = json!({"detail": "File size doesn't match headers: file size is 3 but 2 reported"});
    put_raw(&client, "/uploads/?filename=f", "bytes 0-1/3", &[], b"abc").expect_json(400, length);
}

/// curl sends any file as urlencoded, and other clients send a `.json` file as JSON. A form of these types has no file.
#[test]
fn a_chunk_may_have_the_type_of_a_form_without_files() {
    let (server, long) = (Server::start(), data::bytes(5, 100_000));
    let client = server.client();
    let put = |path: &str, range: &str, media_type: &str, bytes: &[u8]| {
        client.send(Method::PUT, path, &[("Content-Range", range), ("Content-Type", media_type)], bytes)
    };
    let types = ["application/x-www-form-urlencoded", "application/json", "Application/JSON; charset=utf-8"];
    for media_type in types {
        for file in [&b"filename=g&md5=x"[..], b"{\"md5\": \"x\"}", b"[1]", &long] {
            let (half, len) = (file.len() / 2, file.len());
            let range = |from: usize, to: usize| format!("bytes {from}-{}/{len}", to - 1);
            let begun = put("/uploads/?filename=f", &range(0, half), media_type, &file[..half]).expect(200);
            assert_eq!((begun.text("filename").as_str(), &begun.json()["offset"]), ("f", &json!(half)));
            let url = begun.text("url");
            put(&url, &range(half, len), media_type, &file[half..]).expect(200);
            let complete = client.complete(&url, &data::md5(file)).expect(200);
            assert!(client.get(&complete.text("file")).expect(200).body == file);
        }
        put("/uploads/?filename=f", "bytes */0", media_type, b"").expect(200);
    }
    let before = server.stored();
    let no_file = json!({"detail": "No chunk file was submitted"});
    for media_type in types {
        // A form that isn't as long as the chunk, or a body without a range.
        put("/uploads/?filename=f", "bytes 0-9/10", media_type, b"{}").expect_json(400, no_file.clone());
        put("/uploads/?filename=f", "x", media_type, b"{}").expect_json(400, no_file.clone());
        let length = json!({"detail": "File size doesn't match headers: file size is 100000 but 10 reported"});
        put("/uploads/?filename=f", "bytes 0-9/10", media_type, &long).expect_json(400, length);
        // A whole file needs a multipart form.
        let whole = client.send(Method::POST, "/uploads/", &[("Content-Type", media_type)], &long).expect(413);
        assert!(whole.text("detail").ends_with("which is a part of a multipart form"), "{whole:?}");
    }
    assert_eq!(server.stored(), before);
}

#[test]
fn the_total_may_come_late() {
    let (server, file) = (Server::with(&[("max_bytes", "3000")]), data::bytes(2, 3_000));
    let client = server.client();
    let begun = put_raw(&client, "/uploads/?filename=f", "bytes 0-999/*", &[], &file[..1_000]).expect(200);
    let url = begun.text("url");
    put_raw(&client, &url, "bytes 1000-1999/*", &[], &file[1_000..2_000]).expect(200);
    let limit = json!({"detail": "Size of file exceeds the limit (3000 bytes)"});
    put_raw(&client, &url, "bytes 2000-3000/*", &[], &data::bytes(3, 1_001)).expect_json(400, limit);
    put_raw(&client, &url, "bytes 2000-2499/3000", &[], &file[2_000..2_500]).expect(200);
    assert!(client.complete(&url, &data::md5(&file[..2_500])).expect(400).text("detail").contains("2500 of 3000"));
    let changed = put_raw(&client, &url, "bytes 2500-2998/2999", &[], &file[2_500..2_999]).expect(400);
    assert!(changed.text("detail").starts_with("Total size does not match"));
    put_raw(&client, &url, "bytes 2500-2999/*", &[], &file[2_500..]).expect(200);
    client.complete(&url, &data::md5(&file)).expect(200);

    // If no chunk gives a total, the completion sets it.
    let begun = put_raw(&client, "/uploads/?filename=f", "bytes 0-999/*", &[], &file[..1_000]).expect(200);
    client.complete(&begun.text("url"), &data::md5(&file[..1_000])).expect(200);
}

#[test]
fn a_total_that_can_not_be_counted_is_refused() {
    let server = Server::start();
    let client = server.client();
    let limit = json!({"detail": "Size of file exceeds the limit (18446744073709551614 bytes)"});
    for range in ["bytes 0-2/999999999999999999999", "bytes 0-2/18446744073709551615"] {
        put_raw(&client, "/uploads/?filename=f", range, &[], b"abc").expect_json(400, limit.clone());
    }
    assert_eq!(server.stored(), []);
    let url = put_raw(&client, "/uploads/?filename=f", "bytes 0-2/*", &[], b"abc").expect(200).text("url");
    put_raw(&client, &url, "bytes 3-5/999999999999999999999", &[], b"def").expect_json(400, limit);
    assert_eq!(client.get(&url).expect(200).json()["offset"], 3);
    put_raw(&client, &url, "bytes 3-5/6", &[], b"def").expect(200);
}

#[test]
fn a_total_that_was_said_once_holds_for_every_chunk() {
    let (server, file) = (Server::start(), data::bytes(2, 20));
    let client = server.client();
    let url = put_raw(&client, "/uploads/?filename=f", "bytes 0-4/10", &[], &file[..5]).expect(200).text("url");
    let past = json!({"detail": "End of chunk exceeds reported total (10 bytes)"});
    put_raw(&client, &url, "bytes 5-19/*", &[], &file[5..]).expect_json(400, past);
    assert_eq!(client.get(&url).expect(200).json()["offset"], 5);
    put_raw(&client, &url, "bytes 5-9/*", &[], &file[5..10]).expect(200);
    client.complete(&url, &data::md5(&file[..10])).expect(200);
}

#[test]
fn an_empty_file_is_a_file() {
    let server = Server::start();
    let client = server.client();
    let form = Form::new().field("filename", "empty").file("file", "blob", b"");
    let begun = client.put_form("/uploads/", "bytes */0", form).expect(200);
    assert_eq!((&begun.json()["offset"], begun.header("range")), (&json!(0), ""));
    let complete = client.complete(&begun.text("url"), &data::md5(b"")).expect(200);
    let reply = client.get(&complete.text("file")).expect(200);
    assert!(reply.body.is_empty());
    assert_eq!(reply.header("content-length"), "0");
    client.get_with(&complete.text("file"), &[("Range", "bytes=0-0")]).expect(416);
    put_raw(&client, "/uploads/?filename=f", "bytes */3", &[], b"").expect(400);
}

#[test]
fn a_digest_is_checked_before_the_chunk_counts() {
    let (server, file) = (Server::start(), data::bytes(4, 2_500_000));
    let client = server.client();
    let url = put_raw(&client, "/uploads/?filename=f", "bytes 0-999999/2500000", &[], &file[..1_000_000]);
    let url = url.expect(200).text("url");
    let (chunk, range) = (&file[1_000_000..], "bytes 1000000-2499999/2500000");
    let before = server.stored();

    let md5 = BASE64.encode(md5::Md5::digest(chunk));
    let sha256 = BASE64.encode(sha2::Sha256::digest(chunk));
    let wrong = BASE64.encode(sha2::Sha256::digest(b"other"));
    let refused = |name: &'static str, value: &str, detail: &str| {
        put_raw(&client, &url, range, &[(name, value)], chunk).expect_json(400, json!({"detail": detail}));
        assert_eq!(server.stored(), before);
    };
    refused("Content-MD5", &BASE64.encode([0; 16]), "Content-MD5 does not match the request's content");
    refused("Content-Digest", &format!("sha-256=:{wrong}:"), "Content-Digest does not match the request's content");
    let one_of_two = format!("md5=:{md5}:, sha-256=:{wrong}:");
    refused("Content-Digest", &one_of_two, "Content-Digest does not match the request's content");
    refused("Content-Digest", "sha-256=abc", "Content-Digest can't be read");
    refused("Content-MD5", "not base64", "Content-MD5 can't be read");

    // Each line counts (RFC 9110, 5.3).
    let (right, wrong_line) = (format!("md5=:{md5}:"), format!("sha-256=:{wrong}:"));
    let lines = [("Content-Digest", right.as_str()), ("Content-Digest", wrong_line.as_str())];
    for lines in [[lines[0], lines[1]], [lines[1], lines[0]]] {
        assert_eq!(put_raw(&client, &url, range, &lines, chunk).expect(400).code(), "digest_mismatch");
    }
    let lines = [("Content-Digest", right.as_str()), ("Content-Digest", "nonsense, ;")];
    assert_eq!(put_raw(&client, &url, range, &lines, chunk).expect(400).code(), "invalid_digest");
    assert_eq!(server.stored(), before);

    let digest = format!("unknown=:{wrong}:, sha-256=:{sha256}:");
    put_raw(&client, &url, range, &[("Content-Digest", &digest), ("Content-MD5", &md5)], chunk).expect(200);

    // The digest is that of the whole content (RFC 9530). If the client sends a form, it is the digest of the form.
    let form = || Form::new().field("filename", "f").file("file", "blob", b"abc");
    let digest = format!("sha-256=:{}:", BASE64.encode(sha2::Sha256::digest(form().into_body())));
    let headers = [("Content-Range", "bytes 0-2/3"), ("Content-Digest", digest.as_str())];
    client.send_form(Method::PUT, "/uploads/", &headers, form()).expect(200);
    let digest = format!("sha-256=:{}:", BASE64.encode(sha2::Sha256::digest(b"abc")));
    let headers = [("Content-Range", "bytes 0-2/3"), ("Content-Digest", digest.as_str())];
    client.send_form(Method::PUT, "/uploads/", &headers, form()).expect(400);
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let server = Server::with(&[("max_chunk_bytes", "1000")]);
    let client = server.client();
    put_raw(&client, "/uploads/?filename=f", "bytes 0-999/1001", &[], &[0; 1_000]).expect(200);
    let limit = "The request's body exceeds the limit (1000 bytes)";
    // The request's head alone is enough: no byte of the body is ever sent.
    let head = format!(
        "PUT /uploads/?filename=f HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Range: bytes 0-1000/1001\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: 1001\r\n\r\n",
        server.address()
    );
    let answer = client.exchange_raw(head.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains(limit), "{answer}");

    // Without a length, the server refuses the body when it passes the limit.
    let chunks = format!("3e9\r\n{}\r\n0\r\n\r\n", "a".repeat(1_001));
    let head = head.replace("Content-Length: 1001", "Transfer-Encoding: chunked");
    let answer = client.exchange_raw(format!("{head}{chunks}").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains(limit), "{answer}");
    assert_eq!(server.stored().len(), 2);
}

#[test]
fn a_whole_file_without_a_length_is_limited_as_it_comes() {
    let server = Server::with(&[("max_bytes", "1000")]);
    let client = server.client();
    let send = |bytes: &[u8]| {
        let body = Form::new().field("md5", &data::md5(bytes)).file("file", "f", bytes).into_body();
        let head = format!(
            "POST /uploads/ HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: {}\r\n\
             Transfer-Encoding: chunked\r\n\r\n{:x}\r\n",
            server.address(),
            Form::content_type(),
            body.len()
        );
        client.exchange_raw(&[head.as_bytes(), &body, b"\r\n0\r\n\r\n"].concat())
    };
    assert!(send(&[1; 1_000]).starts_with("HTTP/1.1 200 "));
    let before = server.stored();
    assert!(send(&[1; 1_001]).contains("Size of file exceeds the limit (1000 bytes)"));
    assert_eq!(server.stored(), before);
}
