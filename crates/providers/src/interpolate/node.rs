//! The tree of a parsed text.

use std::borrow::Cow;
use std::fmt;

use super::time::Time;
use super::{CallError, Function, Scope, Unresolved, Uses};

/// Names that stand alone, without a root.
const NAMES: &[&str] = &[
    "accessToken",
    "apiKey",
    // Of a subdomain of the API; one provider has it without a root.
    "apiSubdomain",
    "clientId",
    "clientSecret",
    "random",
    "refreshToken",
    "refresh_token",
    "token",
    // Of the request that is being signed.
    "bodyCanonicalParams",
    "endpoint",
    "host",
    "method",
    "params",
    "path",
];

const ROOTS: &[(&str, Root)] = &[
    ("assertionOption", Root::AssertionOption),
    ("connectionConfig", Root::ConnectionConfig),
    ("credentials", Root::Credentials),
    ("integrationConfig", Root::IntegrationConfig),
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Literal(Box<str>),
    Path(Path),
    Time(Time),
    /// With its arguments.
    Call(Function, Box<[Box<[Node]>]>),
}

/// What a placeholder refers to: `connectionConfig.x`, `credentials.x`,
/// `integrationConfig.x`, `assertionOption.x` or `step1.x` (where `x` may itself
/// be dotted), or a single name such as `apiKey`, `accessToken` or `random`.
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
    /// What a person enters once, to make an assertion of.
    AssertionOption,
    /// The answer to a step of a login in several, from 1.
    Step(u8),
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
        let root = match ROOTS.iter().find(|(known, _)| *known == name) {
            Some((_, root)) => *root,
            None => Root::Step(
                name.strip_prefix("step")?
                    .parse()
                    .ok()
                    .filter(|step| *step > 0)?,
            ),
        };
        let complete = key.split('.').all(|part| !part.is_empty());
        complete.then(|| Self {
            text: text.into(),
            root,
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
        Unresolved::Unset {
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

/// What the placeholders of `nodes` name, those in functions' arguments too.
pub(super) fn paths<'a>(nodes: &'a [Node], found: &mut Vec<&'a Path>) {
    for node in nodes {
        match node {
            Node::Literal(_) | Node::Time(_) => {}
            Node::Path(path) => found.push(path),
            Node::Call(_, arguments) => {
                for nodes in arguments {
                    paths(nodes, found);
                }
            }
        }
    }
}

/// Adds what `nodes` need to know of the request.
pub(super) fn uses(nodes: &[Node], found: &mut Uses) {
    for node in nodes {
        match node {
            Node::Literal(_) | Node::Time(_) => {}
            Node::Path(path) => {
                let is_bare = path.root == Root::Bare;
                found.body |= is_bare && ["bodyCanonicalParams", "params"].contains(&path.key());
            }
            Node::Call(function, arguments) => {
                if *function == Function::AwsSigV4 {
                    *found = Uses {
                        body: true,
                        headers: true,
                    };
                }
                for nodes in arguments {
                    uses(nodes, found);
                }
            }
        }
    }
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
        Node::Time(time) => match scope.now() {
            Some(now) => Ok(Cow::Owned(time.evaluate(now))),
            None => Err(Unresolved::Unset {
                path: "now".to_owned(),
            }),
        },
        Node::Call(function, arguments) => call(*function, arguments, scope, allow_empty),
    }
}

fn call<'a, S: Scope + ?Sized>(
    function: Function,
    arguments: &[Box<[Node]>],
    scope: &S,
    allow_empty: bool,
) -> Result<Cow<'a, str>, Unresolved> {
    let argument = |nodes: &[Node]| {
        let mut text = String::new();
        write(nodes, scope, allow_empty, &mut text).map(|()| text)
    };
    let arguments = arguments
        .iter()
        .map(|nodes| argument(nodes))
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(value) = function.apply(&arguments) {
        return Ok(Cow::Owned(value));
    }
    match scope.call(function, &arguments) {
        Ok(value) => Ok(Cow::Owned(value)),
        Err(CallError::Unsupported) => Err(Unresolved::Unsupported { function }),
        Err(CallError::Failed(reason)) => Err(Unresolved::Failed { function, reason }),
    }
}
