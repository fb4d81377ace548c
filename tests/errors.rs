//! Errors and their responses: the rows of the peer's own table, and ours for faults that the peer accepts.

mod support;

use std::io::{Read, Write};
use std::time::Duration;

use http::Method;
use serde_json::json;
use support::{Client, Form, Server, data};

fn detail(text: &str) -> serde_json::Value {
    json!({"detail": text})
}

fn chunk(bytes: &[u8]) -> Form {
    Form::new().field("filename", "f.bin").file("file", "blob", bytes)
}

#[test]
fn chunks_out_of_order_say_where_to_continue() {
    let (server, file) = (Server::start(), data::bytes(1, 30_000));
    let client = server.client();
    let url = client.begin(&file, 10_000);
    let mismatch = |expected: u64, provided: u64| {
        json!({
            "detail": "Offsets do not match",
            "expected_offset": expected,
            "provided_offset": provided,
            "offset": expected,
        })
    };
    client.put_chunk(&url, &file, 20_000, 30_000).expect_json(400, mismatch(10_000, 20_000));
    client.put_chunk(&url, &file, 0, 10_000).expect_json(400, mismatch(10_000, 0));
    assert_eq!(client.get(&url).json()["offset"], 10_000);

    let first = client.put_chunk("/uploads/", &file, 10_000, 20_000);
    first.expect_json(400, mismatch(0, 10_000));
}

#[test]
fn a_fault_in_the_range_is_told() {
    let server = Server::with(&[("max_bytes", "1000000")]);
    let client = server.client();
    let headers = detail("Error in request headers");
    let cases = [
        ("bytes 0-9", headers.clone()),
        ("bytes=0-9/10", headers.clone()),
        ("bytes a-9/10", headers.clone()),
        ("bytes 0-100000/5", detail("End of chunk exceeds reported total (5 bytes)")),
        ("bytes 0-10/10", detail("End of chunk exceeds reported total (10 bytes)")),
        ("bytes 0-9/1000001", detail("Size of file exceeds the limit (1000000 bytes)")),
        ("bytes 0-9/999999999999999999999", detail("Size of file exceeds the limit (1000000 bytes)")),
        ("bytes 0-999999999999999999999/10", detail("End of chunk exceeds reported total (10 bytes)")),
        ("bytes 0-1/10", detail("File size doesn't match headers: file size is 10 but 2 reported")),
        ("bytes 0-19/20", detail("File size doesn't match headers: file size is 10 but 20 reported")),
        ("bytes 5-3/20", detail("File size doesn't match headers: file size is 10 but -1 reported")),
    ];
    for (range, answer) in cases {
        client.put_form("/uploads/", range, chunk(b"0123456789")).expect_json(400, answer);
    }
    client.send_form(Method::PUT, "/uploads/", &[], chunk(b"0123456789")).expect_json(400, headers);
    assert_eq!(server.stored(), [], "a chunk that was refused leaves nothing");
}

#[test]
fn a_fault_in_the_form_is_told() {
    let server = Server::start();
    let client = server.client();
    let range = "bytes 0-2/3";
    let no_file = detail("No chunk file was submitted");
    client.put_form("/uploads/", range, Form::new().field("filename", "f")).expect_json(400, no_file.clone());
    client.put_form("/uploads/", range, Form::new().file("other", "f", b"abc")).expect_json(400, no_file.clone());
    client.put_form("/uploads/", range, Form::new().field("file", "abc")).expect_json(400, no_file.clone());
    client.put_form("/uploads/", "nonsense", Form::new().field("filename", "f")).expect_json(400, no_file.clone());
    client.send(Method::PUT, "/uploads/", &[], b"").expect_json(400, no_file.clone());

    // A browser sends this for a file input that was left empty.
    let left_empty = || Form::new().field("filename", "f").field("md5", &data::md5(b"")).file("file", "", b"");
    client.send_form(Method::POST, "/uploads/", &[], left_empty()).expect_json(400, no_file.clone());
    for range in ["bytes */0", "bytes 0-2/3"] {
        client.put_form("/uploads/", range, left_empty()).expect_json(400, no_file.clone());
    }
    assert_eq!(server.stored(), []);
    let second = left_empty().file("file", "blob", b"abc");
    let url = client.put_form("/uploads/", range, second).expect(200).text("url");
    client.delete(&url).expect(204);
    let marks = server.stored();

    let twice = chunk(b"abc").file("file", "again", b"abc");
    client.put_form("/uploads/", range, twice).expect_json(400, detail("More than one chunk file was submitted"));
    let no_name = json!({"detail": {"filename": ["This field is required."]}});
    client.put_form("/uploads/", range, Form::new().file("file", "", b"abc")).expect_json(400, no_name);
    let long = json!({"detail": {"filename": ["Ensure this field has no more than 255 characters."]}});
    let form = Form::new().field("filename", &"ä".repeat(256)).file("file", "blob", b"abc");
    client.put_form("/uploads/", range, form).expect_json(400, long);
    assert_eq!(server.stored(), marks);
    let form = Form::new().field("filename", &"ä".repeat(255)).file("file", "blob", b"abc");
    client.put_form("/uploads/", range, form).expect(200);
}

