//! Whose call it is, by its address.

use std::net::{IpAddr, Ipv6Addr};

use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;

/// The addresses that one caller may have: one of IPv4, or a /64 of IPv6,
/// which is the least that networks give to one of theirs (RFC 6177).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(v4.into()),
            IpAddr::V6(v6) => {
                let prefix = v6.to_bits() >> 64 << 64;
                Self(Ipv6Addr::from_bits(prefix).into())
            }
        }
    }
}

/// Knows who calls.
#[derive(Debug)]
pub(super) struct Callers {
    header: Option<HeaderName>,
}

impl Callers {
    /// Behind a reverse proxy that names the caller in a header; without one,
    /// the caller is whoever opened the connection.
    pub(super) const fn named_in(header: Option<HeaderName>) -> Self {
        Self { header }
    }

    /// Where a call comes from. Without an address in the header it is the
    /// proxy's own call.
    pub(super) fn of(&self, request: &HttpRequest) -> Option<Network> {
        self.named(request)
            .or_else(|| Some(request.peer_addr()?.ip()))
            .map(Network::from)
    }

    /// The last address of the header: those before it are what the caller
    /// sent, and may say anything.
    fn named(&self, request: &HttpRequest) -> Option<IpAddr> {
        let values = request.headers().get_all(self.header.as_ref()?);
        let last = values.last()?.to_str().ok()?.rsplit(',').next()?;
        last.trim().parse().ok()
    }
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
    fn what_a_caller_says_of_itself_does_not_count() {
        let request = |values: &[&'static str]| {
            let mut request = TestRequest::get().peer_addr("192.0.2.9:1".parse().unwrap());
            for value in values {
                request = request.append_header(("x-forwarded-for", *value));
            }
            request.to_http_request()
        };
        let behind = Callers::named_in(Some(HeaderName::from_static("x-forwarded-for")));
        for (values, caller) in [
            (&["192.0.2.1"][..], "192.0.2.1"),
            (&["203.0.113.7, 192.0.2.1"], "192.0.2.1"),
            (&["203.0.113.7", "192.0.2.1"], "192.0.2.1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["unknown"], "192.0.2.9"),
            (&[], "192.0.2.9"),
        ] {
            assert_eq!(
                behind.of(&request(values)),
                Some(network(caller)),
                "{values:?}"
            );
        }
        let direct = Callers::named_in(None);
        let faked = request(&["203.0.113.7"]);
        assert_eq!(direct.of(&faked), Some(network("192.0.2.9")));
    }
}
