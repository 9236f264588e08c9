//! The OpenAPI document, made of the handlers that it describes.
//!
//! A handler says its method, path, parameters and answers in
//! `#[utoipa::path]`; [`routes!`] registers it there and nowhere else, so that
//! the document cannot name a route that the server lacks. Who may call it is
//! taken from the handler's arguments ([`Opening`]).

mod joined;
mod opening;

use std::sync::OnceLock;

use actix_web::http::Method;
use actix_web::{App, FromRequest, Handler, HttpResponse, Responder, web};
use linkspan_api::{ErrorBody, ErrorCode};
use utoipa::openapi::path::{HttpMethod, Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, Response, Tag};
use utoipa::{OpenApi as _, ToSchema};

pub(crate) use opening::Opening;

use crate::{app, meter};

/// Registers handlers at the methods and paths of their `#[utoipa::path]`.
macro_rules! routes {
    ($routes:expr; $($handler:ident),+ $(,)?) => {
        pastey::paste! {
            $($routes.add::<[<__path_ $handler>], _, _>($handler);)+
        }
    };
    // The same handler under a path that is kept for old clients.
    ($routes:expr; deprecated $path:literal $handler:ident) => {
        pastey::paste! {
            $routes.add_deprecated::<[<__path_ $handler>], _, _>($path, $handler)
        }
    };
}
pub(crate) use routes;

/// What a handler's `#[utoipa::path]` says.
pub(crate) trait Described: utoipa::Path + utoipa::__dev::SchemaReferences {}
impl<T: utoipa::Path + utoipa::__dev::SchemaReferences> Described for T {}

/// Where resources register their handlers.
pub(crate) struct Routes<'c> {
    pub(crate) config: &'c mut web::ServiceConfig,
    /// The document that is being made; a server that starts makes none.
    document: Option<&'c mut OpenApi>,
}

impl<'c> Routes<'c> {
    pub(crate) fn new(config: &'c mut web::ServiceConfig) -> Self {
        Self {
            config,
            document: None,
        }
    }

    /// Registers a handler where its description says.
    pub(crate) fn add<D, H, A>(&mut self, handler: H)
    where
        D: Described,
        H: Handler<A>,
        H::Output: Responder + 'static,
        A: FromRequest + Opening + 'static,
    {
        let path = D::path();
        for method in D::methods() {
            meter::serve(self.config, of(&method), &path, handler.clone());
            self.describe::<D, A>(&path, method, false);
        }
    }

    /// Registers a handler under an older path too.
    pub(crate) fn add_deprecated<D, H, A>(&mut self, path: &str, handler: H)
    where
        D: Described,
        H: Handler<A>,
        H::Output: Responder + 'static,
        A: FromRequest + Opening + 'static,
    {
        for method in D::methods() {
            meter::serve(self.config, of(&method), path, handler.clone());
            self.describe::<D, A>(path, method, true);
        }
    }

    /// Adds a handler to the document that is registered in another way.
    pub(crate) fn describe_only<D: Described, A: Opening>(&mut self) {
        let path = D::path();
        for method in D::methods() {
            self.describe::<D, A>(&path, method, false);
        }
    }

    fn describe<D: Described, A: Opening>(
        &mut self,
        path: &str,
        method: HttpMethod,
        is_deprecated: bool,
    ) {
        let Some(document) = &mut self.document else {
            return;
        };
        let mut operation = D::operation();
        name(&mut operation, &method, D::methods().len(), is_deprecated);
        operation.security = A::security();
        failures(&mut operation, path, A::is_open());
        let mut schemas = Vec::new();
        D::schemas(&mut schemas);
        let components = document.components.get_or_insert_default();
        components.schemas.extend(schemas);
        let item = PathItem::new(method, operation);
        match document.paths.paths.get_mut(path) {
            Some(there) => there.merge_operations(item),
            None => drop(document.paths.paths.insert(path.to_owned(), item)),
        }
    }
}

