//! Any bytes in place of a record or a page. They may fail requests for that upload, but not requests for another one.

#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use fuzz::{Answer, MANAGE_TOKEN, World};
use http::Method;
use libfuzzer_sys::fuzz_target;

/// More chunks than a record lists without a page.
const CHUNKS: u64 = 20;

/// The md5 of an upload's bytes. The second one is the md5 of the same bytes with `abc` after them.
const MD5: &str = "c902a17556796a9f97afa23bad130b04";
const MD5_OF_MORE: &str = "bc3f48447030112dfd0a7d6b57fd7b71";

/// Two uploads of [`CHUNKS`] chunks each: one to be damaged, and its neighbour.
struct Scene {
    values: BTreeMap<String, Bytes>,
    victim: String,
    neighbour: String,
}

static SCENE: LazyLock<Scene> = LazyLock::new(|| {
    let world = World::default();
    let (victim, neighbour) = (begin(&world), begin(&world));
    Scene { values: world.store.snapshot(), victim, neighbour }
});

fn begin(world: &World) -> String {
    let mut upload = "/uploads/?filename=f".to_owned();
    for number in 0..CHUNKS {
        let range = format!("bytes {}-{}/*", number * 10, number * 10 + 9);
        upload = world.put_chunk(&upload, range.as_bytes(), b"0123456789").expect(200).path("url");
    }
    upload
}

// The first byte of the input selects a key. The rest is the new value of that key.
fuzz_target!(|input: &[u8]| {
    let Some((which, value)) = input.split_first() else { return };
    let (scene, world) = (&*SCENE, World::with(SCENE.values.clone()));
    let id = scene.victim.rsplit('/').next().unwrap_or_default();
    let page = || scene.values.keys().find(|key| key.starts_with(&format!("page/{id}"))).cloned();
    let key = match which % 4 {
        0 => format!("upload/{id}"),
        1 => format!("upload/{id}/complete"),
        2 => format!("upload/{id}/deleted"),
        _ => page().unwrap_or_default(),
    };
    // A download reads the page, and needs a complete upload.
    if which % 4 == 3 {
        world.complete(&scene.victim, MD5).expect(200);
    }
    // The value may contain the victim's id as `ID`, because the id differs in each run.
    let value = String::from_utf8_lossy(value).replace("ID", id);
    world.put(&key, value.into());

    use_victim(&world, &scene.victim);
    check_neighbour(&world, &scene.neighbour);
});

/// Sends requests for the damaged upload. They may fail, and a body may break off; the sweeps must succeed.
fn use_victim(world: &World, victim: &str) {
    let known = world.get(victim);
    if known.status.is_success() {
        let file =
            known.json()["file"].as_str().and_then(|url| url.strip_prefix("http://localhost").map(str::to_owned));
        if let Some(file) = file.filter(|path| path.parse::<http::uri::PathAndQuery>().is_ok()) {
            world.get(&file);
            world.send(Method::GET, &file, &[("range", b"bytes=15-25")], Vec::new());
        }
        let offset = known.json()["offset"].as_u64().unwrap_or_default();
        let range = format!("bytes {offset}-{}/*", offset.saturating_add(2));
        world.put_chunk(victim, range.as_bytes(), b"abc");
    }
    world.complete(victim, MD5);
    world.complete(victim, MD5_OF_MORE);
    sweep(world);
    world.send(Method::DELETE, victim, &[], Vec::new());
    sweep(world);
}

fn sweep(world: &World) -> Answer {
    let token = format!("Bearer {MANAGE_TOKEN}");
    let headers = [("authorization", token.as_bytes())];
    world.send(Method::POST, "/manage/delete_expired_uploads", &headers, Vec::new()).expect(200)
}

fn check_neighbour(world: &World, neighbour: &str) {
    let list = world.get("/uploads/").expect(200).json();
    let urls: Vec<_> = list.as_array().expect("an array").iter().map(|upload| upload["url"].clone()).collect();
    assert!(urls.contains(&format!("http://localhost{neighbour}").into()), "{urls:?}");
    world.get("/uploads/?limit=1").expect(200);
    let range = format!("bytes {}-{}/*", CHUNKS * 10, CHUNKS * 10 + 2);
    world.put_chunk(neighbour, range.as_bytes(), b"abc").expect(200);
    let file = world.complete(neighbour, MD5_OF_MORE).expect(200).path("file");
    let expected = [b"0123456789".repeat(20).as_slice(), b"abc"].concat();
    assert_eq!(world.get(&file).expect(200).body, Some(expected));
}
