//! What needs no database: the formats, and what does not open.

use secrecy::ExposeSecret as _;
use uuid::Uuid;

use super::*;

const ENVIRONMENT: EnvironmentId =
    EnvironmentId(Uuid::from_u128(0x0193_a0c2_f000_7000_8000_0000_0000_000a));
const ROW: [u8; 8] = 42_i64.to_be_bytes();
const CREDENTIALS: Context<'_> = Context {
    table: "connections",
    column: "credentials",
    row: &ROW,
};

fn keys(environment: EnvironmentId, versions: &[u32]) -> EnvironmentKeys {
    let key = |version: &u32| (*version, KeyBytes::from([0x2a; 32]));
    let newest = versions.iter().copied().max().unwrap_or_default();
    EnvironmentKeys::new(environment, versions.iter().map(key).collect(), newest)
}

fn keyring(ids: &[&str]) -> Keyring {
    let entries: Vec<String> = ids
        .iter()
        .map(|id| Keyring::generate(id).unwrap().expose_secret().to_owned())
        .collect();
    Keyring::parse(&entries).unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

/// Made by Node's `hkdfSync` and `aes-256-gcm`; changing the format means a new
/// format byte, since stored values must still open.
#[test]
fn a_value_sealed_by_another_implementation_opens() {
    let sealed =
        bytes("0100000003000102030405060708090a0bc654cb37354fff76164b547f2f63da0317783b44f3");
    let opened = keys(ENVIRONMENT, &[1, 3])
        .open(&CREDENTIALS, &sealed)
        .unwrap();
    assert_eq!(opened.as_slice(), b"hello");
}

#[test]
fn the_newest_version_seals_and_older_ones_open() {
    let old = keys(ENVIRONMENT, &[1]).seal(&CREDENTIALS, b"x").unwrap();
    let both = keys(ENVIRONMENT, &[1, 2]);
    let new = both.seal(&CREDENTIALS, b"x").unwrap();
    assert_eq!(old[..5], [1, 0, 0, 0, 1]);
    assert_eq!(new[..5], [1, 0, 0, 0, 2]);
    assert_eq!(both.open(&CREDENTIALS, &old).unwrap().as_slice(), b"x");
    assert_eq!(both.open(&CREDENTIALS, &new).unwrap().as_slice(), b"x");
    assert!(matches!(
        keys(ENVIRONMENT, &[1]).open(&CREDENTIALS, &new),
        Err(Error::UnknownVersion { version: 2 })
    ));
}

#[test]
fn a_value_opens_only_where_it_was_sealed_for() {
    let ours = keys(ENVIRONMENT, &[1]);
    let sealed = ours.seal(&CREDENTIALS, b"secret").unwrap();
    let elsewhere = [
        Context {
            table: "integrations",
            ..CREDENTIALS
        },
        Context {
            column: "metadata",
            ..CREDENTIALS
        },
        Context {
            row: &43_i64.to_be_bytes(),
            ..CREDENTIALS
        },
        Context {
            row: &ROW[..7],
            ..CREDENTIALS
        },
    ];
    for context in &elsewhere {
        let opened = ours.open(context, &sealed);
        assert!(matches!(opened, Err(Error::Refused { .. })), "{context:?}");
    }
    // The same key material, so that only the binding can refuse.
    let neighbour = keys(EnvironmentId(Uuid::nil()), &[1]);
    assert!(matches!(
        neighbour.open(&CREDENTIALS, &sealed),
        Err(Error::Refused { .. })
    ));
    assert!(ours.open(&CREDENTIALS, &sealed).is_ok());
}

#[test]
fn changed_and_cut_values_are_refused() {
    let ours = keys(ENVIRONMENT, &[1]);
    let sealed = ours.seal(&CREDENTIALS, b"secret").unwrap();
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(ours.open(&CREDENTIALS, &changed).is_err(), "byte {at}");
        assert!(
            ours.open(&CREDENTIALS, &sealed[..at]).is_err(),
            "cut at {at}"
        );
    }
}

#[test]
fn only_listed_columns_can_be_sealed() {
    let context = Context {
        column: "tags",
        ..CREDENTIALS
    };
    let sealed = keys(ENVIRONMENT, &[1]).seal(&context, b"x");
    assert!(matches!(sealed, Err(Error::Unlisted { .. })));
}

#[test]
fn json_round_trips_and_its_errors_quote_nothing() {
    let ours = keys(ENVIRONMENT, &[1]);
    let sealed = ours.seal_json(&CREDENTIALS, "hidden").unwrap();
    let text: String = ours.open_json(&CREDENTIALS, &sealed).unwrap();
    assert_eq!(text, "hidden");
    let error = ours.open_json::<u32>(&CREDENTIALS, &sealed).unwrap_err();
    assert!(matches!(error, Error::Json { .. }));
    assert!(!format!("{error} {error:?}").contains("hidden"));
}

#[test]
fn a_wrapped_key_opens_only_for_its_environment_version_and_root_key() {
    let keyring = keyring(&["new", "old"]);
    let key = KeyBytes::from([9; 32]);
    let wrapped = keyring.wrap(ENVIRONMENT, 1, &key).unwrap();
    let unwrapped = keyring.unwrap("new", ENVIRONMENT, 1, &wrapped).unwrap();
    assert_eq!(unwrapped.as_slice(), key.as_slice());
    for (id, environment, version) in [
        ("new", ENVIRONMENT, 2),
        ("new", EnvironmentId(Uuid::nil()), 1),
        ("old", ENVIRONMENT, 1),
    ] {
        let error = keyring.unwrap(id, environment, version, &wrapped);
        assert!(matches!(error, Err(Error::WrongRootKey { id: named }) if named == id));
    }
    let error = keyring
        .unwrap("gone", ENVIRONMENT, 1, &wrapped)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "root key \"gone\" is needed by this database and is not in vault.root_keys: add it \
         after the primary one"
    );
}

#[test]
fn a_check_value_tells_root_keys_of_the_same_id_apart() {
    let ours = keyring(&["main"]);
    let value = ours.check_value().unwrap();
    assert!(ours.verify("main", &value).is_ok());
    let error = keyring(&["main"]).verify("main", &value).unwrap_err();
    assert_eq!(
        error.to_string(),
        "this database was made with another root key \"main\" than the one in \
         vault.root_keys: restore that key, or use the database that belongs to this one"
    );
    // A check value is not a wrapped key, and the other way round.
    assert!(ours.unwrap("main", ENVIRONMENT, 1, &value).is_err());
}

#[test]
fn debug_shows_no_keys() {
    let entry = "main:KioqKioqKioqKioqKioqKioqKioqKioqKioqKioqKio=";
    let keyring = Keyring::parse(&[entry]).unwrap();
    assert_eq!(format!("{keyring:?}"), "[\"main\"]");
    let shown = format!("{:?}", keys(ENVIRONMENT, &[1, 2]));
    assert!(shown.contains("versions: [1, 2]"), "{shown}");
    assert!(!shown.contains("42"), "{shown}");
}
