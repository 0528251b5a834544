//! What a visitor has seen of the database goes with him: a signed cookie (RFC 6265) with a position,
//! asked of the SQL router of this server when the app has answered, and told to the router of whichever
//! server he comes to next, before the app is asked.
//!
//! Signed (HMAC-SHA-256, RFC 2104, cut to 128 bits) because a position that is far away makes reads wait.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;

use aws_lc_rs::hmac;
use http::exchange::Late;
use http::head::{Fields, cookie};
use process::seen::{Question, Router, is_position};
use subtle::ConstantTimeEq as _;

use crate::snapshot::Visitors;

/// The cookie's name.
pub(crate) const NAME: &str = "mainstay_seen";
/// Seconds it is kept: far longer than a replica that gets reads may be behind.
const KEPT: u32 = 3600;
/// Bytes of a signature.
const SIGNATURE: usize = 16;
/// Connections to the router that one thread keeps.
const CONNECTIONS: usize = 16;

/// The key that signs.
#[derive(Debug)]
pub(crate) struct Signer(hmac::Key);

impl Signer {
    pub(crate) fn load(visitors: &Visitors) -> io::Result<Self> {
        let file = &visitors.cookie_key;
        let key = std::fs::read(file)
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", file.display())))?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    fn signature(&self, position: &str) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        // The purpose, so that no other signature with this key can serve as one.
        for part in [b"seen", position.as_bytes()] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let signed = context.sign();
        let bytes = signed.as_ref().iter().take(SIGNATURE);
        bytes.map(|byte| format!("{byte:02x}")).collect()
    }

    /// The position in a request's cookies, if one is ours.
    pub(crate) fn seen(&self, fields: Fields<'_, '_>) -> Option<String> {
        // A browser sends one; some send one per path.
        let mut values = cookie::values(fields, NAME).take(4);
        values.find_map(|value| self.check(value))
    }

    fn check(&self, value: &[u8]) -> Option<String> {
        let (position, signature) = std::str::from_utf8(value).ok()?.split_once('.')?;
        let ours = is_position(position).then(|| self.signature(position))?;
        let same = ours.as_bytes().ct_eq(signature.as_bytes());
        bool::from(same).then(|| position.to_owned())
    }

    /// The field's line.
    fn set_cookie(&self, position: &str, secure: bool) -> String {
        let signature = self.signature(position);
        let secure = if secure { "; Secure" } else { "" };
        format!(
            "Set-Cookie: {NAME}={position}.{signature}; Path=/; Max-Age={KEPT}; HttpOnly; \
             SameSite=Lax{secure}\r\n"
        )
    }
}

/// One thread's connections to the router.
#[derive(Debug, Default)]
pub(crate) struct Link {
    idle: RefCell<Vec<Router>>,
    /// Told once, not for every request.
    failing: Cell<bool>,
}

impl Link {
    /// None: the router does not answer.
    async fn ask(&self, socket: &Path, question: &Question) -> Option<String> {
        let answer = self.try_ask(socket, question).await;
        match &answer {
            Err(e) if !self.failing.replace(true) => {
                tracing::warn!("the SQL router does not say what visitors have seen: {e}");
            }
            Ok(_) => self.failing.set(false),
            Err(_) => {}
        }
        answer.ok()
    }

    async fn try_ask(&self, socket: &Path, question: &Question) -> io::Result<String> {
        let kept = self.idle.borrow_mut().pop();
        if let Some(mut router) = kept {
            // It may be that of a router that is gone.
            if let Ok(answer) = router.ask(question).await {
                self.keep(router);
                return Ok(answer);
            }
            self.idle.borrow_mut().clear();
        }
        let mut router = Router::connect(socket).await?;
        let answer = router.ask(question).await?;
        self.keep(router);
        Ok(answer)
    }

    fn keep(&self, router: Router) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < CONNECTIONS {
            idle.push(router);
        }
    }
}

/// Who asks.
#[derive(Debug)]
pub(crate) struct Visitor {
    /// What he has seen before.
    pub(crate) seen: Option<String>,
    /// He came by HTTPS.
    pub(crate) secure: bool,
}

/// A visitor's request while it is at the app.
#[derive(Debug)]
pub(crate) struct Visit<'a> {
    pub(crate) link: &'a Link,
    pub(crate) socket: &'a Path,
    pub(crate) signer: &'a Signer,
    pub(crate) visitor: &'a Visitor,
}

impl Visit<'_> {
    /// Before the app is asked: it must not read less than he has seen.
    pub(crate) async fn begin(&self) {
        if let Some(seen) = &self.visitor.seen {
            let question = Question::Seen(seen.clone());
            self.link.ask(self.socket, &question).await;
        }
    }

    async fn end(&self) -> Vec<u8> {
        let answer = self.link.ask(self.socket, &Question::Position).await;
        let position = answer.filter(|position| is_position(position));
        match position.filter(|position| self.visitor.seen.as_ref() != Some(position)) {
            Some(position) => self
                .signer
                .set_cookie(&position, self.visitor.secure)
                .into(),
            None => Vec::new(),
        }
    }
}

impl Late for Visit<'_> {
    fn lines(&self) -> Pin<Box<dyn Future<Output = Vec<u8>> + '_>> {
        Box::pin(self.end())
    }
}

#[cfg(test)]
mod tests {
    use http::head::{Storage, request};

    use super::*;

    fn signer(key: &[u8]) -> Signer {
        Signer(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    fn seen(signer: &Signer, cookie: &str) -> Option<String> {
        let text = format!("GET / HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n");
        let mut storage = Storage::new();
        signer.seen(request(text.as_bytes(), &mut storage).unwrap().fields)
    }

    #[test]
    fn a_cookie_comes_back_if_it_is_ours() {
        let ours = signer(b"key");
        let line = ours.set_cookie("0-1-77,5-2-3", true);
        let value = line.strip_prefix("Set-Cookie: ").unwrap();
        let (value, attributes) = value.split_once("; ").unwrap();
        assert_eq!(
            attributes,
            "Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure\r\n"
        );
        assert_eq!(seen(&ours, value).as_deref(), Some("0-1-77,5-2-3"));
        assert_eq!(seen(&signer(b"other"), value), None);
        let further = value.replace("-77", "-78");
        for forged in [
            further.as_str(),
            "mainstay_seen=0-1-5",
            "mainstay_seen=.",
            "a=b",
        ] {
            assert_eq!(seen(&ours, forged), None, "{forged}");
        }
        let among = format!("a=b; mainstay_seen=x; {value}");
        assert_eq!(seen(&ours, &among).as_deref(), Some("0-1-77,5-2-3"));
    }
}
