//! Encrypted connections to the mail server: verified, and never given up in silence.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use avain::mail::smtp::Security;
use avain::mail::transport::Transport;
use avain::store::outbox::MailState;
use tempfile::TempDir;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{DEFAULT_VERSIONS, ServerConfig};

use crate::harness::{Engine, block_on};
use crate::office::{Office, guarded, person};
use crate::sink::Sink;

/// `\0avain\0pa55word` in base64 (RFC 4616).
const SIGNED_IN: &str = "AGF2YWluAHBhNTV3b3Jk";

fn acceptor(folder: &Path) -> TlsAcceptor {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "certificate.pem"])
        .current_dir(folder)
        .output()
        .expect("openssl is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let certificate = CertificateDer::from_pem_file(folder.join("certificate.pem"));
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem"));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(DEFAULT_VERSIONS)
        .expect("ring has them")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.expect("it is one")], key.expect("it is one"));
    TlsAcceptor::from(Arc::new(config.expect("key and certificate match")))
}

async fn send(transport: Transport) -> Office {
    let office = Office::new(Engine::Sqlite).await;
    let running = office.start(office.worker_with(transport));
    office.write(&person(0)).await;
    sleep(Duration::from_millis(1500)).await;
    running.stop().await;
    office
}

#[test]
fn starttls_protects_the_mail_and_the_password() {
    block_on(async {
        let folder = TempDir::new().expect("a folder can be made");
        let sink = Sink::start_with(Some(acceptor(folder.path()))).await;
        let authority = folder.path().join("certificate.pem");
        for security in [Security::StartTls, Security::Opportunistic] {
            let before = sink.taken().len();
            send(guarded(sink.address, security, Some(&authority))).await;
            let taken = sink.taken();
            assert_eq!(taken.len(), before + 1, "{security:?}");
            assert!(taken.iter().all(|taken| taken.encrypted), "{security:?}");
            assert!(sink.signed_in().iter().all(|found| found == SIGNED_IN));
            assert_eq!(sink.signed_in().len(), before + 1);
        }
    });
}

#[test]
fn tls_from_the_first_byte_protects_the_mail_and_the_password() {
    block_on(async {
        let folder = TempDir::new().expect("a folder can be made");
        let sink = Sink::start_encrypted(acceptor(folder.path())).await;
        let authority = folder.path().join("certificate.pem");
        send(guarded(sink.address, Security::Tls, Some(&authority))).await;
        let [taken] = sink.taken().try_into().expect("one mail arrives");
        assert!(taken.encrypted);
        assert_eq!(sink.signed_in(), [SIGNED_IN]);
        // Neither does anybody speak to whom nobody vouches for, nor in clear.
        let before = sink.connections();
        for (security, authority, why) in [
            (Security::Tls, None, "certificate"),
            (Security::StartTls, Some(authority.as_path()), ""),
        ] {
            let office = send(guarded(sink.address, security, authority)).await;
            let [entry] = office.entries().await.try_into().expect("there is one");
            assert_ne!(entry.state, MailState::Sent, "{security:?}");
            assert!(entry.last_error.is_none_or(|said| said.contains(why)), "{security:?}");
        }
        assert!(sink.connections() > before, "it was tried");
        assert_eq!((sink.taken().len(), sink.signed_in().len()), (1, 1));
    });
}

#[test]
fn a_certificate_that_nobody_vouches_for_gets_neither_mail_nor_password() {
    block_on(async {
        let folder = TempDir::new().expect("a folder can be made");
        let sink = Sink::start_with(Some(acceptor(folder.path()))).await;
        for security in [Security::StartTls, Security::Opportunistic] {
            let office = send(guarded(sink.address, security, None)).await;
            let [entry] = office.entries().await.try_into().expect("there is one");
            assert_ne!(entry.state, MailState::Sent, "{security:?}");
            let said = entry.last_error.expect("it was tried");
            assert!(said.contains("certificate"), "{security:?}: {said}");
        }
        assert!(sink.taken().is_empty() && sink.signed_in().is_empty());
    });
}

#[test]
fn a_server_without_starttls_gets_nothing_where_it_is_demanded() {
    block_on(async {
        let sink = Sink::start().await;
        let office = send(guarded(sink.address, Security::StartTls, None)).await;
        let [entry] = office.entries().await.try_into().expect("there is one");
        assert_ne!(entry.state, MailState::Sent);
        assert!(entry.last_error.is_some_and(|said| said.contains("STARTTLS")));
        assert!(sink.taken().is_empty() && sink.signed_in().is_empty());
    });
}
