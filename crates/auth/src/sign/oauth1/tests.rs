use super::*;

const PHOTOS: Signer<'static> = Signer {
    consumer_key: "dpf43f3p2l4k3l03",
    consumer_secret: "kd94hf93k423kf44",
    token: None,
    method: SignatureMethod::HmacSha1,
    private_key: None,
    realm: Some("Photos"),
};

fn header(
    signer: Signer<'_>,
    method: Method,
    url: &str,
    form: &str,
    extra: &[(&str, &str)],
    (nonce, timestamp): (&str, i64),
) -> String {
    let stamp = Stamp { nonce, timestamp };
    let url = url.parse().unwrap();
    let header = signer.authorization(&method, &url, form.as_bytes(), extra, stamp);
    header.unwrap().to_str().unwrap().to_owned()
}

/// RFC 5849 section 1.2, the whole login. Parameters may be in any order:
/// ours are sorted.
#[test]
fn rfc5849_section_1_2() {
    let initiate = header(
        PHOTOS,
        Method::POST,
        "https://photos.example.net/initiate",
        "",
        &[("oauth_callback", "http://printer.example.com/ready")],
        ("wIjqoS", 137_131_200),
    );
    assert_eq!(
        initiate,
        "OAuth realm=\"Photos\", \
         oauth_callback=\"http%3A%2F%2Fprinter.example.com%2Fready\", \
         oauth_consumer_key=\"dpf43f3p2l4k3l03\", oauth_nonce=\"wIjqoS\", \
         oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"137131200\", \
         oauth_signature=\"74KNZJeDHnMBp0EMJ9ZHt%2FXKycU%3D\""
    );
    let temporary = Token {
        key: "hh5s93j4hdidpola",
        secret: "hdhd0244k9j7ao03",
    };
    let token = header(
        Signer {
            token: Some(temporary),
            ..PHOTOS
        },
        Method::POST,
        "https://photos.example.net/token",
        "",
        &[("oauth_verifier", "hfdp7dh39dks9884")],
        ("walatlh", 137_131_201),
    );
    assert!(
        token.ends_with(
            "oauth_token=\"hh5s93j4hdidpola\", oauth_verifier=\"hfdp7dh39dks9884\", \
             oauth_signature=\"gKgrFCywp7rO0OXSjdot%2FIHF7IU%3D\""
        ),
        "{token}"
    );
    let lasting = Token {
        key: "nnch734d00sl2jdk",
        secret: "pfkkdhi9sl3r4s00",
    };
    let photo = header(
        Signer {
            token: Some(lasting),
            ..PHOTOS
        },
        Method::GET,
        "http://photos.example.net/photos?file=vacation.jpg&size=original",
        "",
        &[],
        ("chapoH", 137_131_202),
    );
    assert!(
        photo.ends_with("oauth_signature=\"MdpQcU8iPSUjWoN%2FUDMsK2sui9I%3D\""),
        "{photo}"
    );
}

/// RFC 5849 sections 3.1 and 3.4.1.1; the signature is of its erratum 2550.
#[test]
fn rfc5849_section_3_4() {
    let own = [
        ("oauth_consumer_key", "9djdj82h48djs9d2"),
        ("oauth_token", "kkk9d7dh3k39sjv7"),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", "137131201"),
        ("oauth_nonce", "7d8f3e4a"),
    ];
    let address = "http://EXAMPLE.com:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b";
    let base = base_string(&Method::POST, &address.parse().unwrap(), b"c2&a3=2+q", &own);
    assert_eq!(
        base,
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q\
         %26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_\
         key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_m\
         ethod%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk\
         9d7dh3k39sjv7"
    );
    let signer = Signer {
        consumer_key: "9djdj82h48djs9d2",
        consumer_secret: "j49sk3j29djd",
        token: Some(Token {
            key: "kkk9d7dh3k39sjv7",
            secret: "dh893hdasih9",
        }),
        realm: Some("Example"),
        ..PHOTOS
    };
    let stamp = ("7d8f3e4a", 137_131_201);
    let signed = header(signer, Method::POST, address, "c2&a3=2+q", &[], stamp);
    assert!(
        signed.ends_with("oauth_signature=\"r6%2FTJjbCOr97%2F%2BUU0NsvSne7s5g%3D\""),
        "{signed}"
    );
}

