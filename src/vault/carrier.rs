//! Carries vaultrs' requests through our own HTTP client. rustify, which makes them, drops the headers of
//! an answer that is no success; here they are kept for whoever wants to know how long to wait.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use hyper::http::{Request, Response};
use reqwest::header::HeaderMap;
use rustify::client::Client;
use rustify::errors::ClientError;

/// The way to one server.
pub(crate) struct Carrier {
    http: reqwest::Client,
    base: String,
    unwelcome: Mutex<Option<HeaderMap>>,
}

type Answer<'f> = Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, ClientError>> + Send + 'f>>;

impl Carrier {
    /// Carries to what lies below the URL `base`.
    pub(crate) fn new(base: &str, http: reqwest::Client) -> Self {
        Self { http, base: base.to_owned(), unwelcome: Mutex::default() }
    }

    /// The headers of the last answer, if that was no success.
    pub(crate) fn unwelcome(&self) -> Option<HeaderMap> {
        self.unwelcome.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn carry(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, ClientError> {
        let mut request =
            reqwest::Request::try_from(request).map_err(|source| ClientError::ReqwestBuildError { source })?;
        if request.url().query() == Some("") {
            request.url_mut().set_query(None);
        }
        let lost = |error: reqwest::Error| ClientError::ResponseError { source: error.into() };
        let answer = self.http.execute(request).await.map_err(lost)?;
        let status = answer.status();
        let unwelcome = (!status.is_success()).then(|| answer.headers().clone());
        *self.unwelcome.lock().unwrap_or_else(PoisonError::into_inner) = unwelcome;
        let mut response = Response::new(answer.bytes().await.map_err(lost)?.into());
        *response.status_mut() = status;
        Ok(response)
    }
}

impl Client for Carrier {
    fn send<'s, 'f>(&'s self, request: Request<Vec<u8>>) -> Answer<'f>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(self.carry(request))
    }

    fn base(&self) -> &str {
        &self.base
    }
}
