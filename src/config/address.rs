//! URLs: which are accepted, and the form in which two of them are the same. Messages never quote
//! one: it may hold a password.

use url::{Host, Url};

/// An accepted URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// As it is asked: scheme and host in lower case, no default port, the path as given.
    pub sent: String,
    /// In normal form, for comparing: also without a slash at the end.
    pub normal: String,
}

/// Reads the URL of an authorization server.
pub fn read(text: &str) -> Result<Address, String> {
    let url = parse(text)?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => return Err("http:// is accepted for loopback addresses only; use https://".into()),
        _ => return Err("it begins with neither https:// nor http://".into()),
    }
    if has_user(&url) {
        return Err("no user or password may stand in the URL; remove it".into());
    }
    if url.fragment().is_some() {
        return Err("no #fragment may stand in the URL; remove it".into());
    }
    let path = url.path().trim_end_matches('/');
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let normal = format!("{}{path}{query}", url.origin().ascii_serialization());
    Ok(Address { sent: url.into(), normal })
}

/// Reads the URL of a proxy, which may be spoken to in the clear: what goes through it is not.
pub fn proxy(text: &str) -> Result<String, String> {
    let url = parse(text)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("a proxy's URL begins with http:// or https://".into());
    }
    if has_user(&url) {
        return Err("no user or password may stand here; use \"environment\" and HTTPS_PROXY".into());
    }
    Ok(url.into())
}

fn parse(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
    if url.host().is_none() { Err("not a URL: it names no host".into()) } else { Ok(url) }
}

fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_account_is_known_however_its_url_is_written() {
        let normal = |text| read(text).unwrap().normal;
        for same in ["https://as.example/token", "HTTPS://AS.Example:443/token/", "https://as.example/a/../token"] {
            assert_eq!(normal(same), "https://as.example/token", "{same}");
        }
        assert_eq!(normal("https://as.example"), "https://as.example");
        assert_eq!(normal("https://as.example:8443/?a=b"), "https://as.example:8443?a=b");
        assert_ne!(normal("https://as.example/Token"), normal("https://as.example/token"));
    }

    #[test]
    fn the_path_is_asked_as_given() {
        assert_eq!(read("https://AS.example:443/token/").unwrap().sent, "https://as.example/token/");
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for good in ["http://127.0.0.1:8080/t", "http://127.9.9.9/", "http://[::1]/t", "http://localhost:1/"] {
            assert!(read(good).is_ok(), "{good}");
        }
        for bad in ["http://as.example/", "http://10.0.0.1/", "http://localhost.example/", "http://[::2]/"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(proxy("http://proxy.example:3128").is_ok());
    }

    #[test]
    fn a_url_that_is_refused_is_not_quoted() {
        for bad in ["hunter2", "https://user:hunter2@as.example/", "ftp://hunter2/", "https://as.example/#hunter2"] {
            assert!(!read(bad).unwrap_err().contains("hunter2"), "{bad}");
            assert!(!proxy(bad).is_err_and(|text| text.contains("hunter2")), "{bad}");
        }
    }
}
