//! Passwords that clients of this process have proven by caching_sha2_password, so that the next login need
//! not send one: SHA256(SHA256(password)), which a right answer is checked by, and the key to the servers,
//! sealed so that only a right answer opens it. Behind a lock, touched by such logins alone.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use mysql::auth::sealed::Sealed;
use mysql::auth::sha2::{self, Once, Twice};
use mysql::auth::{Key, Password, Salt};

use crate::account::Mark;
use crate::limits::KNOWN_PASSWORDS;

#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<HashMap<Mark, (Twice, Sealed)>>);

impl Known {
    /// The key of the account, if its password is known and `answer` is right.
    pub(crate) fn check(&self, mark: &Mark, salt: &Salt, answer: &[u8]) -> Option<Key> {
        let book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (twice, sealed) = book.get(mark)?.clone();
        drop(book);
        let once = sha2::verify(&twice, salt, answer)?;
        Some(sealed.open(&once))
    }

    /// The account has another mark when its password is another: nothing has to be forgotten, and what
    /// nobody asks for any more goes when the book is full.
    pub(crate) fn remember(&self, mark: Mark, password: &Password, key: &Key) {
        let once = Once::of(password);
        let Some(sealed) = Sealed::new(key, &once) else {
            return;
        };
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if book.len() >= KNOWN_PASSWORDS {
            book.clear();
        }
        book.insert(mark, (once.twice(), sealed));
    }
}

#[cfg(test)]
mod tests {
    use mysql::auth::NativeKey;

    use super::*;

    const SALT: Salt = *b"abcdefghij1234567890";

    fn mark(user: &str, proof: u8) -> Mark {
        Mark {
            user: user.to_owned(),
            host: "%".to_owned(),
            proof: vec![proof],
        }
    }

    #[test]
    fn a_password_is_known_for_its_account_as_long_as_that_is_the_same() {
        let known = Known::default();
        let password = Password::new("secret");
        let key = Key::Native(NativeKey::of("secret"));
        let answer = sha2::answer(&password, &SALT);
        assert!(known.check(&mark("app", 1), &SALT, &answer).is_none());
        known.remember(mark("app", 1), &password, &key);
        let Some(Key::Native(found)) = known.check(&mark("app", 1), &SALT, &answer) else {
            panic!("not known")
        };
        assert_eq!(found.answer(&SALT), NativeKey::of("secret").answer(&SALT));
        assert!(known.check(&mark("app", 2), &SALT, &answer).is_none());
        assert!(known.check(&mark("other", 1), &SALT, &answer).is_none());
        let wrong = sha2::answer(&Password::new("Secret"), &SALT);
        assert!(known.check(&mark("app", 1), &SALT, &wrong).is_none());
    }

    #[test]
    fn their_number_is_bounded() {
        let known = Known::default();
        let key = Key::Native(NativeKey::of("x"));
        for number in 0..KNOWN_PASSWORDS + 10 {
            known.remember(mark(&number.to_string(), 1), &Password::new("x"), &key);
        }
        assert!(known.0.lock().unwrap().len() <= KNOWN_PASSWORDS);
    }
}
