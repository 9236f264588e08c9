//! The tree of a parsed text.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Scope, Unresolved};

/// Names that stand alone, without a root.
const NAMES: &[&str] = &[
    "accessToken",
    "apiKey",
    "clientId",
    "clientSecret",
    "now",
    "random",
    "refreshToken",
];

const ROOTS: &[(&str, Root)] = &[
    ("connectionConfig", Root::ConnectionConfig),
    ("credentials", Root::Credentials),
    ("integrationConfig", Root::IntegrationConfig),
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Literal(Box<str>),
    Path(Path),
    Call(Function, Box<[Node]>),
}

/// Every function; [`Function::named`] is the list that the parser accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    /// Standard alphabet, padded (RFC 4648 section 4).
    Base64,
}

impl Function {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "base64" => Some(Self::Base64),
            _ => None,
        }
    }

    fn apply(self, argument: &str) -> String {
        match self {
            Self::Base64 => STANDARD.encode(argument),
        }
    }
}

/// What a placeholder refers to: `connectionConfig.x`, `credentials.x`,
/// `integrationConfig.x` (where `x` may itself be dotted), or a single name
/// such as `apiKey`, `accessToken`, `clientId`, `now` or `random`.
#[derive(Clone, PartialEq, Eq)]
pub struct Path {
    text: Box<str>,
    root: Root,
    key_start: usize,
}

/// The first part of a [`Path`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// The connection's configuration.
    ConnectionConfig,
    /// The connection's credentials, by field name.
    Credentials,
    /// The integration's configuration.
    IntegrationConfig,
    /// None: the path is a single name.
    Bare,
}

impl Path {
    /// Nothing if the root or the name is unknown, or a character is not allowed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if !text.bytes().all(is_allowed) {
            return None;
        }
        if NAMES.contains(&text) {
            return Some(Self {
                text: text.into(),
                root: Root::Bare,
                key_start: 0,
            });
        }
        let (name, key) = text.split_once('.')?;
        let (_, root) = ROOTS.iter().find(|(known, _)| *known == name)?;
        let complete = key.split('.').all(|part| !part.is_empty());
        complete.then(|| Self {
            text: text.into(),
            root: *root,
            key_start: name.len() + 1,
        })
    }

    /// The whole path as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where to look.
    #[must_use]
    pub fn root(&self) -> Root {
        self.root
    }

    /// What to look for there: the path without its root.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.text[self.key_start..]
    }

    pub(crate) fn unresolved(&self) -> Unresolved {
        Unresolved {
            path: self.text.to_string(),
        }
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path({})", self.text)
    }
}

/// Appends the value of `nodes`. `allow_empty` says whether an empty value
/// counts as set.
pub(super) fn write<S: Scope + ?Sized>(
    nodes: &[Node],
    scope: &S,
    allow_empty: bool,
    out: &mut String,
) -> Result<(), Unresolved> {
    for node in nodes {
        match node {
            Node::Literal(literal) => out.push_str(literal),
            _ => out.push_str(&value(node, scope, allow_empty)?),
        }
    }
    Ok(())
}

/// The value of one node.
pub(super) fn value<'a, S: Scope + ?Sized>(
    node: &'a Node,
    scope: &'a S,
    allow_empty: bool,
) -> Result<Cow<'a, str>, Unresolved> {
    match node {
        Node::Literal(literal) => Ok(Cow::Borrowed(literal)),
        Node::Path(path) => scope
            .lookup(path)
            .filter(|value| allow_empty || !value.is_empty())
            .ok_or_else(|| path.unresolved()),
        Node::Call(function, argument) => {
            let mut text = String::new();
            write(argument, scope, allow_empty, &mut text)?;
            Ok(Cow::Owned(function.apply(&text)))
        }
    }
}
