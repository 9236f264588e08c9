//! How one call deviates from the usual.

use url::Url;

/// Retries of one call, whatever the caller asks for: the waits are bounded
/// anyway, but an API that asks for no wait would be hammered.
const MOST_RETRIES: u32 = 20;

/// How one call deviates from the usual (CONTRACT 2.7). `Default` is the usual.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// How often a failed call is made again; 20 at most.
    pub retries: u32,
    /// Statuses to retry beside those that the template names.
    pub retry_on: Vec<u16>,
    /// Stands in for the template's base URL: http or https, without user,
    /// query and fragment.
    pub base_url_override: Option<Url>,
    /// Whether headers go along when the API redirects to another host of the
    /// same site.
    pub forward_headers_on_redirect: bool,
    /// Whether the answer is to arrive uncompressed. The API is asked for it,
    /// unless the caller asks for an encoding.
    pub decompress: bool,
}

/// Sets an option from its header's text, or says what it should have been.
type Set = fn(&mut Options, &str) -> Result<(), &'static str>;

/// The header of each option.
pub(crate) const OPTIONS: [(&str, Set); 5] = [
    ("retries", |options, text| {
        options.retries = read_retries(text)?;
        Ok(())
    }),
    ("retry-on", |options, text| {
        options.retry_on = read_statuses(text)?;
        Ok(())
    }),
    ("base-url-override", |options, text| {
        options.base_url_override = Some(read_base_url(text)?);
        Ok(())
    }),
    ("decompress", |options, text| {
        options.decompress = read_flag(text)?;
        Ok(())
    }),
    ("forward-headers-on-redirect", |options, text| {
        options.forward_headers_on_redirect = read_flag(text)?;
        Ok(())
    }),
];

fn read_retries(text: &str) -> Result<u32, &'static str> {
    match text.parse::<u32>() {
        Ok(count) => Ok(count.min(MOST_RETRIES)),
        Err(_) => Err("Expected a whole number"),
    }
}

fn read_statuses(text: &str) -> Result<Vec<u16>, &'static str> {
    let statuses = text.split(',').map(|status| {
        let is_digits = !status.is_empty() && status.bytes().all(|byte| byte.is_ascii_digit());
        is_digits.then(|| status.parse().ok()).flatten()
    });
    statuses
        .collect::<Option<_>>()
        .ok_or("Expected HTTP statuses separated by commas, such as 429,503")
}

fn read_flag(text: &str) -> Result<bool, &'static str> {
    if text.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if text.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err("Expected true or false")
    }
}

fn read_base_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "Expected a URL, such as https://api.example.com")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("Expected an http or https URL");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("Expected a URL without user name and password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("Expected a URL without query and fragment");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_contract_allows_and_nothing_else() {
        assert_eq!(read_retries("3"), Ok(3));
        assert_eq!(read_retries("1000000"), Ok(MOST_RETRIES));
        for wrong in ["-1", "1.5", "x", " "] {
            assert!(read_retries(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(read_statuses("429,503"), Ok(vec![429, 503]));
        for wrong in ["429,", ",", "4xx", "+429", "429, 503", "99999999"] {
            assert!(read_statuses(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(read_flag("true"), Ok(true));
        assert_eq!(read_flag("False"), Ok(false));
        assert!(read_flag("1").is_err());
        assert!(read_base_url("https://api.example.com/v1").is_ok());
        for wrong in [
            "api.example.com",
            "ftp://api.example.com",
            "https://me:pw@api.example.com",
            "https://api.example.com/?a=1",
            "https://api.example.com/#a",
        ] {
            assert!(read_base_url(wrong).is_err(), "{wrong:?}");
        }
    }
}
