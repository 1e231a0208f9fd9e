//! A small ftrack server in memory that speaks the real protocol over HTTP.
//!
//! [`FtrackServer::start`] serves a workspace; [`FtrackServer::studio`] is the handle to inspect
//! it, to change it past the API, to set the switches ([`Rules`]) where ftrack servers differ or
//! the vendor's documentation is silent, and to inject faults. The tests run the vendor's own
//! clients against it.

mod account;
mod answer;
mod builtin_sync;
mod connection;
mod error;
mod fault;
mod filter;
mod gate;
mod groups;
mod http;
mod operation;
mod options;
mod query;
mod roles;
mod schema;
mod store;
mod studio;
mod token;
mod upload;
mod users;
mod work;
mod write;

use std::{io, net::SocketAddr, time::Duration};

use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub use self::{
    account::Account,
    error::ApiError,
    fault::{Call, CallKind, Fault, RetryAfter},
    gate::Gate,
    options::{
        Atomicity, BuiltinSync, Collation, Disclosure, Emails, Full, Licence, NewRoles, Options,
        Rights, Rules, Stores,
    },
    studio::{Applied, Change, Counters, Studio},
    upload::Uploads,
};

/// How long calls in flight may take to end when the server stops.
const GRACE: Duration = Duration::from_secs(2);

/// A running server; when dropped, it stops at once and aborts calls in flight.
#[derive(Debug)]
pub struct FtrackServer {
    address: SocketAddr,
    studio: Studio,
    stop: CancellationToken,
    end: CancellationToken,
    task: JoinHandle<io::Result<()>>,
}

impl FtrackServer {
    /// Listens on that address (port 0 for any free one) and serves a workspace with the fixed
    /// rows, the API user and a human `admin`, both administrators.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start(listen: SocketAddr, options: Options) -> io::Result<Self> {
        let studio = Studio::new(options).map_err(io::Error::other)?;
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        studio.set_address(format!("http://{address}"));
        let (stop, end) = (CancellationToken::new(), CancellationToken::new());
        let service = http::router(studio.clone(), stop.clone())
            .into_make_service_with_connect_info::<connection::Cut>();
        let serve = axum::serve(
            connection::Port {
                listener,
                end: end.clone(),
            },
            service,
        )
        .with_graceful_shutdown(stop.clone().cancelled_owned());
        let task = tokio::spawn(async move { serve.await });
        Ok(Self {
            address,
            studio,
            stop,
            end,
            task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server's address for clients, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The handle on its state, which may outlive the server.
    #[must_use]
    pub fn studio(&self) -> Studio {
        self.studio.clone()
    }

    /// Stops listening, lets calls in flight end for up to two seconds, and ends those that would
    /// never.
    ///
    /// # Errors
    /// What ended the server before it was asked to stop.
    pub async fn stop(mut self) -> io::Result<()> {
        self.stop.cancel();
        match tokio::time::timeout(GRACE, &mut self.task).await {
            Ok(Ok(served)) => served,
            Ok(Err(panicked)) => Err(io::Error::other(panicked)),
            Err(_late) => {
                // What still is connected is cut off now, when the server is dropped.
                self.task.abort();
                Ok(())
            }
        }
    }
}

impl Drop for FtrackServer {
    fn drop(&mut self) {
        // In this order, so that no stalled call is answered on its way out.
        self.end.cancel();
        self.stop.cancel();
    }
}