#[test]
fn a_body_that_can_not_be_read_is_told() {
    let server = Server::start();
    let client = server.client();
    let post = |content_type: &str, body: &[u8]| {
        client.send(Method::POST, "/uploads/", &[("Content-Type", content_type)], body)
    };
    assert!(post("application/json", b"{").expect(400).text("detail").starts_with("JSON parse error - "));
    assert!(post("multipart/form-data", b"").expect(400).text("detail").starts_with("Multipart form parse error - "));
    let cut = post("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb");
    assert!(cut.expect(400).text("detail").starts_with("Multipart form parse error - "));
    let unsupported = detail("Unsupported media type \"text/plain\" in request.");
    post("text/plain", b"abc").expect_json(415, unsupported);
    post("application/json", format!("{{\"md5\": \"{}\"}}", "0".repeat(70_000)).as_bytes()).expect(413);
    let long = Form::new().field("filename", &"f".repeat(70_000)).file("file", "blob", b"abc");
    client.put_form("/uploads/", "bytes 0-2/3", long).expect(413);
    assert_eq!(server.stored(), []);
}

#[test]
fn the_total_never_changes_and_completion_waits_for_all_of_it() {
    let (server, file) = (Server::start(), data::bytes(2, 30_000));
    let client = server.client();
    let url = client.begin(&file, 10_000);
    let reply = client.put_form(&url, "bytes 10000-19999/40000", chunk(&file[10_000..20_000])).expect(400);
    assert!(reply.text("detail").starts_with("Total size does not match"));
    let reply = client.complete(&url, &data::md5(&file[..10_000])).expect(400);
    assert_eq!((&reply.json()["expected_offset"], &reply.json()["offset"]), (&json!(10_000), &json!(10_000)));
    client.put_chunk(&url, &file, 10_000, 30_000).expect(200);
    client.complete(&url, &data::md5(&file)).expect(200);
}

#[test]
fn a_wrong_checksum_leaves_the_upload_open() {
    let (server, file) = (Server::start(), data::bytes(3, 1_000));
    let client = server.client();
    let url = client.begin(&file, 1_000);
    let required = detail("Checksum of type 'md5' is required");
    client.send(Method::POST, &url, &[], b"").expect_json(400, required.clone());
    client.complete(&url, "").expect_json(400, required);
    client.complete(&url, &data::md5(b"")).expect_json(400, detail("checksum does not match"));
    assert_eq!(client.get(&url).json()["status"], 1);
    client.complete(&url, &data::md5(&file)).expect(200);
}

#[test]
fn a_complete_upload_stays_what_it_is() {
    let (server, file) = (Server::start(), data::bytes(4, 1_000));
    let client = server.client();
    let url = client.begin(&file, 1_000);
    client.complete(&url, &data::md5(&file)).expect(200);
    let complete = detail("Upload has already been marked as \"complete\"");
    client.complete(&url, &data::md5(&file)).expect_json(400, complete.clone());
    client.complete(&url, &data::md5(b"")).expect_json(400, complete.clone());
    client.put_chunk(&url, &file, 0, 1_000).expect_json(400, complete);
    assert_eq!(client.get(&url).json()["status"], 2);
}

