//! Starts the site: settings, database, listener, and an orderly end.

use std::error::Error;
use std::net::Ipv4Addr;
use std::process::ExitCode;

use login::Config;
use sessile::{Capability, SessionStore, StoreError, StoreErrorKind, stores};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt::init();
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(complaint) => {
            eprintln!("login: {complaint}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), String> {
    read_dotenv()?;
    let Config { port, database, secrets, notes } = Config::read(|name| std::env::var_os(name))?;
    for note in notes {
        tracing::warn!("{note}");
    }

    let store = stores::connect(&database).await.map_err(|error| unusable(&error))?;
    let lasts = store.capabilities().contains(&Capability::Durable);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
        let other = port.checked_add(1).unwrap_or(8080);
        format!("port {port} cannot be used: {error}; try PORT={other}")
    })?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let app = login::app(store, secrets).map_err(|error| error.to_string())?;
    let stop = asked_to_stop().map_err(|error| error.to_string())?;

    tracing::info!("listening on http://localhost:{port}");
    axum::serve(listener, app)
        .with_graceful_shutdown(stop)
        .await
        .map_err(|error| error.to_string())?;
    let known = if lasts { "; whoever is logged in still is when it starts again" } else { "" };
    tracing::info!("stopped{known}");
    Ok(())
}

fn unusable(error: &StoreError) -> String {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    let advice = match error.kind() {
        StoreErrorKind::Unsupported => "`--features stores` builds every store in",
        StoreErrorKind::Unavailable => "is the server running?",
        _ => "try sqlite://sessions.db in a folder that you may write to",
    };
    format!("DATABASE cannot be used: {error}{cause}; {advice}")
}

/// What the environment says stays; `.env` only adds to it.
fn read_dotenv() -> Result<(), String> {
    match dotenvy::dotenv() {
        Ok(_) => Ok(()),
        Err(error) if error.not_found() => Ok(()),
        Err(dotenvy::Error::Io(error)) => Err(format!("the file .env cannot be read: {error}")),
        // The error quotes the line, which may be the one with the secret.
        Err(_) => Err("the file .env cannot be read: each line must be NAME=value".to_owned()),
    }
}

/// Listens from now on; the future ends with ctrl-c or SIGTERM.
#[cfg(unix)]
fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Listens for ctrl-c.
#[cfg(not(unix))]
fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    })
}
