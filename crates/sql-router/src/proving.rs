//! How a client proves who it is, at its login and at a change of user: it is asked by a plugin that it and its
//! account can use (`asking.rs`), and what it shows is judged (`account.rs`). What proves it is no more than
//! what logs in to the servers: a password in clear is looked at once and dropped.

use std::net::IpAddr;
use std::sync::Arc;

use mysql::auth::sha2::{self, FAST_OK, FULL, KEY_PLEASE, MORE};
use mysql::auth::{Key, NATIVE, Password, Salt};
use mysql::handshake::AuthSwitch;
use mysql::packet::{self, Channel};

use crate::account::{self, Account, Refusal, Shown};
use crate::asking::{self, Ask, Client};
use crate::limits::{LOGIN_PACKET, USERS_AGE, USERS_MISS};
use crate::login::{Failed, said};
use crate::refusing::words;
use crate::users::Users;
use crate::worker::Worker;

/// Who a client says it is, and what it sent along.
#[derive(Debug)]
pub(crate) struct Claim<'a> {
    pub(crate) user: &'a str,
    pub(crate) peer: IpAddr,
    pub(crate) salt: Salt,
    /// Which `answer` is for; none: the oldest.
    pub(crate) plugin: Option<&'a str>,
    pub(crate) answer: &'a [u8],
    pub(crate) lacks_native: bool,
}

/// What the client has shown so far.
#[derive(Debug)]
enum Heard {
    Answer(Vec<u8>),
    Password(Password),
    /// Right, for a password that is known.
    Known(Key),
    Nothing,
}

impl Heard {
    /// No need to ask again, whatever the account turns out to be.
    fn is_enough(&self, ask: Ask) -> bool {
        match self {
            Self::Answer(_) => ask == Ask::Native,
            Self::Password(_) => true,
            Self::Known(_) | Self::Nothing => false,
        }
    }

    fn with_password(&self) -> bool {
        match self {
            Self::Answer(answer) => !answer.is_empty(),
            Self::Password(password) => !password.is_empty(),
            Self::Known(_) | Self::Nothing => true,
        }
    }
}

/// Asks until the client has proven itself, or cannot: the key that logs in to servers as it. When the
/// verdict is "no", the accounts are read again first: somebody may have been created or have a new password.
/// `sequence`: of the last packet, whoever sent it.
pub(crate) async fn prove(
    worker: &Worker,
    client: &mut Channel,
    claim: &Claim<'_>,
    sequence: &mut u8,
) -> Result<Key, Failed> {
    let mut talk = Talk {
        worker,
        client,
        claim,
        sequence,
    };
    let mut heard = None;
    let mut refusal = Refusal::Denied;
    for age in [USERS_AGE, USERS_MISS] {
        let Some(users) = talk.users(age).await else {
            break;
        };
        let account = account::find(users.accounts(claim.user), claim.peer);
        let ask = talk.ask(account);
        let so_far = match heard.take().filter(|heard: &Heard| heard.is_enough(ask)) {
            Some(heard) => heard,
            None => talk.hear(ask, account).await?,
        };
        match talk.verdict(account, &so_far) {
            Ok(key) => return Ok(key),
            Err(why) => refusal = why,
        }
        heard = Some(so_far);
    }
    let with_password = heard.is_none_or(|heard| heard.with_password());
    let (code, message) = words(&refusal, claim.user, claim.peer, with_password);
    Err(said(*sequence, code, &message))
}

/// The conversation.
struct Talk<'a> {
    worker: &'a Worker,
    client: &'a mut Channel,
    claim: &'a Claim<'a>,
    sequence: &'a mut u8,
}

