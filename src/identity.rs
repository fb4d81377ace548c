//! Who sends a request: nobody in particular, the user of a token, or the user that a trusted proxy names.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use jsonwebtoken::crypto::{rust_crypto, verify};
use jsonwebtoken::{Algorithm, DecodingKey, TokenData, Validation, decode};
use serde::Deserialize;
use subtle::ConstantTimeEq;
use thiserror::Error;

/// The header in which a trusted proxy sends its secret.
pub const PROXY_SECRET_HEADER: &str = "x-auth-secret";
/// The longest name of a user, in bytes. Each record contains the name.
const MAX_USER_BYTES: usize = 255;
/// The length of an Ed25519 public key.
const ED25519_BYTES: usize = 32;
/// The schemes that a token may come under: RFC 6750's, and those of Django REST framework and its JWT packages.
const TOKEN_SCHEMES: [&str; 3] = ["Bearer", "Token", "JWT"];

/// How users are told apart.
pub enum Auth {
    /// Users are not told apart. Everybody who knows an upload's id may read, continue and delete the upload.
    None,
    /// By a signed token (RFC 7519) in `Authorization: Bearer …` (or `Token`, or `JWT`). The token's `sub` is the user.
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
    /// The token's `sub` can't be a user's name.
    #[error("The token's sub is not text of 1 to 255 bytes")]
    Subject,
    /// A header names a user, but the trusted proxy has not set the header.
    #[error("The request does not come from the trusted proxy: {PROXY_SECRET_HEADER} is missing or wrong")]
    Proxy,
    /// The proxy's name of the user is empty, too long, or not text, or there are two.
    #[error("The user's name is not one text of 1 to 255 bytes in UTF-8")]
    Name,
}

impl IdentityError {
    /// The error's name for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Token(_) => "invalid_token",
            Self::Proxy => "untrusted_proxy",
            Self::Subject | Self::Name => "invalid_user",
        }
    }

    /// The value of the answer's `WWW-Authenticate` (RFC 9110, 11.6.1; RFC 6750, 3).
    pub(crate) fn challenge(&self) -> &'static str {
        match self {
            Self::Token(_) | Self::Subject => "Bearer error=\"invalid_token\"",
            Self::Proxy | Self::Name => "Proxy",
        }
    }
}

impl Auth {
    /// Whether users are told apart.
    pub fn has_users(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Whether a browser adds the login by itself, whatever page sends the request: it is the proxy's, so perhaps a cookie.
    pub(crate) fn is_ambient(&self) -> bool {
        matches!(self, Self::Header(_))
    }

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

    /// Tokens that are signed by the owner of this public key. The key is RSA (RS256), P-256 (ES256), P-384 (ES384) or
    /// Ed25519 (EdDSA), in PEM. Its line breaks may be escaped as `\n`. Returns `None` for any other text.
    pub fn with_public_key(pem: &str) -> Option<Self> {
        let pem = pem.replace("\\n", "\n");
        let pem = pem.as_bytes();
        let candidates = [
            (DecodingKey::from_rsa_pem(pem), Algorithm::RS256),
            (DecodingKey::from_ec_pem(pem), Algorithm::ES256),
            (DecodingKey::from_ec_pem(pem), Algorithm::ES384),
            (DecodingKey::from_ed_pem(pem), Algorithm::EdDSA),
        ];
        let mut usable = candidates.into_iter().filter_map(|(key, algorithm)| {
            let key = key.ok().filter(|key| is_usable(key, algorithm))?;
            Some(Self::new(key, algorithm))
        });
        usable.next()
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
        let mut lines = headers.get_all(AUTHORIZATION).iter();
        let Some(header) = lines.next() else {
            return Ok(Identity::Nobody);
        };
        if lines.next().is_some() {
            return Err(IdentityError::Token("Authorization is there more than once"));
        }
        let token = read_token(header).ok_or(IdentityError::Token("the header is not \"Bearer\" and a token"))?;
        let token = decode::<Claims>(token, &self.key, &self.validation).map_err(|error| reason(&error))?;
        let TokenData { header, claims } = token;
        // RFC 7515, 4.1.11: what must be understood is not understood here, whatever it is.
        if header.crit.is_some() {
            return Err(IdentityError::Token("it has extensions that must be understood (crit)"));
        }
        user(claims.sub).ok_or(IdentityError::Subject)
    }
}

fn read_token(header: &HeaderValue) -> Option<&str> {
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    TOKEN_SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)).then_some(token.trim())
}

/// Whether the bytes of a key are one for this algorithm: jsonwebtoken takes any, and fails when a token comes.
fn is_usable(key: &DecodingKey, algorithm: Algorithm) -> bool {
    let Ok(bytes) = key.try_get_as_bytes() else { return false };
    match algorithm {
        Algorithm::RS256 => (rust_crypto::DEFAULT_PROVIDER.key_utils.rsa_pub_components_from_public_key)(bytes).is_ok(),
        // Shorter ones make it panic, and of longer ones it takes the beginning.
        Algorithm::EdDSA if bytes.len() != ED25519_BYTES => false,
        // A signature that doesn't match is no error; a key that can't be read is.
        _ => verify("", b"", key, algorithm).is_ok(),
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
        if named.next().is_some() {
            return Err(IdentityError::Name);
        }
        // Logins have names that ASCII lacks, and proxies pass them on as they are.
        std::str::from_utf8(name.as_bytes()).ok().and_then(|name| user(name.to_owned())).ok_or(IdentityError::Name)
    }
}

fn user(name: String) -> Option<Identity> {
    (1..=MAX_USER_BYTES).contains(&name.len()).then_some(Identity::User(name))
}
