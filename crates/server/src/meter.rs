//! What is counted of requests. Each route has its handles with it, so that to
//! count costs a few atomic additions and no look-up by name; they are made when
//! they are first needed, since most routes are hardly ever called.

use std::cell::OnceCell;
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::dev::ServiceResponse;
use actix_web::http::Method;
use actix_web::{Error, FromRequest, Handler, Responder, guard, web};
use metrics::{
    Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, histogram,
};

/// The route under which proxied calls are counted, whatever their path.
const PROXY: &str = "/proxy/{path}";
/// The route of requests that met none.
const UNMATCHED: &str = "unmatched";
/// The method of those that are not among the known ones.
const OTHER: &str = "other";
/// Methods that are told apart. A caller may invent others, without end.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::HEAD,
    Method::OPTIONS,
];
/// Classes of statuses. The last one is of callers who left before the answer.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "gone"];
const GONE: usize = 5;
/// No class: it is counted already.
const COUNTED: usize = usize::MAX;

/// Says what the metrics of this crate mean.
pub(crate) fn describe() {
    describe_counter!(
        "linkspan_http_requests_total",
        "Requests, by route, method and class of status; `gone` are callers who left before it."
    );
    describe_histogram!(
        "linkspan_http_request_duration_seconds",
        "From a request's head to the head of its answer, in seconds."
    );
    describe_counter!(
        "linkspan_http_rate_limited_total",
        "Requests refused with 429, by whose allowance was used up."
    );
    describe_gauge!(
        "linkspan_http_connections",
        "Connections that callers have open."
    );
    describe_gauge!(
        "linkspan_http_connections_limit",
        "Connections that callers may have open at once."
    );
    describe_gauge!("linkspan_websockets", "Pages that wait on websockets.");
    describe_gauge!(
        "linkspan_websockets_limit",
        "Pages that may wait on websockets at once."
    );
}

/// Registers a handler at a method and a path, counted under that path.
pub(crate) fn serve<H, A>(config: &mut web::ServiceConfig, method: Method, path: &str, handler: H)
where
    H: Handler<A>,
    H::Output: Responder + 'static,
    A: FromRequest + 'static,
{
    let resource = web::resource(path)
        .app_data(RouteMeter::new(path, name(&method)))
        .guard(guard::Method(method))
        .to(handler);
    config.service(resource);
}

/// The handles of one method at one route, in one of the server's threads.
struct RouteMeter {
    route: String,
    method: &'static str,
    requests: [OnceCell<Counter>; CLASSES.len()],
    duration: OnceCell<Histogram>,
}

impl RouteMeter {
    fn new(route: &str, method: &'static str) -> Self {
        Self {
            route: route.to_owned(),
            method,
            requests: Default::default(),
            duration: OnceCell::new(),
        }
    }

    fn count(&self, class: usize, took: Duration) {
        let Some((requests, name)) = self.requests.get(class).zip(CLASSES.get(class)) else {
            return;
        };
        let labels = || {
            [
                ("route", self.route.clone()),
                ("method", self.method.to_owned()),
            ]
        };
        let requests = requests.get_or_init(|| {
            let [route, method] = labels();
            let status = ("status", (*name).to_owned());
            counter!("linkspan_http_requests_total", &[route, method, status])
        });
        requests.increment(1);
        let duration = self
            .duration
            .get_or_init(|| histogram!("linkspan_http_request_duration_seconds", &labels()));
        duration.record(took);
    }
}

/// The handles of requests that find no [`RouteMeter`] on their way.
pub(crate) struct Meters {
    proxied: Vec<RouteMeter>,
    unmatched: Vec<RouteMeter>,
}

impl Meters {
    pub(crate) fn new() -> Rc<Self> {
        let each = |route| {
            let names = METHODS.iter().map(name).chain([OTHER]);
            names.map(|name| RouteMeter::new(route, name)).collect()
        };
        Rc::new(Self {
            proxied: each(PROXY),
            unmatched: each(UNMATCHED),
        })
    }

    /// A request that begins now.
    pub(crate) fn begin(self: Rc<Self>, method: &Method, is_proxied: bool) -> Waiting {
        let known = METHODS.iter().position(|known| known == method);
        Waiting {
            meters: self,
            method: known.unwrap_or(METHODS.len()),
            is_proxied,
            begun: Instant::now(),
            class: GONE,
        }
    }
}

/// A request that is being answered; it is counted when this is dropped.
pub(crate) struct Waiting {
    meters: Rc<Meters>,
    method: usize,
    is_proxied: bool,
    begun: Instant,
    class: usize,
}

impl Waiting {
    /// Counts it when the head of its answer is there. If that is no longer
    /// waited for, its caller has gone.
    pub(crate) async fn until<B>(
        mut self,
        answer: impl Future<Output = Result<ServiceResponse<B>, Error>>,
    ) -> Result<ServiceResponse<B>, Error> {
        let answer = answer.await;
        match &answer {
            Ok(response) => {
                let class = class(response.status().as_u16());
                match response.request().app_data::<RouteMeter>() {
                    Some(route) => self.counted(route, class),
                    None => self.class = class,
                }
            }
            Err(error) => {
                let status = error.as_response_error().status_code();
                self.class = class(status.as_u16());
            }
        }
        answer
    }

    fn counted(&mut self, route: &RouteMeter, class: usize) {
        route.count(class, self.begun.elapsed());
        self.class = COUNTED;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let meters = match self.is_proxied {
            true => &self.meters.proxied,
            false => &self.meters.unmatched,
        };
        if let Some(meter) = meters.get(self.method) {
            meter.count(self.class, self.begun.elapsed());
        }
    }
}

fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => OTHER,
    }
}

/// The place of a status among [`CLASSES`].
fn class(status: u16) -> usize {
    usize::from(status / 100).saturating_sub(1).min(GONE - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_a_class_and_an_invented_method_no_label_of_its_own() {
        for (status, expected) in [(101, "1xx"), (204, "2xx"), (302, "3xx"), (429, "4xx")] {
            assert_eq!(CLASSES[class(status)], expected);
        }
        assert_eq!(CLASSES[class(503)], "5xx");
        let invented = Method::from_bytes(b"BREW").unwrap();
        assert_eq!(name(&invented), "other");
        let meters = Meters::new();
        let names: Vec<_> = meters.proxied.iter().map(|meter| meter.method).collect();
        let known: Vec<_> = METHODS.iter().map(Method::as_str).collect();
        assert_eq!(names[..METHODS.len()], known);
        assert_eq!(names[METHODS.len()], "other");
    }
}
