//! Reads the parts of a multipart body (RFC 2046, 5.1; RFC 7578) one after the other, as they arrive.
//!
//! This module has its own parser, because a file's bytes go to the store as they arrive. The crate multer reads as
//! much of a body as it can get before it returns any of it, and it waits for more where it need not. This parser holds
//! one frame of the body, or a part's head. It searches each frame for the delimiter once. It copies a frame only if
//! the frame before ended in a head, or in what may be a delimiter.

use bytes::{Bytes, BytesMut};
use memchr::memmem::{self, Finder};
use memchr::{memchr, memrchr};

use super::error::Error;
use super::parameters::Parameters;
use crate::http::checked_body::CheckedBody;

/// The most bytes of a part's head. The head is held in memory.
const HEAD_LIMIT: usize = 64 * 1024;
/// The most headers of a part.
const HEADERS_LIMIT: usize = 64;
/// The longest boundary (RFC 2046, 5.1.1).
const BOUNDARY_LIMIT: usize = 70;

/// A multipart body's parts.
pub(super) struct FormParts<'b> {
    body: &'b mut CheckedBody,
    /// The line break before a boundary, two hyphens, and the boundary.
    delimiter: Finder<'static>,
    /// The bytes that have arrived and are not read yet.
    buffer: Bytes,
    /// Whether the next bytes are a part's contents, or the text before the first part.
    in_contents: bool,
}

/// A part's head.
pub(super) struct PartHead {
    /// The part's name.
    pub(super) name: Option<String>,
    /// The file's name, where the part is a file; it may be empty.
    pub(super) filename: Option<String>,
}

impl<'b> FormParts<'b> {
    /// The parts of a body with this `Content-Type`.
    pub(super) fn new(content_type: &str, body: &'b mut CheckedBody) -> Result<Self, Error> {
        let boundary = boundary(content_type).ok_or(Error::Multipart("the Content-Type has no boundary"))?;
        let delimiter = format!("\r\n--{boundary}");
        let delimiter = Finder::new(&delimiter).into_owned();
        // The first delimiter may begin the body, without a line break before it. So the buffer begins with that line
        // break.
        Ok(Self { body, delimiter, buffer: Bytes::from_static(b"\r\n"), in_contents: true })
    }

    /// The next part; `None` after the last one. It skips the rest of the part before.
    pub(super) async fn next(&mut self) -> Result<Option<PartHead>, Error> {
        while self.chunk().await?.is_some() {}
        self.fill(2).await?;
        if self.buffer.starts_with(b"--") {
            return Ok(None);
        }
        let head = self.head().await?;
        self.in_contents = true;
        parse_head(&head).map(Some)
    }

    /// The next bytes of the part's contents; `None` at their end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        while self.in_contents {
            if let Some(place) = self.delimiter.find(&self.buffer) {
                let contents = self.buffer.split_to(place);
                let _ = self.buffer.split_to(self.delimiter.needle().len());
                self.in_contents = false;
                return Ok(Some(contents).filter(|contents| !contents.is_empty()));
            }
            let contents = self.buffer.split_to(self.buffer.len() - self.kept_back());
            if !contents.is_empty() {
                return Ok(Some(contents));
            }
            self.read_frame().await?;
        }
        Ok(None)
    }

    /// How many bytes at the buffer's end may be the beginning of a delimiter. A delimiter's only carriage return is
    /// its first byte.
    fn kept_back(&self) -> usize {
        let delimiter = self.delimiter.needle();
        let end = &self.buffer[self.buffer.len().saturating_sub(delimiter.len() - 1)..];
        let start = memrchr(b'\r', end).filter(|start| delimiter.starts_with(&end[*start..]));
        start.map_or(0, |start| end.len() - start)
    }

    /// The head of the part whose delimiter has just been read: all bytes from the delimiter to the empty line.
    async fn head(&mut self) -> Result<Bytes, Error> {
        let mut searched = 0;
        loop {
            if let Some(place) = memmem::find(&self.buffer[searched..], b"\r\n\r\n") {
                return Ok(self.buffer.split_to(searched + place + 4));
            }
            if self.buffer.len() > HEAD_LIMIT {
                return Err(Error::LongPartHead(HEAD_LIMIT));
            }
            searched = self.buffer.len().saturating_sub(3);
            self.read_frame().await?;
        }
    }

    /// Reads until the buffer has at least this many bytes.
    async fn fill(&mut self, len: usize) -> Result<(), Error> {
        while self.buffer.len() < len {
            self.read_frame().await?;
        }
        Ok(())
    }

    /// Adds the body's next frame to the buffer.
    async fn read_frame(&mut self) -> Result<(), Error> {
        let frame = self.body.next().await.ok_or(Error::Multipart("it ends before its last boundary"))??;
        if self.buffer.is_empty() {
            self.buffer = frame;
            return Ok(());
        }
        let mut joined =
            std::mem::take(&mut self.buffer).try_into_mut().unwrap_or_else(|kept| BytesMut::from(&kept[..]));
        joined.extend_from_slice(&frame);
        self.buffer = joined.freeze();
        Ok(())
    }
}

