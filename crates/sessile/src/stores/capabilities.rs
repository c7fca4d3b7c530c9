//! What stores can do that several processes share and that list their sessions.

use sessile_core::Capability;

/// Returns what such a store declares, as `durable` as its backend is.
pub(super) fn of_a_shared_store(durable: bool) -> &'static [Capability] {
    const ALL: [Capability; 5] = [
        Capability::All,
        Capability::Clear,
        Capability::Length,
        Capability::Shared,
        Capability::Durable,
    ];
    const FORGETFUL: &[Capability] = ALL.split_at(4).0;
    if durable { &ALL } else { FORGETFUL }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_durability_depends_on_the_backend() {
        let (durable, other) = (of_a_shared_store(true), of_a_shared_store(false));
        assert_eq!(durable.split_last(), Some((&Capability::Durable, other)));
    }
}
