//! How many pages may wait on websockets. Anybody may open one before saying
//! who they are, and each is a connection here and a row in the database, so
//! they are counted: all together, and by address.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::HttpRequest;
use linkspan_api::ErrorCode;

use crate::callers::{Callers, Network};
use crate::error::Failure;
use crate::occasionally::Occasionally;

/// The seats of this process.
#[derive(Debug)]
pub(crate) struct Seats {
    most: usize,
    most_per_address: Option<NonZeroUsize>,
    callers: Callers,
    taken: Mutex<Taken>,
    refused: Occasionally,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<Network, usize>,
}

/// One page's seat; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    address: Option<Network>,
}

impl Seats {
    pub(crate) fn new(
        most: usize,
        most_per_address: Option<NonZeroUsize>,
        callers: Callers,
    ) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_per_address,
            callers,
            taken: Mutex::default(),
            refused: Occasionally::default(),
        })
    }

    /// A seat for the page that asks; 429 when its address has its share, 503
    /// when all are taken.
    pub(crate) fn take(self: &Arc<Self>, request: &HttpRequest) -> Result<Seat, Failure> {
        let address = self.callers.of(request);
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

    /// Seats that are taken.
    pub(crate) fn taken(&self) -> usize {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all
    }

    /// Seats that there are.
    pub(crate) const fn limit(&self) -> usize {
        self.most
    }

    fn try_take(&self, address: Option<Network>) -> Result<(), Refused> {
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

    fn leave(&self, address: Option<Network>) {
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
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.leave(self.address);
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
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn seats_are_counted_together_and_by_address() {
        let seats = Seats::new(3, NonZeroUsize::new(2), Callers::behind(Vec::new()));
        let [a, b] = ["192.0.2.1", "192.0.2.2"]
            .map(|address| address.parse::<IpAddr>().ok().map(Network::from));
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
}
