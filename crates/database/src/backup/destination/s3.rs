//! Storage that speaks S3: objects in a bucket, addressed by path, signed with version 4 (AWS, and those
//! compatible with it). An object is there when its upload is complete, never before.
//!
//! `rusty_s3` makes and signs the addresses, `ureq` sends the requests (decision 0030). What a killed
//! process left of an upload in parts is not listed and never counts; the bucket's own rule for incomplete
//! uploads removes it.

mod request;
mod upload;

use std::fmt;
use std::io::Read;
use std::sync::Arc;

use rusty_s3::actions::ListObjectsV2;
use rusty_s3::{Bucket as Signed, Credentials, S3Action as _, UrlStyle};
use telemetry::Secret;

use self::request::Client;
use super::PlaceError;

pub(super) use self::upload::Upload;

/// Which bucket, and who asks.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// `https://s3.eu-central-1.amazonaws.com`
    pub endpoint: String,
    pub region: String,
    pub name: String,
    /// Before every name, without a closing `/`; empty: none.
    pub prefix: String,
    pub access_key: Secret,
    pub secret_key: Secret,
}

#[derive(Clone)]
pub struct S3(Arc<Inner>);

struct Inner {
    bucket: Signed,
    credentials: Credentials,
    client: Client,
    prefix: String,
    /// `s3://NAME/PREFIX/`, for people.
    shown: String,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("S3").field(&self.0.shown).finish()
    }
}

impl S3 {
    /// Nothing is asked of it yet.
    pub fn new(of: &Bucket) -> Result<Self, PlaceError> {
        let shown = match of.prefix.as_str() {
            "" => format!("s3://{}/", of.name),
            prefix => format!("s3://{}/{prefix}/", of.name),
        };
        let refused = |why: String| PlaceError::Refused {
            doing: "cannot use",
            what: shown.clone(),
            why,
        };
        let endpoint = of.endpoint.parse();
        let endpoint = endpoint.map_err(|e: url::ParseError| refused(e.to_string()))?;
        let bucket = Signed::new(endpoint, UrlStyle::Path, of.name.clone(), of.region.clone());
        Ok(Self(Arc::new(Inner {
            bucket: bucket.map_err(|e| refused(e.to_string()))?,
            credentials: Credentials::new(of.access_key.expose(), of.secret_key.expose()),
            client: Client::new(),
            prefix: match of.prefix.as_str() {
                "" => String::new(),
                prefix => format!("{prefix}/"),
            },
            shown,
        })))
    }

    pub(super) fn describe(&self, name: &str) -> String {
        format!("{}{name}", self.0.shown)
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.0.prefix)
    }

    pub(super) fn create(&self, name: &str) -> Upload {
        Upload::new(self.clone(), name)
    }

    pub(super) fn open(&self, name: &str) -> Result<Box<dyn Read + Send>, PlaceError> {
        let key = self.key(name);
        let url = self
            .0
            .bucket
            .get_object(Some(&self.0.credentials), &key)
            .sign(request::SIGNED_FOR);
        let answer = self.0.client.get(&url);
        let answer = answer.map_err(|fault| fault.of("cannot read", self.describe(name)))?;
        Ok(Box::new(answer.into_body().into_reader()))
    }

    pub(super) fn list(&self, prefix: &str) -> Result<Vec<String>, PlaceError> {
        let mut names = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut action = ListObjectsV2::new(&self.0.bucket, Some(&self.0.credentials));
            action.with_prefix(self.key(prefix));
            if let Some(token) = token.take() {
                action.with_continuation_token(token);
            }
            let failed = |fault: request::Fault| fault.of("cannot list", self.describe(prefix));
            let answer = self.0.client.get(&action.sign(request::SIGNED_FOR));
            let text = request::text(answer.map_err(failed)?).map_err(failed)?;
            let page = ListObjectsV2::parse_response(&text).map_err(|e| PlaceError::Refused {
                doing: "cannot list",
                what: self.describe(prefix),
                why: format!("its answer is no list: {e}"),
            })?;
            let keys = page.contents.into_iter().map(|object| object.key);
            names.extend(
                keys.filter_map(|key| Some(key.strip_prefix(self.0.prefix.as_str())?.to_owned())),
            );
            match page.next_continuation_token {
                Some(next) => token = Some(next),
                None => return Ok(names),
            }
        }
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), PlaceError> {
        let key = self.key(name);
        let url = self
            .0
            .bucket
            .delete_object(Some(&self.0.credentials), &key)
            .sign(request::SIGNED_FOR);
        let removed = self.0.client.delete(&url);
        removed.map_err(|fault| fault.of("cannot remove", self.describe(name)))
    }
}
