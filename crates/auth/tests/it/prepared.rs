//! The prepared request of every built-in provider.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use http::{HeaderMap, Method};
use linkspan_auth::Error;
use linkspan_auth::request::{BodyForSigning, Prepare, Prepared, prepare_at};
use linkspan_providers::interpolate::{Path, Root};
use linkspan_providers::{Catalogue, Template};
use url::Url;
use uuid::Uuid;

use crate::sample::{self, Sample};

const PATH: &str = "/v9/items?limit=1";

fn prepared(template: &Template, sample: &Sample) -> Result<Prepared, Error> {
    let call = Prepare {
        config: &sample.config(template),
        client: Some(&sample.client),
        credentials: &sample.credentials,
        base_url_override: None,
        path_and_query: PATH,
        method: &Method::GET,
        headers: &HeaderMap::new(),
        body: BodyForSigning::Absent,
        body_headers: &HeaderMap::new(),
    };
    let now = "2026-01-02T03:04:05Z".parse().unwrap();
    prepare_at(&call, now, Uuid::nil())
}

fn each(mut act: impl FnMut(&Template, Sample)) {
    for template in Catalogue::builtin().unwrap().iter() {
        if let Some(sample) = Sample::of(template) {
            act(template, sample);
        }
    }
}

#[test]
fn every_provider() {
    let mut shown = String::new();
    let mut wrong = Vec::new();
    let mut count = 0;
    each(|template, sample| {
        count += 1;
        let prepared = prepared(template, &sample);
        let prepared = prepared.unwrap_or_else(|error| panic!("{}: {error}", template.slug));
        check(template, &sample, &prepared, &mut wrong);
        show(template, &prepared, &mut shown);
    });
    assert!(count > 900, "{count}");
    // What is known of this one contradicts itself: by its headers it is API_KEY.
    let known =
        "certn-partner: authorization is Some(\"Bearer v-accesstoken\"), not \"Bearer v-apikey\"";
    assert_eq!(wrong, [known]);
    insta::assert_snapshot!(shown);
}

/// A connection's configuration comes from whoever connects, and secrets go where
/// the URL says: what the template writes of the host stays.
#[test]
fn no_configuration_moves_a_host() {
    const HOSTILE: [&str; 9] = [
        "evil.com/",
        "evil.com#",
        "evil.com?",
        "evil.com\\",
        "a@evil.com",
        "evil.com:80",
        "evil.com%2f",
        "//evil.com",
        "evil.com ",
    ];
    let mut count = 0;
    each(|template, mut sample| {
        let tails = tails(template);
        for hostile in HOSTILE {
            for value in sample.connection.values_mut() {
                *value = hostile.into();
            }
            let Ok(prepared) = prepared(template, &sample) else {
                continue;
            };
            count += 1;
            let host = prepared.url.host_str().unwrap();
            let is_kept = tails.iter().any(|tail| host.ends_with(tail));
            assert!(is_kept, "{}: {hostile} makes {host}", template.slug);
        }
    });
    assert!(count > 4_000, "{count}");
}

/// What the template itself writes at the end of the host, in each alternative:
/// nothing, where a value ends it.
fn tails(template: &Template) -> Vec<String> {
    let base = template.proxy.as_ref().unwrap().base_url.as_str();
    base.split(" || ")
        .map(|base| {
            let rest = base.strip_prefix("https://").unwrap_or_default();
            let authority = rest.split('/').next().unwrap_or_default();
            let tail = authority.rsplit('}').next().unwrap_or_default();
            tail.split(':').next().unwrap_or_default().to_owned()
        })
        .collect()
}

fn show(template: &Template, prepared: &Prepared, shown: &mut String) {
    writeln!(shown, "{} {}", template.slug, prepared.url).unwrap();
    let mut lines: Vec<String> = prepared
        .headers
        .iter()
        .map(|(name, value)| format!("    {name}: {}\n", value.to_str().unwrap()))
        .collect();
    lines.sort();
    shown.extend(lines);
}

/// What is not as the template's source says it, told without evaluating it.
fn check(template: &Template, sample: &Sample, prepared: &Prepared, wrong: &mut Vec<String>) {
    let proxy = template.proxy.as_ref().unwrap();
    let url = &prepared.url;
    let mut expect = |what: &str, value: Option<&str>, expected: &str| {
        if value != Some(expected) {
            let slug = &template.slug;
            wrong.push(format!("{slug}: {what} is {value:?}, not {expected:?}"));
        }
    };
    let base = replaced(sample, template, first(proxy.base_url.as_str()));
    let base: Url = base.parse().unwrap();
    expect("the host", url.host_str(), base.host_str().unwrap());
    expect("the scheme", Some(url.scheme()), base.scheme());
    let path = format!("{}/v9/items", base.path().trim_end_matches('/'));
    expect("the path", Some(url.path()), &path);
    let given: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    for (name, text) in &proxy.query {
        let expected = replaced(sample, template, first(text.as_str()));
        expect(name, given.get(name).map(String::as_str), &expected);
    }
    for (name, text) in proxy.headers.iter() {
        let value = prepared
            .headers
            .get(name)
            .map(|value| value.to_str().unwrap());
        let source = first(text.as_str());
        if source.contains('(') || source.contains("${now") {
            // What these make of values is tested one by one; here: something.
            let is_made = value.is_some_and(|value| !value.is_empty() && !value.contains("${"));
            expect(
                name.as_str(),
                Some(if is_made { "made" } else { "not made" }),
                "made",
            );
        } else {
            expect(name.as_str(), value, &replaced(sample, template, source));
        }
    }
    let is_left = url.as_str().contains("${") || url.as_str().contains("%7B");
    expect(
        "a placeholder left in the URL",
        Some(if is_left { "yes" } else { "no" }),
        "no",
    );
}

fn first(source: &str) -> &str {
    source.split(" || ").next().unwrap_or(source)
}

/// The source with each placeholder replaced by what the sample has for it.
fn replaced(sample: &Sample, template: &Template, source: &str) -> String {
    let mut text = source.to_owned();
    for path in sample::paths(template) {
        text = text.replace(&format!("${{{}}}", path.as_str()), &value(sample, path));
    }
    text
}

fn value(sample: &Sample, path: &Path) -> String {
    match (path.root(), path.as_str()) {
        (Root::ConnectionConfig, _) => sample.connection[path.key()].as_str().unwrap().to_owned(),
        (Root::IntegrationConfig, _) => sample.integration[path.key()].clone(),
        (_, "random") => Uuid::nil().to_string(),
        (_, "token" | "accessToken" | "credentials.accessToken") => "v-accesstoken".to_owned(),
        (_, "method") => "GET".to_owned(),
        (_, name @ ("host" | "path" | "params" | "endpoint" | "bodyCanonicalParams")) => {
            format!("<{name}>")
        }
        _ => sample::made_up(path.key()),
    }
}