/// Gives an operation an id of its own, since a description may serve several,
/// and marks those whose id says that they are deprecated.
fn name(operation: &mut Operation, method: &HttpMethod, methods: usize, is_deprecated: bool) {
    let Some(id) = &mut operation.operation_id else {
        return;
    };
    if methods > 1 {
        *id = format!("{}_{id}", verb(method));
    }
    if is_deprecated {
        *id += "_deprecated";
    }
    if id.ends_with("_deprecated") {
        operation.deprecated = Some(utoipa::openapi::Deprecated::True);
    }
}

/// Adds the failures that many routes have in common, which descriptions leave
/// out.
fn failures(operation: &mut Operation, path: &str, is_open: bool) {
    let mut add = |status: &str, description: &str| {
        let responses = &mut operation.responses.responses;
        if !responses.contains_key(status) {
            responses.insert(status.to_owned(), failure(description).into());
        }
    };
    add("400", "The request is wrong: the error names the field.");
    add("500", ErrorCode::GenericErrorSupport.meaning());
    if is_open {
        return;
    }
    add("401", "The key or token is missing, malformed or unknown.");
    add("403", "The key lacks the scope for this.");
    add("429", ErrorCode::TooManyRequest.meaning());
    if path.contains('{') {
        add("404", "There is no such thing in the environment.");
    }
}

fn failure(description: &str) -> Response {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(ErrorBody::name())))
        .build();
    Response::builder()
        .description(description)
        .content("application/json", content)
        .build()
}

fn verb(method: &HttpMethod) -> &'static str {
    match method {
        HttpMethod::Get => "get",
        HttpMethod::Post => "post",
        HttpMethod::Put => "put",
        HttpMethod::Delete => "delete",
        HttpMethod::Options => "options",
        HttpMethod::Head => "head",
        HttpMethod::Patch => "patch",
        HttpMethod::Trace => "trace",
    }
}

const fn of(method: &HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Delete => Method::DELETE,
        HttpMethod::Head => Method::HEAD,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Options => Method::OPTIONS,
        HttpMethod::Trace => Method::TRACE,
    }
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Linkspan API",
        description = "Connect accounts, keep their credentials fresh, and call APIs with them.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(ErrorBody)),
    servers((url = "http://localhost:3003", description = "`linkspan dev`")),
)]
struct Base;

/// The document of all that the server answers.
#[must_use]
pub fn document() -> OpenApi {
    let mut document = Base::openapi();
    let components = document.components.get_or_insert_default();
    for (name, description) in opening::SCHEMES {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(*description))
            .build();
        components.add_security_scheme(*name, SecurityScheme::Http(scheme));
    }
    document.tags = Some(TAGS.iter().map(tag).collect());
    let _ = App::new().configure(|config| {
        app::routes(&mut Routes {
            config,
            document: Some(&mut document),
        });
    });
    if let Some(components) = &mut document.components {
        joined::join(components);
    }
    document
}

/// The resources, in the order in which a reader meets them.
const TAGS: [(&str, &str); 9] = [
    ("Providers", "The catalogue of APIs."),
    ("Integrations", "Providers set up for an environment."),
    ("Connect", "Sessions in which end users connect accounts."),
    ("Browser", "What the popup and the connect page call."),
    ("Connections", "Connected accounts and their credentials."),
    ("Proxy", "Calls with a connection's credentials."),
    ("Records", "What syncs have saved."),
    ("Environments", "Environments, keys and variables."),
    ("Operations", "What Linkspan did, and whether it is well."),
];

fn tag((name, description): &(&str, &str)) -> Tag {
    let mut tag = Tag::new(*name);
    tag.description = Some((*description).to_owned());
    tag
}

/// `GET /openapi.json`.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "get_openapi",
    tag = "Operations",
    responses((status = 200, description = "This document.", body = Object))
)]
async fn get() -> HttpResponse {
    static TEXT: OnceLock<String> = OnceLock::new();
    // A document of strings and maps always serialises.
    let text = TEXT.get_or_init(|| document().to_json().unwrap_or_default());
    HttpResponse::Ok()
        .content_type("application/json")
        .body(text.as_str())
}

pub(crate) fn configure(routes: &mut Routes<'_>) {
    routes!(routes; get);
}
