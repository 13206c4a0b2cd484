//! What TLS connections need, loaded at the first use and shared: certificates to trust, a client
//! certificate. Files are read again when they change.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::{Resumption, WantsClientCert};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};

use crate::settings::TlsFiles;

/// Loaded settings by the files that they came from.
#[derive(Default)]
pub(crate) struct Configs {
    provider: Option<Arc<CryptoProvider>>,
    none: Option<Arc<ClientConfig>>,
    loaded: BTreeMap<TlsFiles, Loaded>,
}

struct Loaded {
    stamps: Vec<Stamp>,
    config: Arc<ClientConfig>,
}

/// What changes when a file is written or replaced, whatever its times are set to.
type Stamp = Option<((i64, i64), u64, u64)>;

impl Configs {
    /// The settings for connections without TLS: nothing is trusted.
    pub(crate) fn none(&mut self) -> Result<Arc<ClientConfig>, String> {
        if let Some(none) = &self.none {
            return Ok(none.clone());
        }
        let none = Arc::new(self.trusting(RootCertStore::empty())?.with_no_client_auth());
        self.none = Some(none.clone());
        Ok(none)
    }

    /// The settings that `files` make, as they are now.
    ///
    /// Errors: what is missing on this host.
    pub(crate) fn of(&mut self, files: &TlsFiles) -> Result<Arc<ClientConfig>, String> {
        let stamps = stamps(files);
        if let Some(loaded) = self.loaded.get(files).filter(|loaded| loaded.stamps == stamps) {
            return Ok(loaded.config.clone());
        }
        let config = Arc::new(self.load(files)?);
        self.loaded.insert(files.clone(), Loaded { stamps, config: config.clone() });
        Ok(config)
    }

    /// They are read again at the next use.
    pub(crate) fn forget(&mut self, files: &TlsFiles) {
        self.loaded.remove(files);
    }

    fn load(&mut self, files: &TlsFiles) -> Result<ClientConfig, String> {
        let roots = match &files.ca_file {
            Some(path) => roots_in(path)?,
            None => roots_of_this_host()?,
        };
        let builder = self.trusting(roots)?;
        let mut config = match (&files.cert_file, &files.key_file) {
            (None, None) => builder.with_no_client_auth(),
            (None, Some(_)) => return Err("key_file is given without cert_file".into()),
            // One file may hold both.
            (Some(cert), key) => builder
                .with_client_auth_cert(certificates(cert, "cert_file")?, key_in(key.as_ref().unwrap_or(cert))?)
                .map_err(|error| format!("cert_file and key_file: {error}"))?,
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A few requests an hour gain nothing from it, and it costs memory for each config.
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    fn trusting(&mut self, roots: RootCertStore) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, String> {
        let provider = self.provider.get_or_insert_with(|| Arc::new(aws_lc_rs::default_provider())).clone();
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        Ok(builder.map_err(|error| format!("no TLS: {error}"))?.with_root_certificates(roots))
    }
}

fn roots_of_this_host() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("no CA certificates on this host: install ca-certificates or set ca_file".into());
    }
    Ok(roots)
}

fn roots_in(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, "ca_file")? {
        roots.add(certificate).map_err(|error| format!("ca_file {}: {error}", path.display()))?;
    }
    Ok(roots)
}

fn certificates(path: &Path, key: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let told = |wrong: &dyn std::fmt::Display| format!("{key} {}: {wrong}", path.display());
    let pem = fs::read(path).map_err(|error| told(&error))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|_| told(&"not PEM"))?;
    if certificates.is_empty() {
        return Err(told(&"no certificate in it"));
    }
    Ok(certificates)
}

fn key_in(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let pem = fs::read(path).map_err(|error| format!("key_file {}: {error}", path.display()))?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| format!("key_file {}: no private key in it", path.display()))
}

fn stamps(files: &TlsFiles) -> Vec<Stamp> {
    let stamp = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some(((metadata.ctime(), metadata.ctime_nsec()), metadata.len(), metadata.ino()))
    };
    let paths = [&files.ca_file, &files.cert_file, &files.key_file];
    paths.into_iter().flatten().map(|path| stamp(path)).collect()
}
