//! SAML 2.0 assertions as a bearer's authorisation (RFC 7522), with an enveloped
//! signature (XML Signature Syntax and Processing 1.1).
//!
//! The document is fixed but for its texts, so it is written in the form that
//! exclusive canonicalisation (xml-exc-c14n) would bring it to: no declaration,
//! no white space between elements, empty elements with an end tag, the namespace
//! that an element uses on itself where its parent has another, and attributes by
//! name. What is hashed and signed is then what is sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::Error;
use crate::login::xml::is_char;
use crate::sign::{PrivateKey, hex};

const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";

/// How far the receiver's clock may be behind ours.
const SKEW: TimeDelta = TimeDelta::minutes(10);

/// What an assertion says.
pub(super) struct Saml {
    pub(super) id: String,
    pub(super) issuer: String,
    pub(super) audience: String,
    pub(super) recipient: String,
    pub(super) name_id: String,
    pub(super) session_index: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) now: DateTime<Utc>,
    pub(super) ends: DateTime<Utc>,
}

/// A new assertion's identifier: an XML name with 128 random bits.
pub(super) fn id() -> Result<String, Error> {
    let mut bytes = [0; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::Random)?;
    Ok(format!("_{}", hex(&bytes)))
}

impl Saml {
    /// The signed assertion in base64, as a token request carries it. RFC 7522
    /// section 2.1 asks for the URL's alphabet; providers ask for the common one.
    ///
    /// # Errors
    /// [`Error::Unusable`] for characters that XML does not have, [`Error::Sign`].
    pub(super) fn sign(&self, key: &PrivateKey) -> Result<String, Error> {
        let texts = [&self.issuer, &self.audience, &self.recipient, &self.name_id];
        if !texts.iter().all(|text| text.chars().all(is_char)) {
            let message = "what was entered has control characters, which XML cannot carry";
            return Err(Error::Unusable(message.to_owned()));
        }
        let (head, tail) = self.halves();
        let hash = STANDARD.encode(digest(&SHA256, format!("{head}{tail}").as_bytes()));
        let info = self.signed_info(&hash);
        let value = STANDARD.encode(key.sign_rs256(info.as_bytes())?);
        // Inside `Signature` its namespace is inherited, and not repeated.
        let inner = info.replacen(&format!(" xmlns:ds=\"{SIGNATURE}\""), "", 1);
        let signature = format!(
            "<ds:Signature xmlns:ds=\"{SIGNATURE}\">{inner}\
             <ds:SignatureValue>{value}</ds:SignatureValue></ds:Signature>"
        );
        Ok(STANDARD.encode(format!("{head}{signature}{tail}")))
    }

    /// The assertion before and after its signature, which follows the issuer
    /// (SAML core, section 2.3.3).
    fn halves(&self) -> (String, String) {
        let [now, before, ends] = [self.now, self.now - SKEW, self.ends].map(instant);
        let (issuer, audience) = (text(&self.issuer), text(&self.audience));
        let (id, name_id) = (attribute(&self.id), text(&self.name_id));
        let (recipient, session) = (attribute(&self.recipient), attribute(&self.session_index));
        let head = format!(
            "<saml:Assertion xmlns:saml=\"{ASSERTION}\" ID=\"{id}\" IssueInstant=\"{now}\" \
             Version=\"2.0\"><saml:Issuer>{issuer}</saml:Issuer>"
        );
        let tail = format!(
            "<saml:Subject><saml:NameID \
             Format=\"urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified\">{name_id}\
             </saml:NameID><saml:SubjectConfirmation \
             Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\"><saml:SubjectConfirmationData \
             NotOnOrAfter=\"{ends}\" Recipient=\"{recipient}\"></saml:SubjectConfirmationData>\
             </saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore=\"{before}\" \
             NotOnOrAfter=\"{ends}\"><saml:AudienceRestriction><saml:Audience>{audience}\
             </saml:Audience></saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement \
             AuthnInstant=\"{now}\" SessionIndex=\"{session}\"><saml:AuthnContext>\
             <saml:AuthnContextClassRef>\
             urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport\
             </saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>{}\
             </saml:Assertion>",
            self.attribute_statement()
        );
        (head, tail)
    }

    fn attribute_statement(&self) -> String {
        if self.attributes.is_empty() {
            return String::new();
        }
        let one = |(name, value): &(String, String)| {
            format!(
                "<saml:Attribute Name=\"{}\"><saml:AttributeValue>{}</saml:AttributeValue>\
                 </saml:Attribute>",
                attribute(name),
                text(value)
            )
        };
        let all: String = self.attributes.iter().map(one).collect();
        format!("<saml:AttributeStatement>{all}</saml:AttributeStatement>")
    }

    /// In its canonical form, as the root of its own document.
    fn signed_info(&self, hash: &str) -> String {
        let algorithm = |element: &str, name: &str| {
            format!("<ds:{element} Algorithm=\"{name}\"></ds:{element}>")
        };
        format!(
            "<ds:SignedInfo xmlns:ds=\"{SIGNATURE}\">{}{}<ds:Reference URI=\"#{}\">\
             <ds:Transforms>{}{}</ds:Transforms>{}<ds:DigestValue>{hash}</ds:DigestValue>\
             </ds:Reference></ds:SignedInfo>",
            algorithm("CanonicalizationMethod", EXCLUSIVE),
            algorithm(
                "SignatureMethod",
                "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
            ),
            attribute(&self.id),
            algorithm(
                "Transform",
                "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
            ),
            algorithm("Transform", EXCLUSIVE),
            algorithm("DigestMethod", "http://www.w3.org/2001/04/xmlenc#sha256"),
        )
    }
}

fn instant(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// As canonical XML writes text nodes (xml-c14n section 2.3).
fn text(text: &str) -> String {
    escape(text, |c| match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '\r' => Some("&#xD;"),
        _ => None,
    })
}

/// As canonical XML writes the values of attributes.
fn attribute(value: &str) -> String {
    escape(value, |c| match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '"' => Some("&quot;"),
        '\t' => Some("&#x9;"),
        '\n' => Some("&#xA;"),
        '\r' => Some("&#xD;"),
        _ => None,
    })
}

fn escape(value: &str, reference: impl Fn(char) -> Option<&'static str>) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match reference(c) {
            Some(reference) => out.push_str(reference),
            None => out.push(c),
        }
    }
    out
}