/// The boundary of a multipart media type.
fn boundary(content_type: &str) -> Option<String> {
    let parameters = Parameters::parse(content_type.as_bytes());
    let boundary = parameters.boundary()?;
    // No boundary has a quote in it, so quotes come in pairs.
    let is_quoted_well = content_type.matches('"').count().is_multiple_of(2);
    let has_length = (1..=BOUNDARY_LIMIT).contains(&boundary.len());
    let is_valid = is_quoted_well && has_length && !boundary.contains(['\r', '\n']);
    is_valid.then(|| boundary.to_owned())
}

/// Reads a head: the rest of the delimiter's line, then headers, then an empty line.
fn parse_head(head: &[u8]) -> Result<PartHead, Error> {
    let unreadable = Error::Multipart("a part's headers can't be read");
    let line_end = memchr(b'\r', head).unwrap_or_default();
    // Only blanks may follow a boundary on its line.
    if !head[..line_end].iter().all(|byte| b" \t".contains(byte)) {
        return Err(Error::Multipart("a boundary has something behind it"));
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_LIMIT];
    let Ok(httparse::Status::Complete((_, headers))) = httparse::parse_headers(&head[line_end + 2..], &mut headers)
    else {
        return Err(unreadable);
    };
    let mut dispositions = headers.iter().filter(|header| header.name.eq_ignore_ascii_case("content-disposition"));
    let disposition = Parameters::parse(dispositions.next().map_or(&b""[..], |header| header.value));
    if dispositions.next().is_some() {
        return Err(Error::Multipart("a part has more than one Content-Disposition"));
    }
    Ok(PartHead { name: disposition.name().map(str::to_owned), filename: disposition.filename() })
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures::stream::{self, StreamExt};
    use http::HeaderMap;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::uploads::Room;

    const FORM: &str = "multipart/form-data; boundary=x";

    /// A body that comes in frames of these lengths, over and over, with a pause before each.
    fn body(form: impl Into<Bytes>, lengths: Vec<usize>) -> CheckedBody {
        let mut form: Bytes = form.into();
        let mut lengths = lengths.into_iter().cycle();
        let mut paused = false;
        let frames = stream::poll_fn(move |context| {
            paused = !paused;
            if paused {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let length = lengths.next().unwrap_or_default().min(form.len());
            Poll::Ready((length > 0).then(|| Ok(form.split_to(length))))
        });
        CheckedBody::new(&HeaderMap::new(), frames.boxed_local(), None, Room::default()).unwrap()
    }

    /// The name, the file's name and the contents of each part.
    type Parts = Vec<(Option<String>, Option<String>, Vec<u8>)>;

    fn read(mut body: CheckedBody) -> Result<Parts, Error> {
        pollster::block_on(async {
            let (mut parts, mut read) = (FormParts::new(FORM, &mut body)?, Vec::new());
            while let Some(head) = parts.next().await? {
                let mut contents = Vec::new();
                while let Some(bytes) = parts.chunk().await? {
                    assert!(!bytes.is_empty());
                    contents.extend_from_slice(&bytes);
                }
                read.push((head.name, head.filename, contents));
            }
            Ok(read)
        })
    }

    /// A form with one file and a field after it.
    fn form(content: &[u8]) -> Vec<u8> {
        let head = b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n";
        let rest = b"\r\n--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x--\r\n";
        [&head[..], content, rest].concat()
    }

    /// Contents with pieces that look like a delimiter, and with long pieces that don't.
    fn contents() -> impl Strategy<Value = Vec<u8>> {
        let token = prop_oneof![
            3 => prop::sample::select(vec!["\r", "\n", "-", "x", "\r\n", "\r\n-", "\r\n--", "\n--x", "\r\r\n--y"])
                .prop_map(|token| token.as_bytes().to_vec()),
            1 => (any::<u8>(), 1..40_000_usize).prop_map(|(byte, length)| vec![byte; length]),
        ];
        vec(token, 0..80)
            .prop_map(|tokens| tokens.concat())
            .prop_filter("has a delimiter", |content| !content.windows(5).any(|window| window == b"\r\n--x"))
    }

    proptest! {
        #[test]
        fn the_bytes_are_the_same_in_any_frames(
            content in contents(),
            // Short frames end within what looks like a delimiter.
            lengths in vec(prop_oneof![1..100_usize, 1..20_000_usize], 1..8),
        ) {
            let parts = read(body(form(&content), lengths)).unwrap();
            prop_assert_eq!(parts.len(), 2);
            prop_assert!(parts[0].2 == content, "{} bytes instead of {}", parts[0].2.len(), content.len());
            prop_assert_eq!(&parts[1].2, b"b");
        }
    }

    #[test]
    fn a_delimiter_ends_the_part_wherever_it_stands() {
        let content = [&[0; 100_000][..], b"\r\n--x\r\n\r\n", &[0; 100_000]].concat();
        let lengths: Vec<usize> =
            read(body(form(&content), vec![1000])).unwrap().iter().map(|part| part.2.len()).collect();
        assert_eq!(lengths, [100_000, 100_000, 1]);
    }

    #[test]
    fn what_stands_around_the_parts_is_left_out() {
        let text = "before\r\n--x \t\r\n\r\n\r\n--x\r\nother: y\r\n\r\nc\r\n--x--behind\r\n--x\r\n\r\nno part";
        for length in [1, 2, 3, 1000] {
            let parts = read(body(text, vec![length])).unwrap();
            assert_eq!(parts, [(None, None, Vec::new()), (None, None, b"c".to_vec())]);
        }
    }

    #[test]
    fn what_is_no_form_is_refused() {
        let long_head = format!("--x\r\na: {}\r\n\r\n\r\n--x--", "y".repeat(2 * HEAD_LIMIT));
        let texts = [
            "",
            "--x",
            "--x\r\n",
            "--x\r\n\r\nabc",
            "--x\r\n\r\nabc\r\n--x",
            "--xy\r\n\r\n\r\n--x--",
            "--x\r\n: :\r\n\r\n\r\n--x--",
            "--x\r\nContent-Disposition: a\r\ncontent-disposition: a\r\n\r\n\r\n--x--",
        ];
        for text in texts.into_iter().chain([long_head.as_str()]) {
            assert!(read(body(text.to_owned(), vec![7])).is_err(), "{text}");
        }
        let mut nothing = body("", vec![1]);
        for content_type in
            ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"\""]
        {
            assert!(FormParts::new(content_type, &mut nothing).is_err(), "{content_type}");
        }
    }
}
