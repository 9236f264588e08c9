//! Which addresses and hosts may be called.

mod ranges;
mod rules;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use url::Host;

use self::ranges::Carrier;
pub use self::ranges::Range;
use self::rules::{Entry, HostRule};

/// Why an address or a host may not be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// The address lies in a range that is closed unless allowed.
    #[error("{} addresses may not be called", .0.name())]
    Range(Range),
    /// The operator denied the address.
    #[error("the address is on the deny list")]
    DeniedAddress,
    /// The operator denied the host name.
    #[error("the host is on the deny list")]
    DeniedHost,
}

/// An entry of an allow or deny list that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{entry:?} is not an IP address, a network, \"loopback\", \"private\", a host name or *.suffix: {reason}"
)]
pub struct PolicyError {
    /// The entry as it was written.
    pub entry: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// What may be called: everything public, minus what is denied, plus what is allowed.
///
/// A denial wins over a permission, and a permission over the built-in blocks.
/// A permitted *host name* opens loopback, private, unique-local and
/// carrier-grade NAT addresses for that name only; link-local and metadata
/// addresses open only to a permitted address or network, because names are
/// answered by whoever runs the zone.
#[derive(Debug, Clone, Default)]
pub struct AddressPolicy {
    allowed: Rules,
    denied: Rules,
}

#[derive(Debug, Clone, Default)]
struct Rules {
    networks: Vec<IpNet>,
    ranges: Vec<Range>,
    hosts: Vec<HostRule>,
}

impl Rules {
    fn add(&mut self, entry: Entry) {
        match entry {
            Entry::Network(network) => self.networks.push(network),
            Entry::Ranges(ranges) => self.ranges.extend(ranges),
            Entry::Host(host) => self.hosts.push(host),
        }
    }

    fn network(&self, address: IpAddr) -> bool {
        self.networks
            .iter()
            .any(|network| network.contains(&address))
    }

    fn host(&self, name: &str) -> bool {
        self.hosts.iter().any(|rule| rule.matches(name))
    }
}

impl AddressPolicy {
    /// Public addresses only.
    pub fn strict() -> Self {
        Self::default()
    }

    /// The strict policy with an operator's lists. An entry is an IP address,
    /// a network (`10.1.0.0/16`), the word `loopback` or `private` (RFC 1918
    /// and RFC 4193, without metadata addresses), a host name, or `*.suffix`
    /// (`.suffix`), which matches subdomains but not the suffix itself.
    ///
    /// # Errors
    /// The first entry that is none of these.
    pub fn from_settings(allow: &[String], deny: &[String]) -> Result<Self, PolicyError> {
        let mut policy = Self::strict();
        for entry in allow {
            policy.allowed.add(Entry::parse(entry)?);
        }
        for entry in deny {
            policy.denied.add(Entry::parse(entry)?);
        }
        Ok(policy)
    }

    /// Opens a network, whatever it contains.
    #[must_use]
    pub fn allow(mut self, network: IpNet) -> Self {
        self.allowed.add(Entry::network(network));
        self
    }

    /// Closes a network, also where it is reached through an IPv6 form that carries IPv4.
    #[must_use]
    pub fn deny(mut self, network: IpNet) -> Self {
        self.denied.add(Entry::network(network));
        self
    }

    /// Opens host names: exact ones, and `*.suffix` or `.suffix`.
    ///
    /// # Errors
    /// An entry that is not a host name.
    pub fn allow_hosts<S: AsRef<str>>(
        mut self,
        hosts: impl IntoIterator<Item = S>,
    ) -> Result<Self, PolicyError> {
        for host in hosts {
            self.allowed.hosts.push(HostRule::parse(host.as_ref())?);
        }
        Ok(self)
    }

    /// Closes host names: exact ones, and `*.suffix` or `.suffix`.
    ///
    /// # Errors
    /// An entry that is not a host name.
    pub fn deny_hosts<S: AsRef<str>>(
        mut self,
        hosts: impl IntoIterator<Item = S>,
    ) -> Result<Self, PolicyError> {
        for host in hosts {
            self.denied.hosts.push(HostRule::parse(host.as_ref())?);
        }
        Ok(self)
    }

