//! Settings, as Spin variables.

mod support;

use http::Method;
use serde_json::json;
use support::{Form, Server, data};

#[test]
fn a_variable_that_can_not_be_read_stops_requests_with_its_name() {
    let server = Server::with(&[("expiration_delta", "soon")]);
    let client = server.client();
    let detail = "The variable \"expiration_delta\" can't be read: it must be a duration such as 1d, 12h or 90s";
    client.get("/uploads/").expect_json(500, json!({"detail": detail}));
    client.put_chunk("/uploads/", b"abc", 0, 3).expect(500);
    assert_eq!(server.stored(), []);
}

#[test]
fn a_store_that_the_manifest_lacks_stops_requests_with_its_variable() {
    let reply = Server::with(&[("blob_store", "other")]).client().get("/uploads/").expect(500);
    assert!(reply.text("detail").contains("\"blob_store\""), "{reply:?}");
}

#[test]
fn files_are_named_as_the_settings_say() {
    let server = Server::with(&[("upload_path", "/a b/%Y/"), ("complete_ext", ""), ("incomplete_ext", ".tmp")]);
    let client = server.client();
    let begun = client.put_chunk("/uploads/", b"abc", 0, 3).expect(200);
    let (id, year) = (begun.text("id"), begun.text("created_at")[..4].to_owned());
    assert_eq!(begun.text("file"), format!("http://{}/a%20b/{year}/{id}.tmp", server.address()));
    let complete = client.complete(&begun.text("url"), &data::md5(b"abc")).expect(200);
    assert_eq!(complete.text("file"), format!("http://{}/a%20b/{year}/{id}", server.address()));
    client.get(&complete.text("file")).expect(200);
}

#[test]
fn the_form_is_read_as_the_settings_say() {
    let server = Server::with(&[("field_name", "blob"), ("checksum_required", "false"), ("max_bytes", "5")]);
    let client = server.client();
    let form = |bytes: &[u8]| Form::new().file("blob", "f", bytes);
    let url = client.put_form("/uploads/", "bytes 0-2/3", form(b"abc")).expect(200).text("url");
    client.put_form("/uploads/", "bytes 0-2/3", Form::new().file("file", "f", b"abc")).expect(400);

    // A checksum is checked where there is one.
    client.complete(&url, &data::md5(b"")).expect(400);
    client.send(Method::POST, &url, &[], b"").expect(200);
    client.send_form(Method::POST, "/uploads/", &[], form(b"abcde")).expect(200);
    let limit = json!({"detail": "Size of file exceeds the limit (5 bytes)"});
    client.send_form(Method::POST, "/uploads/", &[], form(b"abcdef")).expect_json(400, limit);
}
