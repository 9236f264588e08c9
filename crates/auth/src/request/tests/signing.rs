//! Templates that sign: held against published examples where there are any.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};

use super::*;

const FORM: &str = "application/x-www-form-urlencoded";
const TIME: &str = "2015-08-30T12:36:00Z";

impl Call {
    fn at(&self, now: &str) -> Result<Prepared, Error> {
        self.with(|call| prepare_at(call, now.parse().unwrap(), Uuid::nil()))
    }

    fn header(&self, now: &str, name: &str) -> String {
        let prepared = self.at(now).unwrap();
        prepared.headers[name].to_str().unwrap().to_owned()
    }

    fn needs_body(&self) -> bool {
        self.with(needs_body).unwrap()
    }

    fn is_signed(&self) -> bool {
        self.with(|call| is_signed(call.config, call.credentials))
    }
}

fn basic(username: &str, password: &str) -> Value {
    json!({ "type": "BASIC", "username": username, "password": password })
}

fn described(content_type: &'static str) -> HeaderMap {
    let kind = HeaderValue::from_static(content_type);
    HeaderMap::from_iter([(http::header::CONTENT_TYPE, kind)])
}

/// The example of Duo's Admin API, “Authentication”. Its date has `-0000` where
/// the template's format makes `+0000`, so it stands in the template here.
#[test]
fn duo() {
    let mut call = Call {
        credentials: basic(
            "DIWJ8X6AEYOR5OMC6TQ1",
            "Zh5eGmUq9zpfQnyUIu5OL9iWoMMv5ZNmk3zLJ4Ep",
        ),
        path: "/accounts/v1/account/list",
        method: Method::POST,
        sent: BodyForSigning::Whole(b"username=root&realname=First+Last"),
        body_headers: described(FORM),
        ..Call::new(template(
            "{ base_url: 'https://API-xxxxxxxx.duosecurity.com', headers: { authorization: \"Basic ${base64(${credentials.username}:${hmacSha1Hex(Tue, 21 Aug 2012 17:29:18 -0000\\n${method}\\n${host}\\n${path}\\n${params}, ${credentials.password})})}\" } }",
        ))
    };
    let expected = "Basic RElXSjhYNkFFWU9SNU9NQzZUUTE6MmQ5N2Q2MTY2MzE5NzgxYjVhM2EwN2FmMzlkMzY2ZjQ5MTIzNGVkYw==";
    assert_eq!(call.header(TIME, "authorization"), expected);
    assert!(call.needs_body());
    // The same parameters in the query.
    call.path = "/accounts/v1/account/list?username=root&realname=First%20Last";
    call.sent = BodyForSigning::Absent;
    assert_eq!(call.header(TIME, "authorization"), expected);
    // The provider's own template, which differs in its date alone.
    call.template = builtin("cisco-duo-admin");
    call.connection = json!({ "hostname": "api-xxxxxxxx.duosecurity.com" });
    assert_eq!(call.header(TIME, "date"), "Sun, 30 Aug 2015 12:36:00 +0000");
    assert_ne!(call.header(TIME, "authorization"), expected);
    call.sent = BodyForSigning::Streamed;
    let error = call.at(TIME).unwrap_err();
    assert!(matches!(error, Error::Unusable(_)), "{error}");
}

/// The signature over a request's path and query, by Avanan's recipe; the hash
/// is `sha256sum`'s.
#[test]
fn avanan() {
    let login = json!({
        "type": "TWO_STEP", "entered": { "appId": "app-1", "secretKey": "secret-1" },
        "token": "at-1", "issued_at": "2026-01-01T00:00:00Z", "expires_at": null,
    });
    let call = Call {
        credentials: login,
        connection: json!({ "subdomain": "smart-api-production-1-us" }),
        path: "/v1.0/event/query?limit=2",
        ..Call::new(builtin("avanan"))
    };
    assert_eq!(call.header(TIME, "x-av-date"), "2015-08-30T12:36:00");
    assert_eq!(call.header(TIME, "x-av-token"), "at-1");
    assert_eq!(
        call.header(TIME, "x-av-sig"),
        "cdd7ea34e3628d7ccd99ed63989d38ae9f3a29e99bc3a1eab503298fa90877db"
    );
    assert!(!call.needs_body());
    assert!(call.is_signed(), "for one address");
}

