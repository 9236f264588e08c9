//! How many pages may wait on websockets. Anybody may open one before saying
//! who they are, and each is a connection here and a row in the database, so
//! they are counted: all together, and by address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;
use ipnet::IpNet;
use linkspan_api::ErrorCode;

use crate::error::Failure;
use crate::occasionally::Occasionally;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The seats of this process.
#[derive(Debug)]
pub(crate) struct Seats {
    most: usize,
    most_per_address: Option<NonZeroUsize>,
    proxies: Vec<IpNet>,
    taken: Mutex<Taken>,
    refused: Occasionally,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One page's seat; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    address: Option<IpAddr>,
}

impl Seats {
    pub(crate) fn new(
        most: usize,
        most_per_address: Option<NonZeroUsize>,
        proxies: Vec<IpNet>,
    ) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_per_address,
            proxies,
            taken: Mutex::default(),
            refused: Occasionally::default(),
        })
    }

    /// A seat for the page that asks; 429 when its address has its share, 503
    /// when all are taken.
    pub(crate) fn take(self: &Arc<Self>, request: &HttpRequest) -> Result<Seat, Failure> {
        let address = self.address(request);
        let taken = self.try_take(address);
        if let Err(reason) = taken
            && self.refused.is_due()
        {
            tracing::warn!(
                address = address.map(tracing::field::display),
                "websockets are refused: {reason}"
            );
        }
        let refused = |reason: Refused| {
            Failure::of(ErrorCode::TooManyWebsockets).with_status(reason.status())
        };
        taken.map_err(refused)?;
        Ok(Seat {
            seats: Arc::clone(self),
            address,
        })
    }

    fn try_take(&self, address: Option<IpAddr>) -> Result<(), Refused> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= self.most {
            return Err(Refused::Full);
        }
        if let Some(address) = address {
            let of_address = taken.by_address.entry(address).or_default();
            if self
                .most_per_address
                .is_some_and(|most| *of_address >= most.get())
            {
                return Err(Refused::Address);
            }
            *of_address += 1;
        }
        taken.all += 1;
        Ok(())
    }

    fn leave(&self, address: Option<IpAddr>) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        let Some(address) = address else { return };
        if let Some(of_address) = taken.by_address.get_mut(&address) {
            *of_address -= 1;
            if *of_address == 0 {
                taken.by_address.remove(&address);
            }
        }
    }

    /// Whom a request is counted for: the other end of its connection, or whom
    /// the proxies that are trusted name there.
    fn address(&self, request: &HttpRequest) -> Option<IpAddr> {
        let peer = request.peer_addr()?.ip();
        let named: Vec<&str> = request
            .headers()
            .get_all(X_FORWARDED_FOR)
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        Some(network(self.behind_proxies(peer, &named)))
    }

    /// Each proxy appends whom it heard from, so the list is read from its end,
    /// as far as those are trusted who wrote it.
    fn behind_proxies(&self, peer: IpAddr, named: &[&str]) -> IpAddr {
        let mut address = peer.to_canonical();
        for name in named.iter().rev() {
            if !self.proxies.iter().any(|proxy| proxy.contains(&address)) {
                break;
            }
            let Ok(next) = name.trim().parse::<IpAddr>() else {
                break;
            };
            address = next.to_canonical();
        }
        address
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.leave(self.address);
    }
}

/// What one customer of an internet provider gets: of IPv6 a /64.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

/// Why there is no seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Refused {
    #[error("this process has as many as it takes (server.max_websockets)")]
    Full,
    #[error(
        "this address has its share (server.max_websockets_per_address); if it is a reverse \
         proxy's, name it in server.trusted_proxies"
    )]
    Address,
}

impl Refused {
    const fn status(self) -> u16 {
        match self {
            Self::Full => 503,
            Self::Address => 429,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(most: usize, per_address: usize, proxies: &[&str]) -> Arc<Seats> {
        let proxies = proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
        Seats::new(most, NonZeroUsize::new(per_address), proxies)
    }

    #[test]
    fn seats_are_counted_together_and_by_address() {
        let seats = seats(3, 2, &[]);
        let [a, b] = ["192.0.2.1", "192.0.2.2"].map(|address| address.parse::<IpAddr>().ok());
        let taken = [a, a, a, b, b].map(|address| seats.try_take(address).err());
        let full = Some(Refused::Full);
        assert_eq!(taken, [None, None, Some(Refused::Address), None, full]);
        seats.leave(a);
        assert_eq!(seats.try_take(a), Ok(()));
        for address in [a, a, b] {
            seats.leave(address);
        }
        let left = seats.taken.lock().unwrap();
        assert_eq!((left.all, left.by_address.len()), (0, 0));
    }

    #[test]
    fn only_proxies_that_are_trusted_say_whom_they_speak_for() {
        let seats = seats(1, 1, &["10.0.0.0/8", "2001:db8::1/128"]);
        let cases: [(&str, &[&str], &str); 8] = [
            ("192.0.2.1", &["198.51.100.7"], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("::ffff:10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            // What the caller itself wrote comes first and is not reached.
            (
                "10.0.0.1",
                &["203.0.113.9", " 198.51.100.7"],
                "198.51.100.7",
            ),
            ("10.0.0.1", &["198.51.100.7", "10.2.3.4"], "198.51.100.7"),
            ("2001:db8::1", &["2001:db8:7::1"], "2001:db8:7::1"),
            ("10.0.0.1", &["unknown"], "10.0.0.1"),
        ];
        for (peer, named, expected) in cases {
            let address = seats.behind_proxies(peer.parse().unwrap(), named);
            assert_eq!(address.to_string(), expected, "{peer} {named:?}");
        }
    }

    #[test]
    fn neighbours_in_a_64_share() {
        let [one, two, other] = ["2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"]
            .map(|address| network(address.parse().unwrap()));
        assert_eq!(one, two);
        assert_ne!(one, other);
    }
}
