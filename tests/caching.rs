//! What caches are told about answers.

mod support;

use http::Method;
use support::{Form, Reply, Server, data};

const SECRET: &str = "a secret of the tests";

#[track_caller]
fn assert_cached(reply: &Reply, status: u16, expected: &str) {
    assert_eq!((reply.status.as_u16(), reply.header("cache-control")), (status, expected), "{reply:?}");
}

#[test]
fn no_cache_keeps_an_answer_about_an_upload() {
    let server = Server::with(&[("manage_token", "t")]);
    let client = server.client();
    let begun = client.put_chunk("/uploads/", b"abcd", 0, 2);
    assert_cached(&begun, 200, "no-store");
    let url = begun.text("url");
    for path in ["/uploads/", "/uploads/?limit=1", &url, "/", "/openapi.json"] {
        assert_cached(&client.get(path), 200, "no-store");
        assert_cached(&client.head(path), 200, "no-store");
    }
    assert_cached(&client.put_chunk(&url, b"abcd", 1, 2), 400, "no-store");
    assert_cached(&client.put_chunk(&url, b"abcd", 2, 4), 200, "no-store");
    // The file isn't there yet, and will be.
    assert_cached(&client.get(&begun.text("file").replace(".part", ".done")), 404, "no-store");
    assert_cached(&client.complete(&url, &data::md5(b"abcd")), 200, "no-store");
    let manage = "/manage/delete_expired_uploads";
    assert_cached(&client.send(Method::POST, manage, &[], b""), 401, "no-store");
    assert_cached(&client.send(Method::POST, manage, &[("Authorization", "Bearer t")], b""), 200, "no-store");
    assert_cached(&client.send(Method::PATCH, &url, &[], b""), 405, "no-store");
    assert_cached(&client.delete(&url), 204, "no-store");
    assert_cached(&client.get(&url), 404, "no-store");
    let misconfigured = Server::with(&[("max_bytes", "many")]);
    assert_cached(&misconfigured.client().get("/uploads/"), 500, "no-store");
}

/// A file never changes, but it may be deleted, and then no cache goes on serving it.
#[test]
fn a_file_is_asked_for_each_time() {
    let server = Server::start();
    let client = server.client();
    let file = client.upload_whole("f", b"abc").expect(200).text("file");
    assert_cached(&client.get(&file), 200, "no-cache");
    assert_cached(&client.head(&file), 200, "no-cache");
    let etag = client.get(&file).header("etag").to_owned();
    assert_cached(&client.get_with(&file, &[("If-None-Match", &etag)]), 304, "no-cache");
    assert_cached(&client.get_with(&file, &[("Range", "bytes=1-")]), 206, "no-cache");
    assert_cached(&client.get_with(&file, &[("Range", "bytes=9-")]), 416, "no-store");
}

#[test]
fn a_users_file_is_kept_by_no_shared_cache() {
    let server = Server::with(&[("auth", "header"), ("auth_header_secret", SECRET)]);
    let client = server.client();
    let ann = [("x-remote-user", "ann"), ("x-auth-secret", SECRET)];
    let form = Form::new().field("md5", &data::md5(b"abc")).file("file", "f", b"abc");
    let file = client.send_form(Method::POST, "/uploads/", &ann, form).expect(200).text("file");
    assert_cached(&client.get_with(&file, &ann), 200, "private, no-cache");
    let etag = client.get_with(&file, &ann).header("etag").to_owned();
    let again = [&ann[..], &[("If-None-Match", &etag)]].concat();
    assert_cached(&client.get_with(&file, &again), 304, "private, no-cache");
    assert_cached(&client.get(&file), 404, "no-store");
}
