//! Where the next step of a sweep goes on.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// Where a step goes on: at an upload, and at an offset within its contents. As text: `<first half of the
/// id>-<offset>`.
///
/// Half of an id gives no access, because the other half has 62 random bits. Where users are not told apart, anybody
/// who has the whole id may read and delete the upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SweepCursor {
    id_half: u64,
    offset: u64,
}

impl SweepCursor {
    /// The cursor at this offset of an upload's contents.
    pub(super) fn at(id: Uuid, offset: u64) -> Self {
        Self { id_half: id.as_u64_pair().0, offset }
    }

    /// The next place: the next offset, or the next upload behind the last one.
    pub(super) fn skip(self) -> Self {
        match self.offset.checked_add(1) {
            Some(offset) => Self { offset, ..self },
            None => Self { id_half: self.id_half.saturating_add(1), offset: 0 },
        }
    }

    /// Whether the upload was done in an earlier step.
    pub(super) fn is_behind(self, id: Uuid) -> bool {
        id.as_u64_pair().0 < self.id_half
    }

    /// Whether the upload's contents at this offset were done in an earlier step.
    pub(super) fn is_behind_offset(self, id: Uuid, offset: u64) -> bool {
        Self::at(id, offset) < self
    }
}

impl fmt::Display for SweepCursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}-{}", self.id_half, self.offset)
    }
}

/// The text is not a cursor of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSweepCursor;

impl FromStr for SweepCursor {
    type Err = InvalidSweepCursor;

    fn from_str(text: &str) -> Result<Self, InvalidSweepCursor> {
        let (half, offset) = text.split_once('-').ok_or(InvalidSweepCursor)?;
        let id_half = u64::from_str_radix(half, 16).map_err(|_| InvalidSweepCursor)?;
        Ok(Self { id_half, offset: offset.parse().map_err(|_| InvalidSweepCursor)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let id = Uuid::from_u128(0x0123_4567_89ab_4def_8123_4567_89ab_cdef);
        let cursor = SweepCursor::at(id, 1_000_000);
        assert_eq!(cursor.to_string(), "0123456789ab4def-1000000");
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "x", "-", "0123456789ab4def", "0123456789ab4def-x", &id.to_string()] {
            assert_eq!(text.parse::<SweepCursor>(), Err(InvalidSweepCursor), "{text}");
        }
    }

    #[test]
    fn what_is_behind_is_done() {
        let [before, here, after] = [1, 2, 3].map(|half| Uuid::from_u64_pair(half, 7));
        let cursor = SweepCursor::at(here, 10);
        assert_eq!([before, here, after].map(|id| cursor.is_behind(id)), [true, false, false]);
        assert_eq!([0, 9, 10, 11].map(|offset| cursor.is_behind_offset(here, offset)), [true, true, false, false]);
        assert!(!cursor.is_behind_offset(after, 0));
    }
}
