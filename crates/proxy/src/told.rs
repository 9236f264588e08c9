//! When to try again, where only the body of the answer says it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fancy_regex::Regex;
use futures_util::StreamExt;
use http::Response;
use linkspan_providers::RetryInBody;
use serde_json::Value;

use crate::body::Source;

/// How much of a body is read for it. What says "later" is short.
const MOST: usize = 64 * 1024;
/// How long that may take.
const LONGEST: Duration = Duration::from_secs(5);

/// What the template's expression finds in the body, as far as that is read
/// now. The answer stays whole, since it may yet be the caller's.
pub(crate) async fn told(answer: &mut Response<Source>, rule: &RetryInBody) -> Option<String> {
    let begun = begin(answer.body_mut()).await;
    find(rule, &begun)
}

/// Reads the beginning of a body, and puts it back.
async fn begin(body: &mut Source) -> Bytes {
    let mut begun = BytesMut::new();
    let reading = async {
        while begun.len() < MOST {
            match body.next().await {
                Some(Ok(piece)) => begun.extend_from_slice(&piece),
                Some(Err(error)) => return Some(error),
                None => return None,
            }
        }
        None
    };
    let failed = tokio::time::timeout(LONGEST, reading).await.ok().flatten();
    let begun = begun.freeze();
    let rest = match failed {
        // Without it the caller would take what there is for everything.
        Some(error) => Source::Failed(Some(error)),
        None => std::mem::replace(body, Source::Failed(None)),
    };
    *body = Source::Begun((!begun.is_empty()).then(|| begun.clone()), Box::new(rest));
    begun
}

fn find(rule: &RetryInBody, body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let text = rule
        .path
        .split('.')
        .try_fold(&body, |value, key| value.get(key))?
        .as_str()?;
    let pattern = expression(&rule.value)?;
    let found = pattern.captures(text).ok()??.get(1)?;
    Some(found.as_str().trim().to_owned())
}

/// The expression between the slashes. One that is not understood finds nothing.
fn expression(text: &str) -> Option<Regex> {
    let inner = text
        .strip_prefix('/')
        .and_then(|text| text.strip_suffix('/'))
        .unwrap_or(text);
    Regex::new(inner).ok()
}

#[cfg(test)]
mod tests {
    use linkspan_providers::{Catalogue, RetryStrategy};

    use super::*;

    #[test]
    fn finds_what_the_template_describes() {
        let rule = RetryInBody {
            path: "error.message".to_owned(),
            value: r"/Limit exceeded\. +Retry after (.+)/".to_owned(),
            strategy: RetryStrategy::At,
        };
        let found = |body: &str| find(&rule, body.as_bytes());
        let at = "2023-11-14T22:13:25Z";
        let body = format!(r#"{{"error":{{"message":"Limit exceeded.  Retry after {at} "}}}}"#);
        assert_eq!(found(&body).as_deref(), Some(at));
        for body in [
            r#"{"error":{"message":"Limit exceeded"}}"#,
            r#"{"error":{"message":7}}"#,
            r#"{"error":"Limit exceeded. Retry after 7"}"#,
            "Limit exceeded. Retry after 7",
            "",
        ] {
            assert_eq!(found(body), None, "{body}");
        }
    }

    #[test]
    fn every_builtin_expression_is_understood() {
        let catalogue = Catalogue::builtin().unwrap();
        let rules = catalogue.iter().filter_map(|template| {
            let retry = template.proxy.as_ref()?.retry.as_ref()?;
            Some((&template.slug, retry.in_body.as_ref()?))
        });
        let mut count = 0;
        for (slug, rule) in rules {
            count += 1;
            let groups = expression(&rule.value).map(|pattern| pattern.captures_len());
            assert_eq!(groups, Some(2), "{slug}: the whole, and the time");
        }
        assert!(count > 0);
    }
}
