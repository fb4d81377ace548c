//! The variables `auth`, `auth_…` and `user_restricted`.

use http::HeaderName;

use super::reader::{Reader, SettingError};
use super::variable;
use crate::identity::{Auth, PROXY_SECRET_HEADER, ProxyRules, TokenRules};

/// Reads how users are told apart, and whether they are kept apart.
///
/// Without users, to know an upload's id is to own it: a list of all uploads, which is what unrestricted users get, would
/// hand each of them to any stranger, with the power to delete it.
pub(super) fn read(reader: &Reader<'_>) -> Result<(Auth, bool), SettingError> {
    let auth = read_auth(reader)?;
    let user_restricted = reader.parse(&variable::USER_RESTRICTED, super::parse_text)?;
    if user_restricted || auth.has_users() {
        Ok((auth, user_restricted))
    } else {
        Err(SettingError::new(&variable::USER_RESTRICTED))
    }
}

fn read_auth(reader: &Reader<'_>) -> Result<Auth, SettingError> {
    match reader.text(&variable::AUTH).as_str() {
        "none" => Ok(Auth::None),
        "jwt" => Ok(Auth::Jwt(Box::new(read_token_rules(reader)?))),
        "header" => Ok(Auth::Header(read_proxy_rules(reader)?)),
        _ => Err(SettingError::new(&variable::AUTH)),
    }
}

fn read_token_rules(reader: &Reader<'_>) -> Result<TokenRules, SettingError> {
    let secret = reader.optional(&variable::AUTH_JWT_SECRET);
    let public_key = reader.optional(&variable::AUTH_JWT_PUBLIC_KEY);
    let mut rules = match (secret, public_key) {
        (Some(secret), None) => TokenRules::with_secret(&secret),
        (None, Some(pem)) => {
            TokenRules::with_public_key(&pem).ok_or(SettingError::new(&variable::AUTH_JWT_PUBLIC_KEY))?
        }
        _ => return Err(SettingError::new(&variable::AUTH_JWT_SECRET)),
    };
    if let Some(audience) = reader.optional(&variable::AUTH_JWT_AUDIENCE) {
        rules = rules.for_audience(audience);
    }
    if let Some(issuer) = reader.optional(&variable::AUTH_JWT_ISSUER) {
        rules = rules.by_issuer(issuer);
    }
    Ok(rules)
}

fn read_proxy_rules(reader: &Reader<'_>) -> Result<ProxyRules, SettingError> {
    let secret = reader.optional(&variable::AUTH_HEADER_SECRET);
    let secret = secret.ok_or(SettingError::new(&variable::AUTH_HEADER_SECRET))?;
    // The user's name is in responses and logs, and the secret is not for them.
    let is_other = |name: &HeaderName| name != PROXY_SECRET_HEADER;
    let user_header = reader.parse(&variable::AUTH_HEADER, |name| name.parse().ok().filter(is_other))?;
    Ok(ProxyRules::new(user_header, secret))
}
