//! Downloads of complete files, and deletions of uploads.

mod support;

use http::Method;
use serde_json::json;
use support::{Client, Server, data};

fn upload(client: &Client, filename: &str, file: &[u8]) -> String {
    client.upload_whole(filename, file).expect(200).text("file")
}

#[test]
fn a_file_says_what_it_is() {
    let server = Server::start();
    let client = server.client();
    let url = upload(&client, "report.pdf", b"abc");
    let reply = client.get(&url).expect(200);
    assert_eq!(reply.body, b"abc");
    let expected = [
        ("content-length", "3"),
        ("content-type", "application/pdf"),
        ("content-disposition", "attachment; filename=\"report.pdf\""),
        ("etag", "\"900150983cd24fb0d6963f7d28e17f72\""),
        ("repr-digest", "md5=:kAFQmDzST7DWlj99KOF/cg==:"),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox; default-src 'none'"),
    ];
    for (name, value) in expected {
        assert_eq!(reply.header(name), value, "{name}");
    }
    assert!(reply.header("last-modified").ends_with(" GMT"));

    let head = client.head(&url).expect(200);
    assert!(head.body.is_empty());
    for (name, value) in expected {
        assert_eq!(head.header(name), value, "{name}");
    }

    let url = upload(&client, "naïve ☃.html", b"<script>");
    let reply = client.get(&url).expect(200);
    let disposition = "attachment; filename=\"na_ve _.html\"; filename*=UTF-8''na%C3%AFve%20%E2%98%83.html";
    assert_eq!(reply.header("content-disposition"), disposition);

    let whole = client.upload_whole("../../etc/passwd", b"abc").expect(200);
    assert_eq!(whole.text("filename"), "../../etc/passwd");
    let reply = client.get(&whole.text("file")).expect(200);
    assert_eq!(reply.header("content-disposition"), "attachment; filename=\"passwd\"");
}

#[test]
fn ranges_are_served() {
    let (server, file) = (Server::with(&[("segment_size", "1000")]), data::bytes(1, 10_500));
    let client = server.client();
    let url = client.begin(&file, 2_500);
    client.put_chunk(&url, &file, 2_500, 10_500).expect(200);
    let url = client.complete(&url, &data::md5(&file)).expect(200).text("file");

    let ranges = [
        ("bytes=0-0", 0..1),
        ("bytes=0-", 0..10_500),
        ("bytes=999-1000", 999..1_001),
        ("bytes=2400-2600", 2_400..2_601),
        ("bytes=3499-3500", 3_499..3_501),
        ("bytes=10000-20000", 10_000..10_500),
        ("bytes=-500", 10_000..10_500),
        ("bytes=-20000", 0..10_500),
        ("Bytes=0-0", 0..1),
    ];
    for (range, bytes) in ranges {
        let reply = client.get_with(&url, &[("Range", range)]).expect(206);
        assert!(reply.body == file[bytes.clone()], "{range}");
        assert_eq!(reply.header("content-range"), format!("bytes {}-{}/10500", bytes.start, bytes.end - 1));
        assert_eq!(reply.header("content-length"), bytes.len().to_string());
    }
    for range in ["bytes=10500-", "bytes=-0"] {
        let reply = client.get_with(&url, &[("Range", range)]).expect(416);
        assert_eq!(reply.header("content-range"), "bytes */10500");
    }
    // For several ranges, or a range that can't be read, the response is the whole file (RFC 9110, 14.2).
    for range in ["bytes=0-1,5-6", "bytes=5-1", "lines=0-1", "bytes=x"] {
        assert!(client.get_with(&url, &[("Range", range)]).expect(200).body == file, "{range}");
    }
}

#[test]
fn known_files_are_not_sent_again() {
    let server = Server::start();
    let client = server.client();
    let url = upload(&client, "f", b"abcdef");
    let reply = client.get(&url);
    let (etag, modified) = (reply.header("etag"), reply.header("last-modified"));

    for known in [etag, "*", &format!("\"x\", {etag}"), &format!("W/{etag}")] {
        let reply = client.get_with(&url, &[("If-None-Match", known)]).expect(304);
        assert_eq!(reply.header("etag"), etag);
        assert!(reply.body.is_empty());
    }
    client.get_with(&url, &[("If-None-Match", "\"x\"")]).expect(200);

    client.get_with(&url, &[("If-None-Match", "\"x\""), ("If-Modified-Since", modified)]).expect(200);
    for known in [modified, "Fri, 31 Dec 2100 23:59:59 GMT"] {
        let reply = client.get_with(&url, &[("If-Modified-Since", known)]).expect(304);
        assert_eq!((reply.header("etag"), reply.header("cache-control")), (etag, "no-cache"));
    }
    for other in ["Sat, 01 Jan 2000 00:00:00 GMT", "yesterday", ""] {
        client.get_with(&url, &[("If-Modified-Since", other)]).expect(200);
    }
    let known = [("If-None-Match", etag), ("Range", "bytes=100-")];
    client.get_with(&url, &known).expect(304);
    client.send(Method::HEAD, &url, &known, &[]).expect(304);
}

