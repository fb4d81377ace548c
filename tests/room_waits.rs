//! Downloads and chunks that wait for each other's room. The allocator of the test tells how much is in use, as that of
//! the component does, so all of this is one test.

#[path = "native/sleep.rs"]
mod sleep;

use std::alloc::System;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use cap::Cap;
use futures::channel::oneshot;
use futures::future::LocalBoxFuture;
use futures::{FutureExt, StreamExt};
use spin_chunked_upload::store::{Keys, MemoryStore, Store, StoreError};
use spin_chunked_upload::uploads::{
    Algorithm, Append, ByteStream, Expected, Memory, NewUpload, Room, SystemClock, Upload, Uploads,
};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

const LIMIT: usize = 64 * 1024 * 1024;
/// So often nothing happens before a test says that nothing ever will.
const IDLE: usize = 10_000;

/// What is in use beyond a base.
struct Used(Rc<Cell<usize>>);

impl Memory for Used {
    fn in_use(&self) -> usize {
        ALLOCATOR.allocated().saturating_sub(self.0.get())
    }

    fn sleep(&self, _: Duration) -> LocalBoxFuture<'static, ()> {
        sleep::until_next_poll()
    }
}

/// A key that was asked for, and who waits for its value.
type Asked = (String, oneshot::Sender<Option<Bytes>>);

/// A store whose values arrive while nobody asks for them, each as a copy.
#[derive(Clone, Default)]
struct DistantStore {
    inner: MemoryStore,
    asked: Rc<RefCell<Vec<Asked>>>,
}

impl DistantStore {
    fn arrive(&self) {
        for (key, sender) in self.asked.take() {
            if !sender.is_canceled() {
                let value = pollster::block_on(self.inner.get(&key)).unwrap();
                let _ = sender.send(value.map(|value| Bytes::copy_from_slice(&value)));
            }
        }
    }
}

impl Store for DistantStore {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let (sender, value) = oneshot::channel();
        self.asked.borrow_mut().push((key.to_owned(), sender));
        Ok(value.await.unwrap())
    }

    async fn set(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
        self.inner.set(key, value).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.inner.delete(key).await
    }

    fn keys(&self) -> Keys {
        self.inner.keys()
    }
}

struct Instance {
    store: DistantStore,
    base: Rc<Cell<usize>>,
    room: Room,
}

impl Instance {
    fn new() -> Self {
        let base = Rc::default();
        Self { store: DistantStore::default(), room: Room::new(Used(Rc::clone(&base)), LIMIT), base }
    }

    /// Counts what is in use from now on.
    fn begin(&self) {
        self.base.set(ALLOCATOR.allocated());
    }

    fn request(&self) -> Uploads<DistantStore> {
        Uploads::new(self.store.clone(), None, SystemClock).with_room(self.room.clone())
    }

    fn create(&self, segment_size: u32) -> Append<DistantStore> {
        let new = NewUpload {
            id: Uuid::new_v4(),
            filename: "f".to_owned(),
            path: "f".to_owned(),
            user: None,
            total: None,
            algorithm: Algorithm::Md5,
            segment_size,
            listed: false,
        };
        self.request().create(new).unwrap()
    }

    /// A complete upload of two chunks.
    fn upload(&self, segment_size: u32, chunk: usize) -> Upload {
        let bytes = vec![1; chunk];
        self.run(async {
            let mut append = self.create(segment_size);
            append.write(&bytes).await.unwrap();
            let upload = append.commit().await.unwrap();
            let mut append = self.request().append(upload, chunk as u64, None).unwrap();
            append.write(&bytes).await.unwrap();
            let upload = append.commit().await.unwrap();
            self.request().complete(upload, Expected::Any, "f".to_owned()).await.unwrap()
        })
    }

    fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return value;
            }
            self.store.arrive();
        }
    }

    /// Whether all of these downloads end. The last one begins two turns after the others.
    fn all_end(&self, mut downloads: Vec<ByteStream>) -> bool {
        let (mut ended, mut idle, last) = (vec![false; downloads.len()], 0, downloads.len() - 1);
        for turn in 0.. {
            idle += 1;
            for (number, download) in downloads.iter_mut().enumerate() {
                if ended[number] || (turn < 2 && number == last) {
                    continue;
                }
                if let Poll::Ready(frame) = download.poll_next_unpin(&mut Context::from_waker(Waker::noop())) {
                    ended[number] = frame.map(Result::unwrap).is_none();
                    idle = 0;
                }
            }
            self.store.arrive();
            if idle > IDLE || ended.iter().all(|ended| *ended) {
                break;
            }
        }
        ended.iter().all(|ended| *ended)
    }
}

/// Each download begins with the short last segment of a chunk, and reads the next one ahead.
fn downloads_end(segment_size: u32, chunk: usize, count: usize) {
    let instance = Instance::new();
    let upload = instance.upload(segment_size, chunk);
    instance.begin();
    let from = chunk as u64 / u64::from(segment_size) * u64::from(segment_size);
    let mut downloads: Vec<_> = (0..count).map(|_| instance.request().read(&upload, from..upload.offset())).collect();
    downloads.push(instance.request().read(&upload, 0..upload.offset()));
    assert!(instance.all_end(downloads), "{count} downloads of segments of {segment_size} wait for each other");
}

/// The first downloads get a frame, and then their clients read nothing more.
fn clients_that_stop_reading_block_nobody() {
    let instance = Instance::new();
    let upload = instance.upload(10_000_000, 10 << 20);
    instance.begin();
    let read = |from| instance.request().read(&upload, from..upload.offset());
    let mut stopped: Vec<_> = (0..6).map(|_| read(10_000_000)).collect();
    for _ in 0..2 {
        for download in &mut stopped {
            let _ = download.poll_next_unpin(&mut Context::from_waker(Waker::noop()));
        }
        instance.store.arrive();
    }
    assert!(instance.all_end(vec![read(0)]), "a download waits for those that stand still");
}

/// Appends hold all of the room, and another one waits for more. A chunk of 1,000 bytes goes on.
fn small_chunks_never_wait() {
    let instance = Instance::new();
    instance.begin();
    let segment = vec![1; 10_000_000];
    let mut appends: Vec<_> = (0..7).map(|_| instance.create(10_000_000)).collect();
    for append in &mut appends {
        append.expect(100_000_000);
        instance.run(append.write(&segment)).unwrap();
        instance.begin();
    }
    let mut last = appends.pop().unwrap();
    for append in &mut appends {
        instance.run(append.write(&[1])).unwrap();
    }
    let mut waits = last.write(&[1]).boxed_local();
    let mut poll = || waits.poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending();
    assert!((0..IDLE).all(|_| poll()), "there was room");
    let mut small = instance.create(10_000_000);
    small.expect(1_000);
    let bytes = vec![1; 1_000];
    instance.run(small.write(&bytes)).unwrap();
}

#[test]
fn requests_do_not_wait_for_each_other_for_ever() {
    downloads_end(10_000_000, 10 << 20, 3);
    downloads_end(4_000_000, 4_180_000, 8);
    downloads_end(1_000_000, 1_100_000, 15);
    clients_that_stop_reading_block_nobody();
    small_chunks_never_wait();
}
