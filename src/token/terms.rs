//! The terms of a key: what it may do, from where, how often and for how long.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::base::clock::Timestamp;
use crate::token::scope::Scopes;

/// Networks at most: each may be looked at for every request.
const MOST_NETWORKS: usize = 50;

/// Requests a minute at most that a rate can be.
pub const HIGHEST_RATE: u32 = 1_000_000;

/// The terms of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// What it may do; none: everything that its owner may.
    pub scopes: Scopes,
    /// From where; none: from everywhere.
    pub networks: Networks,
    /// Requests a minute; `None`: any number.
    pub rate: Option<u32>,
    /// When it ends; `None`: never.
    pub expires_at: Option<Timestamp>,
}

impl Terms {
    /// Whether the key may less than its owner: such a key must not be able to shed its terms.
    #[must_use]
    pub fn are_narrow(&self) -> bool {
        !self.scopes.is_empty() || !self.networks.0.is_empty() || self.rate.is_some()
    }

    /// Whether the key has ended by `now` (RFC 7519 4.1.4: on or after).
    #[must_use]
    pub fn have_ended(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }
}

/// Networks that a credential may be presented from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

/// Why a text is no list of networks: a sentence that says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadNetwork(String);

impl fmt::Display for BadNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Networks {
    /// Reads networks and single addresses, between spaces or commas.
    pub fn parse(text: &str) -> Result<Self, BadNetwork> {
        let mut networks = Vec::new();
        let words = text.split(|c: char| c == ',' || c.is_ascii_whitespace());
        for word in words.filter(|word| !word.is_empty()) {
            let network =
                word.parse::<IpNet>().or_else(|_| word.parse::<IpAddr>().map(IpNet::from));
            let Ok(network) = network else {
                return Err(BadNetwork(format!(
                    "\"{}\" is no network: write 192.0.2.0/24 or 2001:db8::/32, or a single address.",
                    word.escape_default()
                )));
            };
            let network = network.trunc();
            if !networks.contains(&network) {
                networks.push(network);
            }
        }
        if networks.len() > MOST_NETWORKS {
            return Err(BadNetwork(format!("There are at most {MOST_NETWORKS} networks.")));
        }
        Ok(Self(networks))
    }

    /// Whether a client may be there. Where the address is not known, only if there are no networks; it is asked
    /// for only if there are some.
    #[must_use]
    pub fn admit(&self, client: impl FnOnce() -> Option<IpAddr>) -> bool {
        let within = |client: IpAddr| {
            let client = client.to_canonical();
            self.0.iter().any(|network| network.contains(&client))
        };
        self.0.is_empty() || client().is_some_and(within)
    }
}

/// All of them between spaces: reads back as the same list.
impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, network) in self.0.iter().enumerate() {
            let gap = if at == 0 { "" } else { " " };
            write!(f, "{gap}{network}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_and_hold() {
        let networks = Networks::parse("192.0.2.7/24, 2001:db8::1,198.51.100.1").expect("is one");
        assert_eq!(networks.to_string(), "192.0.2.0/24 2001:db8::1/128 198.51.100.1/32");
        assert_eq!(Networks::parse(&networks.to_string()), Ok(networks.clone()));
        let admits = |text: &str| networks.admit(|| Some(text.parse().expect("is an address")));
        assert!(admits("192.0.2.255") && admits("::ffff:192.0.2.1") && admits("2001:db8::1"));
        assert!(!admits("192.0.3.1") && !admits("2001:db8::2"));
        assert!(!networks.admit(|| None), "an unknown address is in no network");
        assert!(Networks::default().admit(|| None));
        for odd in ["192.0.2.0/33", "x", "192.0.2", "::/129", "example.org"] {
            assert!(Networks::parse(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn terms_end_on_their_second() {
        let at = Timestamp::from_seconds;
        let terms = Terms { expires_at: Some(at(10)), ..Terms::default() };
        assert!(!terms.have_ended(at(9)) && terms.have_ended(at(10)));
        assert!(!Terms::default().have_ended(at(i64::MAX)));
        assert!(!terms.are_narrow(), "an end alone takes nothing away while it lasts");
    }
}
