//! Ways to spell an address so that a filter does not recognise it. Each row
//! is parsed, checked by the policy, and then really sent.

use http::{Request, Uri};
use linkspan_net::{AddressPolicy, Blocked, Body, Client, Error, Settings};
use tokio::net::TcpListener;
use url::Url;

use crate::{Answers, SOON};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// The policy refuses the host as it is spelled.
    Blocked,
    /// The host is a name; the policy refuses where it resolves to.
    BlockedResolved,
    /// It is not a URL, or one that the client does not take.
    Invalid,
    /// A public host.
    Allowed,
}

use Expected::{Allowed, Blocked as No, BlockedResolved, Invalid};

const TRICKS: &[(&str, Expected)] = &[
    // Plain.
    ("http://127.0.0.1/", No),
    ("http://127.255.255.254/", No),
    ("http://0.0.0.0/", No),
    ("http://0.1.2.3/", No),
    ("http://10.0.0.1/", No),
    ("http://172.16.0.1/", No),
    ("http://172.31.255.255/", No),
    ("http://172.32.0.1/", Allowed),
    ("http://192.168.1.1/", No),
    ("http://100.64.0.1/", No),
    ("http://100.127.255.255/", No),
    ("http://100.128.0.1/", Allowed),
    ("http://169.254.1.1/", No),
    ("http://192.0.0.8/", No),
    ("http://192.0.2.1/", No),
    ("http://198.18.0.1/", No),
    ("http://198.51.100.1/", No),
    ("http://203.0.113.1/", No),
    ("http://224.0.0.1/", No),
    ("http://240.0.0.1/", No),
    ("http://255.255.255.255/", No),
    // Metadata endpoints.
    ("http://169.254.169.254/latest/meta-data/", No),
    ("http://169.254.170.2/v2/credentials", No),
    ("http://168.63.129.16/machine", No),
    ("http://100.100.100.200/", No),
    ("http://192.0.0.192/", No),
    ("http://[fd00:ec2::254]/latest/", No),
    ("http://[fd20:ce::254]/", No),
    // Decimal, octal, hexadecimal, short and mixed forms.
    ("http://2130706433/", No),
    ("http://017700000001/", No),
    ("http://0x7f000001/", No),
    ("http://0X7F.1/", No),
    ("http://0177.0.0.1/", No),
    ("http://0177.0.0.0x1/", No),
    ("http://127.1/", No),
    ("http://127.0.1/", No),
    ("http://0/", No),
    ("http://00000.0/", No),
    ("http://0xa9fea9fe/", No),
    ("http://2852039166/", No),
    ("http://0251.0376.0251.0376/", No),
    ("http://169.254.43518/", No),
    ("http://127.0.0.1./", No),
    ("http://0x08080808/", Allowed),
    ("http://127.0.0.256/", Invalid),
    ("http://4294967297/", Invalid),
    ("http://1.2.3.4.5/", Invalid),
    ("http://0x7f.0.0.1.example/", BlockedResolved),
    // Percent-encoding and Unicode.
    ("http://%31%32%37.0.0.1/", No),
    ("http://127%2e0%2e0%2e1/", No),
    ("http://①②⑦.⓪.⓪.①/", No),
    ("http://127。0。0。1/", No),
    ("http://١٢٧.0.0.1/", Invalid),
    ("http://१२७.0.0.1/", Invalid),
    ("http://\u{ff11}\u{ff12}\u{ff17}.0.0.1/", No),
    ("http://ⓛocalhost/", No),
    ("http://lo\u{ad}calhost/", No),
    ("http://127.0.0.1%00.example.com/", Invalid),
    ("http://127.0.0.1\t/", No),
    // Names.
    ("http://localhost/", No),
    ("http://LOCALHOST./", No),
    ("http://api.localhost/", No),
    ("http://localtest.example/", BlockedResolved),
    ("http://127.0.0.1.nip.example/", BlockedResolved),
    ("http://metadata.google.internal/", BlockedResolved),
    ("http://kubernetes.default.svc/", BlockedResolved),
    ("http://xn--nxasmq6b/", BlockedResolved),
    // Userinfo and separators: what stands before the host.
    ("http://example.com@127.0.0.1/", No),
    ("http://example.com:80@127.0.0.1/", No),
    ("http://example.com%40127.0.0.1/", Invalid),
    ("http://127.0.0.1@public.example/", Invalid),
    ("http://127.0.0.1\\@example.com/", No),
    ("http:\\\\127.0.0.1/", No),
    ("http:127.0.0.1/", No),
    ("http:////127.0.0.1/", No),
    ("http://127.0.0.1#@example.com/", No),
    ("http://127.0.0.1?@example.com/", No),
    ("http://127.0.0.1:80/", No),
    // IPv6.
    ("http://[::1]/", No),
    ("http://[0:0:0:0:0:0:0:1]/", No),
    ("http://[::]/", No),
    ("http://[fe80::1]/", No),
    ("http://[fe80::1%25eth0]/", Invalid),
    ("http://[::1%25lo]/", Invalid),
    ("http://[fec0::1]/", No),
    ("http://[fc00::1]/", No),
    ("http://[fdff:ffff::1]/", No),
    ("http://[ff02::1]/", No),
    ("http://[2001:db8::1]/", No),
    ("http://[3fff::1]/", No),
    ("http://[2001:2::1]/", No),
    ("http://[100::1]/", No),
    ("http://[5f00::1]/", No),
    ("http://[2606:4700:4700::1111]/", Allowed),
    // IPv4 inside IPv6.
    ("http://[::ffff:127.0.0.1]/", No),
    ("http://[::ffff:7f00:1]/", No),
    ("http://[0:0:0:0:0:ffff:a9fe:a9fe]/", No),
    ("http://[::ffff:8.8.8.8]/", Allowed),
    ("http://[::127.0.0.1]/", No),
    ("http://[::8.8.8.8]/", No),
    ("http://[::ffff:0:127.0.0.1]/", No),
    ("http://[64:ff9b::127.0.0.1]/", No),
    ("http://[64:ff9b::a9fe:a9fe]/", No),
    ("http://[64:ff9b::8.8.8.8]/", Allowed),
    ("http://[64:ff9b:1::8.8.8.8]/", No),
    ("http://[64:ff9b:1:7f00:0:100::]/", No),
    ("http://[2002:7f00:1::]/", No),
    ("http://[2002:a9fe:a9fe::1]/", No),
    ("http://[2002:808:808::1]/", No),
    ("http://[2001:0:c000:201:0:ffff:80ff:fffe]/", No),
    ("http://[2001::1]/", No),
    ("http://[2606:4700::5efe:7f00:1]/", No),
    ("http://[2606:4700::200:5efe:a9fe:a9fe]/", No),
    // Schemes.
    ("file:///etc/passwd", Invalid),
    ("ftp://127.0.0.1/", Invalid),
    ("gopher://127.0.0.1:6379/_INFO", Invalid),
    ("data:text/plain,x", Invalid),
    ("//127.0.0.1/", Invalid),
];

