//! What went wrong on the way, in words for a person, and whether the request had left.
//!
//! The words are ours and name the host alone. What a library adds is its innermost cause, which
//! knows the connection but neither URL nor body.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::time::Duration;

use reqwest::Url;
use rustls::{AlertDescription, CertificateError};

use crate::failure::{Failure, Reach};
use crate::settings::Proxy;

/// Whom we speak to, as messages name it, and for how long.
pub(crate) struct Peer {
    name: String,
    timeout: Duration,
    /// Strictly shorter than the whole: what takes longer has connected.
    pub(crate) connect_timeout: Duration,
}

impl Peer {
    pub(crate) fn new(url: &Url, proxy: &Proxy, timeout: Duration) -> Self {
        let host = url.host_str().unwrap_or("the host");
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let way = match proxy {
            Proxy::None => "",
            // Whether it names one for this host is decided elsewhere.
            Proxy::Environment => " (with the environment's proxies)",
            Proxy::Url(_) => " (through the proxy)",
        };
        Self { name: format!("{host}{port}{way}"), timeout, connect_timeout: timeout * 3 / 4 }
    }

    /// The whole time passed after connecting.
    pub(crate) fn silent(&self) -> Failure {
        sent(format!("no answer from {} within {:?}", self.name, self.timeout))
    }

    pub(crate) fn broken_off(&self) -> Failure {
        sent(format!("connection to {} closed in the middle of the answer", self.name))
    }

    pub(crate) fn failure(&self, error: &reqwest::Error) -> Failure {
        if error.is_builder() {
            return Failure::NotReady("the request cannot be made: is the URL right?".into());
        }
        if error.is_connect() {
            return not_sent(self.connecting(error));
        }
        if let Some(tls) = find::<rustls::Error>(error).filter(|tls| refuses_handshake(tls)) {
            return not_sent(format!("{} refused the TLS connection: {tls}", self.name));
        }
        match find::<hyper::Error>(error) {
            Some(hyper) if hyper.is_canceled() => {
                not_sent(format!("connection to {} closed before the request was sent", self.name))
            }
            Some(hyper) if hyper.is_incomplete_message() => self.unanswered(),
            Some(hyper) if hyper.is_parse() => sent(format!("{} answered something that is not HTTP", self.name)),
            _ if io_kind(error).is_some_and(is_closed) => self.unanswered(),
            _ => sent(format!("no answer from {}: {}", self.name, innermost(error))),
        }
    }

    fn unanswered(&self) -> Failure {
        sent(format!("connection to {} closed before an answer came", self.name))
    }

    fn connecting(&self, error: &reqwest::Error) -> String {
        let name = &self.name;
        if error.is_dns() {
            return format!("the name {name} was not found");
        }
        if let Some(tls) = find::<rustls::Error>(error) {
            return format!("no TLS connection to {name}: {}", tls_words(tls));
        }
        match io_kind(error) {
            _ if error.is_timeout() => format!("no connection to {name} within {:?}", self.connect_timeout),
            Some(ErrorKind::ConnectionRefused) => format!("connection refused by {name}"),
            Some(ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable) => format!("no route to {name}"),
            Some(ErrorKind::PermissionDenied) => format!("this host does not permit a connection to {name}"),
            Some(kind) if is_closed(kind) => format!("connection to {name} closed while connecting"),
            _ => format!("no connection to {name}: {}", innermost(error)),
        }
    }
}

/// What went wrong on the way to the server called `name`, which had `timeout` to answer.
#[must_use]
pub fn words_of(error: &reqwest::Error, name: &str, timeout: Duration) -> String {
    let peer = Peer { name: name.to_owned(), timeout, connect_timeout: timeout * 3 / 4 };
    if error.is_timeout() && !error.is_connect() {
        return peer.silent().to_string();
    }
    peer.failure(error).to_string()
}

/// Whether it is the fault of certificates on either side.
pub(crate) fn is_about_tls(error: &reqwest::Error) -> bool {
    find::<rustls::Error>(error).is_some()
}

/// The first cause, as its library puts it.
pub(crate) fn innermost(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| "unknown cause".into(), ToString::to_string)
}

fn not_sent(reason: String) -> Failure {
    Failure::Unreachable { reason, reach: Reach::NotSent }
}

fn sent(reason: String) -> Failure {
    Failure::Unreachable { reason, reach: Reach::Sent }
}

/// With TLS 1.3 a server says only after the handshake that it does not take the client's
/// certificate; until then it acts on nothing.
fn refuses_handshake(error: &rustls::Error) -> bool {
    matches!(
        error,
        rustls::Error::AlertReceived(
            AlertDescription::AccessDenied
                | AlertDescription::BadCertificate
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateRequired
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateUnknown
                | AlertDescription::HandshakeFailure
                | AlertDescription::UnknownCA
                | AlertDescription::UnsupportedCertificate
        )
    )
}

fn tls_words(error: &rustls::Error) -> String {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext,
        UnknownIssuer,
    };
    match error {
        rustls::Error::InvalidCertificate(wrong) => match wrong {
            UnknownIssuer => "its certificate is not trusted; ca_file names a CA of your own".into(),
            Expired | ExpiredContext { .. } => "its certificate has expired".into(),
            NotValidYet | NotValidYetContext { .. } => {
                "its certificate is not valid yet; is this host's clock right?".into()
            }
            NotValidForName | NotValidForNameContext { .. } => "its certificate is for another name".into(),
            other if other.to_string().contains("CaUsedAsEndEntity") => {
                "it shows the certificate of a CA as its own; have that CA issue one for the server".into()
            }
            other => format!("its certificate is not trusted: {other}"),
        },
        rustls::Error::InconsistentKeys(_) => "key_file does not hold the key of the certificate in cert_file".into(),
        rustls::Error::InvalidMessage(_) => "it does not speak TLS there".into(),
        other => other.to_string(),
    }
}

fn is_closed(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof
    )
}

fn io_kind(error: &reqwest::Error) -> Option<ErrorKind> {
    causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind).last()
}

/// The innermost cause of type `T`, also one that an I/O error carries.
fn find<T: Error + 'static>(error: &reqwest::Error) -> Option<&T> {
    causes(error).filter_map(|cause| cause.downcast_ref::<T>()).last()
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause_of(cause))
}

/// An I/O error passes over the error that it carries when it is asked for its source.
fn cause_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(carried) => Some(carried),
        None => error.source(),
    }
}
