//! Provider templates: their schema, interpolation and checks.
//!
//! A template says how to authenticate with one provider and how to call its
//! API. It is a YAML file whose name is the provider's slug; CONTRACT section 4
//! is the source of its keys. Everything in it is parsed once, when it is
//! loaded: a mistake is an error at start, never during a request.
//!
//! The crate builds for wasm32. The built-in [`Catalogue`] is behind the
//! feature `catalogue`.

mod builtin;
mod catalogue;
mod check;
mod config;
mod field;
pub mod interpolate;
mod mode;
mod param;
mod pattern;
#[cfg(feature = "schema")]
pub mod schema;
mod slug;
mod template;

pub use catalogue::{Catalogue, Entry, Source};
pub use check::{Finding, Findings, Severity};
pub use config::{Config, ConfigValues};
pub use field::{Field, FieldError, FieldFormat, FieldType, Fields, VisibleWhen};
pub use mode::AuthMode;
pub use param::{Entries, Param};
pub use pattern::Pattern;
pub use slug::{InvalidSlug, check_slug};
pub use template::{
    Assertion, AuthorizationMethod, BodyFormat, ClientRegistration, ExpirationStrategy,
    ExpiresInUnit, Headers, Installation, Paginate, Params, Proxy, Retry, RetryInBody,
    RetryStrategy, Seconds, SecretEncoding, SelfSigned, Signature, SignatureMethod,
    SignatureProtocol, Step, Template, TemplateError, TokenRequestAuthMethod, TokenResponse,
    TokenUrl, TokenUrls, Verification,
};
