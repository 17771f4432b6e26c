//! Reaching the first of several hosts that answers and is what the URL asks for.
//!
//! tokio-postgres bounds how long a TCP connection takes to be opened, and nothing behind that: a host that accepts
//! one and says nothing more (a server that was stopped in its tracks, a balancer without its server) would hold us up
//! for ever. Here each host has one time for everything, its name and TLS included.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::Connect;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::Host;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Error, Socket};

use crate::store::tls::Tls;

/// A connection that somebody has to drive.
pub(super) type Driven = Connection<Socket, <Tls as MakeTlsConnect<Socket>>::Stream>;

/// The hosts of a URL.
pub(super) struct Hosts {
    /// The same for one host each.
    each: Vec<Config>,
    /// With which to begin: the one that answered last.
    first: AtomicUsize,
    limit: Duration,
    tls: Tls,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Unreached {
    /// What the last host that did has answered.
    Refused(Error),
    /// None has answered at all.
    Silent,
}

impl Hosts {
    /// Those of `config`; each may take `limit`.
    pub(super) fn of(config: &Config, tls: Tls, limit: Duration) -> Self {
        let each = split(config).unwrap_or_else(|| vec![config.clone()]);
        Self { each, first: AtomicUsize::new(0), limit, tls }
    }

    /// How long it takes at most until all were tried.
    pub(super) fn longest(&self) -> Duration {
        self.limit * u32::try_from(self.each.len()).unwrap_or(u32::MAX)
    }

    /// Connects to one of them, beginning with the one that answered last.
    pub(super) async fn connect(&self) -> Result<(Client, Driven), Unreached> {
        let count = self.each.len();
        let first = self.first.load(Ordering::Relaxed);
        let mut why = Unreached::Silent;
        for at in (first..first + count).map(|at| at % count) {
            let Some(config) = self.each.get(at) else { continue };
            match timeout(self.limit, config.connect(self.tls.clone())).await {
                Ok(Ok(connected)) => {
                    self.first.store(at, Ordering::Relaxed);
                    return Ok(connected);
                }
                Ok(Err(error)) => why = Unreached::Refused(error),
                // Whoever waits may give up before all were tried: the next time another one is the first.
                Err(_) => self.first.store((at + 1) % count, Ordering::Relaxed),
            }
        }
        Err(why)
    }
}

/// For the pool. Where no host answers there is no error of tokio-postgres' to give: the pool's own time for making a
/// connection, which is no longer, runs out.
impl Connect for Hosts {
    fn connect(&self, _: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        async move {
            match Self::connect(self).await {
                Ok((client, connection)) => {
                    // Whoever has a statement on it is told, too.
                    let ended = |error| tracing::debug!(%error, "a connection has ended");
                    let driver = async move { connection.await.unwrap_or_else(ended) };
                    Ok((client, tokio::spawn(driver)))
                }
                Err(Unreached::Refused(error)) => Err(error),
                Err(Unreached::Silent) => std::future::pending().await,
            }
        }
        .boxed()
    }
}

/// One configuration for each host; `None` where it names none, or not as many of one thing as of the other, which
/// tokio-postgres says best.
fn split(config: &Config) -> Option<Vec<Config>> {
    let (hosts, addresses, ports) =
        (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let count = hosts.len().max(addresses.len());
    let fits = |given: usize| given == 0 || given == count;
    if count == 0
        || !fits(hosts.len())
        || !fits(addresses.len())
        || !(fits(ports.len()) || ports.len() == 1)
    {
        return None;
    }
    let one = |at: usize| {
        let mut one = without_hosts(config);
        match hosts.get(at) {
            Some(Host::Tcp(name)) => drop(one.host(name)),
            Some(Host::Unix(folder)) => drop(one.host_path(folder)),
            None => {}
        }
        if let Some(address) = addresses.get(at) {
            one.hostaddr(*address);
        }
        if let Some(port) = ports.get(at).or(ports.first()) {
            one.port(*port);
        }
        one
    };
    Some((0..count).map(one).collect())
}

/// All that a configuration says but for where.
fn without_hosts(config: &Config) -> Config {
    let mut one = Config::new();
    if let Some(user) = config.get_user() {
        one.user(user);
    }
    if let Some(password) = config.get_password() {
        one.password(password);
    }
    if let Some(name) = config.get_dbname() {
        one.dbname(name);
    }
    if let Some(options) = config.get_options() {
        one.options(options);
    }
    if let Some(name) = config.get_application_name() {
        one.application_name(name);
    }
    if let Some(limit) = config.get_connect_timeout() {
        one.connect_timeout(*limit);
    }
    if let Some(limit) = config.get_tcp_user_timeout() {
        one.tcp_user_timeout(*limit);
    }
    if let Some(interval) = config.get_keepalives_interval() {
        one.keepalives_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        one.keepalives_retries(retries);
    }
    one.keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .target_session_attrs(config.get_target_session_attrs())
        .channel_binding(config.get_channel_binding())
        .load_balance_hosts(config.get_load_balance_hosts());
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> Config {
        url.parse().expect("it is a URL")
    }

    #[test]
    fn each_host_has_all_that_the_url_says() {
        let rest = "?target_session_attrs=read-write&sslmode=require&sslnegotiation=direct&connect_timeout=3\
            &options=-c%20a%3Db&application_name=x&keepalives=0&keepalives_idle=7&keepalives_interval=8\
            &keepalives_retries=9&tcp_user_timeout=10&channel_binding=require&load_balance_hosts=random";
        let url =
            |hosts: &str| config(&format!("postgresql://user:pass%2fword@{hosts}/name{rest}"));
        assert_eq!(split(&url("one:1")), Some(vec![url("one:1")]));
        let all = vec![url("one:1"), url("two:2"), url("%2frun%2fpostgresql:3")];
        assert_eq!(split(&url("one:1,two:2,%2frun%2fpostgresql:3")), Some(all));
        let addressed =
            |hosts, addresses| config(&format!("host={hosts} hostaddr={addresses} port=7"));
        let all = vec![addressed("one", "192.0.2.1"), addressed("two", "192.0.2.2")];
        assert_eq!(split(&addressed("one,two", "192.0.2.1,192.0.2.2")), Some(all));
    }

    #[test]
    fn what_does_not_fit_is_left_whole() {
        assert_eq!(split(&config("host=one,two port=1,2,3")), None);
        assert_eq!(split(&config("host=one,two hostaddr=192.0.2.1")), None);
        assert_eq!(split(&config("user=x")), None);
    }
}