#[test]
fn an_expired_upload_can_be_looked_at_but_not_continued() {
    let mut server = Server::start();
    let client = server.client();
    let url = client.begin(b"abc", 1);
    server.age(&url, 25);
    let expired = detail("Upload has expired");
    client.put_chunk(&url, b"abc", 1, 3).expect_json(410, expired.clone());
    client.complete(&url, &data::md5(b"abc")).expect_json(410, expired);
    assert_eq!(client.get(&url).expect(200).json()["offset"], 1);
    // A complete upload does not expire.
    let whole = client.upload_whole("f", b"abc").expect(200);
    client.get(&whole.text("file")).expect(200);
    let complete = detail("Upload has already been marked as \"complete\"");
    client.complete(&whole.text("url"), "x").expect_json(400, complete);
}

#[test]
fn a_first_chunk_that_its_uploads_expiry_overtakes_does_not_count() {
    let server = Server::with(&[("expiration_delta", "1s"), ("segment_size", "1000")]);
    let head = format!(
        "PUT /uploads/?filename=f HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Range: bytes 0-1999/3000\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: 2000\r\n\r\n",
        server.address()
    );
    let mut stream = server.client().send_raw(&[head.as_bytes(), &[0; 1_000]].concat());
    // The upload's time has begun at the latest when its first segment is stored.
    server.wait_until_stored(|stored| !stored.is_empty());
    std::thread::sleep(Duration::from_secs(1));
    stream.write_all(&[0; 1_000]).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 410 ") && answer.contains("upload_expired"), "{answer}");
    assert_eq!(server.stored(), []);
}

#[test]
fn what_is_not_there_is_not_found() {
    let server = Server::start();
    let client = server.client();
    let unknown = "/uploads/123e4567-e89b-12d3-a456-426614174000";
    let not_found = detail("No ChunkedUpload matches the given query.");
    client.get(unknown).expect_json(404, not_found.clone());
    client.delete(unknown).expect_json(404, not_found.clone());
    client.complete(unknown, "x").expect_json(404, not_found.clone());
    client.put_chunk(unknown, b"abc", 0, 3).expect_json(404, not_found);
    for path in ["/uploads/1", "/uploads/123e4567e89b12d3a456426614174000", "/other", "/uploads/../other/x"] {
        client.get(path).expect_json(404, detail("Not found."));
    }
    client.send(Method::PUT, "/uploads/f.bin", &[], b"").expect(404);
    assert_eq!(server.stored(), []);
}

#[test]
fn a_method_that_is_not_there_says_which_are() {
    let server = Server::start();
    let client = server.client();
    let not_allowed = |client: &Client, method: Method, path: &str, allow: &str| {
        let reply = client.send(method.clone(), path, &[], b"").expect(405);
        assert_eq!(reply.header("allow"), allow);
        reply.expect_json(405, detail(&format!("Method \"{method}\" not allowed.")));
    };
    not_allowed(&client, Method::DELETE, "/uploads/", "GET, HEAD, POST, PUT");
    let id = "123e4567-e89b-12d3-a456-426614174000";
    not_allowed(&client, Method::PATCH, &format!("/uploads/{id}"), "DELETE, GET, HEAD, POST, PUT");
    not_allowed(&client, Method::POST, &format!("/chunked_uploads/{id}.done"), "GET, HEAD");
    not_allowed(&client, Method::POST, "/", "GET, HEAD");
}

#[test]
fn nobody_is_logged_in_so_the_list_is_empty() {
    let server = Server::start();
    server.client().begin(b"abc", 1);
    server.client().get("/uploads/").expect_json(200, json!([]));
}

#[test]
fn a_client_that_hangs_up_in_a_chunk_changes_nothing() {
    let (server, file) = (Server::start(), data::bytes(5, 3_000_000));
    let client = server.client();
    let url = client.begin(&file, 1_000_000);
    let before = server.stored();

    let body = chunk(&file[1_000_000..]).into_body();
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: {}\r\nContent-Type: {}\r\nContent-Range: bytes 1000000-2999999/3000000\r\n\
         Content-Length: {}\r\n\r\n",
        url.split_once(server.address()).unwrap().1,
        server.address(),
        Form::content_type(),
        body.len()
    );
    let connection = client.send_raw(&[head.as_bytes(), &body[..1_900_000]].concat());
    // A segment of the chunk is stored before the rest of the chunk is sent.
    server.wait_until_stored(|stored| stored.len() > before.len());
    drop(connection);
    server.wait_until_stored(|stored| *stored == before);
    assert_eq!(client.get(&url).json()["offset"], 1_000_000);
    client.put_chunk(&url, &file, 1_000_000, 3_000_000).expect(200);
    let complete = client.complete(&url, &data::md5(&file)).expect(200);
    assert!(client.get(&complete.text("file")).body == file);
}

