//! Any JSON that is sent to complete an upload, or in place of a file. Only the right checksum has an effect.

#![no_main]

use bytes::Bytes;
use fuzz::World;
use http::Method;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const MD5: &str = "900150983cd24fb0d6963f7d28e17f72";
const JSON: [(&str, &[u8]); 1] = [("content-type", b"application/json")];

fuzz_target!(|json: &[u8]| {
    let world = World::default();
    let upload = world.put_chunk("/uploads/?filename=f", b"bytes 0-2/3", b"abc").expect(200).path("url");
    let before = world.store.snapshot();
    for (method, path) in [(Method::POST, "/uploads/"), (Method::PUT, "/uploads/"), (Method::PUT, &upload)] {
        let answer = world.send(method, path, &JSON, vec![Bytes::copy_from_slice(json)]);
        assert!(answer.status.is_client_error(), "{} for a request without a file", answer.status);
        assert_eq!(world.store.snapshot(), before);
    }
    let answer = world.send(Method::POST, &upload, &JSON, vec![Bytes::copy_from_slice(json)]).expect_no_failure();
    let right = serde_json::from_slice::<Value>(json)
        .is_ok_and(|json| json["md5"].as_str().is_some_and(|md5| md5.trim().eq_ignore_ascii_case(MD5)));
    assert_eq!(answer.status.is_success(), right);
    assert_eq!(world.get(&upload).json()["status"], if right { 2 } else { 1 });
});
