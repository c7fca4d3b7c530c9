//! A real server under the applications of both sides.

use std::error::Error;

use sessile_testkit::server::{self, Server};

use crate::{say, wait_for_the_end};

/// Starts the server called `name`, says where it is, and ends it with the input.
pub(crate) fn run(name: &str) -> Result<(), Box<dyn Error>> {
    let server = start(name)?;
    say(server.url())?;
    wait_for_the_end();
    Ok(())
}

fn start(name: &str) -> Result<Server, Box<dyn Error>> {
    Ok(match name {
        "memcached" => server::memcached()?,
        "mongodb" => server::mongodb()?,
        "mysql" => server::mariadb()?,
        "postgres" => server::postgres()?,
        "redis" => server::redis()?,
        _ => return Err(format!("there is no server called {name}").into()),
    })
}
