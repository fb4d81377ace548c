//! The variables `auth` and `auth_…`.

use super::reader::{Reader, SettingError};
use crate::identity::{Auth, ProxyRules, TokenRules};

/// Reads how users are told apart.
pub(super) fn read(reader: &Reader<'_>) -> Result<Auth, SettingError> {
    match reader.text("auth", "none").as_str() {
        "none" => Ok(Auth::None),
        "jwt" => Ok(Auth::Jwt(Box::new(read_token_rules(reader)?))),
        "header" => Ok(Auth::Header(read_proxy_rules(reader)?)),
        _ => Err(SettingError::new("auth", "none, jwt or header")),
    }
}

fn read_token_rules(reader: &Reader<'_>) -> Result<TokenRules, SettingError> {
    let mut rules = match (reader.value("auth_jwt_secret"), reader.value("auth_jwt_public_key")) {
        (Some(secret), None) => TokenRules::with_secret(&secret),
        (None, Some(pem)) => TokenRules::with_public_key(&pem).ok_or(SettingError::new(
            "auth_jwt_public_key",
            "a public key in PEM: RSA (RS256), P-256 (ES256) or Ed25519 (EdDSA)",
        ))?,
        _ => {
            let expected = "set where auth is jwt, and auth_jwt_public_key not, or the other way round";
            return Err(SettingError::new("auth_jwt_secret", expected));
        }
    };
    if let Some(audience) = reader.value("auth_jwt_audience") {
        rules = rules.for_audience(audience);
    }
    if let Some(issuer) = reader.value("auth_jwt_issuer") {
        rules = rules.by_issuer(issuer);
    }
    Ok(rules)
}

fn read_proxy_rules(reader: &Reader<'_>) -> Result<ProxyRules, SettingError> {
    let expected = "set where auth is header: the secret that the proxy sends in x-auth-secret";
    let secret = reader.value("auth_header_secret").ok_or(SettingError::new("auth_header_secret", expected))?;
    let user_header = reader.text("auth_header", "x-remote-user");
    let user_header = user_header.parse().map_err(|_| SettingError::new("auth_header", "the name of a header"))?;
    Ok(ProxyRules::new(user_header, secret))
}
