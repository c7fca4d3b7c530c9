//! What Sessile does in the tests of interop/README.md.
//!
//! ```text
//! interop-server                       the application of the comparison, same as interop/express-app.mjs
//! interop-server shared URL [LAYOUT]   the application of stores/, on the store at URL
//! interop-server backend NAME          a real server of that name, for Node and for us
//! ```
//!
//! Each prints one line, its URL, and leaves when its input ends.

mod app;
mod backend;
mod control;
mod gate;
mod options;
mod planted;
mod shared;
mod timeline;
mod warnings;

use std::env;
use std::error::Error;
use std::io::{Read, Write};

use axum::Router;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        [] => serve(control::router(warnings::collect()?)?).await,
        ["shared", url, layout @ ..] => serve(shared::router(url, layout.first()).await?).await,
        ["backend", name] => backend::run(name),
        _ => Err("usage: interop-server [shared URL [LAYOUT] | backend NAME]".into()),
    }
}

async fn serve(router: Router) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    say(&format!("http://{}", listener.local_addr()?))?;
    std::thread::spawn(|| {
        wait_for_the_end();
        std::process::exit(0);
    });
    Ok(axum::serve(listener, router).await?)
}

fn say(url: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{url}")
}

/// Whoever started this server is gone, or wants it gone, when its input ends.
fn wait_for_the_end() {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
