//! Digests of a request's content: `Content-Digest` (RFC 9530) and `Content-MD5` (RFC 1864).

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderMap;
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use super::failure::Failure;
use super::lines;
use crate::uploads::{Algorithm, Hasher};

/// An algorithm's name in the registry of RFC 9530, which `Content-Digest` and `Repr-Digest` use.
pub(crate) fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Md5 => "md5",
        Algorithm::Sha1 => "sha",
        Algorithm::Sha256 => "sha-256",
        Algorithm::Sha512 => "sha-512",
    }
}

/// A digest from a header, and the running digest of the content.
pub(super) struct Digest {
    header: &'static str,
    expected: Vec<u8>,
    hasher: Hasher,
}

impl Digest {
    fn new(header: &'static str, expected: Vec<u8>, algorithm: Algorithm) -> Self {
        Self { header, expected, hasher: Hasher::new(algorithm) }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// Compares the two digests.
    ///
    /// # Errors
    /// [`Failure::DigestMismatch`].
    pub(super) fn check(&self) -> Result<(), Failure> {
        let matches = self.hasher.checksum().hex == hex::encode(&self.expected);
        if matches { Ok(()) } else { Err(Failure::DigestMismatch(self.header)) }
    }
}

/// The digests in the headers whose algorithms are known. Others are to be ignored (RFC 9530, 2).
///
/// # Errors
/// The name of the header that can't be read.
pub(super) fn from_headers(headers: &HeaderMap) -> Result<Vec<Digest>, &'static str> {
    let mut digests = Vec::new();
    if let Some(text) = lines::list(headers, "content-digest") {
        digests = parse_content_digest(&text).ok_or("Content-Digest")?;
    }
    // The header is obsolete, but clients still send it.
    if let Some(text) = lines::list(headers, "content-md5") {
        let header = "Content-MD5";
        let expected = BASE64.decode(text.trim()).map_err(|_| header)?;
        digests.push(Digest::new(header, expected, Algorithm::Md5));
    }
    Ok(digests)
}

fn parse_content_digest(text: &str) -> Option<Vec<Digest>> {
    let dictionary: Dictionary = Parser::new(text).parse().ok()?;
    let mut digests = Vec::new();
    for (key, entry) in dictionary {
        let ListEntry::Item(item) = entry else { return None };
        let BareItem::ByteSequence(expected) = item.bare_item else { return None };
        if let Some(algorithm) = Algorithm::ALL.into_iter().find(|algorithm| name(*algorithm) == key.as_str()) {
            digests.push(Digest::new("Content-Digest", expected, algorithm));
        }
    }
    Some(digests)
}
