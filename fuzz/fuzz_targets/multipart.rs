//! Any multipart body, in any frames. The result does not depend on the frames. A refused body leaves nothing behind.
//! The bytes of the file stand unchanged in the body.

#![no_main]

use std::collections::BTreeMap;

use bytes::Bytes;
use fuzz::{Answer, World, pieces};
use http::Method;
use libfuzzer_sys::fuzz_target;

const HEADERS: [(&str, &[u8]); 1] = [("content-type", b"multipart/form-data; boundary=x")];

// The first bytes are the number of frames, up to fifteen, and their lengths. The rest is the body.
fuzz_target!(|input: &[u8]| {
    let Some((count, rest)) = input.split_first() else { return };
    let Some((lengths, body)) = rest.split_at_checked(usize::from(count % 16)) else { return };

    let whole = World::default();
    let at_once = whole.send(Method::POST, "/uploads/", &HEADERS, vec![Bytes::copy_from_slice(body)]);
    let piecewise = World::default();
    let in_pieces = piecewise.send(Method::POST, "/uploads/", &HEADERS, pieces(body, lengths));

    assert_eq!(at_once.status, in_pieces.status, "{:?}", body.escape_ascii().to_string());
    assert_eq!(values(&whole), values(&piecewise));
    check(&whole, at_once.expect_no_failure(), body);
});

/// The segments of the only file, by their offsets.
fn values(world: &World) -> BTreeMap<String, Bytes> {
    let place = |key: &str| Some(key.strip_prefix("data/")?.split_once('/')?.1.split_once('-')?.0.to_owned());
    world.store.snapshot().into_iter().filter_map(|(key, value)| Some((place(&key)?, value))).collect()
}

fn check(world: &World, answer: Answer, body: &[u8]) {
    if !answer.status.is_success() {
        assert!(world.store.snapshot().is_empty(), "a refused file leaves nothing");
        return;
    }
    let file = world.get(&answer.path("file")).expect(200).body.expect("a file");
    let in_body = [b"\r\n\r\n", file.as_slice(), b"\r\n--x"].concat();
    assert!(body.windows(in_body.len()).any(|window| window == in_body), "{:?}", file.escape_ascii().to_string());
}
