//! A connection to PostgreSQL that is told of every change when it commits.

use std::time::Duration;

use futures_util::future::poll_fn;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_postgres::{AsyncMessage, Client, Connection, Error};

use crate::store::error::{StoreError, chain};
use crate::store::hosts::Driven;
use crate::store::postgres::query_unprepared;
use crate::store::row::Row;
use crate::store::statements::Statement;
use crate::store::value::Value;

/// What the connection begins with. The channel is the one of `sql/postgres/0009_link.sql`.
const SESSION: &str =
    "SET search_path TO avain, public; SET statement_timeout = 700; LISTEN avain_changes";
/// How long a read may take: whoever waits longer is stale.
const LIMIT: Duration = Duration::from_millis(700);

/// A connection that listens, and that the feed of changes is read over. It ends when it is dropped.
#[derive(Debug)]
pub struct Link {
    client: Client,
    ended: watch::Receiver<Option<String>>,
    driver: AbortHandle,
}

impl Link {
    /// Listens on a new connection. `wake` is called on every notice, from a task of its own.
    pub(super) async fn begin(
        client: Client,
        connection: Driven,
        wake: impl Fn() + Send + 'static,
    ) -> Result<Self, Error> {
        let (tell, ended) = watch::channel(None);
        let driver = tokio::spawn(async move {
            let why = drive(connection, wake).await;
            tell.send_replace(Some(why));
        });
        let link = Self { client, ended, driver: driver.abort_handle() };
        link.client.batch_execute(SESSION).await?;
        Ok(link)
    }

    pub(super) async fn read(
        &self,
        statement: &Statement,
        params: &[Value],
    ) -> Result<Vec<Row>, StoreError> {
        let Some(sql) = &statement.postgres else {
            return Err(StoreError::Other("the statement is SQLite's alone".to_owned()));
        };
        match timeout(LIMIT, query_unprepared(&self.client, sql, params)).await {
            Ok(done) => done.map_err(|error| StoreError::from(&error)),
            Err(_) => Err(StoreError::Unavailable("the link took too long".to_owned())),
        }
    }

    /// Ends the connection.
    pub fn give_up(&self) {
        self.driver.abort();
    }

    /// Waits until the connection has ended, and says why.
    pub async fn ended(&self) -> String {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => "it was given up".to_owned(),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// Reads what the server sends until the connection ends, and says why it did.
async fn drive<S, T>(mut connection: Connection<S, T>, wake: impl Fn()) -> String
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match poll_fn(|cx| connection.poll_message(cx)).await {
            Some(Ok(AsyncMessage::Notification(_))) => wake(),
            Some(Ok(_)) => {}
            Some(Err(error)) => return chain(&error),
            None => return "the server has closed it".to_owned(),
        }
    }
}
