//! Clients that cost more than they ask (RFC 9113 section 10.5), in frames written by hand.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use http::limits;

use crate::raw::{self, END_HEADERS, END_STREAM, Raw};
use crate::role::{Role, To, app, app_echoing_heads, on_a_thread};

/// An address whose role asks an application that never answers, and how many requests it has at once.
async fn unanswered(watch: &Rc<http::deadline::Watch>) -> (std::net::SocketAddr, Rc<Cell<usize>>) {
    let most = Rc::new(Cell::new(0));
    let open = Rc::new(Cell::new(0));
    let seen = Rc::clone(&most);
    let upstream = app(move |mut stream, _| {
        let (open, seen) = (Rc::clone(&open), Rc::clone(&seen));
        async move {
            open.set(open.get() + 1);
            seen.set(seen.get().max(open.get()));
            let _end = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            open.set(open.get() - 1);
        }
    })
    .await;
    (Role::new(watch, To::One(upstream)).listen().await, most)
}

/// The connection was ended for being a nuisance. The GOAWAY is lost when the client had sent more than
/// was read: TCP answers that with a reset.
#[track_caller]
fn calmed(code: Option<u32>) {
    assert!(
        matches!(code, None | Some(raw::ENHANCE_YOUR_CALM)),
        "{code:?}"
    );
}

fn head(stream: u32) -> Vec<u8> {
    raw::frame(
        raw::HEADERS,
        END_HEADERS | END_STREAM,
        stream,
        &raw::get(&[]),
    )
}

fn reset(stream: u32) -> Vec<u8> {
    raw::frame(raw::RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

#[test]
fn a_rapid_reset_ends_the_connection() {
    on_a_thread(async |watch| {
        // As fast as possible: most are reset before anybody looks (CVE-2023-44487).
        let (address, _) = unanswered(&watch).await;
        let mut stream = 1;
        let next = || {
            stream += 2;
            [head(stream - 2), reset(stream - 2)].concat()
        };
        let code = Raw::connect(address).await.flood(next, 100_000).await;
        calmed(code);
    });
}

#[test]
fn a_patient_rapid_reset_ends_the_connection_too() {
    on_a_thread(async |watch| {
        let (address, most) = unanswered(&watch).await;
        let mut raw = Raw::connect(address).await;
        let mut stream = 1;
        let code = loop {
            // Long enough for each stream to be begun with.
            raw.send(&head(stream)).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
            raw.send(&reset(stream)).await;
            stream += 2;
            if u64::from(stream / 2) > limits::H2_RESETS + 50 {
                break raw.wait_for(raw::GOAWAY).await.map(|frame| frame.code());
            }
        };
        assert_eq!(code, Some(raw::ENHANCE_YOUR_CALM));
        assert!(most.get() <= limits::H2_STREAMS);
    });
}

#[test]
fn more_streams_than_allowed_are_refused() {
    on_a_thread(async |watch| {
        let (address, most) = unanswered(&watch).await;
        let mut raw = Raw::connect(address).await;
        for at in 0..=u32::try_from(limits::H2_STREAMS).unwrap() {
            raw.send(&head(at * 2 + 1)).await;
        }
        let refused = raw.wait_for(raw::RST_STREAM).await.unwrap();
        assert_eq!(refused.code(), raw::REFUSED_STREAM);
        assert_eq!(
            refused.stream,
            u32::try_from(limits::H2_STREAMS).unwrap() * 2 + 1
        );
        assert!(most.get() <= limits::H2_STREAMS);
    });
}

#[test]
fn frames_without_content_end_the_connection() {
    on_a_thread(async |watch| {
        let address = Role::new(&watch, To::One(app_echoing_heads().await))
            .listen()
            .await;
        for (kind, stream, payload) in [
            (raw::PING, 0, &[0; 8][..]),
            (raw::SETTINGS, 0, &[]),
            (raw::SETTINGS, 0, &[0, 4, 0, 0, 255, 255]),
            (raw::PRIORITY, 1, &[0, 0, 0, 0, 1]),
            (raw::WINDOW_UPDATE, 0, &[0, 0, 0, 1]),
            (0xbb, 0, b"unknown"),
        ] {
            let frames = raw::frame(kind, 0, stream, payload).repeat(100);
            let code = Raw::connect(address)
                .await
                .flood(|| frames.clone(), 1000)
                .await;
            calmed(code);
        }
    });
}

#[test]
fn empty_and_tiny_data_ends_the_connection() {
    on_a_thread(async |watch| {
        for payload in [&b""[..], b"x"] {
            let (address, _) = unanswered(&watch).await;
            let mut raw = Raw::connect(address).await;
            raw.send(&raw::frame(raw::HEADERS, END_HEADERS, 1, &raw::get(&[])))
                .await;
            let frames = raw::frame(raw::DATA, 0, 1, payload).repeat(10);
            let code = raw.flood(|| frames.clone(), 1_000_000).await;
            calmed(code);
        }
    });
}

#[test]
fn a_head_without_end_ends_the_connection() {
    on_a_thread(async |watch| {
        let address = Role::new(&watch, To::One(app_echoing_heads().await))
            .listen()
            .await;
        for payload in [
            Vec::new(),
            raw::block(&[(b"a", b"b")]),
            raw::block(&[(b"a", &[b'x'; 16_000])]),
        ] {
            let mut raw = Raw::connect(address).await;
            raw.send(&raw::frame(raw::HEADERS, 0, 1, &raw::get(&[])))
                .await;
            let more = raw::frame(raw::CONTINUATION, 0, 1, &payload);
            let code = raw.flood(|| more.clone(), 100_000).await;
            calmed(code);
        }
    });
}

#[test]
fn a_large_head_is_answered_with_431() {
    on_a_thread(async |watch| {
        let address = Role::new(&watch, To::One(app_echoing_heads().await))
            .listen()
            .await;
        let large = vec![b'x'; 12_000];
        let field: (&[u8], &[u8]) = (b"a", &large);
        for (count, status) in [(1, 200), (2, 200), (3, 431)] {
            let mut raw = Raw::connect(address).await;
            let block = raw::get(&vec![field; count]);
            let (first, rest) = block.split_at(block.len().min(16_000));
            let flags = if rest.is_empty() { END_HEADERS } else { 0 };
            raw.send(&raw::frame(raw::HEADERS, flags | END_STREAM, 1, first))
                .await;
            let pieces: Vec<_> = rest.chunks(16_000).collect();
            for (at, piece) in pieces.iter().enumerate() {
                let flags = if at + 1 == pieces.len() {
                    END_HEADERS
                } else {
                    0
                };
                raw.send(&raw::frame(raw::CONTINUATION, flags, 1, piece))
                    .await;
            }
            assert_eq!(raw.wait_for(raw::HEADERS).await.unwrap().status(), status);
        }
        let mut raw = Raw::connect(address).await;
        let small: (&[u8], &[u8]) = (b"a", b"b");
        let block = raw::get(&vec![small; limits::FIELDS]);
        raw.send(&raw::frame(
            raw::HEADERS,
            END_HEADERS | END_STREAM,
            1,
            &block,
        ))
        .await;
        assert_eq!(raw.wait_for(raw::HEADERS).await.unwrap().status(), 431);
    });
}
