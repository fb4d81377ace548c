//! The checksum of a whole file, carried from chunk to chunk.

use md5::Digest;
use md5::digest::common::hazmat::SerializableState;
use serde::{Deserialize, Serialize};

use super::error::{Damage, Error};

/// A checksum's algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// MD5 (RFC 1321): finds accidents, not forgeries.
    Md5,
    /// SHA-1 (FIPS 180-4): finds accidents, not forgeries.
    Sha1,
    /// SHA-256 (FIPS 180-4).
    Sha256,
    /// SHA-512 (FIPS 180-4).
    Sha512,
}

impl Algorithm {
    /// All algorithms.
    pub const ALL: [Self; 4] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512];

    /// The algorithm's name in Python's hashlib. A client sends the checksum in a field of this name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
}

/// A file's checksum in lower-case hex, and its algorithm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The checksum itself in lower-case hex.
    pub hex: String,
}

impl Checksum {
    /// Whether `hex`, in either case, is this checksum.
    pub fn matches(&self, hex: &str) -> bool {
        self.hex.eq_ignore_ascii_case(hex.trim())
    }
}

/// A running checksum.
#[derive(Clone)]
pub(crate) struct Hasher {
    algorithm: Algorithm,
    digest: Box<dyn RunningDigest>,
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        let digest: Box<dyn RunningDigest> = match algorithm {
            Algorithm::Md5 => Box::<md5::Md5>::default(),
            Algorithm::Sha1 => Box::<sha1::Sha1>::default(),
            Algorithm::Sha256 => Box::<sha2::Sha256>::default(),
            Algorithm::Sha512 => Box::<sha2::Sha512>::default(),
        };
        Self { algorithm, digest }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
    }

    /// The checksum of the bytes so far.
    pub(crate) fn checksum(&self) -> Checksum {
        Checksum { algorithm: self.algorithm, hex: hex::encode(self.digest.finish()) }
    }

    /// The running state, as the hash crates serialise it.
    pub(super) fn save(&self) -> HasherState {
        HasherState { algorithm: self.algorithm, state: hex::encode(self.digest.save()) }
    }

    /// The hasher that continues from `saved`.
    pub(super) fn resume(saved: &HasherState) -> Result<Self, Error> {
        let unreadable = || Damage::new("its checksum's state can't be read");
        let state = hex::decode(&saved.state).map_err(|error| unreadable().because(error))?;
        let mut hasher = Self::new(saved.algorithm);
        if hasher.digest.load(&state) { Ok(hasher) } else { Err(unreadable().into()) }
    }
}

/// What a hasher needs of the hash crates' types. Their own traits are not made for `dyn`.
trait RunningDigest {
    fn update(&mut self, bytes: &[u8]);
    fn finish(&self) -> Vec<u8>;
    fn save(&self) -> Vec<u8>;
    /// Continues from a saved state. Returns whether the state could be read.
    fn load(&mut self, state: &[u8]) -> bool;
    fn boxed(&self) -> Box<dyn RunningDigest>;
}

impl<D: Digest + SerializableState + Clone + 'static> RunningDigest for D {
    fn update(&mut self, bytes: &[u8]) {
        Digest::update(self, bytes);
    }

    fn finish(&self) -> Vec<u8> {
        self.clone().finalize().to_vec()
    }

    fn save(&self) -> Vec<u8> {
        self.serialize().to_vec()
    }

    fn load(&mut self, state: &[u8]) -> bool {
        let loaded = state.try_into().ok().and_then(|state| D::deserialize(state).ok());
        loaded.map(|digest| *self = digest).is_some()
    }

    fn boxed(&self) -> Box<dyn RunningDigest> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn RunningDigest> {
    fn clone(&self) -> Self {
        (**self).boxed()
    }
}

/// A running checksum as the record keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HasherState {
    pub(super) algorithm: Algorithm,
    state: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_checksum_is_that_of_the_whole() {
        // The digests of "abc" in RFC 1321 and FIPS 180-4.
        let published = [
            (Algorithm::Md5, "900150983cd24fb0d6963f7d28e17f72"),
            (Algorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (Algorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ];
        for (algorithm, hex) in published {
            let mut hasher = Hasher::new(algorithm);
            for byte in b"abc" {
                hasher.update(&[*byte]);
                hasher = Hasher::resume(&hasher.save()).unwrap();
            }
            assert_eq!(hasher.checksum().hex, hex);
            assert!(hasher.checksum().matches(&hex.to_uppercase()));
        }
    }

    #[test]
    fn a_damaged_state_is_an_error() {
        for algorithm in Algorithm::ALL {
            let mut saved = Hasher::new(algorithm).save();
            saved.state.pop();
            assert!(matches!(Hasher::resume(&saved), Err(Error::Damaged(_))));
        }
    }
}
