//! Test files and their checksums.

use md5::{Digest, Md5};

/// `len` bytes that look random and differ by `seed`, without a crate or a file (xorshift64*).
pub fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// The md5 in hex.
pub fn md5(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}
