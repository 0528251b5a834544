//! Requests to the storage: sent again after what passes by itself, told in our own words. Addresses are
//! never told: they carry a signature.

use std::sync::Arc;
use std::time::Duration;

use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};
use url::Url;

use super::PlaceError;

/// How long a signed address may be used; a large part on a slow line takes minutes.
pub(super) const SIGNED_FOR: Duration = Duration::from_secs(3600);
/// For a connection, and for the head of an answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Tries of one request, the first included; the wait doubles.
const TRIES: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Bytes of an answer that is read whole: a page of a list has a thousand names.
const TEXT: u64 = 4 << 20;

/// What went wrong.
#[derive(Debug)]
pub(super) enum Fault {
    Missing,
    Refused(String),
    Passing(String),
}

impl Fault {
    pub(super) fn of(self, doing: &'static str, what: String) -> PlaceError {
        match self {
            Self::Missing => PlaceError::Missing(what),
            Self::Refused(why) | Self::Passing(why) => PlaceError::Refused { doing, what, why },
        }
    }

    pub(super) fn why(self) -> String {
        match self {
            Self::Missing => "it is not there".to_owned(),
            Self::Refused(why) | Self::Passing(why) => why,
        }
    }
}

#[derive(Debug)]
pub(super) struct Client(Agent);

impl Client {
    pub(super) fn new() -> Self {
        let found = rustls_native_certs::load_native_certs().certs;
        let authorities: Vec<_> = found
            .iter()
            .map(|certificate| Certificate::from_der(certificate).to_owned())
            .collect();
        // Named, since `ureq` is built without a provider of its own.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::from(authorities))
            .unversioned_rustls_crypto_provider(provider)
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .http_status_as_error(false)
            .user_agent(concat!("mainstay/", env!("CARGO_PKG_VERSION")))
            .build();
        Self(agent.into())
    }

    pub(super) fn get(&self, url: &Url) -> Result<Response<Body>, Fault> {
        again(|| self.0.get(url.as_str()).call())
    }

    pub(super) fn put(&self, url: &Url, body: &[u8]) -> Result<Response<Body>, Fault> {
        again(|| self.0.put(url.as_str()).send(body))
    }

    pub(super) fn post(&self, url: &Url, body: &str) -> Result<Response<Body>, Fault> {
        again(|| self.0.post(url.as_str()).send(body))
    }

    pub(super) fn delete(&self, url: &Url) -> Result<(), Fault> {
        match again(|| self.0.delete(url.as_str()).call()) {
            Ok(_) | Err(Fault::Missing) => Ok(()),
            Err(e) => Err(e),
        }
    }
}

/// Every request here may be repeated: a second one has the effect of the first.
fn again(
    mut send: impl FnMut() -> Result<Response<Body>, ureq::Error>,
) -> Result<Response<Body>, Fault> {
    let mut wait = FIRST_WAIT;
    for _ in 1..TRIES {
        match judged(send()) {
            Err(Fault::Passing(why)) => {
                tracing::debug!("the storage: {why}; trying again");
                // On a thread that may block.
                std::thread::sleep(wait);
                wait = wait.saturating_mul(2);
            }
            other => return other,
        }
    }
    judged(send())
}

fn judged(answer: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>, Fault> {
    let answer = answer.map_err(|e| match e {
        ureq::Error::Io(e) => Fault::Passing(e.to_string()),
        ureq::Error::Timeout(_) => Fault::Passing("it did not answer in time".to_owned()),
        ureq::Error::HostNotFound => Fault::Passing("its name cannot be resolved".to_owned()),
        ureq::Error::ConnectionFailed => Fault::Passing("it cannot be reached".to_owned()),
        // Without its text, which may have the address in it.
        ureq::Error::Rustls(e) => Fault::Refused(format!("TLS: {e}")),
        _ => Fault::Refused("the request could not be made".to_owned()),
    })?;
    let status = answer.status().as_u16();
    match status {
        200..300 => Ok(answer),
        404 => {
            let said = said(answer);
            match said.contains("NoSuchBucket") {
                true => Err(Fault::Refused("there is no such bucket".to_owned())),
                false => Err(Fault::Missing),
            }
        }
        403 => Err(Fault::Refused(format!(
            "the storage refuses our key (403 {}); look at the secrets of [database.backup.s3]",
            said(answer)
        ))),
        429 | 500.. => Err(Fault::Passing(format!(
            "it answered {status} {}",
            said(answer)
        ))),
        _ => Err(Fault::Refused(format!(
            "it answered {status} {}",
            said(answer)
        ))),
    }
}

/// The `<Code>` of an error, for example `SignatureDoesNotMatch`.
fn said(answer: Response<Body>) -> String {
    let text = text(answer).unwrap_or_default();
    let code = text.split_once("<Code>").map(|(_, rest)| rest);
    let code = code.and_then(|rest| rest.split_once("</Code>"));
    code.map(|(code, _)| code.to_owned()).unwrap_or_default()
}

pub(super) fn text(answer: Response<Body>) -> Result<String, Fault> {
    answer
        .into_body()
        .with_config()
        .limit(TEXT)
        .read_to_string()
        .map_err(|e| Fault::Passing(format!("its answer broke off: {e}")))
}
