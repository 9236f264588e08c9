//! A signed assertion, taken apart again: what is hashed and signed is computed
//! from what is sent, and not by the code that wrote it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use ring::digest::{SHA256, digest};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};

use super::super::saml::Saml;
use crate::login::xml;
use crate::sign::PrivateKey;

const KEY: &str = include_str!("../../sign/vectors/rfc7515-a2-pkcs8.pem");

fn signed() -> String {
    let now = DateTime::parse_from_rfc3339("2026-01-02T03:04:05Z")
        .unwrap()
        .to_utc();
    let saml = Saml {
        id: "_0a".to_owned(),
        issuer: "www.successfactors.com".to_owned(),
        audience: "www.successfactors.com".to_owned(),
        recipient: "https://api.example/oauth/token?a=1&b=\"2\"".to_owned(),
        name_id: "a<&>b".to_owned(),
        session_index: "s1".to_owned(),
        attributes: vec![
            ("api_key".to_owned(), "k&".to_owned()),
            ("use_username".to_owned(), "true".to_owned()),
        ],
        now,
        ends: now + chrono::TimeDelta::days(1),
    };
    let sent = saml.sign(&PrivateKey::from_pem(KEY).unwrap()).unwrap();
    String::from_utf8(STANDARD.decode(sent).unwrap()).unwrap()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let from = text.find(start).unwrap() + start.len();
    let to = text[from..].find(end).unwrap();
    &text[from..from + to]
}

#[test]
fn the_digest_and_the_signature_hold() {
    let sent = signed();
    let start = sent.find("<ds:Signature ").unwrap();
    let end = sent.find("</ds:Signature>").unwrap() + "</ds:Signature>".len();
    let without = format!("{}{}", &sent[..start], &sent[end..]);
    let hash = STANDARD
        .decode(between(&sent, "<ds:DigestValue>", "</ds:DigestValue>"))
        .unwrap();
    assert_eq!(hash, digest(&SHA256, without.as_bytes()).as_ref());

    let inner = between(&sent, "<ds:SignedInfo>", "</ds:SignedInfo>");
    let info = format!(
        "<ds:SignedInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">{inner}</ds:SignedInfo>"
    );
    let value = STANDARD
        .decode(between(
            &sent,
            "<ds:SignatureValue>",
            "</ds:SignatureValue>",
        ))
        .unwrap();
    let body: String = KEY.lines().filter(|line| !line.starts_with('-')).collect();
    let pair = RsaKeyPair::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public().as_ref());
    public.verify(info.as_bytes(), &value).unwrap();
    assert!(
        public
            .verify(format!("{info} ").as_bytes(), &value)
            .is_err()
    );
}

#[test]
fn it_says_what_it_should() {
    let document = xml::parse(signed().as_bytes()).unwrap();
    let assertion = &document["Assertion"];
    assert_eq!(assertion["$ID"], "_0a");
    assert_eq!(assertion["Subject"]["NameID"]["_"], "a<&>b");
    let confirmation = &assertion["Subject"]["SubjectConfirmation"]["SubjectConfirmationData"];
    assert_eq!(
        confirmation["$Recipient"],
        "https://api.example/oauth/token?a=1&b=\"2\""
    );
    assert_eq!(confirmation["$NotOnOrAfter"], "2026-01-03T03:04:05.000Z");
    let attributes = &assertion["AttributeStatement"]["Attribute"];
    assert_eq!(attributes[0]["AttributeValue"], "k&");
    assert_eq!(
        assertion["Signature"]["SignedInfo"]["Reference"]["$URI"],
        "#_0a"
    );
}