impl Talk<'_> {
    async fn users(&self, age: std::time::Duration) -> Option<Arc<Users>> {
        self.worker
            .users
            .get(&self.worker.snapshot.load(), age)
            .await
    }

    fn ask(&self, account: Option<&Account>) -> Ask {
        let client = Client {
            plugin: self.claim.plugin,
            private: self.client.is_private(),
            lacks_native: self.claim.lacks_native,
        };
        asking::ask(client, account.is_some_and(Account::needs_password))
    }

    fn verdict(&self, account: Option<&Account>, heard: &Heard) -> Result<Key, Refusal> {
        let salt = &self.claim.salt;
        let shown = match heard {
            Heard::Answer(answer) => Shown::Answer { salt, answer },
            Heard::Password(password) => Shown::Password(password),
            Heard::Known(key) => Shown::Known(key.clone()),
            Heard::Nothing => Shown::Nothing,
        };
        let key = account::verdict(account, shown, self.client.is_tls())?;
        if let (Heard::Password(password), Some(mark)) = (heard, account.and_then(Account::mark)) {
            self.worker.known.remember(mark, password, &key);
        }
        Ok(key)
    }

    async fn hear(&mut self, ask: Ask, account: Option<&Account>) -> Result<Heard, Failed> {
        match ask {
            Ask::Native if self.claim.plugin.is_none_or(|plugin| plugin == NATIVE) => {
                Ok(Heard::Answer(self.claim.answer.to_vec()))
            }
            Ask::Native => Ok(Heard::Answer(self.switch(ask).await?)),
            Ask::Clear => Ok(password(&self.switch(ask).await?)),
            Ask::Sha2 => self.sha2(account).await,
        }
    }

    /// caching_sha2_password: an answer that may be enough, else the password itself.
    async fn sha2(&mut self, account: Option<&Account>) -> Result<Heard, Failed> {
        let answer = self.switch(Ask::Sha2).await?;
        // Clients without a password send nothing, or a zero.
        if answer.is_empty() || answer == [0] {
            return Ok(Heard::Password(Password::new("")));
        }
        let mark = account.and_then(Account::mark);
        let known = mark.and_then(|mark| {
            let known = &self.worker.known;
            known.check(&mark, &self.claim.salt, &answer)
        });
        if let Some(key) = known {
            self.send(&[MORE, FAST_OK]).await?;
            return Ok(Heard::Known(key));
        }
        // MariaDB's clients send the password at once over TLS. One of 31 bytes looks as an answer may, which
        // ends with a zero once in 256 times: then it is one that is right.
        if self.client.is_private() && answer.ends_with(&[0]) {
            let heard = password(&answer);
            if answer.len() != 32 || self.verdict(account, &heard).is_ok() {
                return Ok(heard);
            }
        }
        self.send(&[MORE, FULL]).await?;
        let reply = self.receive().await?;
        if self.client.is_private() {
            return Ok(password(&reply));
        }
        self.by_rsa(reply).await
    }

    /// The password, encrypted for the router.
    async fn by_rsa(&mut self, reply: Vec<u8>) -> Result<Heard, Failed> {
        let rsa = self.worker.tls.rsa().await.map_err(Failed::Silent)?;
        let encrypted = match reply.as_slice() {
            // A client that has the public key already need not ask for it.
            [KEY_PLEASE] => {
                let key = [&[MORE], rsa.pem().as_bytes()].concat();
                self.send(&key).await?;
                self.receive().await?
            }
            _ => reply,
        };
        let masked = rsa.decrypt(&encrypted).unwrap_or_default();
        Ok(password(&sha2::mask(&masked, &self.claim.salt)))
    }

    /// "Answer again, with this plugin."
    async fn switch(&mut self, ask: Ask) -> Result<Vec<u8>, Failed> {
        let switch = AuthSwitch {
            plugin: ask.plugin().to_owned(),
            salt: self.claim.salt,
            nonce: None,
        };
        self.send(&switch.encode()).await?;
        self.receive().await
    }

    async fn receive(&mut self) -> Result<Vec<u8>, Failed> {
        let packet = self.client.packet(LOGIN_PACKET).await?;
        *self.sequence = packet.sequence;
        Ok(packet.payload.to_vec())
    }

    async fn send(&mut self, payload: &[u8]) -> Result<(), Failed> {
        let mut out = Vec::with_capacity(payload.len() + packet::HEADER);
        *self.sequence = self.sequence.wrapping_add(1);
        packet::put(&mut out, &mut { *self.sequence }, payload);
        Ok(self.client.write(&out).await?)
    }
}

fn password(sent: &[u8]) -> Heard {
    Password::terminated(sent).map_or(Heard::Nothing, Heard::Password)
}
