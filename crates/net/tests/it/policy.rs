//! Lists of the operator, and how they combine.

use std::net::IpAddr;

use linkspan_net::{AddressPolicy, Blocked, Range};
use url::Host;

fn policy(allow: &[&str], deny: &[&str]) -> AddressPolicy {
    let owned = |list: &[&str]| {
        list.iter()
            .map(|&entry| entry.to_owned())
            .collect::<Vec<_>>()
    };
    AddressPolicy::from_settings(&owned(allow), &owned(deny)).unwrap()
}

#[track_caller]
fn verdict(policy: &AddressPolicy, address: &str) -> Result<(), Blocked> {
    policy.check_ip(address.parse::<IpAddr>().unwrap())
}

fn name(policy: &AddressPolicy, host: &str) -> Result<(), Blocked> {
    policy.check_host(&Host::<String>::Domain(host.to_owned()))
}

#[test]
fn reasons_name_the_range() {
    let strict = AddressPolicy::strict();
    for (address, range) in [
        ("169.254.169.254", Range::Metadata),
        ("fd00:ec2::254", Range::Metadata),
        ("10.1.2.3", Range::Private),
        ("::ffff:10.1.2.3", Range::Private),
        ("64:ff9b::10.1.2.3", Range::Private),
        ("fd12::1", Range::UniqueLocal),
        ("100.64.0.1", Range::CarrierNat),
        ("2002:a00:1::", Range::Tunnel),
    ] {
        assert_eq!(
            verdict(&strict, address),
            Err(Blocked::Range(range)),
            "{address}"
        );
    }
    assert_eq!(
        Blocked::Range(Range::Private).to_string(),
        "private addresses may not be called"
    );
}

#[test]
fn a_denial_wins_over_a_permission_and_a_permission_over_a_block() {
    let lists = policy(&["10.0.0.0/8"], &["10.9.0.0/16", "8.8.8.8"]);
    assert_eq!(verdict(&lists, "10.1.1.1"), Ok(()));
    assert_eq!(verdict(&lists, "::ffff:10.1.1.1"), Ok(()));
    assert_eq!(
        verdict(&lists, "192.168.1.1"),
        Err(Blocked::Range(Range::Private))
    );
    for denied in [
        "10.9.1.1",
        "::ffff:10.9.1.1",
        "8.8.8.8",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
    ] {
        assert_eq!(
            verdict(&lists, denied),
            Err(Blocked::DeniedAddress),
            "{denied}"
        );
    }
}

#[test]
fn a_mapped_network_is_the_ipv4_network() {
    let lists = policy(&["::ffff:10.0.0.0/104"], &["::ffff:10.9.0.0/112"]);
    assert_eq!(verdict(&lists, "10.1.1.1"), Ok(()));
    assert_eq!(verdict(&lists, "10.9.1.1"), Err(Blocked::DeniedAddress));
}

#[test]
fn words_open_their_ranges_and_no_more() {
    let lists = policy(&["loopback", "private"], &[]);
    for open in [
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "10.0.0.1",
        "192.168.0.1",
        "fd12::1",
    ] {
        assert_eq!(verdict(&lists, open), Ok(()), "{open}");
    }
    for (closed, range) in [
        ("169.254.169.254", Range::Metadata),
        ("fd00:ec2::254", Range::Metadata),
        ("169.254.0.1", Range::LinkLocal),
        ("0.0.0.0", Range::Unspecified),
        ("100.64.0.1", Range::CarrierNat),
        ("64:ff9b::127.0.0.1", Range::Loopback),
        ("2002:7f00:1::", Range::Tunnel),
    ] {
        assert_eq!(
            verdict(&lists, closed),
            Err(Blocked::Range(range)),
            "{closed}"
        );
    }
    assert_eq!(name(&lists, "localhost"), Ok(()));
    let denied = policy(&["127.0.0.1"], &["loopback"]);
    assert_eq!(verdict(&denied, "127.0.0.1"), Err(Blocked::DeniedAddress));
}

#[test]
fn an_allowed_tunnel_does_not_open_what_it_carries() {
    let lists = policy(&["2002::/16", "64:ff9b::/96", "2001::/32"], &["8.8.4.4"]);
    assert_eq!(verdict(&lists, "2002:808:808::1"), Ok(()));
    assert_eq!(
        verdict(&lists, "2002:7f00:1::"),
        Err(Blocked::Range(Range::Loopback))
    );
    assert_eq!(
        verdict(&lists, "2002:808:404::"),
        Err(Blocked::DeniedAddress)
    );
    assert_eq!(
        verdict(&lists, "64:ff9b::10.0.0.1"),
        Err(Blocked::Range(Range::Private))
    );
    let client = "2001:0:808:808:0:ffff:80ff:fffe";
    assert_eq!(
        verdict(&lists, client),
        Err(Blocked::Range(Range::Loopback))
    );
}

#[test]
fn host_rules_match_exact_names_or_subdomains() {
    let lists = policy(&[], &["Evil.example", "*.bad.example", ".worse.example"]);
    for denied in [
        "evil.example",
        "EVIL.example.",
        "a.bad.example",
        "a.b.bad.example",
        "a.worse.example",
    ] {
        assert_eq!(name(&lists, denied), Err(Blocked::DeniedHost), "{denied}");
    }
    for open in [
        "bad.example",
        "notbad.example",
        "a.evil.example",
        "evil.example.com",
    ] {
        assert_eq!(name(&lists, open), Ok(()), "{open}");
    }
    let both = AddressPolicy::strict()
        .allow_hosts(["*.example"])
        .and_then(|policy| policy.deny_hosts(["a.example"]))
        .unwrap();
    assert_eq!(name(&both, "a.example"), Err(Blocked::DeniedHost));
}

#[test]
fn builders_do_what_settings_do() {
    let built = AddressPolicy::strict()
        .allow("10.0.0.0/8".parse().unwrap())
        .deny("10.1.0.0/16".parse().unwrap());
    assert_eq!(verdict(&built, "10.2.0.1"), Ok(()));
    assert_eq!(verdict(&built, "10.1.0.1"), Err(Blocked::DeniedAddress));
}

#[test]
fn odd_spellings_of_an_address_in_a_list_are_that_address() {
    for entry in ["127.0.0.1", "0x7f.1", "2130706433", " 127.0.0.1 "] {
        assert_eq!(
            verdict(&policy(&[entry], &[]), "127.0.0.1"),
            Ok(()),
            "{entry}"
        );
    }
    assert_eq!(verdict(&policy(&["[::1]"], &[]), "::1"), Ok(()));
}

#[test]
fn a_bad_entry_is_named() {
    for entry in [
        "",
        "*",
        "*.",
        ".",
        "10.0.0.0/33",
        "10.0.0.1/8",
        "a b",
        "*.*.example",
        "a.*.example",
        "http://example.com",
        "example.com:80",
        "example.com/path",
        "*.10.0.0.1",
    ] {
        let error = AddressPolicy::from_settings(&[entry.to_owned()], &[]).unwrap_err();
        assert_eq!(error.entry, entry);
        assert!(
            error.to_string().starts_with(&format!("{entry:?} is not")),
            "{error}"
        );
    }
}
