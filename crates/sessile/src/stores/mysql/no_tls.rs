//! The driver alone decides on TLS: it refuses URLs that ask for it, if it has none.

use mysql_async::{Opts, OptsBuilder};

#[derive(Clone, Default)]
pub(super) struct Tls {}

impl Tls {
    pub(super) fn apply(&self, opts: Opts) -> OptsBuilder {
        OptsBuilder::from_opts(opts)
    }
}
