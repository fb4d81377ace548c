//! Many uploads at once, for minutes. There is no error, memory stops growing after a while, and all clients progress.
//!
//! To run it: `cargo test --release --test load -- --ignored --nocapture`. `UPLOAD_TEST_LOAD_SECONDS` sets the time.

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use support::{Client, Server, data, server};

const UPLOADERS: usize = 200;
const SECONDS: u64 = 180;
const CHUNK: usize = 256 * 1024;
const FILE: usize = 4 * CHUNK + 1;

#[test]
#[ignore = "takes minutes"]
fn two_hundred_uploads_at_once() {
    if server::on_spin() {
        return;
    }
    let seconds = std::env::var("UPLOAD_TEST_LOAD_SECONDS").map_or(SECONDS, |text| text.parse().unwrap());
    let server = Server::start();
    let (began, files): (_, Vec<_>) = (Instant::now(), (0..UPLOADERS).map(|_| AtomicU64::new(0)).collect());
    let end = began + Duration::from_secs(seconds);
    let memory = std::thread::scope(|scope| {
        for (number, chunks) in files.iter().enumerate() {
            let client = server.client();
            scope.spawn(move || upload_until(&client, number as u64, end, chunks));
        }
        // Reads the memory each second, for the peak in the first third of the time and the peak in the rest.
        let mut peaks = [0, 0];
        while Instant::now() < end {
            std::thread::sleep(Duration::from_secs(1));
            let is_late = began.elapsed().as_secs() > seconds / 3;
            peaks[usize::from(is_late)] = resident(server.process_id()).max(peaks[usize::from(is_late)]);
        }
        peaks
    });
    let chunks: Vec<u64> = files.iter().map(|chunks| chunks.load(Ordering::Relaxed)).collect();
    let (all, slowest) = (chunks.iter().sum::<u64>(), *chunks.iter().min().unwrap());
    let mean = all / UPLOADERS as u64;
    println!(
        "{all} chunks, {mean} a client, {slowest} of the slowest; {} then {} MiB",
        memory[0] >> 10,
        memory[1] >> 10
    );
    assert!(slowest * 4 >= mean, "the slowest client had {slowest} chunks, the mean is {mean}");
    assert!(memory[1] < memory[0] * 5 / 4, "memory grew from {} to {} KiB", memory[0], memory[1]);
}

fn upload_until(client: &Client, number: u64, end: Instant, chunks: &AtomicU64) {
    let file = data::bytes(number, FILE);
    while Instant::now() < end {
        let url = client.begin(&file, CHUNK);
        for from in (CHUNK..FILE).step_by(CHUNK) {
            client.put_chunk(&url, &file, from, FILE.min(from + CHUNK)).expect(200);
            chunks.fetch_add(1, Ordering::Relaxed);
        }
        let complete = client.complete(&url, &data::md5(&file)).expect(200);
        assert_eq!(complete.json()["status"], 2);
        client.delete(&url).expect(204);
    }
}

/// The process's resident memory in KiB.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