/// What parsing and the policy say, before anything is sent.
fn judged(policy: &AddressPolicy, text: &str) -> Expected {
    let Ok(url) = Url::parse(text) else {
        return Invalid;
    };
    let Some(host) = url.host() else {
        return Invalid;
    };
    if !matches!(url.scheme(), "http" | "https") {
        return Invalid;
    }
    match (policy.check_host(&host), &host) {
        (Err(_), _) => No,
        (Ok(()), url::Host::Domain(_)) if url.username().is_empty() => BlockedResolved,
        (Ok(()), url::Host::Domain(_)) => Invalid,
        (Ok(()), _) => Allowed,
    }
}

#[test]
fn every_trick_is_judged_as_expected() {
    assert!(TRICKS.len() >= 60);
    let policy = AddressPolicy::strict();
    let wrong: Vec<_> = TRICKS
        .iter()
        .map(|&(text, expected)| (text, expected, judged(&policy, text)))
        .filter(|(_, expected, judged)| expected != judged)
        .collect();
    assert!(wrong.is_empty(), "(trick, expected, judged): {wrong:#?}");
}

#[tokio::test]
async fn no_trick_reaches_a_server_on_loopback() {
    let canary = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(Settings {
        lookup: Answers::new(&[&["127.0.0.1"]]),
        ..Settings::default()
    })
    .unwrap();
    for (text, expected) in TRICKS {
        let Ok(mut url) = Url::parse(text) else {
            continue;
        };
        // Public ones are not called from a test.
        if *expected == Allowed || url.host().is_none() {
            continue;
        }
        let _ = url.set_port(Some(canary.local_addr().unwrap().port()));
        let Ok(uri) = Uri::try_from(url.as_str()) else {
            continue;
        };
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let error = client.send(request, SOON).await.unwrap_err();
        let userinfo = url.as_str().contains('@') && !url.username().is_empty();
        match expected {
            No | BlockedResolved if !userinfo => {
                assert!(matches!(error, Error::Blocked { .. }), "{text}: {error:?}");
            }
            _ => assert!(
                matches!(error, Error::InvalidUrl { .. }),
                "{text}: {error:?}"
            ),
        }
    }
    assert_untouched(&canary).await;
}

/// A caller may build a target without the URL parser that unmasks an address.
#[tokio::test]
async fn targets_that_no_parser_has_unmasked_are_refused() {
    let canary = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = canary.local_addr().unwrap().port();
    let client = Client::new(Settings::default()).unwrap();
    for host in [
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "127.0.0.1.",
        "0",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:0:0:1]",
    ] {
        let uri: Uri = format!("http://{host}:{port}/").parse().unwrap();
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let error = client.send(request, SOON).await.unwrap_err();
        let Error::Blocked {
            host: named,
            reason: Blocked::Range(_),
        } = &error
        else {
            panic!("{host}: {error:?}");
        };
        assert_eq!(*named, format!("{host}:{port}"));
    }
    assert_untouched(&canary).await;
}

/// Nobody else knows the canary's port, so the first connection it accepts must be ours.
async fn assert_untouched(canary: &TcpListener) {
    let address = canary.local_addr().unwrap();
    let ours = tokio::net::TcpStream::connect(address).await.unwrap();
    let (_, first) = canary.accept().await.unwrap();
    assert_eq!(first, ours.local_addr().unwrap());
}
