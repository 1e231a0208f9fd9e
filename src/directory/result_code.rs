//! LDAP result codes: their names, and what to do about them.

/// The name of a result code (RFC 4511 section 4.1.9).
#[must_use]
pub fn code_name(code: u32) -> &'static str {
    match code {
        0 => "success",
        1 => "operationsError",
        2 => "protocolError",
        3 => "timeLimitExceeded",
        4 => "sizeLimitExceeded",
        7 => "authMethodNotSupported",
        8 => "strongerAuthRequired",
        10 => "referral",
        11 => "adminLimitExceeded",
        12 => "unavailableCriticalExtension",
        13 => "confidentialityRequired",
        14 => "saslBindInProgress",
        16 => "noSuchAttribute",
        17 => "undefinedAttributeType",
        18 => "inappropriateMatching",
        21 => "invalidAttributeSyntax",
        32 => "noSuchObject",
        33 => "aliasProblem",
        34 => "invalidDNSyntax",
        36 => "aliasDereferencingProblem",
        48 => "inappropriateAuthentication",
        49 => "invalidCredentials",
        50 => "insufficientAccessRights",
        51 => "busy",
        52 => "unavailable",
        53 => "unwillingToPerform",
        54 => "loopDetect",
        80 => "other",
        _ => "an unusual result",
    }
}

/// Whether this result code of a bind means that the credentials are wrong: every failure but those
/// of a server that has not looked at them, since it is busy or unavailable, or wants TLS or another
/// way to bind first.
pub(super) fn is_refusal(code: u32) -> bool {
    !matches!(code, 0 | 7 | 8 | 13 | 51 | 52)
}

/// What to do about a result code of a search.
pub(super) fn code_advice(code: u32, text: &str) -> Option<&'static str> {
    Some(match code {
        1 if wants_a_bind(text) => {
            "the server answers nobody who has not signed in: set bind_dn and bind_password_file"
        }
        1 => "the server may require a bind first, or have a problem of its own (see its log)",
        12 => {
            "the server does not offer paged results (RFC 2696), without which completeness \
             cannot be proven"
        }
        8 | 13 => "the server requires encryption: use ldaps:// or start_tls",
        34 => "a search base is not a DN",
        50 => "grant the account the right to search there",
        51 | 52 => "the next run tries again",
        _ => return None,
    })
}

/// What to do about a refused bind: about its result code, or else by Active Directory's code in the
/// text, `AcceptSecurityContext error, data …`: a system error code in hexadecimal (MS-ERREF section
/// 2.2).
pub(super) fn bind_advice(code: u32, text: &str) -> &'static str {
    match code {
        7 => return "the server does not offer this way to bind: see sasl, bind_dn and its log",
        8 | 13 => return "the server wants TLS before a bind: use ldaps:// or start_tls = true",
        _ => {}
    }
    match data(text) {
        Some("57") => {
            "the server cannot read the bind: check bind_dn and the password's characters"
        }
        Some("525") => "the account does not exist",
        Some("52e") => {
            "the name or the password is wrong; a name is written as user@studio.test, STUDIO\\user \
             or a DN"
        }
        Some("52f") => "the account is restricted, such as by an empty password or its logon hours",
        Some("530") => "the account may not log on at this time",
        Some("531") => "the account may not log on from here",
        Some("532") => "the password has expired",
        Some("533") => "the account is disabled",
        Some("701") => "the account has expired",
        Some("773") => "the password must be changed first",
        Some("775") => "the account is locked",
        Some("80090346") => {
            "the server wants channel binding, or what is in between replaces its certificate: \
             connect to the server itself"
        }
        _ => "check bind_dn and the password, and whether the account is locked",
    }
}

/// Whether Active Directory, or Samba, says that a bind must come first (0x4DC is
/// ERROR_NOT_AUTHENTICATED, MS-ERREF section 2.2).
fn wants_a_bind(text: &str) -> bool {
    text.starts_with("000004DC:") || text.contains("without authentication")
}

/// Active Directory's code in the text of a refused bind.
fn data(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("data ")?;
    rest.split([',', ' ', '\0']).next()
}

/// What to do about a refused bind with a Kerberos ticket: about its result code, or else by Active
/// Directory's code in the text.
pub(super) fn ticket_advice(code: u32, text: &str) -> &'static str {
    match (code, data(text)) {
        (7, _) => {
            "the server does not offer GSSAPI, or has no keytab (slapd: KRB5_KTNAME, and the SASL \
             module for it)"
        }
        (8 | 13 | 53, _) => {
            "the server takes no ticket within TLS without a security layer: use ldap:// without \
             start_tls, where messages are sealed, or allow it (Samba: ldap server require strong \
             auth = allow_sasl_over_tls)"
        }
        (_, Some("533" | "701" | "775" | "530" | "531" | "532" | "773")) => bind_advice(code, text),
        (_, Some("80090346")) => {
            "the channel binding is wrong: what is in between replaces the server's certificate; \
             connect to the server itself"
        }
        _ => {
            "see the server's log: its keytab may be outdated, what is in between may replace its \
             certificate (channel binding), or it has no account for the principal (slapd: \
             olcAuthzRegexp, 389-ds: SASL mapping)"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_that_does_not_answer_anybody_without_a_bind_is_told_by_its_text() {
        for text in [
            // Samba's, then Active Directory's.
            "00002020: Operation unavailable without authentication",
            "000004DC: LdapErr: DSID-0C090A5C, comment: In order to perform this operation a \
             successful bind must be completed on the connection., data 0, v4563",
        ] {
            let advice = code_advice(1, text).unwrap_or_default();
            assert!(advice.contains("set bind_dn"), "{advice}");
        }
        let advice = code_advice(1, "out of memory").unwrap_or_default();
        assert!(!advice.contains("set bind_dn"), "{advice}");
    }
}
