use p256::ecdsa::signature::Verifier as _;
use serde_json::json;

use super::*;

/// RFC 7515 appendix A: the same claims throughout, with its line breaks.
const CLAIMS: &[u8] =
    b"{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";

#[test]
fn rfc7515_a1_hs256() {
    let key =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let key = URL_SAFE_NO_PAD.decode(key).unwrap();
    let header = b"{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}";
    let token = sign_bytes(Algorithm::Hs256, Key::Secret(&key), header, CLAIMS).unwrap();
    assert_eq!(
        token,
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
         eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
         dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
}

#[test]
fn rfc7515_a2_rs256() {
    for pem in [
        include_str!("../vectors/rfc7515-a2-pkcs1.pem"),
        include_str!("../vectors/rfc7515-a2-pkcs8.pem"),
    ] {
        let key = PrivateKey::from_pem(pem).unwrap();
        let header = b"{\"alg\":\"RS256\"}";
        let token = sign_bytes(Algorithm::Rs256, Key::Private(&key), header, CLAIMS).unwrap();
        assert!(token.starts_with("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJl"));
        assert!(
            token.ends_with(
                ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4B\
                 h-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLg\
                 rnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--x\
                 i12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9\
                 Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
            ),
            "{token}"
        );
    }
}

/// The RFC's own signature has a random part: ours is verified with its key,
/// and so is the RFC's by the same code.
#[test]
fn rfc7515_a3_es256() {
    let key = p256::SecretKey::from_sec1_der(
        &crate::sign::pem::parse(include_str!("../vectors/rfc7515-a3-sec1.pem"))
            .unwrap()
            .der,
    );
    let public = p256::ecdsa::SigningKey::from(key.unwrap());
    let verify = |token: &str| {
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let signature = p256::ecdsa::Signature::from_slice(&signature).unwrap();
        public
            .verifying_key()
            .verify(message.as_bytes(), &signature)
            .is_ok()
    };
    let published = "eyJhbGciOiJFUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
        DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    assert!(verify(published));
    for pem in [
        include_str!("../vectors/rfc7515-a3-sec1.pem"),
        include_str!("../vectors/rfc7515-a3-pkcs8.pem"),
    ] {
        let key = PrivateKey::from_pem(pem).unwrap();
        let header = b"{\"alg\":\"ES256\"}";
        let token = sign_bytes(Algorithm::Es256, Key::Private(&key), header, CLAIMS).unwrap();
        assert_eq!(
            token.rsplit_once('.').unwrap().0,
            published.rsplit_once('.').unwrap().0
        );
        assert!(verify(&token));
    }
}

/// RFC 8037 appendix A.4.
#[test]
fn rfc8037_a4_eddsa() {
    let seed = URL_SAFE_NO_PAD
        .decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
        .unwrap();
    let mut der = vec![
        0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
    ];
    der.extend(seed);
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----");
    let key = PrivateKey::from_pem(&pem).unwrap();
    let header = b"{\"alg\":\"EdDSA\"}";
    let payload = b"Example of Ed25519 signing";
    let token = sign_bytes(Algorithm::EdDsa, Key::Private(&key), header, payload).unwrap();
    assert_eq!(
        token,
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
         hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
}

/// PSS has a random part: verified with the key's public half, for each hash
/// that RFC 7518 section 3.5 names.
#[test]
fn other_rsa_signatures_are_valid() {
    let pem = include_str!("../vectors/rfc7515-a2-pkcs8.pem");
    let key = PrivateKey::from_pem(pem).unwrap();
    let pair = rsa::RsaKeyPair::from_pkcs8(&crate::sign::pem::parse(pem).unwrap().der).unwrap();
    let public: Vec<u8> = ring::signature::KeyPair::public_key(&pair)
        .as_ref()
        .to_vec();
    let table: [(Algorithm, &dyn rsa::VerificationAlgorithm); 5] = [
        (Algorithm::Rs384, &rsa::RSA_PKCS1_2048_8192_SHA384),
        (Algorithm::Rs512, &rsa::RSA_PKCS1_2048_8192_SHA512),
        (Algorithm::Ps256, &rsa::RSA_PSS_2048_8192_SHA256),
        (Algorithm::Ps384, &rsa::RSA_PSS_2048_8192_SHA384),
        (Algorithm::Ps512, &rsa::RSA_PSS_2048_8192_SHA512),
    ];
    for (algorithm, verification) in table {
        let claims = json!({ "iss": "joe" });
        let header = json!({ "typ": "JWT", "x5t#S256": "abc" });
        let token = sign(
            algorithm,
            Key::Private(&key),
            header.as_object().unwrap(),
            claims.as_object().unwrap(),
        )
        .unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        rsa::UnparsedPublicKey::new(verification, &public)
            .verify(message.as_bytes(), &signature)
            .unwrap();
        let header = URL_SAFE_NO_PAD
            .decode(message.split_once('.').unwrap().0)
            .unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        assert_eq!(header["alg"], algorithm.as_str());
        assert_eq!(header["x5t#S256"], "abc");
    }
}

#[test]
fn keys_and_algorithms_must_match() {
    let key = PrivateKey::from_pem(include_str!("../vectors/rfc7515-a3-sec1.pem")).unwrap();
    let error = |algorithm, key| signature(algorithm, key, b"").unwrap_err().to_string();
    assert_eq!(
        error(Algorithm::Rs256, Key::Private(&key)),
        "RS256 takes an RSA private key"
    );
    assert_eq!(
        error(Algorithm::Hs256, Key::Private(&key)),
        "HS256 takes a shared secret"
    );
    assert_eq!(
        error(Algorithm::Es256, Key::Secret(b"x")),
        "ES256 takes a private key"
    );
    assert_eq!(
        error(Algorithm::Ps256, Key::Secret(b"x")),
        "PS256 takes an RSA private key"
    );
    let unknown = "none".parse::<Algorithm>().unwrap_err().to_string();
    assert!(
        unknown.contains("`none`") && unknown.contains("ES256"),
        "{unknown}"
    );
    for (name, algorithm) in NAMES.iter().zip(ALL) {
        assert_eq!(name.parse(), Ok(algorithm));
        assert_eq!(algorithm.as_str(), *name);
    }
}

#[test]
fn secrets_in_hexadecimal() {
    assert_eq!(hex_secret(" 00fFa0\n"), Ok(vec![0, 255, 160]));
    for bad in ["", "0", "0g", "00 ff"] {
        assert_eq!(hex_secret(bad), Err(Error::Hex), "{bad}");
    }
}
