//! The service on a Redis server, which Spin's own runtime configuration names.

mod support;

use http::Method;
use support::{Client, Form, RedisServer, Server, data, server};

/// A Redis server, a server that keeps its uploads there, and a client that is logged in; `None` if there is no
/// redis-server.
fn start() -> Option<(RedisServer, Server, Client)> {
    let Some(redis) = RedisServer::start() else {
        eprintln!("not tested: there is no redis-server here");
        return None;
    };
    let config = format!("[key_value_store.default]\ntype = \"redis\"\nurl = \"{}\"\n", redis.url(0));
    let variables = [&server::USERS[..], &[("manage_token", "secret")]].concat();
    let server = Server::with_runtime_config(&config, &variables);
    let client = server.client().with_headers(&server::LOGIN);
    Some((redis, server, client))
}

fn finish(client: &Client, url: &str, file: &[u8]) {
    let complete = client.complete(url, &data::md5(file)).expect(200);
    assert!(client.get(&complete.text("file")).expect(200).body == file);
}

#[test]
fn an_upload_outlives_the_server() {
    let Some((_redis, mut server, client)) = start() else { return };
    let file = data::bytes(1, 3_500_000);
    let url = client.begin(&file, 2_500_000);
    server.crash_and_restart();
    assert_eq!(client.get(&url).json()["offset"], 2_500_000);
    client.put_chunk(&url, &file, 2_500_000, 3_500_000).expect(200);
    finish(&client, &url, &file);
    assert_eq!(server.stored(), [], "nothing is beside Redis");
}

#[test]
fn many_uploads_are_listed_and_swept() {
    let Some((_redis, _server, client)) = start() else { return };
    let urls: Vec<String> =
        (0..1_500).map(|_| client.put_chunk("/uploads/", b"abc", 0, 3).expect(200).text("url")).collect();
    let listed = client.get("/uploads/").expect(200).json();
    let listed: Vec<_> =
        listed.as_array().unwrap().iter().map(|upload| upload["url"].as_str().unwrap().to_owned()).collect();
    assert_eq!(listed, urls, "oldest first, each once");
    client.delete(&urls[7]).expect(204);
    let token = [("Authorization", "Bearer secret")];
    let swept = client.send(Method::POST, "/manage/delete_expired_uploads", &token, b"").expect(200).json();
    assert_eq!((swept["deleted"].as_u64(), swept["removed"].as_u64()), (Some(0), Some(0)));
    assert_eq!(client.get("/uploads/").json().as_array().unwrap().len(), urls.len() - 1);
}

#[test]
fn an_upload_goes_on_when_redis_is_back() {
    // Spin 4.1 waits for a Redis server that is gone, longer than this test's client does.
    if server::on_spin() {
        return;
    }
    let Some((mut redis, _server, client)) = start() else { return };
    let file = data::bytes(2, 1_000_000);
    let url = client.begin(&file, 600_000);
    redis.kill();
    let refused = client.put_chunk(&url, &file, 600_000, 1_000_000).expect(503);
    assert_eq!(refused.code(), "store_unavailable");
    client.get(&url).expect(503);
    let form = || Form::new().field("md5", &data::md5(b"abc")).file("file", "f", b"abc");
    client.send_form(Method::POST, "/uploads/", &[], form()).expect(503);
    redis.restart();
    // The first requests may still use the lost connection.
    let found = (0..20).map(|_| client.get(&url)).find(|reply| reply.status != 503).expect("Redis is back");
    assert_eq!(found.expect(200).json()["offset"], 600_000);
    client.put_chunk(&url, &file, 600_000, 1_000_000).expect(200);
    finish(&client, &url, &file);
}
