//! The memory of the instance, which handles many requests at once.

use std::alloc::System;
use std::time::Duration;

use cap::Cap;
use futures::future::{FutureExt, LocalBoxFuture};
use spin_sdk::time::sleep;

use crate::uploads::{Memory, Room};

/// How many bytes the values of all requests may have together. Hosted platforms give an instance 128 MiB. Allocators
/// leave gaps, and the code has a few MiB.
const ROOM: usize = 64 * 1024 * 1024;

/// It only counts. An allocation that fails ends all requests of the instance, so there is no limit here.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

thread_local! {
    static SHARED: Room = Room::new(InstanceMemory, ROOM);
}

/// The room that all requests of this instance share.
pub(in crate::spin) fn room() -> Room {
    SHARED.with(Room::clone)
}

struct InstanceMemory;

impl Memory for InstanceMemory {
    fn in_use(&self) -> usize {
        ALLOCATOR.allocated()
    }

    fn sleep(&self, time: Duration) -> LocalBoxFuture<'static, ()> {
        sleep(time).boxed_local()
    }
}
