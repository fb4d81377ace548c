//! Who sends a request: nobody in particular, the user of a token, or the user that a trusted proxy names.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use subtle::ConstantTimeEq;
use thiserror::Error;

/// The header in which a trusted proxy sends its secret.
pub const PROXY_SECRET_HEADER: &str = "x-auth-secret";
/// The longest name of a user, in bytes. Each record contains the name.
const MAX_USER_BYTES: usize = 255;

/// How users are told apart.
pub enum Auth {
    /// Users are not told apart. Everybody who knows an upload's id may read, continue and delete the upload.
    None,
    /// By a signed token (RFC 7519) in `Authorization: Bearer …`. The token's `sub` is the user.
    Jwt(Box<TokenRules>),
    /// By a header that a trusted proxy sets. A secret in another header proves that the proxy has set it.
    Header(ProxyRules),
}

/// What a token must be.
pub struct TokenRules {
    key: DecodingKey,
    validation: Validation,
}

/// What a proxy's request must have.
pub struct ProxyRules {
    user_header: HeaderName,
    secret: String,
}

/// Who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Anyone, where users are not told apart.
    Anyone,
    /// A request that names no user, where users are told apart.
    Nobody,
    /// This user.
    User(String),
}

/// Why the service does not accept the user that a request names.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum IdentityError {
    /// The token is not valid.
    #[error("The token is not valid: {0}")]
    Token(&'static str),
    /// A header names a user, but the trusted proxy has not set the header.
    #[error("The request does not come from the trusted proxy: {PROXY_SECRET_HEADER} is missing or wrong")]
    Proxy,
    /// The user's name is empty, too long, or not text.
    #[error("The user's name is not text of 1 to 255 bytes")]
    Name,
}

impl IdentityError {
    /// The error's name for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Token(_) => "invalid_token",
            Self::Proxy => "untrusted_proxy",
            Self::Name => "invalid_user",
        }
    }

    /// The value of the answer's `WWW-Authenticate` (RFC 9110, 11.6.1; RFC 6750, 3).
    pub(crate) fn challenge(&self) -> &'static str {
        match self {
            Self::Token(_) | Self::Name => "Bearer error=\"invalid_token\"",
            Self::Proxy => "Proxy",
        }
    }
}

impl Auth {
    /// Who sends a request with these headers.
    ///
    /// # Errors
    /// The request names a user, and the proof is missing or wrong. A request that names no user is not an error: its
    /// identity is [`Identity::Nobody`].
    pub fn identify(&self, headers: &HeaderMap) -> Result<Identity, IdentityError> {
        match self {
            Self::None => Ok(Identity::Anyone),
            Self::Jwt(rules) => rules.identify(headers),
            Self::Header(rules) => rules.identify(headers),
        }
    }
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

impl TokenRules {
    /// Tokens signed with this secret (HS256).
    pub fn with_secret(secret: &str) -> Self {
        Self::new(DecodingKey::from_secret(secret.as_bytes()), Algorithm::HS256)
    }

    /// Tokens that are signed by the owner of this public key. The key is RSA (RS256), P-256 (ES256) or Ed25519
    /// (EdDSA), in PEM. Its line breaks may be escaped as `\n`. Returns `None` for any other text.
    pub fn with_public_key(pem: &str) -> Option<Self> {
        let pem = pem.replace("\\n", "\n");
        let pem = pem.as_bytes();
        let rsa = DecodingKey::from_rsa_pem(pem).map(|key| (key, Algorithm::RS256));
        let ec = || DecodingKey::from_ec_pem(pem).map(|key| (key, Algorithm::ES256));
        let ed = || DecodingKey::from_ed_pem(pem).map(|key| (key, Algorithm::EdDSA));
        rsa.or_else(|_| ec()).or_else(|_| ed()).ok().map(|(key, algorithm)| Self::new(key, algorithm))
    }

    /// The key's kind decides on the one algorithm. The algorithm that a token names does not matter. So a token can't
    /// choose `none`, and can't have a public key taken for a secret.
    fn new(key: DecodingKey, algorithm: Algorithm) -> Self {
        let mut validation = Validation::new(algorithm);
        validation.validate_nbf = true;
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp", "sub"]);
        Self { key, validation }
    }

    /// Demands this `aud`.
    #[must_use]
    pub fn for_audience(mut self, audience: String) -> Self {
        self.validation.set_audience(&[audience]);
        self.validation.validate_aud = true;
        self.validation.required_spec_claims.insert("aud".to_owned());
        self
    }

    /// Demands this `iss`.
    #[must_use]
    pub fn by_issuer(mut self, issuer: String) -> Self {
        self.validation.set_issuer(&[issuer]);
        self.validation.required_spec_claims.insert("iss".to_owned());
        self
    }

    fn identify(&self, headers: &HeaderMap) -> Result<Identity, IdentityError> {
        let Some(header) = headers.get(AUTHORIZATION) else {
            return Ok(Identity::Nobody);
        };
        let unreadable = IdentityError::Token("the header is not \"Bearer\" and a token");
        let Some((scheme, token)) = header.to_str().ok().and_then(|text| text.split_once(' ')) else {
            return Err(unreadable);
        };
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(unreadable);
        }
        let claims = decode::<Claims>(token.trim(), &self.key, &self.validation).map_err(|error| reason(&error))?;
        user(claims.claims.sub)
    }
}

fn reason(error: &jsonwebtoken::errors::Error) -> IdentityError {
    use jsonwebtoken::errors::ErrorKind;
    IdentityError::Token(match error.kind() {
        ErrorKind::ExpiredSignature => "it has expired",
        ErrorKind::ImmatureSignature => "it is not valid yet",
        ErrorKind::InvalidAudience => "it is for another audience",
        ErrorKind::InvalidIssuer => "it is from another issuer",
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => "it is signed by another algorithm",
        ErrorKind::InvalidSignature => "its signature is wrong",
        ErrorKind::MissingRequiredClaim(_) => "a claim is missing",
        _ => "it can't be read",
    })
}

impl ProxyRules {
    /// The header that names the user, and the secret that comes with it.
    pub fn new(user_header: HeaderName, secret: String) -> Self {
        Self { user_header, secret }
    }

    /// The header that names the user.
    pub fn user_header(&self) -> &HeaderName {
        &self.user_header
    }

    fn identify(&self, headers: &HeaderMap) -> Result<Identity, IdentityError> {
        let mut named = headers.get_all(&self.user_header).iter();
        let Some(name) = named.next() else {
            return Ok(Identity::Nobody);
        };
        let secret = headers.get(PROXY_SECRET_HEADER).map(HeaderValue::as_bytes).unwrap_or_default();
        if !bool::from(secret.ct_eq(self.secret.as_bytes())) {
            return Err(IdentityError::Proxy);
        }
        match (name.to_str(), named.next()) {
            (Ok(name), None) => user(name.to_owned()),
            _ => Err(IdentityError::Name),
        }
    }
}

fn user(name: String) -> Result<Identity, IdentityError> {
    if (1..=MAX_USER_BYTES).contains(&name.len()) { Ok(Identity::User(name)) } else { Err(IdentityError::Name) }
}
