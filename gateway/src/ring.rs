//! How threads of the gateway talk: bounded rings, and one bell per thread that wakes it.
//!
//! A thread sleeps only after it has said so and has then found all its rings empty; who pushes looks at
//! that word after the push. So a push is seen either by the sleeper's last look or by the pusher's, and a
//! running thread costs its pushers no system call.
//!
//! The code is written over [`Kit`], so that the tests can run the very same code under every order of
//! events that threads allow.

use super::sys::{self, EventFd};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Duration;

/// The primitives that rings and bells are made of.
pub trait Kit: 'static {
    /// A bounded queue for several threads.
    type Queue<T: Send + 'static>: Queue<T> + Send + Sync;
    /// One bit.
    type Flag: Flag + Send + Sync;
    /// What a sleeping thread waits for.
    type Bell: Bell + Send + Sync;
}

/// A bounded queue for several threads.
pub trait Queue<T> {
    /// Empty, with room for `capacity`.
    fn new(capacity: usize) -> Self;
    /// Appends; gives the value back if the queue is full.
    ///
    /// # Errors
    /// The value, if there is no room.
    fn push(&self, value: T) -> Result<(), T>;
    /// Takes the oldest.
    fn pop(&self) -> Option<T>;
    /// True if there is none.
    fn is_empty(&self) -> bool;
}

/// One bit, shared, sequentially consistent.
pub trait Flag {
    /// Clear.
    fn new() -> Self;
    /// Sets it to `value` and tells what it was.
    fn swap(&self, value: bool) -> bool;
}

/// What a sleeping thread waits for.
pub trait Bell: Sized {
    /// Silent.
    ///
    /// # Errors
    /// Where the system has no more of them.
    fn new() -> io::Result<Self>;
    /// Ends the current or the next wait.
    fn ring(&self);
    /// Makes it silent again.
    fn hush(&self);
    /// Waits for it, not longer than `timeout`.
    fn wait(&self, timeout: Duration);
}

/// The real primitives.
#[derive(Debug)]
pub struct Os;

impl Kit for Os {
    type Queue<T: Send + 'static> = crossbeam_queue::ArrayQueue<T>;
    type Flag = AtomicBool;
    type Bell = EventFd;
}

impl<T> Queue<T> for crossbeam_queue::ArrayQueue<T> {
    fn new(capacity: usize) -> Self {
        Self::new(capacity)
    }
    fn push(&self, value: T) -> Result<(), T> {
        self.push(value)
    }
    fn pop(&self) -> Option<T> {
        self.pop()
    }
    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl Flag for AtomicBool {
    fn new() -> Self {
        Self::new(false)
    }
    fn swap(&self, value: bool) -> bool {
        // The fences order the flag against the queues, whatever orderings those use inside.
        fence(Ordering::SeqCst);
        let was = self.swap(value, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        was
    }
}

impl Bell for EventFd {
    fn new() -> io::Result<Self> {
        Self::new()
    }
    fn ring(&self) {
        self.signal();
    }
    fn hush(&self) {
        self.drain();
    }
    fn wait(&self, timeout: Duration) {
        // The one error means a closed descriptor, and this one is ours.
        let _ = sys::poll(&[sys::Wait::read(self)], timeout);
    }
}

/// Wakes one thread.
#[derive(Debug)]
pub struct Waker<K: Kit> {
    asleep: K::Flag,
    bell: K::Bell,
}

impl<K: Kit> Waker<K> {
    /// Of a thread that runs.
    ///
    /// # Errors
    /// Where the system has no more bells.
    pub fn new() -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self { asleep: K::Flag::new(), bell: K::Bell::new()? }))
    }

    /// To be called after a push.
    pub fn wake(&self) {
        if self.asleep.swap(false) {
            self.bell.ring();
        }
    }

    /// For the thread itself: sleeps by `wait` unless `work` finds something to do. What is rung from then on
    /// is seen by the next look at the rings.
    pub fn sleep(&self, work: impl FnOnce() -> bool, wait: impl FnOnce(&K::Bell)) {
        self.asleep.swap(true);
        if !work() {
            wait(&self.bell);
            self.bell.hush();
        }
        self.asleep.swap(false);
    }
}

/// A bounded ring into a thread.
pub struct Ring<T: Send + 'static, K: Kit = Os> {
    queue: Arc<K::Queue<T>>,
    waker: Arc<Waker<K>>,
}

impl<T: Send + 'static, K: Kit> Clone for Ring<T, K> {
    fn clone(&self) -> Self {
        Self { queue: Arc::clone(&self.queue), waker: Arc::clone(&self.waker) }
    }
}

impl<T: Send + 'static, K: Kit> Ring<T, K> {
    /// Empty, with room for `capacity`, into the thread of `waker`.
    pub fn new(capacity: usize, waker: &Arc<Waker<K>>) -> Self {
        Self { queue: Arc::new(K::Queue::new(capacity)), waker: Arc::clone(waker) }
    }

    /// Appends and wakes the thread; gives the value back if the ring is full.
    ///
    /// # Errors
    /// The value, if there is no room.
    pub fn push(&self, value: T) -> Result<(), T> {
        self.queue.push(value)?;
        self.waker.wake();
        Ok(())
    }

    /// Takes the oldest.
    pub fn pop(&self) -> Option<T> {
        self.queue.pop()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

impl<T: Send + 'static, K: Kit> std::fmt::Debug for Ring<T, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ring")
    }
}
