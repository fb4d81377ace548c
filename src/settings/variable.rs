//! Declares every variable of the service once. Tests check the manifests and docs/settings.md against this list.

/// A Spin variable that the service reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Variable {
    /// The variable's name.
    pub name: &'static str,
    /// The variable's value if it isn't set, as in the manifest. An empty value stands for "none", except for
    /// extensions and paths.
    pub default: &'static str,
    /// What a value must be. The text follows "it must be" in error messages.
    pub expected: &'static str,
    /// What the variable decides, in Markdown.
    pub meaning: &'static str,
    /// Whether the value must not be shown.
    pub secret: bool,
}

const fn variable(
    name: &'static str,
    default: &'static str,
    expected: &'static str,
    meaning: &'static str,
) -> Variable {
    Variable { name, default, expected, meaning, secret: false }
}

const fn secret(name: &'static str, expected: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default: "", expected, meaning, secret: true }
}

const FLAG: &str = "true or false";
const BYTES: &str = "a number of bytes";
const EXTENSION: &str = "an extension such as .done, without slashes";
const LABEL: &str = "one of the component's key_value_stores in spin.toml";

/// Declares each variable as a constant of its own, and all of them as one list.
macro_rules! variables {
    ($($constant:ident = $variable:expr;)*) => {
        $(pub(crate) const $constant: Variable = $variable;)*

        /// All variables, in the order of their names.
        pub const VARIABLES: &[Variable] = &[$($constant),*];
    };
}

variables! {
    AUTH = variable(
        "auth", "none", "none, jwt or header",
        "how users are told apart: `none`, `jwt` or `header`, see [Users](users.md)",
    );
    AUTH_HEADER = variable(
        "auth_header", "x-remote-user", "the name of a header other than x-auth-secret",
        "with `header`: the header that names the user",
    );
    AUTH_HEADER_SECRET = secret(
        "auth_header_secret", "set where auth is header: the secret that the proxy sends in x-auth-secret",
        "with `header`: the secret that the proxy sends in `x-auth-secret`; needed",
    );
    AUTH_JWT_AUDIENCE = variable(
        "auth_jwt_audience", "", "any text",
        "with `jwt`: the `aud` that tokens must have",
    );
    AUTH_JWT_ISSUER = variable(
        "auth_jwt_issuer", "", "any text",
        "with `jwt`: the `iss` that tokens must have",
    );
    AUTH_JWT_PUBLIC_KEY = variable(
        "auth_jwt_public_key", "", "a public key in PEM: RSA (RS256), P-256 (ES256), P-384 (ES384) or Ed25519 (EdDSA)",
        "with `jwt`: the PEM public key that signs tokens: RSA (RS256), P-256 (ES256), P-384 (ES384) or Ed25519 (EdDSA)",
    );
    AUTH_JWT_SECRET = secret(
        "auth_jwt_secret", "set where auth is jwt, and auth_jwt_public_key not, or the other way round",
        "with `jwt`: the secret that signs tokens (HS256); either this or the public key is needed",
    );
    BLOB_STORE = variable(
        "blob_store", "", LABEL,
        "the label of the key-value store of the files' bytes; without it, that of `store`",
    );
    CHECKSUM = variable(
        "checksum", "md5", "md5, sha1, sha256 or sha512",
        "the whole file's checksum, and the name of the field that completes an upload: `md5`, `sha1`, `sha256` or `sha512`",
    );
    CHECKSUM_REQUIRED = variable(
        "checksum_required", "true", FLAG,
        "whether an upload completes only with its checksum; if `false`, one that is sent is checked all the same",
    );
    COMPLETE_EXT = variable(
        "complete_ext", ".done", EXTENSION,
        "what a complete file's path ends with; may be empty",
    );
    CONTENT_RANGE_END = variable(
        "content_range_end", "inclusive", "inclusive or exclusive",
        "what LAST in a chunk's `Content-Range: bytes FIRST-LAST/TOTAL` is: the offset of its last byte (`inclusive`), or the offset after it (`exclusive`), as clients of [drf-chunked-upload 0.1.7 to 0.3.0](clients.md#coming-from-drf-chunked-upload) send it",
    );
    CORS_ORIGINS = variable(
        "cors_origins", "", "* or a list of origins such as https://example.com, separated by commas",
        "the other origins whose pages may use the service, see [CORS](users.md#cors)",
    );
    EXPIRATION_DELTA = variable(
        "expiration_delta", "1d", "a duration such as 1d, 12h or 90s",
        "how long after its creation an incomplete upload expires: `1d`, `12h`, `90s`, …",
    );
    FIELD_NAME = variable(
        "field_name", "file", "any text",
        "the name of the form's file part",
    );
    INCOMPLETE_EXT = variable(
        "incomplete_ext", ".part", EXTENSION,
        "what an incomplete file's path ends with; may be empty",
    );
    MANAGE_TOKEN = secret(
        "manage_token", "any text",
        "the secret of the [management requests](operations.md#expired-uploads); without it there are none",
    );
    MAX_BYTES = variable(
        "max_bytes", "", BYTES,
        "the most bytes that a file may have",
    );
    MAX_CHUNK_BYTES = variable(
        "max_chunk_bytes", "", BYTES,
        "the most bytes that a request's body may have: 413 for more, before it is read",
    );
    ON_COMPLETION_TIMEOUT = variable(
        "on_completion_timeout", "10s", "a duration such as 10s, at most 30s",
        "how long `on_completion_url` may take, at most `30s`",
    );
    ON_COMPLETION_URL = variable(
        "on_completion_url", "", "an absolute URL such as https://example.com/uploaded",
        "the URL that is asked before an upload is complete, see [Completion hook](hook.md)",
    );
    PUBLIC_URL = variable(
        "public_url", "", "an absolute URL such as https://example.com/files, without . and .. in its path",
        "what `url` and `file` in answers begin with, such as `https://example.com/files`; without it, the scheme and host that the request came by",
    );
    SEGMENT_SIZE = variable(
        "segment_size", "1000000", "a number of bytes from 1 to 10000000",
        "the most bytes of a segment, which is a value in the store, from 1 to 10000000; hosted platforms allow 1 MB; an instance that is short of memory makes smaller segments",
    );
    STORE = variable(
        "store", "default", LABEL,
        "the label of the key-value store of the uploads' records",
    );
    SWEEP_BUDGET = variable(
        "sweep_budget", "20s", "a duration such as 20s",
        "how long one call that [removes expired uploads](operations.md#expired-uploads) may take, beside listing the keys once",
    );
    TRUST_FORWARDED = variable(
        "trust_forwarded", "false", FLAG,
        "whether `url` and `file` follow what a proxy in front says of the client's request, see [Behind a proxy](operations.md#behind-a-proxy)",
    );
    UPLOAD_PATH = variable(
        "upload_path", "chunked_uploads/%Y/%m/%d", "a path without . and .. and empty parts, in which strftime's patterns such as %Y/%m/%d may stand",
        "the folder of the files' paths: strftime patterns stand for the time of creation (UTC); may be empty",
    );
    USER_RESTRICTED = variable(
        "user_restricted", "true", "true, or false where auth is jwt or header",
        "whether only its creator sees, continues and downloads an upload; `false` needs an `auth` with users",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_stands_once_and_in_order() {
        assert!(VARIABLES.is_sorted_by(|one, next| one.name < next.name));
    }
}
