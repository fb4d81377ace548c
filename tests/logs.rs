//! The log that the component writes for an operator.

mod support;

use http::Method;
use serde_json::{Value, json};
use support::{Server, data};

/// The events so far, without their times.
fn events(server: &Server) -> Vec<Value> {
    let log = std::fs::read_to_string(server.state().join("logs/upload_stderr.txt")).unwrap_or_default();
    log.lines()
        .map(|line| {
            let mut event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            let time = event.as_object_mut().unwrap().shift_remove("time").unwrap();
            time.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
            event
        })
        .collect()
}

#[test]
fn each_event_is_a_line_of_json_that_tells_no_secret() {
    let server = Server::with(&[("manage_token", "the-secret"), ("max_bytes", "1000")]);
    let client = server.client();
    let url = client.begin(b"abcdef", 3);
    client.put_chunk(&url, b"abcdef", 3, 6).expect(200);
    client.put_chunk(&url, b"abcdef", 3, 6).expect(400);
    let complete = client.complete(&url, &data::md5(b"abcdef")).expect(200);
    client.get("/chunked_uploads/nothing").expect(404);
    client.delete(&url).expect(204);
    let token = [("Authorization", "Bearer the-secret")];
    client.send(Method::POST, "/manage/delete_expired_uploads", &token, b"").expect(200);

    let id = complete.text("id");
    let short = &id[..8];
    let route = format!("/uploads/{short}");
    let mut events = events(&server);
    let milliseconds = events[2].as_object_mut().unwrap().remove("milliseconds").unwrap();
    assert!((0..60_000).contains(&milliseconds.as_i64().unwrap()), "{milliseconds}");
    let refused = |method: &str, route: &str, status: u16, code: &str| json!({"level": "info", "event": "request_refused", "method": method, "route": route, "status": status, "code": code});
    let expected = [
        json!({"level": "info", "event": "upload_began", "upload": short, "user": null, "total": 6}),
        refused("PUT", &route, 400, "offset_mismatch"),
        json!({"level": "info", "event": "upload_completed", "upload": short, "user": null, "bytes": 6}),
        refused("GET", "/chunked_uploads/nothing", 404, "not_found"),
        json!({"level": "info", "event": "upload_deleted", "upload": short}),
        json!({"level": "info", "event": "swept", "deleted": 0, "removed": 0, "more": false}),
    ];
    assert_eq!(events, expected);
    let log = std::fs::read_to_string(server.state().join("logs/upload_stderr.txt")).unwrap();
    assert!(!log.contains(&id) && !log.contains("the-secret"), "{log}");
}

#[test]
fn a_fault_of_the_store_is_told_with_its_cause() {
    let server = Server::start();
    let client = server.client();
    let url = client.begin(b"abcdef", 3);
    let key = format!("upload/{}", url.rsplit('/').next().unwrap());
    let damage = "UPDATE spin_key_value SET value = ?1 WHERE key = ?2";
    server.database().execute(damage, (b"{", &key)).unwrap();
    client.get(&url).expect(500);
    let events = events(&server);
    let event = events.last().unwrap();
    assert_eq!((&event["level"], &event["event"]), (&json!("error"), &json!("request_failed")));
    assert_eq!((&event["status"], &event["code"]), (&json!(500), &json!("upload_damaged")));
    let error = event["error"].as_str().unwrap();
    assert!(error.starts_with("the stored upload is damaged: the record of ") && error.contains("EOF"), "{error}");
    assert!(!event.to_string().contains(&key["upload/".len()..]), "{event}");
}
