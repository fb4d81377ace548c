//! Any `Content-Range` on a chunk. Either the service refuses it and changes nothing, or it is the chunk's own range.

#![no_main]

use fuzz::World;
use libfuzzer_sys::fuzz_target;

const CHUNK: &[u8] = b"0123456789";

fuzz_target!(|range: &[u8]| {
    let world = World::default();
    if http::HeaderValue::from_bytes(range).is_err() {
        return;
    }
    let first = world.put_chunk("/uploads/?filename=f", range, CHUNK).expect_no_failure();
    check(range, 0, first.status.is_success());
    if !first.status.is_success() {
        assert!(world.store.snapshot().is_empty(), "a refused chunk leaves nothing");
    }

    let upload = world.put_chunk("/uploads/?filename=f", b"bytes 0-9/*", CHUNK).expect(200).path("url");
    let before = world.store.snapshot();
    let second = world.put_chunk(&upload, range, CHUNK).expect_no_failure();
    check(range, 10, second.status.is_success());
    if second.status.is_success() {
        assert_eq!(world.get(&upload).json()["offset"], 20);
    } else {
        assert_eq!(world.store.snapshot(), before, "a refused chunk changes nothing");
    }
});

/// Checks that an accepted range is the chunk's own range, and that it ends within the total.
fn check(range: &[u8], start: u64, taken: bool) {
    let end = start + CHUNK.len() as u64;
    let text = String::from_utf8_lossy(range);
    let said = text.strip_prefix("bytes ").and_then(|text| {
        let (range, total) = text.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let total: u64 = if total == "*" { end } else { total.parse().ok()? };
        Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?, total))
    });
    let fits = said.is_some_and(|(first, last, total)| (first, last) == (start, end - 1) && end <= total);
    assert!(fits || !taken, "{text:?} was taken for {start}-{}", end - 1);
}
