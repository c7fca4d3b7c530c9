//! The Redis store on a real server.

mod outages {
    use crate::outage::{Backend, outages};

    outages!(Backend { start: sessile_testkit::server::redis, durable: true });
}