/// “Signature Calculations for the Authorization Header” in the S3 API
/// reference, GET bucket lifecycle.
#[test]
fn aws_s3() {
    let proxy = "{ base_url: 'https://examplebucket.s3.amazonaws.com', headers: { \
         authorization: '${awsSigV4(${credentials.username}, ${credentials.password}, us-east-1, s3, other.host)}', \
         x-amz-date: '${now:YYYYMMDDTHHmmss[Z]}' } }";
    let call = Call {
        credentials: basic(
            "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ),
        path: "/?lifecycle",
        ..Call::new(template(proxy))
    };
    let now = "2013-05-24T00:00:00Z";
    assert_eq!(
        call.header(now, "authorization"),
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
         SignedHeaders=host;x-amz-content-sha256;x-amz-date, \
         Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
    );
    assert!(
        call.header(now, "x-amz-content-sha256")
            .starts_with("e3b0c442")
    );
    assert!(call.needs_body());
    let streamed = Call {
        sent: BodyForSigning::Streamed,
        ..call
    };
    assert!(streamed.at(now).is_err());
}

/// The signature covers the caller's headers and what describes the body, and
/// another host than the template's where the caller calls one.
#[test]
fn aws_signs_what_is_sent() {
    let mut call = Call {
        credentials: basic("AKID", "secret"),
        connection: json!({ "service": "dynamodb", "region": "eu-west-1" }),
        headers: &[
            ("x-amz-target", "DynamoDB_20120810.ListTables"),
            ("accept", "a/b"),
        ],
        method: Method::POST,
        sent: BodyForSigning::Whole(b"{}"),
        body_headers: described("application/x-amz-json-1.0"),
        ..Call::new(builtin("aws-multi-service"))
    };
    let first = call.header(TIME, "authorization");
    let scope = "Credential=AKID/20150830/eu-west-1/dynamodb/aws4_request";
    let names = "SignedHeaders=content-type;host;x-amz-date;x-amz-target,";
    assert!(first.contains(scope) && first.contains(names), "{first}");
    let prepared = call.at(TIME).unwrap();
    assert_eq!(
        prepared.headers["content-type"],
        "application/x-amz-json-1.0"
    );
    assert_eq!(prepared.headers["x-amz-date"], "20150830T123600Z");
    assert!(!prepared.headers.contains_key("x-amz-content-sha256"));
    call.base = Some("http://127.0.0.1:4566");
    let elsewhere = call.header(TIME, "authorization");
    assert_ne!(first, elsewhere);
    call.sent = BodyForSigning::Whole(b"{ }");
    assert_ne!(call.header(TIME, "authorization"), elsewhere);
    call.headers = &[("authorization", "Own")];
    assert_eq!(call.header(TIME, "authorization"), "Own");
}

/// What the API rebuilds of the request (RFC 9421 section 2.5), and verifies
/// with the key's public half.
#[test]
fn streamline() {
    let pem = include_str!("../../sign/vectors/rfc9421-ed25519.pem");
    let public = "JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=";
    let public = UnparsedPublicKey::new(&ED25519, STANDARD.decode(public).unwrap());
    let body = br#"{"hello": "world"}"#;
    let mut call = Call {
        credentials: basic("key-7", pem),
        connection: json!({ "customer": "acme" }),
        path: "/v0/matters",
        method: Method::POST,
        sent: BodyForSigning::Whole(body),
        ..Call::new(builtin("streamline-ai"))
    };
    // RFC 9530 appendix B, and RFC 9421 appendix B.2: the digest of that body.
    let digest = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:";
    assert_eq!(call.header(TIME, "content-digest"), digest);
    let parameters = r#"("@method" "@target-uri" "content-digest" "content-type");alg="ed25519";created=1440938160;expires=1440938220;keyid="key-7""#;
    assert_eq!(
        call.header(TIME, "signature-input"),
        format!("sig={parameters}")
    );
    let base = format!(
        "\"@method\": POST\n\"@target-uri\": https://acme.streamline.ai/api/v0/matters\n\
         \"content-digest\": {digest}\n\"content-type\": application/json\n\
         \"@signature-params\": {parameters}"
    );
    let signature = call.header(TIME, "signature");
    let signature = signature
        .strip_prefix("sig=:")
        .unwrap()
        .strip_suffix(':')
        .unwrap();
    let signature = STANDARD.decode(signature).unwrap();
    assert!(public.verify(base.as_bytes(), &signature).is_ok());
    assert!(public.verify(b"other", &signature).is_err());
    assert!(call.needs_body() && call.is_signed());

    // The target URI has the query (RFC 9421 section 2.2.2).
    call.path = "/v0/matters?page=2&q=a%20b";
    let base = base.replace("/v0/matters", call.path);
    let signature = call.header(TIME, "signature");
    let signature = signature.strip_prefix("sig=:").unwrap();
    let signature = STANDARD.decode(signature.strip_suffix(':').unwrap());
    assert!(public.verify(base.as_bytes(), &signature.unwrap()).is_ok());

    call.sent = BodyForSigning::Whole(b"\xff");
    let error = call.at(TIME).unwrap_err().to_string();
    assert!(error.contains("not UTF-8"), "{error}");
    call.sent = BodyForSigning::Absent;
    call.credentials = basic("key-7", "no key");
    let error = call.at(TIME).unwrap_err();
    assert_eq!(error.code(), linkspan_api::ErrorCode::InvalidCredentials);
    assert!(error.to_string().contains("-----BEGIN"), "{error}");
}

#[test]
fn what_describes_the_body_fills_gaps() {
    let call = Call {
        body_headers: described("text/plain"),
        sent: BodyForSigning::Whole(b"x"),
        ..Call::new(template("{ base_url: 'https://x.com' }"))
    };
    assert_eq!(call.header(TIME, "content-type"), "text/plain");
    assert!(!call.needs_body() && !call.is_signed());
    let own = Call {
        headers: &[("content-type", "a/b")],
        ..call
    };
    assert_eq!(own.header(TIME, "content-type"), "a/b");
    let templates = Call {
        headers: &[],
        template: template("{ base_url: 'https://x.com', headers: { content-type: c/d } }"),
        ..own
    };
    assert_eq!(templates.header(TIME, "content-type"), "c/d");
}
