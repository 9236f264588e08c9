//! Whose call it is, by its address.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The addresses that one caller may have: one of IPv4, or a /64 of IPv6,
/// which is the least that networks give to one of theirs (RFC 6177).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(v4.into()),
            IpAddr::V6(v6) => Self(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into()),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Knows who calls: whoever opened the connection, or whom the reverse proxies
/// that are trusted name there.
#[derive(Debug, Clone)]
pub(crate) struct Callers {
    proxies: Vec<IpNet>,
}

impl Callers {
    pub(crate) const fn behind(proxies: Vec<IpNet>) -> Self {
        Self { proxies }
    }

    /// Where a call comes from.
    pub(crate) fn of(&self, request: &HttpRequest) -> Option<Network> {
        let peer = request.peer_addr()?.ip().to_canonical();
        if !self.trust(peer) {
            return Some(peer.into());
        }
        let named: Vec<&str> = request
            .headers()
            .get_all(X_FORWARDED_FOR)
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        Some(self.behind_proxies(peer, &named).into())
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|proxy| proxy.contains(&address))
    }

    /// Each proxy appends whom it heard from, so the list is read from its end,
    /// as far as those are trusted who wrote it.
    fn behind_proxies(&self, peer: IpAddr, named: &[&str]) -> IpAddr {
        let mut address = peer;
        for name in named.iter().rev() {
            let Some(next) = address_of(name.trim()) else {
                break;
            };
            address = next.to_canonical();
            if !self.trust(address) {
                break;
            }
        }
        address
    }
}

/// Some proxies write the caller's port, too.
fn address_of(name: &str) -> Option<IpAddr> {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let with_port = || Some(name.parse::<SocketAddr>().ok()?.ip());
    bare.parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn network(text: &str) -> Network {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn an_ipv6_caller_has_a_whole_subnet() {
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:0:0:2"));
        assert_ne!(network("2001:db8:0:1::1"), network("2001:db8:0:2::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }

    #[test]
    fn only_proxies_that_are_trusted_say_whom_they_speak_for() {
        let proxies = ["10.0.0.0/8", "2001:db8::1/128"];
        let callers = Callers::behind(proxies.map(|proxy| proxy.parse().unwrap()).to_vec());
        let cases: [(&str, &[&str], &str); 12] = [
            ("192.0.2.1:1", &["198.51.100.7"], "192.0.2.1"),
            ("10.0.0.1:1", &[], "10.0.0.1"),
            ("10.0.0.1:1", &["198.51.100.7"], "198.51.100.7"),
            ("[::ffff:10.0.0.1]:1", &["198.51.100.7"], "198.51.100.7"),
            // What the caller itself wrote comes first and is not reached.
            ("10.0.0.1:1", &["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
            (
                "10.0.0.1:1",
                &["203.0.113.9", "198.51.100.7"],
                "198.51.100.7",
            ),
            ("10.0.0.1:1", &["198.51.100.7, 10.2.3.4"], "198.51.100.7"),
            ("[2001:db8::1]:1", &["2001:db8:7::1"], "2001:db8:7::1"),
            ("10.0.0.1:1", &["unknown"], "10.0.0.1"),
            ("10.0.0.1:1", &["198.51.100.7:51234"], "198.51.100.7"),
            ("10.0.0.1:1", &["[2001:db8:7::1]:443"], "2001:db8:7::1"),
            ("10.0.0.1:1", &["[2001:db8:7::1]"], "2001:db8:7::1"),
        ];
        for (peer, named, expected) in cases {
            let mut request = TestRequest::get().peer_addr(peer.parse().unwrap());
            for value in named {
                request = request.append_header(("x-forwarded-for", *value));
            }
            let found = callers.of(&request.to_http_request());
            assert_eq!(found, Some(network(expected)), "{peer} {named:?}");
        }
    }
}
