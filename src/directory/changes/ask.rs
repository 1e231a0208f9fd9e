//! How a question is put to one server: the first that can be asked, or a certain one.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Connection, DirectoryError};
use crate::directory::{
    pool::{DirectoryPool, Server},
    request::{ReadFailure, ReadRequest},
    searches::{SearchRun, Servers, bounded},
};

/// Something that is asked over one connection.
pub(super) trait Question: Sync {
    /// What is answered.
    type Answer: Send;

    /// Asks it.
    fn over(
        &self,
        pool: &DirectoryPool,
        connection: &mut Connection,
        request: &ReadRequest,
    ) -> impl Future<Output = Result<Self::Answer, DirectoryError>> + Send;
}

pub(super) async fn ask<Q: Question>(
    (pool, servers): (&DirectoryPool, Servers<'_>),
    request: &ReadRequest,
    question: &Q,
    cancel: &CancellationToken,
) -> Result<Q::Answer, ReadFailure> {
    let mut course = SearchRun::default();
    let work = ask_in_order((pool, servers), request, question, &mut course);
    match bounded(work, request.deadline, cancel).await {
        Ok(told) => Ok(told),
        Err(error) => Err(course.failure(error)),
    }
}

async fn ask_in_order<Q: Question>(
    (pool, servers): (&DirectoryPool, Servers<'_>),
    request: &ReadRequest,
    question: &Q,
    course: &mut SearchRun,
) -> Result<Q::Answer, DirectoryError> {
    let mut failures = Vec::new();
    let all = pool.in_order().await?;
    let is_asked = |server: &&Arc<Server>| match servers {
        Servers::InOrder => true,
        Servers::Only(url) => server.connector.server() == url,
    };
    for server in all.iter().filter(is_asked) {
        course.server = Some(server.connector.server().into());
        match ask_one(pool, server, request, question).await {
            Ok(told) => return Ok(told),
            Err(error) if error.concerns_one_server() => failures.push(error),
            Err(error) => return Err(error),
        }
    }
    Err(DirectoryError::of_all(failures))
}

async fn ask_one<Q: Question>(
    pool: &DirectoryPool,
    server: &Server,
    request: &ReadRequest,
    question: &Q,
) -> Result<Q::Answer, DirectoryError> {
    loop {
        let mut lent = server.get().await?;
        match question.over(pool, &mut lent, request).await {
            Ok(told) => {
                lent.give_back();
                return Ok(told);
            }
            // A connection from the pool may have been closed already, which says nothing about the
            // server.
            Err(DirectoryError::Lost { .. } | DirectoryError::TimedOut { .. })
                if !lent.is_fresh() =>
            {
                server.close_idle();
            }
            Err(error) => {
                server.did_not_answer(&error);
                return Err(error);
            }
        }
    }
}
