//! What `cargo xtask bench templates` measures: reading every built-in template,
//! and preparing requests, on the one thread there is. Prints a JSON object; its
//! argument is how many seconds to prepare for.

use std::hint::black_box;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use linkspan_auth::request::{BodyForSigning, Prepare, prepare};
use linkspan_providers::{Catalogue, Config, Template};

#[path = "../../tests/it/sample.rs"]
mod sample;

use sample::Sample;

type Failure = Box<dyn std::error::Error>;

/// A plain one, which most providers' are like.
const BEARER: &str = "display_name: Bearer\ncategories: [other]\nauth_mode: OAUTH2\n\
    authorization_url: https://example.com/authorize\ntoken_url: https://example.com/token\n\
    proxy: { base_url: 'https://api.example.com/v1' }\n";

fn main() -> Result<(), Failure> {
    let seconds: f64 = std::env::args()
        .nth(1)
        .ok_or("say how many seconds")?
        .parse()?;
    let span = Duration::from_secs_f64(seconds);
    let begun = Instant::now();
    let catalogue = Catalogue::builtin()?;
    // Each is read when it is first asked for.
    let templates: Vec<_> = catalogue.iter().collect();
    let load = begun.elapsed().as_secs_f64() * 1e3;
    let mix: Vec<_> = templates
        .iter()
        .filter_map(|template| {
            let template: &Template = template;
            Some((template, Sample::of(template)?))
        })
        .collect();
    let bearer = Template::parse("bearer", BEARER)?;
    let sample = Sample::of(&bearer).ok_or("the template has no proxy")?;
    let plain = [(&bearer, sample)];
    let report = format!(
        "{{\"templates\":{},\"load_ms\":{load},\"mix\":{},\"bearer\":{}}}",
        templates.len(),
        per_second(&mix, span)?,
        per_second(&plain, span)?,
    );
    println!("{report}");
    Ok(())
}

/// Requests prepared in a second, of each in turn.
fn per_second(of: &[(&Template, Sample)], span: Duration) -> Result<f64, Failure> {
    let configs: Vec<Config<'_>> = of
        .iter()
        .map(|(template, sample)| sample.config(template))
        .collect();
    let headers = HeaderMap::from_iter([
        (
            HeaderName::from_static("accept"),
            HeaderValue::from_static("application/json"),
        ),
        (
            HeaderName::from_static("x-request-id"),
            HeaderValue::from_static("7f3c"),
        ),
    ]);
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < span {
        for (config, (_, sample)) in configs.iter().zip(of) {
            let call = Prepare {
                config,
                client: Some(&sample.client),
                credentials: &sample.credentials,
                base_url_override: None,
                path_and_query: "/items?limit=100&cursor=abc",
                method: &Method::GET,
                headers: &headers,
                body: BodyForSigning::Absent,
                body_headers: &HeaderMap::new(),
            };
            black_box(prepare(black_box(&call))?);
            count += 1;
        }
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}
