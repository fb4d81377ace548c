//! The HTTP server in front of the component.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use wasmtime_wasi_http::WasiBody;

use crate::refusal::Refusal;
use crate::route::Route;
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

/// How the component is served.
pub struct Options {
    /// The paths that requests to it have.
    pub route: Route,
    /// How many requests are handled at once. Further requests wait, and their bodies are not read.
    pub concurrent_requests: u32,
    /// How long requests in flight may go on after the first signal to stop.
    pub stop_timeout: Duration,
    /// Set when all requests are done, when the time is over, or at the second signal.
    pub stopped: Stopped,
}

/// Serves until Ctrl-C or SIGTERM, and then finishes the requests in flight. A second signal ends the server at once.
pub async fn serve(listener: TcpListener, workers: Workers<Component>, options: Options) -> Result<()> {
    let Options { route, concurrent_requests, stop_timeout, stopped } = options;
    let address = listener.local_addr()?;
    announce(address, &route);
    let permits = Arc::new(Semaphore::new(concurrent_requests as usize));
    let server = Arc::new(Server { workers, permits, route });
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
    eprintln!(
        "Stopping when the requests in flight are done, in {stop_timeout:?} at most; once more Ctrl-C stops at once"
    );
    let ended = tokio::select! {
        () = connections.shutdown() => Ok(()),
        signalled = stop_signal() => signalled,
        // A client that neither goes on nor away would keep the server for ever.
        () = tokio::time::sleep(stop_timeout) => {
            eprintln!("Stopped with requests in flight: {stop_timeout:?} are over");
            Ok(())
        }
    };
    stopped.store(true, Ordering::Relaxed);
    ended
}

/// Prints the address, for people and programs, and a command to try.
fn announce(address: SocketAddr, route: &Route) {
    println!("Serving http://{address}");
    let base = format!("http://{address}{}", route.prefix());
    println!("Try:    curl -F file=@README.md -F md5=$(md5sum README.md | cut -c-32) {base}/uploads/");
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
    route: Route,
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
            // A client may close its side of the connection after its request, and still read.
            .half_close(true)
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
        if let Err(refusal) = spin_headers::prepare(&mut request, client, &self.route) {
            return refusal.into();
        }
        // Nobody closes the semaphore.
        let Ok(permit) = self.permits.clone().acquire_owned().await else {
            return Refusal::Failed.into();
        };
        let (worker, underway) = self.workers.for_request(own);
        let component = worker.component.clone();
        // The client may go away before the response. The component still goes on, so the request keeps its permit. It
        // keeps it until the last byte of the response is sent, and while the component may still read the body: it reads
        // past the rest of a refused one.
        let place = Arc::new((permit, underway));
        let request = request.map(|body| keeping(body.map_err(Into::into).boxed_unsync(), place.clone()));
        let answer = worker
            .runtime
            .spawn(async move { Ok(component.handle((), request).await?.map(|body| keeping(body, place))) });
        match answer.await.map_err(wasmtime::Error::from).flatten() {
            Ok(response) => response,
            Err(error) => {
                eprintln!("the component failed to answer: {error:?}");
                Refusal::Failed.into()
            }
        }
    }
}

/// The same body, which keeps something as long as it is there.
fn keeping<T: Send + 'static>(body: WasiBody, kept: T) -> WasiBody {
    body.map_frame(move |frame| {
        let _ = &kept;
        frame
    })
    .boxed_unsync()
}
