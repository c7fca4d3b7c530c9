//! A buffer that each thread keeps to write in: only finished texts are allocated.

use std::cell::Cell;

/// What a thread keeps; a large record gives its memory back.
const KEPT_BYTES: usize = 16 << 10;

thread_local! {
    static BUFFER: Cell<String> = const { Cell::new(String::new()) };
}

/// Takes the buffer, empty. Who takes it while somebody writes gets a new one.
pub(crate) fn take() -> String {
    BUFFER.take()
}

pub(crate) fn give_back(mut buffer: String) {
    if buffer.capacity() <= KEPT_BYTES {
        buffer.clear();
        BUFFER.set(buffer);
    }
}
