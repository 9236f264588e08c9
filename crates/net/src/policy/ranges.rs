//! The special-purpose address blocks, from the IANA registries for IPv4 and
//! IPv6 (RFC 6890 and its successors) and the metadata addresses of clouds.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A kind of address that is not part of the public internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Range {
    /// A cloud's instance metadata or credentials endpoint.
    Metadata,
    /// `0.0.0.0/8` and `::` (RFC 1122, RFC 4291): on Linux, this host.
    Unspecified,
    /// `127.0.0.0/8` and `::1` (RFC 1122, RFC 4291).
    Loopback,
    /// `10/8`, `172.16/12`, `192.168/16` (RFC 1918).
    Private,
    /// `fc00::/7` (RFC 4193).
    UniqueLocal,
    /// `100.64.0.0/10` (RFC 6598).
    CarrierNat,
    /// `169.254.0.0/16` and `fe80::/10` (RFC 3927, RFC 4291).
    LinkLocal,
    /// `fec0::/10` (RFC 3879), deprecated and still routed by some.
    SiteLocal,
    /// `198.18.0.0/15` and `2001:2::/48` (RFC 2544, RFC 5180).
    Benchmarking,
    /// The example networks (RFC 5737, RFC 3849, RFC 9637).
    Documentation,
    /// `192.0.0.0/24`, `192.88.99.0/24` and the rest of `2001::/23` (RFC 6890, RFC 7526).
    Protocol,
    /// `224.0.0.0/4` and `ff00::/8` (RFC 5771, RFC 4291).
    Multicast,
    /// `255.255.255.255` (RFC 919).
    Broadcast,
    /// `240.0.0.0/4`, and IPv6 outside `2000::/3` (RFC 1112, RFC 4291).
    Reserved,
    /// An IPv6 form that carries an IPv4 address through a tunnel or a
    /// translator that no public API needs: IPv4-compatible, IPv4-translated,
    /// 6to4, Teredo, ISATAP, local-use NAT64.
    Tunnel,
}

impl Range {
    /// What the range is called in an error message.
    pub fn name(self) -> &'static str {
        match self {
            Self::Metadata => "cloud metadata",
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::UniqueLocal => "unique-local",
            Self::CarrierNat => "carrier-grade NAT",
            Self::LinkLocal => "link-local",
            Self::SiteLocal => "site-local",
            Self::Benchmarking => "benchmarking",
            Self::Documentation => "documentation",
            Self::Protocol => "protocol-assignment",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Reserved => "reserved",
            Self::Tunnel => "tunnelled",
        }
    }
}

/// The special range of an IPv4 address; `None` for a public one.
pub(super) fn of_v4(address: Ipv4Addr) -> Option<Range> {
    match address.octets() {
        // AWS, Google, Azure and most others; ECS and EKS; Azure's host agent,
        // which is a public address; Alibaba; Oracle.
        [169, 254, 169, 254]
        | [169, 254, 170, 2 | 23]
        | [168, 63, 129, 16]
        | [100, 100, 100, 200]
        | [192, 0, 0, 192] => Some(Range::Metadata),
        [0, ..] => Some(Range::Unspecified),
        [127, ..] => Some(Range::Loopback),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some(Range::Private),
        [100, 64..=127, ..] => Some(Range::CarrierNat),
        [169, 254, ..] => Some(Range::LinkLocal),
        [192, 0, 0, _] | [192, 88, 99, _] => Some(Range::Protocol),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Some(Range::Documentation),
        [198, 18..=19, ..] => Some(Range::Benchmarking),
        [224..=239, ..] => Some(Range::Multicast),
        [255, 255, 255, 255] => Some(Range::Broadcast),
        [240..=255, ..] => Some(Range::Reserved),
        _ => None,
    }
}

/// The special range of an IPv6 address that is not one of the [`Carrier`]
/// forms; `None` for a public one.
pub(super) fn of_v6(address: Ipv6Addr) -> Option<Range> {
    match address.segments() {
        // AWS's metadata (and EKS) prefix; Google's.
        [0xfd00, 0xec2, ..] | [0xfd20, 0xce, ..] => Some(Range::Metadata),
        [0, 0, 0, 0, 0, 0, 0, 0] => Some(Range::Unspecified),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(Range::Loopback),
        [0xfc00..=0xfdff, ..] => Some(Range::UniqueLocal),
        [0xfe80..=0xfebf, ..] => Some(Range::LinkLocal),
        [0xfec0..=0xfeff, ..] => Some(Range::SiteLocal),
        [0xff00..=0xffff, ..] => Some(Range::Multicast),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => Some(Range::Documentation),
        [0x2001, 2, 0, ..] => Some(Range::Benchmarking),
        [0x2001, 0..=0x01ff, ..] => Some(Range::Protocol),
        [0x2000..=0x3fff, ..] => None,
        _ => Some(Range::Reserved),
    }
}

