//! What services and requests hold of their layer.
//!
//! A router clones its services for each request. Threads that count references in
//! one place wait for each other there, so each counts in a place of its own.

use std::ops::Deref;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use triomphe::Arc;

/// A counted reference. Its clones are counted where their thread counts.
pub(crate) struct Share<T>(Arc<Branch<T>>);

/// Where one thread counts, and where others do that clone what it holds.
#[repr(align(128))]
struct Branch<T> {
    value: Arc<T>,
    thread: usize,
    height: usize,
    others: [OnceLock<Share<T>>; THREADS],
}

const THREADS: usize = 16;
/// Clones of clones of clones, each on another thread, must not add up without end.
const HIGHEST: usize = 2;

impl<T> Share<T> {
    pub(crate) fn new(value: T) -> Self {
        Self::counted_by(this_thread(), 0, Arc::new(value))
    }

    fn counted_by(thread: usize, height: usize, value: Arc<T>) -> Self {
        let others = [const { OnceLock::new() }; THREADS];
        Self(Arc::new(Branch { value, thread, height, others }))
    }

    fn clone_on(&self, thread: usize) -> Self {
        let branch = &self.0;
        if branch.thread == thread || branch.height == HIGHEST {
            return Self(Arc::clone(branch));
        }
        let grow = || Self::counted_by(thread, branch.height + 1, Arc::clone(&branch.value));
        Self(Arc::clone(&branch.others[thread].get_or_init(grow).0))
    }
}

impl<T> Clone for Share<T> {
    fn clone(&self) -> Self {
        self.clone_on(this_thread())
    }
}

impl<T> Deref for Share<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

/// Gives each thread a number of its own, as far as they go.
fn this_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed) % THREADS;
    }
    OWN.try_with(|own| *own).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Weak;

    fn counted() -> (Share<std::sync::Arc<u32>>, Weak<u32>) {
        let value = std::sync::Arc::new(7);
        let watched = std::sync::Arc::downgrade(&value);
        (Share::counted_by(0, 0, Arc::new(value)), watched)
    }

    #[test]
    fn what_is_shared_lives_as_long_as_any_of_its_clones() {
        let (first, watched) = counted();
        let second = first.clone_on(1);
        let third = second.clone_on(2);
        drop(first);
        assert_eq!(**third, 7);
        drop(third);
        assert!(watched.upgrade().is_some());
        drop(second);
        assert!(watched.upgrade().is_none());
    }

    #[test]
    fn each_thread_counts_its_own_clones() {
        let (first, _watched) = counted();
        let count = |share: &Share<_>| Arc::count(&share.0);
        let of_another = first.clone_on(1);
        assert_eq!(count(&first), 1);
        let before = count(&of_another);
        let again = first.clone_on(1);
        assert_eq!((count(&first), count(&again)), (1, before + 1));
    }

    #[test]
    fn clones_of_clones_do_not_add_up() {
        let (first, _watched) = counted();
        let mut last = first.clone_on(1);
        for n in 0..100 {
            last = last.clone_on(n % 3);
        }
        assert_eq!(last.0.height, HIGHEST);
    }
}
