//! Strict reading of query strings and form bodies.

use thiserror::Error;
use url::form_urlencoded;

/// Decoded parameters in the order they were sent, repetitions kept.
#[derive(Debug)]
pub(crate) struct Params(Vec<(String, String)>);

/// Why a list of parameters is not the one that was asked for. Names only,
/// since values may be secrets.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum ParamError {
    #[error("parameter {0} is missing")]
    Missing(&'static str),
    #[error("parameter {0} is given more than once")]
    Repeated(&'static str),
    #[error("parameter {0} is not expected here")]
    Unexpected(String),
}

impl Params {
    /// Reads `application/x-www-form-urlencoded` bytes (a query string or a body).
    pub(crate) fn parse(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// The pairs, for the journal.
    pub(crate) fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }

    /// The value of a parameter that must be there once. An empty value counts
    /// as left out, as RFC 6749 section 3.1 demands.
    pub(crate) fn once(&self, name: &'static str) -> Result<&str, ParamError> {
        self.at_most_once(name)?
            .filter(|value| !value.is_empty())
            .ok_or(ParamError::Missing(name))
    }

    /// The value of a parameter that may be left out but not repeated.
    pub(crate) fn at_most_once(&self, name: &'static str) -> Result<Option<&str>, ParamError> {
        let mut values = self.0.iter().filter(|(given, _)| given == name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(ParamError::Repeated(name)),
            (found, None) => Ok(found.map(|(_, value)| value.as_str())),
        }
    }

    /// The values of exactly these parameters, in the order asked for: each
    /// once, and nothing else in the list.
    pub(crate) fn exactly<const N: usize>(
        &self,
        names: [&'static str; N],
    ) -> Result<[&str; N], ParamError> {
        self.only(&names)?;
        let mut values = [""; N];
        for (value, name) in values.iter_mut().zip(names) {
            *value = self.once(name)?;
        }
        Ok(values)
    }

    /// Refuses the first parameter whose name is not in the list.
    pub(crate) fn only(&self, names: &[&'static str]) -> Result<(), ParamError> {
        match self
            .0
            .iter()
            .find(|(name, _)| !names.contains(&name.as_str()))
        {
            Some((name, _)) => Err(ParamError::Unexpected(name.clone())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_takes_each_once_and_nothing_else() {
        let names = ["a", "b"];
        let read = |text: &str| {
            let params = Params::parse(text.as_bytes());
            params.exactly(names).map(|values| values.join(","))
        };
        assert_eq!(read("b=2+%26&a=1"), Ok("1,2 &".into()));
        assert_eq!(read("a=1"), Err(ParamError::Missing("b")));
        assert_eq!(read("a=1&b="), Err(ParamError::Missing("b")));
        assert_eq!(read("a=1&b=2&a=1"), Err(ParamError::Repeated("a")));
        assert_eq!(read("a=1&b=2&c=3"), Err(ParamError::Unexpected("c".into())));
    }
}
