//! What both benchmarks share: the session they keep, and how they tell what they found.

mod bars;
mod machine;
mod numbers;
mod promise;
pub mod record;

pub use bars::{Bar, Bars, Group};
pub use machine::{Machine, version};
pub use numbers::{digits, thousands, times};
pub use promise::{Promise, Target, promises_table};
