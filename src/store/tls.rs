//! TLS to PostgreSQL, as `sslmode` and `sslrootcert` in the URL say; they mean what they mean to libpq.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::store::error::StoreError;

/// Makes TLS connections.
pub(super) type Tls = MakeRustlsConnect;

/// How far the server's certificate is verified (PostgreSQL manual 34.19.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verify {
    /// `disable`, `allow`, `prefer`, `require`: not at all; against eavesdroppers alone.
    Nothing,
    /// `verify-ca`, and `require` with an `sslrootcert`: that a trusted authority signed it.
    Authority,
    /// `verify-full`: also that it is for the host we asked for.
    Full,
}

/// Splits a URL into what tokio-postgres understands and how its TLS is to be.
pub(super) fn from_url(url: &str) -> Result<(String, Tls), StoreError> {
    let (url, verify, root) = split(url);
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Other(format!("TLS: {error}")))?;
    let verifier: Arc<dyn ServerCertVerifier> = if verify == Verify::Nothing {
        Arc::new(Lenient { provider, authority: None })
    } else {
        let roots = Arc::new(roots(root.as_deref())?);
        let full = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .build()
            .map_err(|error| StoreError::Other(format!("sslrootcert: {error}")))?;
        match verify {
            Verify::Full => full,
            _ => Arc::new(Lenient { provider, authority: Some(full) }),
        }
    };
    let config =
        builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    Ok((url, MakeRustlsConnect::new(config)))
}

/// Takes out `sslrootcert`, and the values of `sslmode` that tokio-postgres does not know.
fn split(url: &str) -> (String, Verify, Option<String>) {
    let Some((base, query)) = url.split_once('?') else {
        return (url.to_owned(), Verify::Nothing, None);
    };
    let mut verify = Verify::Nothing;
    let mut root = None;
    let mut kept = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("sslmode", "verify-full")) => {
                verify = Verify::Full;
                kept.push("sslmode=require");
            }
            Some(("sslmode", "verify-ca")) => {
                verify = Verify::Authority;
                kept.push("sslmode=require");
            }
            Some(("sslmode", "allow")) => kept.push("sslmode=prefer"),
            Some(("sslrootcert", path)) => {
                let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
                root = Some(path.into_owned());
            }
            _ => kept.push(pair),
        }
    }
    if verify == Verify::Nothing && root.is_some() && kept.contains(&"sslmode=require") {
        verify = Verify::Authority;
    }
    let url = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
    (url, verify, root)
}

/// The authorities in a PEM file, or else those that the machine trusts.
fn roots(file: Option<&str>) -> Result<RootCertStore, StoreError> {
    let mut roots = RootCertStore::empty();
    let found: Vec<CertificateDer<'_>> = match file {
        None | Some("system") => rustls_native_certs::load_native_certs().certs,
        Some(file) => CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect)
            .map_err(|error| StoreError::Other(format!("sslrootcert {file}: {error}")))?,
    };
    roots.add_parsable_certificates(found);
    if roots.is_empty() {
        let sentence =
            "no certificate authority was found to verify the database's certificate with";
        return Err(StoreError::Other(sentence.to_owned()));
    }
    Ok(roots)
}

/// Verifies less than everything, as `sslmode` asked. Signatures of the handshake are always verified.
#[derive(Debug)]
struct Lenient {
    provider: Arc<CryptoProvider>,
    /// Verifies the chain; a wrong host name is forgiven.
    authority: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authority) = &self.authority else { return Ok(ServerCertVerified::assertion()) };
        match authority.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        ) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sslmode_decides_what_is_verified() {
        let cases = [
            ("postgresql://h/d", "postgresql://h/d", Verify::Nothing, None),
            ("postgresql://h/d?sslmode=require", "", Verify::Nothing, None),
            (
                "postgresql://h/d?sslmode=verify-full&target_session_attrs=read-write",
                "postgresql://h/d?sslmode=require&target_session_attrs=read-write",
                Verify::Full,
                None,
            ),
            (
                "postgresql://h/d?sslrootcert=%2Fca.pem&sslmode=require",
                "postgresql://h/d?sslmode=require",
                Verify::Authority,
                Some("/ca.pem"),
            ),
            ("postgresql://h/d?sslrootcert=x", "postgresql://h/d", Verify::Nothing, Some("x")),
        ];
        for (url, kept, verify, root) in cases {
            let kept = if kept.is_empty() { url } else { kept };
            let expected = (kept.to_owned(), verify, root.map(str::to_owned));
            assert_eq!(split(url), expected, "{url}");
        }
    }

    #[test]
    fn a_missing_root_certificate_is_an_error() {
        let url = "postgresql://h/d?sslmode=verify-ca&sslrootcert=/nowhere/ca.pem";
        assert!(matches!(from_url(url), Err(StoreError::Other(_))));
    }
}
