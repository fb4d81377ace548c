//! Any filename. It comes back unchanged in the response, and escaped in the headers of the download.

#![no_main]

use fuzz::World;
use libfuzzer_sys::fuzz_target;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

fuzz_target!(|name: &str| {
    let world = World::default();
    let begin = |world: &World, query: String, disposition: Option<&[u8]>| {
        let mut headers = vec![("content-type", &b"application/octet-stream"[..]), ("content-range", b"bytes 0-2/3")];
        headers.extend(disposition.map(|value| ("content-disposition", value)));
        world.send(http::Method::PUT, &format!("/uploads/{query}"), &headers, vec!["abc".into()]).expect_no_failure()
    };
    let query = format!("?filename={}", percent_encode(name.as_bytes(), NON_ALPHANUMERIC));
    let begun = begin(&world, query, None);
    if !begun.status.is_success() {
        assert!(name.is_empty() || name.chars().count() > 255, "{name:?} was refused");
        return;
    }
    assert_eq!(begun.json()["filename"], name);
    let file = world.complete(&begun.path("url"), "900150983cd24fb0d6963f7d28e17f72").expect(200).path("file");
    assert!(!file.contains(".."), "{file:?}");
    let file = world.get(&file).expect(200);
    assert_eq!(file.body.as_deref(), Some(&b"abc"[..]));

    // The service reads the header of the download as the same name, or as the last part of a path.
    let disposition = file.headers["content-disposition"].as_bytes();
    assert!(disposition.iter().all(|byte| (0x20..0x7f).contains(byte)), "{disposition:?}");
    let again = begin(&World::default(), String::new(), Some(disposition)).expect(200);
    let segment = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let expected = if matches!(segment, "" | "." | "..") { "file" } else { segment };
    assert_eq!(again.json()["filename"], expected);
});
