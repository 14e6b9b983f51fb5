//! An allocator that counts, per thread, what is held: how much memory a stranger's message can cost.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

/// The system's allocator with two counters per thread.
pub struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(octets: isize) {
    // A thread that ends has no counters any more; nobody asks for them then.
    _ = HELD.try_with(|held| {
        let now = held.get() + octets;
        held.set(now);
        _ = PEAK.try_with(|peak| peak.set(peak.get().max(now)));
    });
}

/// Starts a measurement on this thread.
pub fn start() {
    HELD.set(0);
    PEAK.set(0);
}

/// The most octets held at once on this thread since [`start`].
pub fn peak() -> usize {
    usize::try_from(PEAK.get()).unwrap_or(0)
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches two cells of this thread,
// which are constant-initialised and have no destructor, so that it neither allocates nor panics.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // While it moves, both may be held.
        count(new_size as isize);
        count(-(layout.size() as isize));
        // SAFETY: the caller keeps the contract of `GlobalAlloc::realloc`.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_was_held_at_once_is_seen() {
        super::start();
        let a = vec![0u8; 10_000];
        drop(a);
        let b = vec![1u8; 3_000];
        assert!((10_000..11_000).contains(&super::peak()), "{}", super::peak());
        drop(b);
    }
}