#[test]
fn another_version_of_a_file_is_not_sent() {
    let server = Server::start();
    let client = server.client();
    let url = upload(&client, "f", b"abcdef");
    let reply = client.get(&url);
    let (etag, modified) = (reply.header("etag"), reply.header("last-modified"));
    let old = "Sat, 01 Jan 2000 00:00:00 GMT";
    let wanted = [
        &[("If-Match", etag)][..],
        &[("If-Match", "\"x\""), ("If-Match", etag)],
        &[("If-Match", "*")],
        &[("If-Match", etag), ("If-Unmodified-Since", old)],
        &[("If-Unmodified-Since", modified)],
        &[("If-Unmodified-Since", "yesterday")],
    ];
    for headers in wanted {
        client.get_with(&url, headers).expect(200);
    }
    let weak = format!("W/{etag}");
    let unwanted = [
        &[("If-Match", "\"x\"")][..],
        &[("If-Match", weak.as_str())],
        &[("If-Match", "\"x\""), ("If-Unmodified-Since", modified)],
        &[("If-Unmodified-Since", old)],
        // These come first.
        &[("If-Match", "\"x\""), ("If-None-Match", etag)],
        &[("If-Unmodified-Since", old), ("Range", "bytes=100-")],
    ];
    for headers in unwanted {
        assert_eq!(client.get_with(&url, headers).expect(412).code(), "precondition_failed");
        client.send(Method::HEAD, &url, headers, &[]).expect(412);
    }
    // A condition doesn't matter where there is no file.
    client.get_with(&url.replace(".done", ".other"), &[("If-Match", "\"x\"")]).expect(404);
}

#[test]
fn a_range_is_of_the_version_that_the_client_has() {
    let server = Server::start();
    let client = server.client();
    let url = upload(&client, "f", b"abcdef");
    let reply = client.get(&url);
    let (etag, modified) = (reply.header("etag"), reply.header("last-modified"));
    let range = ("Range", "bytes=1-2");
    assert_eq!(client.get_with(&url, &[range, ("If-Range", etag)]).expect(206).body, b"bc");
    assert_eq!(client.get_with(&url, &[range, ("If-Range", modified)]).expect(206).body, b"bc");
    assert_eq!(client.get_with(&url, &[range, ("If-Range", "\"x\"")]).expect(200).body, b"abcdef");
    let weak = format!("W/{etag}");
    for other in ["Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 2100 23:59:59 GMT", "x", "", &weak] {
        assert_eq!(client.get_with(&url, &[range, ("If-Range", other)]).expect(200).body, b"abcdef", "{other}");
        client.get_with(&url, &[("Range", "bytes=100-"), ("If-Range", other)]).expect(200);
    }
    client.get_with(&url, &[range, ("If-Range", etag), ("If-Range", etag)]).expect(200);

    // Only a GET can ask for a range (RFC 9110, 14.2).
    for range in ["bytes=1-2", "bytes=100-"] {
        let head = client.send(Method::HEAD, &url, &[("Range", range), ("If-Range", etag)], &[]).expect(200);
        assert_eq!((head.header("content-length"), head.header("content-range")), ("6", ""));
    }
}

#[test]
fn only_complete_files_are_served_and_only_under_their_path() {
    let server = Server::start();
    let client = server.client();
    let begun = client.put_chunk("/uploads/", b"abc", 0, 3).expect(200);
    let (part, done) = (begun.text("file"), begun.text("file").replace(".part", ".done"));
    let not_found = json!({"detail": "Not found."});
    client.get(&part).expect_json(404, not_found.clone());
    client.get(&done).expect_json(404, not_found.clone());
    client.complete(&begun.text("url"), &data::md5(b"abc")).expect(200);
    client.get(&part).expect_json(404, not_found.clone());
    client.get(&done).expect(200);
    client.get(&done.replace("chunked_uploads/", "chunked_uploads/1/")).expect_json(404, not_found);
}

#[test]
fn a_deleted_upload_is_gone_with_all_its_data() {
    let (server, file) = (Server::with(&[("segment_size", "100")]), data::bytes(2, 5_000));
    let client = server.client();
    // Enough chunks for pages of the list of chunks, and for pages of pages.
    let url = client.begin(&file, 10);
    for from in (10..5_000).step_by(10) {
        client.put_chunk(&url, &file, from, from + 10).expect(200);
    }
    let open = client.begin(&file, 1_000);
    let complete = client.complete(&url, &data::md5(&file)).expect(200);
    assert!(client.get(&complete.text("file")).body == file);

    for url in [&url, &open] {
        let reply = client.delete(url).expect(204);
        assert!(reply.body.is_empty());
        client.get(url).expect(404);
        client.delete(url).expect(404);
        client.put_chunk(url, &file, 1_000, 2_000).expect(404);
        client.complete(url, &data::md5(&file)).expect(404);
    }
    client.get(&complete.text("file")).expect(404);
    let left: Vec<_> = server.stored().into_iter().map(|(key, _)| key).collect();
    assert!(left.iter().all(|key| key.ends_with("/deleted")) && left.len() == 2, "{left:?}");
}
