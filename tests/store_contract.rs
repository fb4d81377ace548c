//! Checks that the host's stores keep the contract, as a component sees them. The test runs on this host or on Spin,
//! with either kind of component.

mod support;

use support::{RedisServer, Server, server};

/// The manifest of the component that checks its store, for the kind of component that is tested.
fn manifest() -> String {
    format!("tests/store-contract/{}", server::manifest())
}

#[test]
fn the_default_store_keeps_the_contract() {
    let server = Server::of(&manifest(), None);
    assert_eq!(String::from_utf8_lossy(&server.client().get("/").expect(200).body), "kept");
}

#[test]
fn redis_keeps_the_contract() {
    let Some(redis) = RedisServer::start() else {
        eprintln!("not tested: there is no redis-server here");
        return;
    };
    let config = format!("[key_value_store.default]\ntype = \"redis\"\nurl = \"{}\"\n", redis.url(0));
    let server = Server::of(&manifest(), Some(&config));
    assert_eq!(String::from_utf8_lossy(&server.client().get("/").expect(200).body), "kept");
}
