//! The HTTP server in front of the component.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use wasmtime_wasi_http::WasiBody;

use crate::runtime::{Component, STOPPED};
use crate::spin_headers;

/// Requests that the component handles at once; the others wait, unread.
pub const CONCURRENT_REQUESTS: u32 = 512;
/// How long to wait before accepting again when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes the address.
///
/// # Errors
/// Where it is taken or not ours to take, with what to do about it.
pub async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; `--listen 127.0.0.1:0` takes a free port"))
}

/// Serves until Ctrl-C or SIGTERM, then finishes the requests in flight; a second signal ends at once.
///
/// The component's instances run on `instances`, another runtime than the connections': an instance that computes keeps
/// its thread for as long as it does, and with it a connection that it has just woken there, since tokio's other threads
/// don't take over the task that was woken last. So a body would not be received while an instance hashes.
pub async fn serve(listener: TcpListener, component: Component, instances: Handle) -> Result<()> {
    let address = listener.local_addr()?;
    announce(address);
    let permits = Arc::new(Semaphore::new(CONCURRENT_REQUESTS as usize));
    let server = Arc::new(Server { component, instances, permits });
    let connections = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop_signal());
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => serve_connection(stream, client, &server, &connections),
                Err(error) => {
                    eprintln!("cannot accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            stopped = &mut stop => { stopped?; break }
        }
    }
    drop(listener);
    eprintln!("Stopping when the requests in flight are done; once more Ctrl-C stops at once");
    let stopped = tokio::select! {
        () = connections.shutdown() => Ok(()),
        stopped = stop_signal() => stopped,
    };
    STOPPED.store(true, Ordering::Relaxed);
    stopped
}

/// The address on standard output, for people and programs alike, and a line to try.
fn announce(address: SocketAddr) {
    println!("Serving http://{address}");
    println!("Try:    curl -F file=@README.md -F md5=$(md5sum README.md | cut -c-32) http://{address}/uploads/");
}

async fn stop_signal() -> Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await?;
    Ok(())
}

struct Server {
    component: Component,
    instances: Handle,
    permits: Arc<Semaphore>,
}

fn serve_connection(stream: TcpStream, client: SocketAddr, server: &Arc<Server>, connections: &GracefulShutdown) {
    // Answers are short: without this, each would wait for the client's acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let server = server.clone();
    let service = service_fn(move |request| {
        let server = server.clone();
        async move { Ok::<_, Infallible>(server.answer(request, client).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let connection = connections.watch(connection);
    // A connection that breaks is its client's affair; the guest has seen the end of the body.
    tokio::spawn(async move { drop(connection.await) });
}

impl Server {
    async fn answer(&self, mut request: Request<Incoming>, client: SocketAddr) -> Response<WasiBody> {
        if let Err(error) = spin_headers::prepare(&mut request, client) {
            return plain(StatusCode::BAD_REQUEST, &format!("{error:#}\n"));
        }
        let Ok(permit) = self.permits.clone().acquire_owned().await else {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping\n");
        };
        let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
        let component = self.component.clone();
        // Whoever goes away before the answer keeps the place: the component goes on.
        let answer = self.instances.spawn(async move {
            let _permit = permit;
            component.handle((), request).await
        });
        match answer.await.map_err(wasmtime::Error::from).flatten() {
            Ok(response) => response,
            Err(error) => {
                eprintln!("the component failed to answer: {error:?}");
                plain(StatusCode::INTERNAL_SERVER_ERROR, "")
            }
        }
    }
}

fn plain(status: StatusCode, text: &str) -> Response<WasiBody> {
    let mut response = Response::new(Full::from(text.to_owned()).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response
}