#[test]
fn a_part_whose_headers_never_end_is_refused() {
    let server = Server::start();
    let head = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"";
    let body = [head.as_bytes(), "y".repeat(3_000_000).as_bytes()].concat();
    let headers = [("Content-Type", "multipart/form-data; boundary=x"), ("Content-Range", "bytes 0-2/3")];
    let reply = server.client().send(Method::PUT, "/uploads/", &headers, &body).expect(400);
    assert_eq!(reply.text("detail"), "The headers of a part of the form exceed the limit (65536 bytes)");
    assert_eq!(server.stored(), []);
}

#[test]
fn ten_thousand_tiny_parts_do_no_harm() {
    let (server, mut form) = (Server::start(), Form::new());
    for number in 0..10_000 {
        form = form.file(&format!("other{number}"), "f", b"x");
    }
    let form = form.field("filename", "f").file("file", "blob", b"abc");
    server.client().put_form("/uploads/", "bytes 0-2/3", form).expect(200);
    let mut form = Form::new();
    for number in 0..10_000 {
        form = form.field(&number.to_string(), "");
    }
    server.client().put_form("/uploads/", "bytes 0-2/3", form.file("file", "blob", b"abc")).expect(413);
}

#[test]
fn nothing_is_decompressed() {
    let server = Server::start();
    let client = server.client();
    for (method, path) in [(Method::PUT, "/uploads/"), (Method::POST, "/uploads/")] {
        let headers = [("Content-Range", "bytes 0-2/3"), ("Content-Encoding", "gzip")];
        let form = || Form::new().field("md5", &data::md5(b"abc")).file("file", "f", b"abc");
        let reply = client.send_form(method.clone(), path, &headers, form());
        assert_eq!(reply.header("accept-encoding"), "identity");
        let unsupported = "Unsupported content encoding \"gzip\": send the bytes as they are";
        reply.expect_json(415, json!({"detail": unsupported}));
        assert_eq!(server.stored(), []);
    }
    let headers = [("Content-Range", "bytes 0-2/3"), ("Content-Encoding", "identity")];
    client.send_form(Method::PUT, "/uploads/", &headers, Form::new().file("file", "f", b"abc")).expect(200);
}

/// Other recipients may decide by another line than this service. The lines of a list are one list.
#[test]
fn a_header_on_two_lines_is_one_list_or_refused() {
    let server = Server::start();
    let client = server.client();
    let whole = client.upload_whole("f", b"abc").expect(200);
    let before = server.stored();
    let once = [
        ("Content-Disposition", "attachment; filename=a"),
        ("Content-MD5", "kAFQmDzST7DWlj99KOF/cg=="),
        ("Content-Range", "bytes 0-2/3"),
        ("Content-Type", "text/plain"),
        ("Origin", "https://example.com"),
        ("Range", "bytes=0-0"),
        ("Sec-Fetch-Site", "same-origin"),
        ("X-Auth-Secret", "a"),
    ];
    for (name, value) in once {
        let twice = [&once[..], &[(name, value)]].concat();
        let refused = client.send(Method::PUT, "/uploads/", &twice, b"abc").expect(400);
        assert_eq!(refused.code(), "repeated_header");
        assert_eq!(refused.text("detail"), format!("{name} stands on more than one line: send it once"));
    }
    let ranges = [("Range", "bytes=0-0"), ("Range", "bytes=1-1")];
    assert_eq!(client.get_with(&whole.text("file"), &ranges).expect(400).code(), "repeated_header");

    let gzip = [&once[..], &[("Content-Encoding", "identity"), ("Content-Encoding", "gzip")]].concat();
    let refused = client.send(Method::PUT, "/uploads/", &gzip, b"abc").expect(415);
    assert!(refused.text("detail").contains("\"gzip\""), "{refused:?}");
    let parts = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\
                 Content-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nabc\r\n--x--\r\n";
    let headers = [("Content-Type", "multipart/form-data; boundary=x"), ("Content-Range", "bytes 0-2/3")];
    let refused = client.send(Method::PUT, "/uploads/", &headers, parts.as_bytes()).expect(400);
    assert_eq!(refused.code(), "invalid_multipart");
    assert_eq!(server.stored(), before);
    client.send(Method::PUT, "/uploads/", &once, b"abc").expect(200);
}

