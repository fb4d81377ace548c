//! The parts of a multipart body: by multer, and past it where the request says how long a file is.
//!
//! A file that is as long as its `Content-Range` says, in a body that goes on that far, needn't be searched for its end: its
//! bytes are taken from the body as they are, and multer goes on before the end, where it has to find the delimiter. That
//! saves a search and a copy of nearly all bytes. (It follows that a delimiter inside of such a file is the file's.)

use std::num::NonZero;
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use multer::Multipart;

use super::body::BodyError;
use super::checked_body::CheckedBody;
use super::error::Error;
use super::paced_body::{Paced, Turns};

/// So many bytes before a file's end, multer searches for it again: a length that is wrong by little is found out so, and
/// told for what it is.
const SEARCHED: u64 = 64 * 1024;

/// A multipart body's parts, one after the other.
pub(super) struct FormParts {
    parser: Multipart<'static>,
    body: CheckedBody,
    turns: Turns,
    delimiter_len: usize,
}

impl FormParts {
    /// The parts of a body with this `Content-Type`.
    pub(super) fn new(content_type: &str, body: CheckedBody) -> Result<Self, Error> {
        let boundary = multer::parse_boundary(content_type).map_err(multipart_error)?;
        let delimiter_len = "\r\n--".len() + boundary.len();
        let (paced, turns) = Paced::new(body.clone(), delimiter_len);
        Ok(Self { parser: Multipart::new(paced, boundary), body, turns, delimiter_len })
    }

    /// The next part; what was left of the one before is skipped.
    pub(super) async fn next(&mut self) -> Result<Option<Part<'_>>, Error> {
        let part = self.parser.next_field().await.map_err(multipart_error)?;
        Ok(part.map(|part| Part { part, parts: self }))
    }
}

/// A part of a multipart body.
pub(super) struct Part<'a> {
    part: multer::Field<'static>,
    parts: &'a mut FormParts,
}

impl Part<'_> {
    /// The part's name.
    pub(super) fn name(&self) -> Option<&str> {
        self.part.name()
    }

    /// The file's name, where the part is one.
    pub(super) fn file_name(&self) -> Option<&str> {
        self.part.file_name()
    }

    /// The next bytes.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        self.parts.turns.progress();
        self.part.chunk().await.map_err(multipart_error)
    }

    /// The next bytes of a part that has so many left, as the request says.
    pub(super) async fn chunk_of(&mut self, left: u64) -> Result<Option<Bytes>, Error> {
        if let Some(unsearched) = self.parts.unsearched(left)
            && self.parts.turns.nothing_is_kept()
        {
            if let Poll::Ready(chunk) = self.chunk_at_hand().await {
                return chunk;
            }
            if let Some(bytes) = self.parts.body.next_at_most(unsearched.get()).await {
                return Ok(Some(bytes?));
            }
        }
        self.chunk().await
    }

    /// What the parser makes of the bytes that it has; it waits for more of them where it has given all.
    async fn chunk_at_hand(&mut self) -> Poll<Result<Option<Bytes>, Error>> {
        self.parts.turns.pause(true);
        let chunk = futures::poll!(pin!(self.chunk()));
        self.parts.turns.pause(false);
        chunk
    }

    /// Reads past the rest of it.
    pub(super) async fn skip(mut self) -> Result<(), Error> {
        while self.chunk().await?.is_some() {}
        Ok(())
    }
}

impl FormParts {
    /// How many of the bytes that a part has left needn't be searched; `None` where that is none, or where the body isn't
    /// known to be long enough for them and a delimiter.
    fn unsearched(&self, left: u64) -> Option<NonZero<u64>> {
        let fits = self.body.left()?.checked_sub(self.delimiter_len as u64)? >= left;
        NonZero::new(left.saturating_sub(SEARCHED)).filter(|_| fits)
    }
}

