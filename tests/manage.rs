//! Management requests.

mod support;

use http::Method;
use serde_json::{Value, json};
use support::{Client, Reply, Server, data};

const PATH: &str = "/manage/delete_expired_uploads";
const TOKEN: &str = "Bearer a token of the tests";

fn post(client: &Client, path: &str) -> Reply {
    client.send(Method::POST, path, &[("Authorization", TOKEN)], b"")
}

fn nothing_more(deleted: u64, removed: u64) -> Value {
    json!({"deleted": deleted, "removed": removed, "more": false, "cursor": null})
}

#[test]
fn only_the_token_opens_it() {
    let client_of = |server: &Server| server.client();
    let server = Server::start();
    post(&client_of(&server), PATH).expect_json(404, json!({"detail": "Not found."}));

    let rules = [("manage_token", "a token of the tests"), ("auth", "jwt"), ("auth_jwt_secret", "other")];
    let server = Server::with(&rules);
    let client = client_of(&server);
    let twice = [("Authorization", TOKEN), ("Authorization", "Bearer other")];
    let bad = [&[][..], &[("Authorization", "Bearer other")], &[("Authorization", "a token of the tests")], &twice];
    for headers in bad {
        let reply = client.send(Method::POST, PATH, headers, b"").expect(401);
        assert_eq!(reply.header("www-authenticate"), "Bearer");
    }
    let get = client.get_with(PATH, &[("Authorization", TOKEN)]).expect(405);
    assert_eq!(get.header("allow"), "POST");
    post(&client, &format!("{PATH}?cursor=x")).expect(400);
    post(&client, &format!("{PATH}?keep_record=maybe")).expect(400);
    post(&client, PATH).expect_json(200, nothing_more(0, 0));
}

#[test]
fn expired_uploads_are_deleted_or_purged() {
    let mut server = Server::with(&[("manage_token", "a token of the tests"), ("segment_size", "1000")]);
    let (client, file) = (server.client(), data::bytes(1, 3_000));
    let [old, older, young] = [0; 3].map(|_| client.begin(&file, 2_500));
    let done = client.upload_whole("f", &file).expect(200);
    post(&client, PATH).expect_json(200, nothing_more(0, 0));
    // This path begins with `//`, so a proxy's rule for `/manage/` does not apply to it.
    post(&client, &format!("/{PATH}")).expect(404);

    server.age(&older, 25);
    post(&client, &format!("{PATH}?keep_record=true")).expect_json(200, nothing_more(1, 3));
    let kept = client.get(&older).expect(200);
    assert_eq!((&kept.json()["file"], &kept.json()["offset"]), (&Value::Null, &json!(2_500)));
    client.put_chunk(&older, &file, 2_500, 3_000).expect_json(410, json!({"detail": "Upload has expired"}));

    server.age(&old, 25);
    assert_eq!(client.get(&old).expect(200).json()["offset"], 2_500);
    post(&client, PATH).expect_json(200, nothing_more(1, 3));
    client.get(&old).expect(404);
    client.put_chunk(&young, &file, 2_500, 3_000).expect(200);
    client.complete(&young, &data::md5(&file)).expect(200);
    assert!(client.get(&done.text("file")).expect(200).body == file);
}

/// Two applications have records of their own, and share the store of the contents by mistake.
#[test]
fn a_sweep_stops_if_another_application_uses_the_blob_store() {
    let token = ("manage_token", "a token of the tests");
    let mut server = Server::with_stores(&["records", "blobs"], &[("blob_store", "blobs"), token]);
    let file = data::bytes(2, 3_000);
    let done = server.client().upload_whole("f", &file).expect(200);
    post(&server.client(), PATH).expect(200);

    server.restart_with(&[("store", "records")]);
    let stopped = post(&server.client(), PATH).expect(500);
    assert_eq!(stopped.text("code"), "stores_shared");
    let other = server.client().upload_whole("g", &file).expect(200);
    post(&server.client(), PATH).expect(500);
    assert!(server.log().contains("stores_shared"));

    server.restart_with(&[("store", "default")]);
    let client = server.client();
    post(&client, PATH).expect(500);
    assert!(client.get(&done.text("file")).expect(200).body == file);
    // The operator says that the other application is gone.
    post(&client, &format!("{PATH}?adopt=maybe")).expect(400);
    post(&client, &format!("{PATH}?adopt=true")).expect(200);
    post(&client, PATH).expect(200);
    assert!(server.log().contains("stores_adopted"));
    assert!(client.get(&done.text("file")).expect(200).body == file);

    server.restart_with(&[("store", "records")]);
    assert!(server.client().get(&other.text("file")).expect(200).body == file, "its contents are left");
}
