//! Lists and a sweep of 100,000 uploads: how long they take, in an instance of 32 MiB. The sweep's store is 20 ms away.
//!
//! To run it: `cargo test --release --test scale -- --ignored --nocapture --test-threads 1`.

mod support;

use std::time::Instant;

use http::Method;
use jiff::SignedDuration;
use serde_json::Value;
use support::{Server, copies, server};

const UPLOADS: i64 = 100_000;
const DAY: SignedDuration = SignedDuration::from_hours(24);

fn server_with_uploads(store_latency: &str) -> Server {
    let mut options = ["--instance-memory", "32MiB", "--store-latency", store_latency].map(str::to_owned).to_vec();
    for (name, value) in [&server::USERS[..], &[("manage_token", "m")]].concat() {
        options.extend(["--variable".to_owned(), format!("{name}={value}")]);
    }
    let server = Server::with_options(&options.iter().map(String::as_str).collect::<Vec<_>>());
    let url = server.client().with_headers(&server::LOGIN).begin(b"abc", 1);
    // Every second one has expired.
    let age = |number| if number % 2 == 0 { -DAY - DAY } else { SignedDuration::ZERO };
    copies::copy(&server, &url, (1..UPLOADS).map(|number| age(number) - SignedDuration::from_secs(1)));
    server
}

#[test]
#[ignore = "takes minutes"]
fn lists_of_a_hundred_thousand_uploads() {
    if server::on_spin() {
        return;
    }
    let server = server_with_uploads("0ms");
    let client = server.client().with_headers(&server::LOGIN);
    for (query, expected) in [("?limit=1&status=2", 0), ("?limit=10", 10), ("", UPLOADS)] {
        let began = Instant::now();
        let Value::Array(list) = client.get(&format!("/uploads/{query}")).expect(200).json() else { panic!("no list") };
        println!("GET /uploads/{query}: {} uploads in {:?}", list.len(), began.elapsed());
        assert_eq!(i64::try_from(list.len()), Ok(expected));
    }
}

#[test]
#[ignore = "takes minutes"]
fn a_sweep_of_a_hundred_thousand_uploads() {
    if server::on_spin() {
        return;
    }
    let server = server_with_uploads("20ms");
    let manager = server.client().with_headers(&[("Authorization", "Bearer m")]);
    let (began, mut steps, mut deleted, mut longest) = (Instant::now(), 0, 0, 0.0_f64);
    let mut cursor = String::new();
    loop {
        let step = Instant::now();
        let path = format!("/manage/delete_expired_uploads{cursor}");
        let swept = manager.send(Method::POST, &path, &[], b"").expect(200).json();
        longest = longest.max(step.elapsed().as_secs_f64());
        (steps, deleted) = (steps + 1, deleted + swept["deleted"].as_i64().unwrap());
        match swept["cursor"].as_str() {
            Some(next) => cursor = format!("?cursor={next}"),
            None => break,
        }
    }
    println!(
        "the sweep: {steps} steps in {:?}, at most {longest:.1} s each; {deleted} uploads deleted",
        began.elapsed()
    );
    assert_eq!(deleted, UPLOADS / 2 - 1);
    // Each deleted one leaves its mark for a day.
    assert_eq!(server.stored().len() as i64, 3 * (UPLOADS - deleted) + deleted);
}