fn multipart_error(error: multer::Error) -> Error {
    match error {
        multer::Error::StreamReadFailed(cause) => {
            let lost = cause.downcast::<BodyError>();
            Error::Body(lost.map_or_else(|other| BodyError::CutOff(other.to_string()), |lost| *lost))
        }
        other => Error::Multipart(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use futures::stream::{self, StreamExt};
    use http::HeaderMap;
    use http::header::CONTENT_LENGTH;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const FORM: &str = "multipart/form-data; boundary=x";

    /// A form with one file and a field behind it.
    fn form(content: &[u8]) -> Vec<u8> {
        let head = b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n";
        let rest = b"\r\n--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x--\r\n";
        [&head[..], content, rest].concat()
    }

    /// A body that comes in pieces of these lengths, over and over, with a pause before each.
    fn body(form: Vec<u8>, lengths: Vec<usize>, says_length: bool) -> CheckedBody {
        let mut headers = HeaderMap::new();
        if says_length {
            headers.insert(CONTENT_LENGTH, form.len().into());
        }
        let mut form = Bytes::from(form);
        let mut lengths = lengths.into_iter().cycle();
        let mut paused = false;
        let body = stream::poll_fn(move |context| {
            paused = !paused;
            if paused {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let length = lengths.next().unwrap_or_default().min(form.len());
            Poll::Ready((length > 0).then(|| Ok(form.split_to(length))))
        });
        CheckedBody::new(&headers, body.boxed(), None).unwrap()
    }

    /// The next part's contents, by whoever takes it for so long.
    async fn read_part(parts: &mut FormParts, length: usize) -> Result<Vec<u8>, Error> {
        let mut part = parts.next().await?.unwrap();
        let mut contents = Vec::new();
        while let Some(bytes) = part.chunk_of(length.saturating_sub(contents.len()) as u64).await? {
            contents.extend_from_slice(&bytes);
        }
        Ok(contents)
    }

    /// The file, by whoever takes it for so long, and the field.
    fn read(body: CheckedBody, length: usize) -> Result<(Vec<u8>, Vec<u8>), Error> {
        pollster::block_on(async {
            let mut parts = FormParts::new(FORM, body)?;
            let file = read_part(&mut parts, length).await?;
            let field = read_part(&mut parts, 0).await?;
            assert!(parts.next().await?.is_none());
            Ok((file, field))
        })
    }

    /// Contents of what looks like a delimiter, and of long rests that don't.
    fn contents() -> impl Strategy<Value = Vec<u8>> {
        let token = prop_oneof![
            3 => prop::sample::select(vec!["\r", "\n", "-", "x", "\r\n", "\r\n-", "\r\n--", "\n--x", "\r\r\n--y"])
                .prop_map(|token| token.as_bytes().to_vec()),
            1 => (any::<u8>(), 1..40_000_usize).prop_map(|(byte, length)| vec![byte; length]),
        ];
        vec(token, 1..80)
            .prop_map(|tokens| tokens.concat())
            .prop_filter("has a delimiter", |content| !content.windows(5).any(|window| window == b"\r\n--x"))
    }

    proptest! {
        #[test]
        fn the_bytes_are_the_same_however_the_end_is_found(
            content in contents(),
            // Short ones end within what looks like a delimiter.
            lengths in vec(prop_oneof![1..100_usize, 1..20_000_usize], 1..8),
            says_length: bool,
            wrong_by in prop_oneof![Just(0_i64), -3..4_i64, -200_000..200_000_i64],
        ) {
            let length = content.len().saturating_add_signed(wrong_by as isize);
            let (file, field) = read(body(form(&content), lengths, says_length), length).unwrap();
            prop_assert!(file == content, "{} bytes instead of {}", file.len(), content.len());
            prop_assert_eq!(field, b"b");
        }
    }

    #[test]
    fn a_file_of_known_length_may_have_a_delimiter() {
        let content = [&[0; 100_000][..], b"\r\n--x\r\n", &[0; 100_000]].concat();
        let read = |says_length| read(body(form(&content), vec![1000], says_length), content.len());
        assert!(read(true).unwrap().0 == content);
        assert!(matches!(read(false), Err(Error::Multipart(_))));
    }
}
