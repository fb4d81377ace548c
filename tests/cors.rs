//! Requests from pages of other origins.

mod support;

use http::Method;
use support::{Client, Reply, Server};

const ORIGIN: &str = "https://app.example";

fn preflight(client: &Client, origin: &str, method: &str) -> Reply {
    let headers = [
        ("Origin", origin),
        ("Access-Control-Request-Method", method),
        ("Access-Control-Request-Headers", "authorization,content-range"),
    ];
    client.send(Method::OPTIONS, "/uploads/", &headers, &[])
}

fn list<'a>(reply: &'a Reply, name: &str) -> Vec<&'a str> {
    let mut list: Vec<_> = reply.header(name).split(',').map(str::trim).collect();
    list.sort_unstable();
    list
}

#[test]
fn no_other_origin_is_allowed_by_default() {
    let server = Server::start();
    let client = server.client();
    preflight(&client, ORIGIN, "PUT").expect(405);
    let reply = client.get_with("/uploads/", &[("Origin", ORIGIN)]).expect(200);
    assert_eq!(reply.header("access-control-allow-origin"), "");
}

#[test]
fn listed_origins_may_use_the_service() {
    let server = Server::with(&[("cors_origins", "https://app.example, http://localhost:8080")]);
    let client = server.client();
    for origin in [ORIGIN, "http://localhost:8080"] {
        let reply = preflight(&client, origin, "PUT").expect(200);
        assert_eq!(reply.header("access-control-allow-origin"), origin);
        assert_eq!(list(&reply, "access-control-allow-methods"), ["DELETE", "GET", "HEAD", "POST", "PUT"]);
        assert_eq!(list(&reply, "access-control-allow-headers"), ["authorization", "content-range"]);
        assert_eq!(reply.header("access-control-allow-credentials"), "true");
        assert_eq!(reply.header("access-control-max-age"), "7200");
        assert!(reply.body.is_empty());
    }
    let reply = client.get_with("/uploads/", &[("Origin", ORIGIN)]).expect(200);
    assert_eq!(reply.header("access-control-allow-origin"), ORIGIN);
    assert!(list(&reply, "vary").contains(&"origin"));
    let exposed = list(&reply, "access-control-expose-headers");
    for name in ["content-range", "etag", "link", "range", "repr-digest", "retry-after", "content-disposition"] {
        assert!(exposed.contains(&name), "{exposed:?}");
    }
    // Error responses can be read as well.
    let reply = client.get_with("/uploads/123e4567-e89b-12d3-a456-426614174000", &[("Origin", ORIGIN)]).expect(404);
    assert_eq!(reply.header("access-control-allow-origin"), ORIGIN);

    // Other origins are not allowed. Without an origin, nothing changes.
    for origin in ["https://app.example.evil", "null"] {
        assert_eq!(preflight(&client, origin, "PUT").header("access-control-allow-origin"), "");
    }
    assert_eq!(client.get("/uploads/").expect(200).header("access-control-allow-origin"), "");
    // An `OPTIONS` request that is no preflight is refused like any unsupported method.
    client.send(Method::OPTIONS, "/uploads/", &[("Origin", ORIGIN)], &[]).expect(405);
}

#[test]
fn all_origins_may_be_allowed_without_credentials() {
    let server = Server::with(&[("cors_origins", "*")]);
    let reply = preflight(&server.client(), ORIGIN, "DELETE").expect(200);
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    assert_eq!(reply.header("access-control-allow-credentials"), "");
}

#[test]
fn origins_that_can_not_be_read_stop_requests() {
    let server = Server::with(&[("cors_origins", "app.example")]);
    let reply = server.client().get_with("/", &[("Origin", "https://app.example")]).expect(500);
    assert_eq!(reply.header("access-control-allow-origin"), "", "nobody knows which were meant");
    assert!(server.log().contains("cors_origins"), "{}", server.log());
}

#[test]
fn scripts_learn_that_the_service_is_not_set_up() {
    for wrong in [("expiration_delta", "soon"), ("store", "no-such-store")] {
        let server = Server::with(&[("cors_origins", ORIGIN), wrong]);
        let client = server.client();
        let allowed = preflight(&client, ORIGIN, "PUT").expect(200);
        assert_eq!(allowed.header("access-control-allow-origin"), ORIGIN);
        let reply = client.get_with("/uploads/", &[("Origin", ORIGIN)]).expect(500);
        assert_eq!(reply.header("access-control-allow-origin"), ORIGIN);
        assert!(
            !reply.text("detail").contains(wrong.0) && server.log().contains(wrong.0),
            "{reply:?} {}",
            server.log()
        );
    }
}
