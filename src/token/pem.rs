//! PEM (RFC 7468) as `openssl` and `ssh-keygen` write it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::key_error::KeyError;

const DAMAGED: KeyError = KeyError::Malformed("PEM text");

/// One `-----BEGIN …-----` block.
pub(super) struct Block<'a> {
    /// What the first line says, such as `PRIVATE KEY`.
    pub(super) label: &'a str,
    /// Whether the block has header lines, as OpenSSL's old encrypted form has (RFC 1421 4.6).
    pub(super) has_headers: bool,
    /// The decoded bytes; empty where there are headers.
    pub(super) contents: Zeroizing<Vec<u8>>,
}

/// All blocks of a text. Lines outside of blocks are explanations and skipped (RFC 7468 2).
pub(super) fn blocks(text: &str) -> Result<Vec<Block<'_>>, KeyError> {
    let mut found = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(label) = boundary(line, "-----BEGIN ") else { continue };
        let mut base64 = Zeroizing::new(String::with_capacity(text.len()));
        let mut has_headers = false;
        loop {
            let line = lines.next().ok_or(DAMAGED)?;
            if let Some(end) = boundary(line, "-----END ") {
                if end != label {
                    return Err(DAMAGED);
                }
                break;
            }
            has_headers |= line.contains(':');
            base64.push_str(line);
        }
        let contents = if has_headers { Vec::new() } else { decode(&base64)? };
        found.push(Block { label, has_headers, contents: Zeroizing::new(contents) });
    }
    Ok(found)
}

fn boundary<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    line.strip_prefix(start)?.strip_suffix("-----")
}

fn decode(base64: &str) -> Result<Vec<u8>, KeyError> {
    STANDARD.decode(base64).map_err(|_| DAMAGED)
}

/// A block of text around `contents`, in lines of 64 characters.
pub(super) fn write(label: &str, contents: &[u8]) -> String {
    let mut base64 = String::new();
    // 48 bytes are 64 characters, and only the last piece needs padding.
    for piece in contents.chunks(48) {
        STANDARD.encode_string(piece, &mut base64);
        base64.push('\n');
    }
    format!("-----BEGIN {label}-----\n{base64}-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn explanations_and_several_blocks_are_read() {
        let text = "Key:\r\n-----BEGIN A-----\r\nAAEC\r\n-----END A-----\r\n\
                    -----BEGIN B C-----\nProc-Type: 4,ENCRYPTED\n\nAAEC\n-----END B C-----";
        let blocks = blocks(text).expect("two blocks");
        let seen: Vec<_> = blocks
            .iter()
            .map(|block| (block.label, block.has_headers, block.contents.as_slice()))
            .collect();
        assert_eq!(seen, [("A", false, &[0, 1, 2][..]), ("B C", true, &[])]);
    }

    #[test]
    fn damaged_blocks_are_refused() {
        for text in [
            "-----BEGIN A-----\nAAEC",
            "-----BEGIN A-----\nAAEC\n-----END B-----",
            "-----BEGIN A-----\nAA?C\n-----END A-----",
            "-----BEGIN A-----\nAAE\n-----END A-----",
        ] {
            assert_eq!(blocks(text).err(), Some(DAMAGED), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(contents in prop::collection::vec(any::<u8>(), 0..300)) {
            let text = write("A KEY", &contents);
            prop_assert!(text.lines().all(|line| line.len() <= 64));
            let blocks = blocks(&text).expect("one block");
            prop_assert_eq!(blocks.len(), 1);
            prop_assert_eq!(&*blocks[0].contents, &contents);
        }

        #[test]
        fn no_text_panics(text in "(-----BEGIN A-----|-----END A-----|[\n:AZ=+-]|.){0,20}") {
            let _ = blocks(&text);
        }
    }
}
