//! An object of unknown length: kept in memory until a part is full, then sent part by part. Complete only
//! with `finish`.

use std::io;

use rusty_s3::S3Action as _;
use rusty_s3::actions::{CompleteMultipartUploadResponse, CreateMultipartUpload};

use super::super::PlaceError;
use super::S3;
use super::request::{self, Fault, SIGNED_FOR};

/// Bytes of a part, by its number. An upload has at most 10,000 parts (S3, "Multipart upload limits"), so
/// they grow: 750 GiB in all, with never more than one part in memory.
fn part_size(parts_sent: usize) -> usize {
    match parts_sent {
        0..2_000 => 16 << 20,
        2_000..6_000 => 64 << 20,
        _ => 128 << 20,
    }
}

#[derive(Debug)]
pub struct Upload {
    s3: S3,
    name: String,
    key: String,
    part: Vec<u8>,
    /// With the first full part.
    id: Option<String>,
    tags: Vec<String>,
}

impl Upload {
    pub(super) fn new(s3: S3, name: &str) -> Self {
        Self {
            key: s3.key(name),
            s3,
            name: name.to_owned(),
            part: Vec::new(),
            id: None,
            tags: Vec::new(),
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = part_size(self.tags.len()).saturating_sub(self.part.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.part.extend_from_slice(taken);
        if self.part.len() >= part_size(self.tags.len()) {
            self.send_part().map_err(|e| io::Error::other(e.why()))?;
        }
        Ok(taken.len())
    }

    pub(crate) fn finish(mut self) -> Result<(), PlaceError> {
        let finished = match self.id.is_some() {
            true => self.complete(),
            false => self.put(),
        };
        let what = self.s3.describe(&self.name);
        finished.map_err(|fault| fault.of("cannot write", what))
    }

    /// All of it is in memory.
    fn put(&self) -> Result<(), Fault> {
        let inner = &self.s3.0;
        let action = inner.bucket.put_object(Some(&inner.credentials), &self.key);
        let sent = inner.client.put(&action.sign(SIGNED_FOR), &self.part);
        sent.map(drop)
    }

    fn send_part(&mut self) -> Result<(), Fault> {
        let id = match &self.id {
            Some(id) => id.clone(),
            None => self.begin()?,
        };
        let number = u16::try_from(self.tags.len() + 1)
            .ok()
            .filter(|number| *number <= 10_000)
            .ok_or_else(|| Fault::Refused("it is too large for one object".to_owned()))?;
        let inner = &self.s3.0;
        let action = inner
            .bucket
            .upload_part(Some(&inner.credentials), &self.key, number, &id);
        let answer = inner.client.put(&action.sign(SIGNED_FOR), &self.part)?;
        let tag = answer.headers().get("etag");
        let tag = tag.and_then(|tag| tag.to_str().ok());
        let tag =
            tag.ok_or_else(|| Fault::Refused("it confirms a part without ETag".to_owned()))?;
        self.tags.push(tag.to_owned());
        self.part.clear();
        Ok(())
    }

    fn begin(&mut self) -> Result<String, Fault> {
        let inner = &self.s3.0;
        let action = inner
            .bucket
            .create_multipart_upload(Some(&inner.credentials), &self.key);
        let answer = inner.client.post(&action.sign(SIGNED_FOR), "")?;
        let begun = CreateMultipartUpload::parse_response(&request::text(answer)?)
            .map_err(|e| Fault::Refused(format!("it began no upload: {e}")))?;
        self.id = Some(begun.upload_id().to_owned());
        Ok(begun.upload_id().to_owned())
    }

    fn complete(&mut self) -> Result<(), Fault> {
        if !self.part.is_empty() {
            self.send_part()?;
        }
        let Some(id) = &self.id else {
            return Ok(());
        };
        let inner = &self.s3.0;
        let tags = self.tags.iter().map(String::as_str);
        let action =
            inner
                .bucket
                .complete_multipart_upload(Some(&inner.credentials), &self.key, id, tags);
        let url = action.sign(SIGNED_FOR);
        let answer = inner.client.post(&url, &action.body())?;
        // The status is sent before it is known whether it worked.
        CompleteMultipartUploadResponse::parse(&request::text(answer)?)
            .map_err(|e| Fault::Refused(format!("it did not put the parts together: {e}")))?;
        self.id = None;
        Ok(())
    }
}

impl Drop for Upload {
    /// Given up: the parts would be kept, and paid for.
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let inner = &self.s3.0;
        let action = inner
            .bucket
            .abort_multipart_upload(Some(&inner.credentials), &self.key, &id);
        if let Err(e) = inner.client.delete(&action.sign(SIGNED_FOR)) {
            tracing::warn!("{}: {}", self.s3.describe(&self.name), e.why());
        }
    }
}
