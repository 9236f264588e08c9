use serde_json::Value;

use super::*;

fn signer() -> Signer<'static> {
    Signer {
        access_key: "AKIDEXAMPLE",
        secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        session_token: None,
        region: "us-east-1",
        service: "service",
        now: "2015-08-30T12:36:00Z".parse().unwrap(),
    }
}

/// AWS' own test suite for Signature Version 4, all of it. Its requests have
/// paths as they are before any escaping.
#[test]
fn the_test_suite() {
    let mut count = 0;
    for line in include_str!("../vectors/aws-sigv4.jsonl").lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| vector[key].as_str().unwrap();
        let (path, query) = text("target")
            .split_once('?')
            .unwrap_or((text("target"), ""));
        let names: Vec<(String, &str)> = vector["headers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| {
                (
                    pair[0].as_str().unwrap().to_lowercase(),
                    pair[1].as_str().unwrap(),
                )
            })
            .collect();
        let header = signer().authorization_of(Request {
            method: text("method"),
            path,
            query,
            headers: names
                .iter()
                .map(|(name, value)| (name.as_str(), *value))
                .collect(),
            payload_hash: &Payload::Bytes(text("body").as_bytes()).hash(),
        });
        let signature = header.rsplit_once("Signature=").unwrap().1;
        assert_eq!(signature, text("signature"), "{}", text("name"));
        count += 1;
    }
    assert_eq!(count, 31);
}

/// “Signature Calculations for the Authorization Header” in the S3 API
/// reference: GET object (with its Range header, which need not be signed),
/// and PUT object, whose name has a `$`.
#[test]
fn s3() {
    let signer = Signer {
        access_key: "AKIAIOSFODNN7EXAMPLE",
        secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        service: "s3",
        now: "2013-05-24T00:00:00Z".parse().unwrap(),
        ..signer()
    };
    // An escaped `$` is not escaped again, as it is for other services.
    for path in ["/test$file.text", "/test%24file.text"] {
        let put = signer.authorization_of(Request {
            method: "PUT",
            path,
            query: "",
            headers: vec![
                ("date", "Fri, 24 May 2013 00:00:00 GMT"),
                ("host", "examplebucket.s3.amazonaws.com"),
                (
                    "x-amz-content-sha256",
                    &Payload::Bytes(b"Welcome to Amazon S3.").hash(),
                ),
                ("x-amz-date", "20130524T000000Z"),
                ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ],
            payload_hash: &Payload::Bytes(b"Welcome to Amazon S3.").hash(),
        });
        assert_eq!(
            put,
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
         SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, \
         Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );
    }
    // GET bucket lifecycle: a query without a value.
    let url = "https://examplebucket.s3.amazonaws.com/?lifecycle"
        .parse()
        .unwrap();
    let mut headers = HeaderMap::new();
    signer
        .sign(&Method::GET, &url, &mut headers, Payload::Bytes(b""))
        .unwrap();
    assert_eq!(
        headers[AUTHORIZATION],
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
         SignedHeaders=host;x-amz-content-sha256;x-amz-date, \
         Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
    );
    assert_eq!(headers[DATE], "20130524T000000Z");
    assert!(
        headers[CONTENT_HASH]
            .to_str()
            .unwrap()
            .starts_with("e3b0c442")
    );
    // GET bucket (list objects).
    let url = "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J"
        .parse()
        .unwrap();
    signer
        .sign(&Method::GET, &url, &mut headers, Payload::Bytes(b""))
        .unwrap();
    assert!(
        headers[AUTHORIZATION]
            .to_str()
            .unwrap()
            .ends_with("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
    );
}

#[test]
fn paths() {
    let plain = |path: &str| {
        let mut out = String::new();
        write_path(path, &mut out);
        out
    };
    let object = |path: &str| {
        let mut out = String::new();
        write_object_path(path, &mut out);
        out
    };
    // What is sent as `%20` is signed as `%2520`, but for S3.
    assert_eq!(plain("/a%20b/c:d/"), "/a%2520b/c%3Ad/");
    assert_eq!(object("/a%20b/c:d/"), "/a%20b/c%3Ad/");
    assert_eq!(plain("//a/./b/../c"), "/a/c");
    assert_eq!(object("//a/./b/../c+d"), "//a/./b/../c%2Bd");
    assert_eq!(plain(""), "/");
}

#[test]
fn what_is_added_and_signed() {
    let signer = Signer {
        session_token: Some("token-1"),
        ..signer()
    };
    let url = "https://x.amazonaws.com:8443/a?b=c+d".parse().unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert("x-amz-target", HeaderValue::from_static("T.Op"));
    headers.insert("accept", HeaderValue::from_static("*/*"));
    headers.insert(TOKEN, HeaderValue::from_static("an old one"));
    signer
        .sign(&Method::POST, &url, &mut headers, Payload::Bytes(b"{}"))
        .unwrap();
    let value = headers[AUTHORIZATION].to_str().unwrap().to_owned();
    let names = "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target,";
    assert!(value.contains(names), "{value}");
    assert_eq!(headers[TOKEN], "token-1");
    assert!(headers[TOKEN].is_sensitive() && headers[AUTHORIZATION].is_sensitive());
    assert!(!headers.contains_key(CONTENT_HASH));
    signer
        .sign(&Method::POST, &url, &mut headers, Payload::Unsigned)
        .unwrap();
    assert_eq!(headers[CONTENT_HASH], "UNSIGNED-PAYLOAD");
    assert_ne!(headers[AUTHORIZATION], value.as_str());
    assert_eq!(host(&url), "x.amazonaws.com:8443");
    let broken = Signer {
        access_key: "a\nb",
        ..signer
    };
    let error = broken.sign(&Method::POST, &url, &mut headers, Payload::Unsigned);
    assert!(matches!(error, Err(Error::Header(_))));
}