/// RFC 5849 section 2.1, and its second step.
#[test]
fn rfc5849_plaintext() {
    let signer = Signer {
        consumer_key: "jd83jd92dhsh93js",
        consumer_secret: "ja893SD9",
        method: SignatureMethod::Plaintext,
        realm: None,
        ..PHOTOS
    };
    let url = "https://server.example.com/request_temp_credentials";
    let first = header(signer, Method::POST, url, "", &[], ("n", 1));
    assert!(
        first.ends_with("oauth_signature=\"ja893SD9%26\""),
        "{first}"
    );
    let token = Token {
        key: "hdk48Djdsa",
        secret: "xyz4992k83j47x0b",
    };
    let signer = Signer {
        token: Some(token),
        ..signer
    };
    let second = header(signer, Method::POST, url, "", &[], ("n", 1));
    assert!(
        second.ends_with("oauth_signature=\"ja893SD9%26xyz4992k83j47x0b\""),
        "{second}"
    );
}

/// The example of Twitter's page “Creating a signature”.
#[test]
fn twitter() {
    let signer = Signer {
        consumer_key: "xvz1evFS4wEEPTGEFPHBog",
        consumer_secret: "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
        token: Some(Token {
            key: "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb",
            secret: "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
        }),
        realm: None,
        ..PHOTOS
    };
    let signed = header(
        signer,
        Method::POST,
        "https://api.twitter.com/1.1/statuses/update.json?include_entities=true",
        "status=Hello%20Ladies%20%2b%20Gentlemen%2c%20a%20signed%20OAuth%20request%21",
        &[("oauth_version", "1.0")],
        ("kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg", 1_318_622_958),
    );
    assert!(
        signed.ends_with("oauth_signature=\"hCtSmYh%2BiHYCEqBWrE7C7hYmtUk%3D\""),
        "{signed}"
    );
}

/// The test cases of the OAuth 1.0 working group, section 9.3; the misspelt
/// file is theirs.
#[test]
fn rsa_sha1() {
    let key = PrivateKey::from_pem(include_str!("../vectors/oauth1-rsa.pem")).unwrap();
    let signer = Signer {
        method: SignatureMethod::RsaSha1,
        private_key: Some(&key),
        ..PHOTOS
    };
    let url = "http://photos.example.net/photos?file=vacaction.jpg&size=original";
    let version = [("oauth_version", "1.0")];
    let stamp = ("13917289812797014437", 1_196_666_512);
    let signed = header(signer, Method::GET, url, "", &version, stamp);
    let expected = "jvTp/wX1TYtByB1m+Pbyo0lnCOLIsyGCH7wke8AUs3BpnwZJtAuEJkvQL2/9n4s5wUmUl4aC\
                    I4BwpraNx4RtEXMe5qg5T1LVTGliMRpKasKsW//e+RinhejgCuzoH26dyF8iY2ZZ/5D1ilge\
                    ijhV/vBka5twt399mXwaYdCwFYE=";
    let expected = format!("oauth_signature=\"{}\"", escaped(expected));
    assert!(signed.ends_with(&expected), "{signed}");
    let keyless = Signer {
        private_key: None,
        ..signer
    };
    let stamp = Stamp {
        nonce: "n",
        timestamp: 1,
    };
    let error = keyless.authorization(&Method::GET, &url.parse().unwrap(), b"", &[], stamp);
    assert_eq!(
        error.unwrap_err().to_string(),
        "RSA-SHA1 takes an RSA private key"
    );
}

/// No document gives an example with HMAC-SHA256; the value is that of `openssl
/// dgst -sha256 -hmac`.
#[test]
fn hmac_sha256() {
    let signer = Signer {
        method: SignatureMethod::HmacSha256,
        ..PHOTOS
    };
    let base = "GET&http%3A%2F%2Fphotos.example.net%2Fphotos&file%3Dvacation.jpg";
    assert_eq!(
        signer.signature(base).as_deref(),
        Ok("TFFiaTanhG0lGDNwmqtgfcx2a/DhBIDM5npjFwMgcFU=")
    );
    assert_eq!("HMAC-SHA256".parse(), Ok(SignatureMethod::HmacSha256));
    assert!("MD5".parse::<SignatureMethod>().is_err());
}

#[test]
fn a_realm_stays_in_its_quotes() {
    let signer = Signer {
        realm: Some("a\", b=\"c"),
        ..PHOTOS
    };
    let signed = header(signer, Method::GET, "https://x.com", "", &[], ("n", 1));
    assert!(
        signed.starts_with(r#"OAuth realm="a\", b=\"c", oauth_"#),
        "{signed}"
    );
    let signer = Signer {
        realm: Some("a\nb"),
        ..PHOTOS
    };
    let stamp = Stamp {
        nonce: "n",
        timestamp: 1,
    };
    let url = "https://x.com".parse().unwrap();
    let error = signer.authorization(&Method::GET, &url, b"", &[], stamp);
    assert_eq!(error, Err(Error::Header("the realm")));
}
