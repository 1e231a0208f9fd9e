//! Tests whether a directory can be reached and accepts the credentials, before anything is read.

use tokio_util::sync::CancellationToken;

use super::{error::DirectoryError, pool::DirectoryPool};

/// Connects and binds to the first server of a directory that can be reached, and returns its URL;
/// the connection stays in the pool for the first read.
///
/// # Errors
/// No server can be reached, or one refused the credentials, which are then not tried at any other.
pub async fn contact(
    pool: &DirectoryPool,
    cancel: &CancellationToken,
) -> Result<String, DirectoryError> {
    let mut failures = Vec::new();
    let servers = tokio::select! {
        biased;
        () = cancel.cancelled() => return Err(DirectoryError::Cancelled),
        servers = pool.in_order() => servers?,
    };
    for server in servers {
        let lent = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(DirectoryError::Cancelled),
            lent = server.get() => lent,
        };
        match lent {
            Ok(lent) => {
                lent.give_back();
                return Ok(server.connector.server().to_owned());
            }
            Err(error) if error.concerns_one_server() => failures.push(error),
            Err(error) => return Err(error),
        }
    }
    Err(DirectoryError::of_all(failures))
}
