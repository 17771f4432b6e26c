//! The path of a request as nginx, Django and an attacker may each see it.
//!
//! nginx decodes and normalises before it chooses a location; Django decodes and does not normalise.
//! Where such views could meet different rules, the request is refused: nobody who means well sends one.

/// The longest path that is judged, in bytes, before its query.
const LONGEST: usize = 4096;

/// Why a path is not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ambiguous;

/// The views of a path that differ from it, in the caller's buffers: filled only for a path that is not
/// plain.
#[derive(Default)]
pub struct Room {
    decoded: Option<[u8; LONGEST]>,
    bare: Option<[u8; LONGEST]>,
}

/// A path that has the same structure in every view. A policy must judge all of them alike: a rule that
/// only one of them meets is a way around it (`/%61pi/` or `/api;x/` for `/api/`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path<'p> {
    /// As it came.
    pub raw: &'p str,
    /// With its percent-encoding undone, as Django sees it.
    pub decoded: &'p str,
    /// Without the parameters of its segments, as servers see it that know some (RFC 3986 3.3: `;x=1`).
    pub bare: &'p str,
}

/// Reads the path of `uri` (the raw request target: path, and query behind `?`).
///
/// Its structure must be the same in every view: it begins with one slash, has no empty, `.` or `..`
/// segment, no encoded slash, backslash or percent sign, no control character, and is UTF-8. An absolute
/// URI (`http://…`) and `*` are refused, and so is `#`: nginx and some servers end the path there, others
/// do not.
pub fn read<'p>(uri: &'p [u8], room: &'p mut Room) -> Result<Path<'p>, Ambiguous> {
    let path = uri.split(|byte| *byte == b'?').next().unwrap_or_default();
    if path.len() > LONGEST || path.first() != Some(&b'/') {
        return Err(Ambiguous);
    }
    let plain =
        path.iter().all(|byte| (0x20..0x7f).contains(byte) && !matches!(byte, b'%' | b'\\' | b'#'));
    let Room { decoded: decoded_room, bare: bare_room } = room;
    let decoded =
        if plain { path } else { decode(path, decoded_room.get_or_insert([0; LONGEST]))? };
    let is_odd = |pair: &[u8]| matches!(pair, [b'/', b'/' | b'.' | b';']);
    if decoded.windows(2).any(is_odd) && has_odd_segment(decoded) {
        return Err(Ambiguous);
    }
    let decoded = std::str::from_utf8(decoded).map_err(|_| Ambiguous)?;
    let raw = if plain { decoded } else { std::str::from_utf8(path).map_err(|_| Ambiguous)? };
    let bare = if decoded.contains(';') {
        without_parameters(decoded, bare_room.get_or_insert([0; LONGEST]))?
    } else {
        decoded
    };
    Ok(Path { raw, decoded, bare })
}

/// Cuts every segment at its first `;`.
fn without_parameters<'r>(path: &str, room: &'r mut [u8; LONGEST]) -> Result<&'r str, Ambiguous> {
    let mut length = 0;
    let mut in_parameters = false;
    for byte in path.bytes() {
        in_parameters = byte == b';' || (in_parameters && byte != b'/');
        if !in_parameters {
            *room.get_mut(length).ok_or(Ambiguous)? = byte;
            length += 1;
        }
    }
    // What is cut off begins and ends at ASCII: whole characters stay.
    std::str::from_utf8(room.get(..length).ok_or(Ambiguous)?).map_err(|_| Ambiguous)
}

/// Whether a segment, without its parameters, is empty, `.` or `..`. The last one may be empty: the path then ends with a slash.
fn has_odd_segment(path: &[u8]) -> bool {
    let mut segments = path.split(|byte| *byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        // `;` starts parameters for some servers: `/api/..;/x` is a way around others' rules.
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        let is_end = segment.is_empty() && is_last;
        if (name.is_empty() && !is_end) || name == b"." || name == b".." {
            return true;
        }
    }
    false
}

/// Undoes percent-encoding once. What decodes to a character that changes the structure is ambiguous.
fn decode<'r>(path: &[u8], room: &'r mut [u8; LONGEST]) -> Result<&'r [u8], Ambiguous> {
    let mut length = 0;
    let mut bytes = path.iter();
    while let Some(&byte) = bytes.next() {
        let byte = if byte == b'%' {
            let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
            match high << 4 | low {
                b'/' | b'\\' | b'%' | b'?' | b'#' | b'.' | b';' => return Err(Ambiguous),
                decoded => decoded,
            }
        } else if matches!(byte, b'\\' | b'#') {
            return Err(Ambiguous);
        } else {
            byte
        };
        if byte < 0x20 || byte == 0x7f {
            return Err(Ambiguous);
        }
        *room.get_mut(length).ok_or(Ambiguous)? = byte;
        length += 1;
    }
    room.get(..length).ok_or(Ambiguous)
}

fn digit(byte: Option<&u8>) -> Result<u8, Ambiguous> {
    match byte {
        Some(byte @ b'0'..=b'9') => Ok(byte - b'0'),
        Some(byte @ b'a'..=b'f') => Ok(byte - b'a' + 10),
        Some(byte @ b'A'..=b'F') => Ok(byte - b'A' + 10),
        _ => Err(Ambiguous),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(uri: &str) -> Option<String> {
        let mut room = Room::default();
        read(uri.as_bytes(), &mut room).ok().map(|path| path.decoded.to_owned())
    }

    #[test]
    fn what_all_see_alike_is_read() {
        assert_eq!(path("/api/v1/hobbies/?next=/../x").as_deref(), Some("/api/v1/hobbies/"));
        assert_eq!(path("/api/v1/hobbies/%C3%A4/a%20b").as_deref(), Some("/api/v1/hobbies/ä/a b"));
        assert_eq!(path("/").as_deref(), Some("/"));
        assert_eq!(path("/api/a;x=1").as_deref(), Some("/api/a;x=1"));
        // Letters that did not need encoding, and parameters: the policy must judge all texts.
        let mut room = Room::default();
        let both = Path { raw: "/%61pi/v1/", decoded: "/api/v1/", bare: "/api/v1/" };
        assert_eq!(read(b"/%61pi/v1/?x", &mut room), Ok(both));
        let mut room = Room::default();
        let raw = "/a;x=1/b;c;d/e;";
        assert_eq!(read(raw.as_bytes(), &mut room), Ok(Path { raw, decoded: raw, bare: "/a/b/e" }));
    }

    #[test]
    fn what_some_see_otherwise_is_refused() {
        for uri in [
            "",
            "*",
            "api",
            "http://host/api/",
            "//api/",
            "/api//v1/",
            "/api/../sysadmin/",
            "/api/..",
            "/api/./v1/",
            "/api/%2e%2e/x",
            "/api/..%2fx",
            "/api/%2Fx",
            "/a%5cb",
            "/a\\b",
            "/a%252f",
            "/a%",
            "/a%4",
            "/a%zz",
            "/a%00",
            "/x%0aapi/",
            "/a%7f",
            "/api/..;/x",
            "/api/%3b",
            "/api/;x/v1",
            "/api/;",
            "/a%ff",
            "/a%3f",
            "/api/#/../sysadmin/",
            "/api/v1/#?x",
        ] {
            assert_eq!(path(uri), None, "{uri}");
        }
        assert_eq!(path(&format!("/{}", "a".repeat(LONGEST))), None);
    }
}
