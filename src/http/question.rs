//! What a gateway's question says: every header that the gate reads, in one pass over all of them, since it
//! is read of every request. The names are nginx/ask.conf's; a gateway that words its questions otherwise
//! needs another table than this one, and nothing else.

use http::HeaderMap;

/// The headers of a question, as they came; of several with one name the first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent<'h> {
    /// The method of the client's request.
    pub method: Option<&'h [u8]>,
    /// Its raw request target.
    pub uri: Option<&'h [u8]>,
    /// The host that it was sent to, as nginx chose its server by.
    pub original_host: Option<&'h [u8]>,
    /// The host that the client wrote.
    pub host: Option<&'h [u8]>,
    /// Its credential.
    pub authorization: Option<&'h [u8]>,
    /// The page that a browser asks for, in CORS.
    pub origin: Option<&'h [u8]>,
    /// The method that a preflight announces.
    pub announced_method: Option<&'h [u8]>,
    /// Where the client is.
    pub address: Option<&'h [u8]>,
    content_length: Option<&'h [u8]>,
    transfer_encoding: Option<&'h [u8]>,
}

impl<'h> Sent<'h> {
    /// Reads the headers of a question.
    #[must_use]
    pub fn read(headers: &'h HeaderMap) -> Self {
        let mut sent = Self::default();
        for (name, value) in headers {
            let place = match name.as_str() {
                "x-original-method" => &mut sent.method,
                "x-original-uri" => &mut sent.uri,
                "x-original-host" => &mut sent.original_host,
                "host" => &mut sent.host,
                "authorization" => &mut sent.authorization,
                "origin" => &mut sent.origin,
                "access-control-request-method" => &mut sent.announced_method,
                "x-real-ip" => &mut sent.address,
                "content-length" => &mut sent.content_length,
                "transfer-encoding" => &mut sent.transfer_encoding,
                _ => continue,
            };
            place.get_or_insert(value.as_bytes());
        }
        sent
    }

    /// Whether a body is to follow. The gate reads none.
    #[must_use]
    pub fn announces_a_body(&self) -> bool {
        self.transfer_encoding.is_some() || self.content_length.is_some_and(|length| length != b"0")
    }
}
