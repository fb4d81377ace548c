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
use tokio::sync::Semaphore;
use wasmtime_wasi_http::WasiBody;

use crate::runtime::{Component, Stopped};
use crate::spin_headers;
use crate::workers::{Worker, Workers};

/// How long to wait after a connection could not be accepted, for example because no file descriptors are left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens on the address.
///
/// # Errors
/// If the address is in use or not permitted. The message says how to get a free port.
pub async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; `--listen 127.0.0.1:0` takes a free port"))
}

/// Serves until Ctrl-C or SIGTERM, and then finishes the requests in flight. A second signal ends the server at once.
///
/// At most `concurrent_requests` requests are handled at once. Further requests wait, and their bodies are not read.
/// `stopped` is set when all requests are done, or at the second signal.
pub async fn serve(
    listener: TcpListener,
    workers: Workers<Component>,
    concurrent_requests: u32,
    stopped: &Stopped,
) -> Result<()> {
    let address = listener.local_addr()?;
    announce(address);
    let permits = Arc::new(Semaphore::new(concurrent_requests as usize));
    let server = Arc::new(Server { workers, permits });
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
            signalled = &mut stop => { signalled?; break }
        }
    }
    drop(listener);
    eprintln!("Stopping when the requests in flight are done; once more Ctrl-C stops at once");
    let ended = tokio::select! {
        () = connections.shutdown() => Ok(()),
        signalled = stop_signal() => signalled,
    };
    stopped.store(true, Ordering::Relaxed);
    ended
}

/// Prints the address, for people and programs, and a command to try.
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
    workers: Workers<Component>,
    permits: Arc<Semaphore>,
}

fn serve_connection(stream: TcpStream, client: SocketAddr, server: &Arc<Server>, connections: &GracefulShutdown) {
    let Some((worker, underway)) = server.workers.for_connection() else { return };
    let (server, watcher, runtime) = (server.clone(), connections.watcher(), worker.runtime.clone());
    runtime.spawn(async move {
        let _underway = underway;
        // The stream is registered anew, so that it wakes the thread that serves it, and not the one that accepted it.
        let Ok(stream) = stream.into_std().and_then(TcpStream::from_std) else { return };
        // Responses are short. Without this, each response would wait until the client acknowledges the one before.
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request| {
            let (server, worker) = (server.clone(), worker.clone());
            async move { Ok::<_, Infallible>(server.answer(request, client, &worker).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service);
        // A broken connection is no error of the server. The guest has already seen the end of the body.
        drop(watcher.watch(connection).await);
    });
}

impl Server {
    /// Answers a request. `own` is the thread that serves its connection.
    async fn answer(
        &self,
        mut request: Request<Incoming>,
        client: SocketAddr,
        own: &Arc<Worker<Component>>,
    ) -> Response<WasiBody> {
        if let Err(error) = spin_headers::prepare(&mut request, client) {
            return plain(StatusCode::BAD_REQUEST, &format!("{error:#}\n"));
        }
        let Ok(permit) = self.permits.clone().acquire_owned().await else {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping\n");
        };
        let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
        let (worker, underway) = self.workers.for_request(own);
        let component = worker.component.clone();
        // The client may go away before the response. The component still goes on, so the request keeps its permit.
        let answer = worker.runtime.spawn(async move {
            let _kept = (permit, underway);
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
