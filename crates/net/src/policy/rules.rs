//! What an operator may write in an allow or deny list.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use url::Host;

use super::{PolicyError, Range};

/// The ranges that a permitted host name opens for its own addresses.
pub(super) const OPEN_TO_NAMES: [Range; 4] = [
    Range::Loopback,
    Range::Private,
    Range::UniqueLocal,
    Range::CarrierNat,
];

/// Names that clouds give their instances for the metadata endpoint. They
/// resolve to addresses that are blocked anyway, unless somebody's resolver has
/// another view of them.
const METADATA_NAMES: [&str; 6] = [
    "instance-data",
    "instance-data.ec2.internal",
    "metadata",
    "metadata.goog",
    "metadata.google.internal",
    "metadata.tencentyun.com",
];

pub(super) fn is_metadata(name: &str) -> bool {
    METADATA_NAMES.contains(&name)
}

/// Lower case, without the trailing dot of an absolute name.
pub(super) fn normal_name(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

pub(super) enum Entry {
    Network(IpNet),
    Ranges(Vec<Range>),
    Host(HostRule),
}

impl Entry {
    pub(super) fn parse(text: &str) -> Result<Self, PolicyError> {
        let entry = text.trim();
        match entry {
            "loopback" => return Ok(Self::Ranges(vec![Range::Loopback])),
            "private" => return Ok(Self::Ranges(vec![Range::Private, Range::UniqueLocal])),
            _ => {}
        }
        if entry.contains('/') {
            let network: IpNet = entry.parse().map_err(|_| error(text, "not a network"))?;
            if network.addr() != network.network() {
                return Err(error(text, "the address has bits outside its prefix"));
            }
            return Ok(Self::network(network));
        }
        if let Ok(address) = entry.parse::<IpAddr>() {
            return Ok(Self::network(address.into()));
        }
        // Also reads the other spellings of an address, such as 0x7f.1 or [::1].
        match Host::parse(entry) {
            Ok(Host::Ipv4(address)) => Ok(Self::network(IpAddr::from(address).into())),
            Ok(Host::Ipv6(address)) => Ok(Self::network(IpAddr::from(address).into())),
            _ => HostRule::parse(text).map(Self::Host),
        }
    }

    /// A network inside `::ffff:0:0/96` is the IPv4 network that it stands for.
    pub(super) fn network(network: IpNet) -> Self {
        let IpNet::V6(v6) = network else {
            return Self::Network(network);
        };
        let mapped = v6.prefix_len().checked_sub(96).and_then(|prefix| {
            let address: Ipv4Addr = v6.addr().to_ipv4_mapped()?;
            Ipv4Net::new(address, prefix).ok()
        });
        Self::Network(mapped.map_or(network, IpNet::V4))
    }
}

/// A host name, or everything below one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HostRule {
    Exact(String),
    /// With its leading dot.
    Below(String),
}

impl HostRule {
    pub(super) fn parse(text: &str) -> Result<Self, PolicyError> {
        let entry = text.trim();
        let suffix = entry.strip_prefix("*.").or_else(|| entry.strip_prefix('.'));
        let Ok(Host::Domain(name)) = Host::parse(suffix.unwrap_or(entry)) else {
            return Err(error(text, "not a host name"));
        };
        let name = normal_name(&name);
        if name.is_empty()
            || name
                .split('.')
                .any(|label| label.is_empty() || label.contains('*'))
        {
            return Err(error(text, "* may stand only for the first label"));
        }
        Ok(match suffix {
            Some(_) => Self::Below(format!(".{name}")),
            None => Self::Exact(name),
        })
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::Below(suffix) => name.len() > suffix.len() && name.ends_with(suffix.as_str()),
        }
    }
}

fn error(entry: &str, reason: &'static str) -> PolicyError {
    PolicyError {
        entry: entry.to_owned(),
        reason,
    }
}
