//! The live page: who may see it (`token`), what it is made of (`page`), what it reads (`routes`), what
//! it is told (`live`).

mod live;
mod page;
mod routes;
mod token;

pub(crate) use routes::{Page, routes};
