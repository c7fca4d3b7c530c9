//! The application that interop/README.md specifies, on Sessile: the same routes
//! as `interop/express-app.mjs`, so that one client can try both.

mod app;
mod control;
mod gate;
mod options;
mod planted;
mod timeline;
mod warnings;

use std::io::{Read, Write};

use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let warnings = warnings::collect()?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    writeln!(std::io::stdout(), "http://{}", listener.local_addr()?)?;
    std::thread::spawn(leave_when_stdin_ends);
    axum::serve(listener, control::router(warnings)?).await?;
    Ok(())
}

/// Whoever started this server is gone, or wants it gone.
fn leave_when_stdin_ends() {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    std::process::exit(0);
}