/// The codes of docs/http-api.md that a client can cause here. The tests of the hook, of users and of management
/// requests have the others.
#[test]
fn each_fault_has_a_code() {
    let server = Server::with(&[("max_bytes", "1000"), ("max_chunk_bytes", "100000"), ("manage_token", "secret")]);
    let client = server.client();
    let put = |range: &str, form: Form| client.put_form("/uploads/", range, form);
    let with = |name: &str, value: &str| {
        client.send(Method::PUT, "/uploads/?filename=f", &[("Content-Range", "bytes 0-2/3"), (name, value)], b"abc")
    };
    let post = |content_type: &str, body: &[u8]| {
        client.send(Method::POST, "/uploads/", &[("Content-Type", content_type)], body)
    };
    let named = |name: &str| Form::new().field("filename", name).file("file", "", b"abc");
    let (open, unknown) = (client.begin(b"abcd", 2), "/uploads/123e4567-e89b-12d3-a456-426614174000");
    let whole = client.upload_whole("f", b"abc").expect(200);
    let (complete, file) = (whole.text("url"), whole.text("file"));
    let long_head = "--x\r\na: ".to_owned() + &"y".repeat(70_000);
    let rows = [
        (put("bytes 0-2/3", Form::new()), "file_required"),
        (put("bytes 0-2/3", named("f").file("file", "f", b"abc")), "more_than_one_file"),
        (put("bytes", named("f")), "invalid_content_range"),
        (put("bytes 0-3/3", named("f")), "end_past_total"),
        (put("bytes 0-2/1001", named("f")), "file_too_large"),
        (put("bytes 0-1/3", named("f")), "chunk_length_mismatch"),
        (put("bytes 0-2/3", Form::new().file("file", "", b"abc")), "filename_required"),
        (put("bytes 0-2/3", named(&"f".repeat(256))), "filename_too_long"),
        (put("bytes 0-2/3", named(&"f".repeat(70_000))), "fields_too_long"),
        (put("bytes 1-3/4", named("f")), "offset_mismatch"),
        (with("Content-Encoding", "gzip"), "unsupported_content_encoding"),
        (with("Content-MD5", "x"), "invalid_digest"),
        (with("Content-Range", "bytes 0-2/3"), "repeated_header"),
        (with("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="), "digest_mismatch"),
        (post("multipart/form-data; boundary=x", long_head.as_bytes()), "part_head_too_long"),
        (post("multipart/form-data; boundary=x", b"--x\r\nabc"), "invalid_multipart"),
        (post("application/json", b"{"), "invalid_json"),
        (post("text/plain", b"abc"), "unsupported_media_type"),
        (post("text/plain", &[0; 100_001]), "body_too_large"),
        (client.send(Method::POST, &open, &[], b""), "checksum_required"),
        (client.complete(&open, "x"), "upload_incomplete"),
        (client.put_chunk(&open, b"abcde", 2, 5), "total_mismatch"),
        (client.complete(&complete, "x"), "upload_already_complete"),
        (client.get(unknown), "upload_not_found"),
        (client.get("/other"), "not_found"),
        (client.get("/uploads/?limit=x"), "invalid_query"),
        (client.get_with(&file, &[("Range", "bytes=9-")]), "range_not_satisfiable"),
        (client.get_with(&file, &[("If-Match", "\"x\"")]), "precondition_failed"),
        (client.send(Method::PATCH, &open, &[], b""), "method_not_allowed"),
        (client.send(Method::POST, "/manage/delete_expired_uploads", &[], b""), "manage_token_required"),
    ];
    let documented = include_str!("../docs/http-api.md");
    for (reply, code) in rows {
        assert!(reply.status.is_client_error(), "{reply:?}");
        assert_eq!(reply.code(), code);
        let row = format!("| `{code}` | {} |", reply.status.as_u16());
        assert!(documented.contains(&row), "docs/http-api.md has no row {row}");
    }
    client.put_chunk(&open, b"abcd", 2, 4).expect(200);
    assert_eq!(client.complete(&open, "x").expect(400).code(), "checksum_mismatch");
}
