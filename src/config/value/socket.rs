//! Addresses of servers that listen at a socket of this machine: `ldapi://` and the path of the
//! socket's file, percent-encoded.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::Url;

/// The usual files of OpenLDAP, for `ldapi:///`: Debian's, and that of other distributions.
pub const USUAL: [&str; 2] = ["/run/slapd/ldapi", "/run/ldapi"];
/// The longest path that the system takes, in bytes (unix(7): `sun_path` without its end).
const LONGEST: usize = 107;
const EXAMPLE: &str = "ldapi://%2Frun%2Fslapd%2Fldapi";

/// Whether a URL is that of a socket.
#[must_use]
pub fn is_socket(url: &Url) -> bool {
    url.scheme() == "ldapi"
}

/// The files at which a server may listen, of which the first that exists is used.
///
/// # Errors
/// The URL names no file; the text says why.
pub fn sockets(url: &Url) -> Result<Vec<PathBuf>, String> {
    let is_bare = matches!(url.path(), "" | "/") && url.query().is_none();
    if !is_bare || !url.has_authority() || url.fragment().is_some() {
        return Err(format!(
            "ldapi:// takes the path of the socket's file with %2F for each slash, such as \
             \"{EXAMPLE}\""
        ));
    }
    if url.port().is_some() {
        return Err(format!(
            "a socket has no port; write its file, such as \"{EXAMPLE}\""
        ));
    }
    let encoded = url.host_str().unwrap_or_default();
    if encoded.is_empty() {
        return Ok(USUAL.iter().map(PathBuf::from).collect());
    }
    let decoded = percent_decode_str(encoded).decode_utf8();
    let file = decoded.map_err(|_| "the path of the socket's file is not UTF-8".to_owned())?;
    if !file.starts_with('/') {
        return Err(format!(
            "the path of the socket's file must begin with a slash, such as \"{EXAMPLE}\""
        ));
    }
    if file.len() > LONGEST || file.contains('\0') {
        return Err(format!(
            "the path of the socket's file has more than {LONGEST} bytes, or a zero byte"
        ));
    }
    Ok(vec![PathBuf::from(file.into_owned())])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn files(url: &str) -> Result<Vec<PathBuf>, String> {
        sockets(&Url::parse(url).unwrap())
    }

    #[test]
    fn the_path_is_decoded() {
        for url in [
            "ldapi://%2Frun%2Fa%20b%2fldapi",
            "ldapi://%2Frun%2Fa%20b%2fldapi/",
        ] {
            assert_eq!(files(url), Ok(vec!["/run/a b/ldapi".into()]), "{url}");
        }
        assert_eq!(files("ldapi:///").unwrap().len(), USUAL.len());
        assert_eq!(files("ldapi://").unwrap().len(), USUAL.len());
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let long = format!("ldapi://%2F{}", "x".repeat(LONGEST));
        for url in [
            "ldapi:///run/slapd/ldapi",
            "ldapi://run",
            "ldapi://%2Frun:389",
            "ldapi://%2Frun?x",
            "ldapi://%2Frun#x",
            "ldapi://%2F%ff",
            "ldapi://%2F%00",
            "ldapi:",
            "ldapi:/",
            &long,
        ] {
            assert!(files(url).is_err(), "{url}");
        }
    }
}