    /// Whether an address may be called, whichever name led to it.
    ///
    /// # Errors
    /// Why it may not.
    pub fn check_ip(&self, address: IpAddr) -> Result<(), Blocked> {
        self.check_address(address, false)
    }

    /// Whether a host may be called as far as its spelling tells. A name that
    /// passes is checked again when its addresses are known.
    ///
    /// # Errors
    /// Why it may not.
    pub fn check_host<S: AsRef<str>>(&self, host: &Host<S>) -> Result<(), Blocked> {
        match host {
            Host::Ipv4(address) => self.check_ip((*address).into()),
            Host::Ipv6(address) => self.check_ip((*address).into()),
            Host::Domain(name) => self.check_name(&rules::normal_name(name.as_ref())),
        }
    }

    /// Whether an address that `name` resolved to may be called.
    pub(crate) fn check_resolved(&self, name: &str, address: IpAddr) -> Result<(), Blocked> {
        self.check_address(address, self.allowed.host(&rules::normal_name(name)))
    }

    fn check_name(&self, name: &str) -> Result<(), Blocked> {
        if let Ok(address) = name.parse::<IpAddr>() {
            return self.check_ip(address);
        }
        if self.denied.host(name) {
            return Err(Blocked::DeniedHost);
        }
        if rules::is_metadata(name) && !self.allowed.host(name) {
            return Err(Blocked::Range(Range::Metadata));
        }
        // RFC 6761, 6.3: these names are loopback whatever a resolver says.
        let local = name == "localhost" || name.ends_with(".localhost");
        if !local || self.allowed.host(name) {
            return Ok(());
        }
        self.check_ip(Ipv4Addr::LOCALHOST.into())
            .or_else(|_| self.check_ip(Ipv6Addr::LOCALHOST.into()))
    }

    fn check_address(&self, address: IpAddr, by_name: bool) -> Result<(), Blocked> {
        match address {
            IpAddr::V4(v4) => self.check_v4(v4, by_name),
            IpAddr::V6(v6) => self.check_v6(v6, by_name),
        }
    }

    fn check_v4(&self, v4: Ipv4Addr, by_name: bool) -> Result<(), Blocked> {
        self.check_range(v4.into(), ranges::of_v4(v4), by_name)
    }

    fn check_v6(&self, v6: Ipv6Addr, by_name: bool) -> Result<(), Blocked> {
        let literal = IpAddr::V6(v6);
        let Some(carrier) = ranges::carried(v6) else {
            return self.check_range(literal, ranges::of_v6(v6), by_name);
        };
        if self.denied.network(literal) {
            return Err(Blocked::DeniedAddress);
        }
        match carrier {
            Carrier::Mapped(inner) => self.check_v4(inner, by_name),
            // The address inside is seen from the translator, so permissions
            // for this host's loopback or network do not speak about it.
            Carrier::Nat64(inner) if !self.allowed.network(literal) => {
                Self::strict().check_v4(inner, false)?;
                self.check_v4(inner, false)
            }
            Carrier::Nat64(inner) => self.check_v4(inner, false),
            Carrier::Tunnel(_) if !self.allowed.network(literal) => {
                Err(Blocked::Range(Range::Tunnel))
            }
            Carrier::Tunnel(inner) => inner
                .into_iter()
                .try_for_each(|inner| self.check_v4(inner, false)),
        }
    }

    fn check_range(
        &self,
        address: IpAddr,
        range: Option<Range>,
        by_name: bool,
    ) -> Result<(), Blocked> {
        let denied_range = range.is_some_and(|range| self.denied.ranges.contains(&range));
        if denied_range || self.denied.network(address) {
            return Err(Blocked::DeniedAddress);
        }
        let Some(range) = range else { return Ok(()) };
        let open = self.allowed.network(address)
            || self.allowed.ranges.contains(&range)
            || (by_name && rules::OPEN_TO_NAMES.contains(&range));
        if open {
            Ok(())
        } else {
            Err(Blocked::Range(range))
        }
    }
}