/// How an IPv6 address carries an IPv4 one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// `::ffff:0:0/96`: the kernel opens an IPv4 connection.
    Mapped(Ipv4Addr),
    /// `64:ff9b::/96` (RFC 6052): the way to the whole IPv4 internet from a
    /// network that has only IPv6, so the address inside decides.
    Nat64(Ipv4Addr),
    /// Every other form; all IPv4 addresses that it could stand for.
    Tunnel([Ipv4Addr; 2]),
}

/// The IPv4 address inside `address`, if its form has one.
pub(super) fn carried(address: Ipv6Addr) -> Option<Carrier> {
    let s = address.segments();
    let v4 = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    let last = v4(s[6], s[7]);
    match s {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0xffff, ..] => Some(Carrier::Mapped(last)),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(Carrier::Nat64(last)),
        // Local-use NAT64 (RFC 8215), IPv4-compatible (RFC 4291), IPv4-translated (RFC 2765).
        [0x64, 0xff9b, 1, ..] | [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => {
            Some(Carrier::Tunnel([last, last]))
        }
        [0x2002, high, low, ..] => Some(Carrier::Tunnel([v4(high, low); 2])),
        // RFC 4380: the server's address, then the client's, inverted.
        [0x2001, 0, high, low, ..] => Some(Carrier::Tunnel([v4(high, low), v4(!s[6], !s[7])])),
        // ISATAP (RFC 5214): the interface identifier, under any prefix.
        [_, _, _, _, 0 | 0x0200, 0x5efe, ..] => Some(Carrier::Tunnel([last, last])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn edges(first: [u8; 4], last: [u8; 4], range: Range) {
        let (first, last) = (Ipv4Addr::from(first), Ipv4Addr::from(last));
        assert_eq!(of_v4(first), Some(range), "{first}");
        assert_eq!(of_v4(last), Some(range), "{last}");
        for outside in [
            u32::from(first).checked_sub(1),
            u32::from(last).checked_add(1),
        ] {
            if let Some(outside) = outside.map(Ipv4Addr::from) {
                assert_ne!(of_v4(outside), Some(range), "{outside}");
            }
        }
    }

    #[test]
    fn ranges_of_ipv4_end_where_the_registry_says() {
        edges([0, 0, 0, 0], [0, 255, 255, 255], Range::Unspecified);
        edges([10, 0, 0, 0], [10, 255, 255, 255], Range::Private);
        edges([100, 64, 0, 0], [100, 127, 255, 255], Range::CarrierNat);
        edges([127, 0, 0, 0], [127, 255, 255, 255], Range::Loopback);
        edges([169, 254, 0, 0], [169, 254, 255, 255], Range::LinkLocal);
        edges([172, 16, 0, 0], [172, 31, 255, 255], Range::Private);
        edges([192, 0, 0, 0], [192, 0, 0, 255], Range::Protocol);
        edges([192, 0, 2, 0], [192, 0, 2, 255], Range::Documentation);
        edges([192, 88, 99, 0], [192, 88, 99, 255], Range::Protocol);
        edges([192, 168, 0, 0], [192, 168, 255, 255], Range::Private);
        edges([198, 18, 0, 0], [198, 19, 255, 255], Range::Benchmarking);
        edges([198, 51, 100, 0], [198, 51, 100, 255], Range::Documentation);
        edges([203, 0, 113, 0], [203, 0, 113, 255], Range::Documentation);
        edges([224, 0, 0, 0], [239, 255, 255, 255], Range::Multicast);
        edges([240, 0, 0, 0], [255, 255, 255, 254], Range::Reserved);
        edges([255, 255, 255, 255], [255, 255, 255, 255], Range::Broadcast);
    }

    #[test]
    fn teredo_carries_the_server_and_the_inverted_client() {
        let address: Ipv6Addr = "2001:0:c000:201:0:ffff:80ff:fffe".parse().unwrap();
        assert_eq!(
            carried(address),
            Some(Carrier::Tunnel([
                Ipv4Addr::new(192, 0, 2, 1),
                Ipv4Addr::new(127, 0, 0, 1)
            ]))
        );
    }
}
