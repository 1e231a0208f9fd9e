//! Networks: an address alone, or one with the length of its prefix.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;

/// The addresses of a network, such as `10.1.0.0/16`; a single one where no length is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// The addresses of a machine itself.
    #[must_use]
    pub fn loopback() -> Vec<Self> {
        let v4 = IpNet::new_assert(IpAddr::from([127, 0, 0, 0]), 8);
        let v6 = IpNet::from(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]));
        vec![Self(v4), Self(v6)]
    }

    /// Whether an address is one of it; one of version 4 that is written as one of version 6 counts
    /// as what it is.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let alone = text.parse::<IpAddr>().map(IpNet::from);
        let network = alone.or_else(|_| text.parse::<IpNet>());
        network.map(Self).map_err(|_| {
            format!("{text:?} is neither an address nor a network such as \"10.1.0.0/16\"")
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            self.0.addr().fmt(f)
        } else {
            self.0.fmt(f)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_address_is_in_a_network() {
        let has = |network: &str, address: &str| {
            let network: Network = network.parse().unwrap();
            network.has(address.parse().unwrap())
        };
        assert!(has("10.1.0.0/16", "10.1.255.255") && !has("10.1.0.0/16", "10.2.0.0"));
        assert!(has("10.1.0.0/16", "::ffff:10.1.2.3"));
        assert!(has("10.1.2.3", "10.1.2.3") && !has("10.1.2.3", "10.1.2.4"));
        assert!(has("fd00::/8", "fd12::1") && !has("fd00::/8", "10.1.2.3"));
        for wrong in ["10.1.2.3/33", "studio.test", "10.1.2.3:80", ""] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
        let shown = Network::loopback();
        let shown: Vec<String> = shown.iter().map(Network::to_string).collect();
        assert_eq!(shown, ["127.0.0.0/8", "::1"]);
    }
}
