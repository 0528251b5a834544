//! Who is told of alerts, and how: what is said (`message`), how often it is tried (`retry`), the post
//! itself (`webhook`), whom to trust (`trust`).

mod message;
mod retry;
mod trust;
mod webhook;

pub(crate) use webhook::{Webhook, start};
