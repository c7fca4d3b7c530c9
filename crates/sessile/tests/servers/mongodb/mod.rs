//! The MongoDB store on a server alone and in a replica set.

use sessile_testkit::server;

use crate::outage::{Backend, outages};

const BACKEND: Backend = Backend { start: server::mongodb, durable: true };

outages!(BACKEND);
