//! Ways to spell an address so that a filter does not recognise it.

use Expected::{Allowed, Blocked as No, BlockedResolved, Invalid};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// The policy refuses the host as it is spelled.
    Blocked,
    /// The host is a name; the policy refuses where it resolves to.
    BlockedResolved,
    /// It is not a URL, or one that the client does not take.
    Invalid,
    /// A public host.
    Allowed,
}

/// What must come of it, why, and what a caller writes.
type Rows = (Expected, &'static str, &'static [&'static str]);

const TRICKS: &[Rows] = &[
    // Plain addresses.
    (
        No,
        "this host: loopback, RFC 1122",
        &[
            "http://127.0.0.1/",
            "http://127.255.255.254/",
            "https://127.0.0.1:8443/",
            "http://127.0.0.1:80/",
        ],
    ),
    (
        No,
        "0/8 is this host on Linux",
        &["http://0.0.0.0/", "http://0.1.2.3/"],
    ),
    (
        No,
        "private network, RFC 1918",
        &[
            "http://10.0.0.1/",
            "http://172.16.0.1/",
            "http://172.31.255.255/",
            "http://192.168.1.1/",
        ],
    ),
    (
        No,
        "carrier-grade NAT, RFC 6598",
        &["http://100.64.0.1/", "http://100.127.255.255/"],
    ),
    (No, "link-local, RFC 3927", &["http://169.254.1.1/"]),
    (No, "protocol assignments, RFC 6890", &["http://192.0.0.8/"]),
    (No, "6to4 relays, RFC 7526", &["http://192.88.99.1/"]),
    (
        No,
        "examples, RFC 5737",
        &[
            "http://192.0.2.1/",
            "http://198.51.100.1/",
            "http://203.0.113.1/",
        ],
    ),
    (
        No,
        "benchmarks, RFC 2544",
        &["http://198.18.0.1/", "http://198.19.255.255/"],
    ),
    (
        No,
        "multicast, RFC 5771",
        &["http://224.0.0.1/", "http://239.255.255.250/"],
    ),
    (No, "reserved, RFC 1112", &["http://240.0.0.1/"]),
    (No, "broadcast, RFC 919", &["http://255.255.255.255/"]),
    (
        Allowed,
        "public: just outside a range",
        &[
            "http://172.32.0.1/",
            "http://100.128.0.1/",
            "http://198.20.0.1/",
            "http://11.0.0.0/",
        ],
    ),
    // Metadata endpoints.
    (
        No,
        "AWS, Google, Azure and others",
        &["http://169.254.169.254/latest/meta-data/"],
    ),
    (
        No,
        "credentials of ECS and EKS",
        &[
            "http://169.254.170.2/v2/credentials",
            "http://169.254.170.23/v1/credentials",
        ],
    ),
    (
        No,
        "Azure's host agent, though the address is public",
        &["http://168.63.129.16/machine"],
    ),
    (No, "Alibaba", &["http://100.100.100.200/"]),
    (No, "Oracle", &["http://192.0.0.192/"]),
    (
        No,
        "AWS over IPv6",
        &["http://[fd00:ec2::254]/latest/", "http://[fd00:ec2::23]/"],
    ),
    (No, "Google over IPv6", &["http://[fd20:ce::254]/"]),
    (
        No,
        "a cloud's name for it, whatever it resolves to",
        &[
            "http://metadata.google.internal/",
            "http://METADATA.google.internal./computeMetadata/v1/",
            "http://metadata.goog/",
            "http://metadata/",
            "http://instance-data/latest/",
            "http://metadata.tencentyun.com/",
        ],
    ),
    // Decimal, octal, hexadecimal, short and mixed spellings: getaddrinfo reads them.
    (No, "decimal", &["http://2130706433/", "http://2852039166/"]),
    (
        No,
        "octal",
        &[
            "http://017700000001/",
            "http://0177.0.0.1/",
            "http://0251.0376.0251.0376/",
            "http://00000177.0.0.1/",
        ],
    ),
    (
        No,
        "hexadecimal",
        &[
            "http://0x7f000001/",
            "http://0X7F.1/",
            "http://0xa9fea9fe/",
            "http://0x7f.0x0.0x0.0x1/",
        ],
    ),
    (No, "octal and hexadecimal mixed", &["http://0177.0.0.0x1/"]),
    (
        No,
        "parts left out",
        &[
            "http://127.1/",
            "http://127.0.1/",
            "http://169.254.43518/",
            "http://10.1/",
        ],
    ),
    (
        No,
        "zero is this host",
        &["http://0/", "http://00000.0/", "http://0x0/"],
    ),
    (
        No,
        "the dot of an absolute name",
        &["http://127.0.0.1./", "http://2130706433./"],
    ),
    (Allowed, "hexadecimal, but public", &["http://0x08080808/"]),
    (
        Invalid,
        "a part is too large for an address, and no name ends in a number",
        &[
            "http://127.0.0.256/",
            "http://4294967297/",
            "http://1.2.3.4.5/",
            "http://0x1.0x2.0x3.0x4.0x5/",
        ],
    ),
    (
        BlockedResolved,
        "looks like an address and is a name: its addresses decide",
        &["http://0x7f.0.0.1.example/"],
    ),
    // Percent-encoding and Unicode: hosts are decoded and mapped by UTS 46.
    (
        No,
        "percent-encoded digits",
        &[
            "http://%31%32%37.0.0.1/",
            "http://%6c%6f%63%61%6c%68%6f%73%74/",
        ],
    ),
    (No, "percent-encoded dots", &["http://127%2e0%2e0%2e1/"]),
    (
        No,
        "circled digits",
        &["http://①②⑦.⓪.⓪.①/", "http://①⑥⑨。②⑤④。①⑥⑨。②⑤④/"],
    ),
    (
        No,
        "ideographic and halfwidth dots",
        &["http://127。0。0。1/", "http://127｡0｡0｡1/"],
    ),
    (
        No,
        "fullwidth digits and dots",
        &[
            "http://\u{ff11}\u{ff12}\u{ff17}.0.0.1/",
            "http://\u{ff11}\u{ff10}\u{ff0e}0\u{ff0e}0\u{ff0e}1/",
        ],
    ),
    (
        No,
        "mathematical and superscript digits",
        &["http://𝟏𝟐𝟕.𝟎.𝟎.𝟏/", "http://¹²⁷.0.0.1/"],
    ),
    (
        Invalid,
        "other scripts' digits stay letters, and the last label is a number",
        &["http://١٢٧.0.0.1/", "http://१२७.0.0.1/"],
    ),
    (
        No,
        "circled and fullwidth letters",
        &["http://ⓛocalhost/", "http://ｌｏｃａｌｈｏｓｔ/"],
    ),
    (No, "a soft hyphen is dropped", &["http://lo\u{ad}calhost/"]),
    (
        No,
        "a zero-width space is dropped",
        &["http://127.0.0.1\u{200b}/"],
    ),
    (
        Invalid,
        "NUL ends a C string, and is no part of a host",
        &["http://127.0.0.1%00.example.com/"],
    ),
    (
        Invalid,
        "a space is no part of a host",
        &["http://127.0.0.1%20/", "http://127.0.0.1 .example/"],
    ),
    (
        No,
        "tabs and newlines are dropped from URLs",
        &[
            "http://127.0.0.1\t/",
            "http://127.0.\n0.1/",
            "ht\ntp://127.0.0.1/",
            "http://loc\r\nalhost/",
        ],
    ),
    // Names.
    (
        No,
        "loopback by RFC 6761, whatever a resolver says",
        &[
            "http://localhost/",
            "http://localhost./",
            "http://LOCALHOST./",
            "http://api.localhost/",
            "http://a.b.LocalHost/",
        ],
    ),
    (
        BlockedResolved,
        "a public zone that points inside",
        &["http://localtest.example/", "http://127.0.0.1.nip.example/"],
    ),
    (
        BlockedResolved,
        "a cluster's name",
        &[
            "http://kubernetes.default.svc/",
            "http://kubernetes.default.svc.cluster.local/",
        ],
    ),
    (
        BlockedResolved,
        "a single label goes through the search list",
        &["http://intranet/"],
    ),
    (
        BlockedResolved,
        "punycode",
        &["http://xn--nxasmq6b/", "http://xn--fiqs8s.example/"],
    ),
    (Invalid, "punycode that does not decode", &["http://xn--a/"]),
    // What stands before the host.
    (
        No,
        "the user name looks like a host",
        &[
            "http://example.com@127.0.0.1/",
            "http://example.com:80@127.0.0.1/",
            "http://a@b@127.0.0.1/",
        ],
    ),
    (
        Invalid,
        "a user name is never sent",
        &[
            "http://127.0.0.1@public.example/",
            "http://user:password@public.example/",
        ],
    ),
    (
        Invalid,
        "an encoded @ is no part of a host",
        &["http://example.com%40127.0.0.1/"],
    ),
    (
        No,
        "a backslash is a slash",
        &["http://127.0.0.1\\@example.com/", "http:\\\\127.0.0.1/"],
    ),
    (
        No,
        "slashes too few or too many",
        &["http:127.0.0.1/", "http:/127.0.0.1/", "http:////127.0.0.1/"],
    ),
    (
        No,
        "the host ends at # and ?",
        &[
            "http://127.0.0.1#@example.com/",
            "http://127.0.0.1?@example.com/",
        ],
    ),
    (
        Invalid,
        "a port that is none",
        &["http://127.0.0.1:99999/", "http://127.0.0.1:80:80/"],
    ),
    // IPv6.
    (
        No,
        "loopback",
        &[
            "http://[::1]/",
            "http://[0:0:0:0:0:0:0:1]/",
            "http://[0000:0000:0000:0000:0000:0000:0000:0001]/",
        ],
    ),
    (No, "unspecified is this host", &["http://[::]/"]),
    (
        No,
        "link-local",
        &["http://[fe80::1]/", "http://[febf::1]/"],
    ),
    (
        Invalid,
        "a zone id is no part of a URL's host",
        &[
            "http://[fe80::1%25eth0]/",
            "http://[::1%25lo]/",
            "http://[fe80::1%eth0]/",
        ],
    ),
    (No, "site-local, RFC 3879", &["http://[fec0::1]/"]),
    (
        No,
        "unique-local, RFC 4193",
        &["http://[fc00::1]/", "http://[fdff:ffff::1]/"],
    ),
    (No, "multicast", &["http://[ff02::1]/", "http://[ff0e::1]/"]),
    (
        No,
        "examples, RFC 3849 and RFC 9637",
        &["http://[2001:db8::1]/", "http://[3fff::1]/"],
    ),
    (No, "benchmarks, RFC 5180", &["http://[2001:2::1]/"]),
    (No, "ORCHID, RFC 7343", &["http://[2001:20::1]/"]),
    (No, "discard-only, RFC 6666", &["http://[100::1]/"]),
    (No, "segment routing, RFC 9602", &["http://[5f00::1]/"]),
    (Allowed, "public", &["http://[2606:4700:4700::1111]/"]),
    // IPv4 inside IPv6.
    (
        No,
        "IPv4-mapped: the kernel opens an IPv4 connection",
        &[
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[0:0:0:0:0:ffff:a9fe:a9fe]/",
            "http://[::FFFF:10.0.0.1]/",
        ],
    ),
    (
        Allowed,
        "IPv4-mapped and public",
        &["http://[::ffff:8.8.8.8]/"],
    ),
    (
        No,
        "IPv4-compatible, RFC 4291",
        &["http://[::127.0.0.1]/", "http://[::8.8.8.8]/"],
    ),
    (
        No,
        "IPv4-translated, RFC 2765",
        &["http://[::ffff:0:127.0.0.1]/"],
    ),
    (
        No,
        "NAT64: the address inside decides",
        &[
            "http://[64:ff9b::127.0.0.1]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[64:ff9b::10.0.0.1]/",
        ],
    ),
    (Allowed, "NAT64 and public", &["http://[64:ff9b::8.8.8.8]/"]),
    (
        No,
        "local-use NAT64, RFC 8215",
        &[
            "http://[64:ff9b:1::8.8.8.8]/",
            "http://[64:ff9b:1:7f00:0:100::]/",
        ],
    ),
    (
        No,
        "6to4, RFC 3056",
        &[
            "http://[2002:7f00:1::]/",
            "http://[2002:a9fe:a9fe::1]/",
            "http://[2002:808:808::1]/",
        ],
    ),
    (
        No,
        "Teredo, RFC 4380",
        &[
            "http://[2001:0:c000:201:0:ffff:80ff:fffe]/",
            "http://[2001::1]/",
        ],
    ),
    (
        No,
        "ISATAP, RFC 5214, under a public prefix",
        &[
            "http://[2606:4700::5efe:7f00:1]/",
            "http://[2606:4700::200:5efe:a9fe:a9fe]/",
        ],
    ),
    // Schemes.
    (
        Invalid,
        "only http and https",
        &[
            "file:///etc/passwd",
            "ftp://127.0.0.1/",
            "gopher://127.0.0.1:6379/_INFO",
            "data:text/plain,x",
            "ws://127.0.0.1/",
            "unix:///var/run/docker.sock",
            "jar:http://127.0.0.1!/",
        ],
    ),
    (Invalid, "no scheme", &["//127.0.0.1/"]),
];

/// Each trick with what must come of it, and why.
pub(crate) fn tricks() -> impl Iterator<Item = (&'static str, Expected, &'static str)> {
    let rows = TRICKS.iter();
    rows.flat_map(|&(expected, why, urls)| urls.iter().map(move |&url| (url, expected, why)))
}
