//! Messages of which one party may see one request and another two: the known families of request
//! smuggling (Linhart et al. 2005; Kettle, "HTTP Desync Attacks", 2019, "HTTP/1.1 must die", 2025; Kallus
//! et al., HTTP Garden, 2024). In each, a second request for `/smuggled` is hidden.

/// The request that must never be served.
const HIDDEN: &str = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

/// Name and bytes.
pub(crate) fn corpus() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut add = |name: &str, text: String| all.push((name.to_owned(), text.into_bytes()));
    let hidden = HIDDEN.len();
    let chunk = format!("{hidden:x}\r\n{HIDDEN}\r\n0\r\n\r\n");
    let post = "POST /page HTTP/1.1\r\nHost: x\r\n";

    // The front counts, the back reads chunks: what follows the last chunk would be a request.
    let whole = format!("0\r\n\r\n{HIDDEN}");
    add(
        "CL.TE",
        format!(
            "{post}Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n{whole}",
            whole.len()
        ),
    );
    add(
        "TE.CL",
        format!("{post}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{chunk}"),
    );
    // One of the two does not see that there are chunks.
    for (name, field) in [
        ("xchunked", "Transfer-Encoding: xchunked"),
        ("a space before the colon", "Transfer-Encoding : chunked"),
        ("a tab before the colon", "Transfer-Encoding\t: chunked"),
        (
            "a vertical tab before it",
            "Transfer-Encoding: \u{b}chunked",
        ),
        ("a form feed behind it", "Transfer-Encoding: chunked\u{c}"),
        ("a quoted word", "Transfer-Encoding: \"chunked\""),
        (
            "another coding behind it",
            "Transfer-Encoding: chunked, identity",
        ),
        ("identity before it", "Transfer-Encoding: identity, chunked"),
        ("an empty member", "Transfer-Encoding: , chunked"),
        ("twice in one", "Transfer-Encoding: chunked, chunked"),
        (
            "twice",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        ),
        (
            "twice, the other first",
            "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
        ),
        ("a folded value", "Transfer-Encoding:\r\n chunked"),
        (
            "a folded line before it",
            "A: b\r\n Transfer-Encoding: chunked",
        ),
        ("behind a bare LF", "A: b\nTransfer-Encoding: chunked"),
        ("behind a bare CR", "A: b\rTransfer-Encoding: chunked"),
        ("with a NUL", "Transfer-Encoding: chunked\0"),
        ("with a NUL in the name", "Transfer\0-Encoding: chunked"),
        ("an underscore", "Transfer_Encoding: chunked"),
        ("a parameter", "Transfer-Encoding: chunked;a=b"),
        (
            "an upper-case letter of another alphabet",
            "Transfer-Encoding: chun\u{212a}ed",
        ),
        ("a cow", "Transfer-Encoding: cow"),
    ] {
        let text = format!(
            "{post}Content-Length: {}\r\n{field}\r\n\r\n{whole}",
            whole.len()
        );
        add(&format!("TE.TE: {name}"), text);
    }
    // They count otherwise.
    for (name, fields) in [
        (
            "two lengths",
            format!("Content-Length: 0\r\nContent-Length: {hidden}"),
        ),
        (
            "two lengths, the other first",
            format!("Content-Length: {hidden}\r\nContent-Length: 0"),
        ),
        ("a list", format!("Content-Length: 0, {hidden}")),
        ("a sign", format!("Content-Length: +{hidden}")),
        ("a negative one", format!("Content-Length: -{hidden}")),
        ("a space inside", "Content-Length: 0 5".to_owned()),
        (
            "a number of another base",
            format!("Content-Length: 0x{hidden:x}"),
        ),
        ("an octal one", format!("Content-Length: 0o{hidden:o}")),
        ("a fraction", format!("Content-Length: {hidden}.0")),
        (
            "one that overflows 64 bits",
            format!("Content-Length: {}", (1_u128 << 64) + hidden as u128),
        ),
        (
            "one that overflows 32 bits",
            format!("Content-Length: {}", (1_u64 << 32) + hidden as u64),
        ),
        ("an empty one", "Content-Length:".to_owned()),
        (
            "a space before the colon",
            format!("Content-Length : {hidden}"),
        ),
        (
            "behind a bare LF",
            format!("A: b\nContent-Length: {hidden}"),
        ),
        (
            "behind a bare CR",
            format!("A: b\rContent-Length: {hidden}"),
        ),
        (
            "behind a fold",
            format!("A: b\r\n Content-Length: {hidden}"),
        ),
        (
            "with a vertical tab",
            format!("Content-Length: \u{b}{hidden}"),
        ),
    ] {
        add(
            &format!("CL.CL: {name}"),
            format!("{post}{fields}\r\n\r\n{HIDDEN}"),
        );
    }
    // GET with a body, which some servers do not read.
    for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
        let text = format!(
            "{method} /page HTTP/1.1\r\nHost: x\r\nContent-Length: {hidden}\r\n\r\n{HIDDEN}"
        );
        add(&format!("CL.0: {method} with a body"), text);
    }
    // Chunks that end elsewhere for another reader.
    for (name, body) in [
        (
            "a size with 0x",
            format!("0x{hidden:x}\r\n{HIDDEN}\r\n0\r\n\r\n"),
        ),
        (
            "a size with a sign",
            format!("+{hidden:x}\r\n{HIDDEN}\r\n0\r\n\r\n"),
        ),
        ("a negative size", format!("-1\r\n{HIDDEN}\r\n0\r\n\r\n")),
        (
            "a space before the size",
            format!(" {hidden:x}\r\n{HIDDEN}\r\n0\r\n\r\n"),
        ),
        ("a size with an underscore", format!("0_0\r\n\r\n{HIDDEN}")),
        ("an empty size", format!("\r\n\r\n{HIDDEN}")),
        (
            "a size that overflows",
            format!("10000000000000000\r\n{HIDDEN}\r\n0\r\n\r\n"),
        ),
        (
            "a bare LF behind the size",
            format!("{hidden:x}\n{HIDDEN}\r\n0\r\n\r\n"),
        ),
        (
            "a bare CR behind the size",
            format!("{hidden:x}\r{HIDDEN}\r\n0\r\n\r\n"),
        ),
        (
            "a bare LF in an extension",
            format!("1;a\nb\r\nx\r\n0\r\n\r\n{HIDDEN}"),
        ),
        (
            "a bare CR in an extension",
            format!("1;a\rb\r\nx\r\n0\r\n\r\n{HIDDEN}"),
        ),
        (
            "an extension that never ends",
            format!("1;{}\r\nx\r\n0\r\n\r\n{HIDDEN}", "a".repeat(5000)),
        ),
        (
            "no line end behind the data",
            format!("1\r\nx0\r\n\r\n{HIDDEN}"),
        ),
        (
            "a bare LF behind the data",
            format!("1\r\nx\n0\r\n\r\n{HIDDEN}"),
        ),
        (
            "more data than said",
            format!("1\r\nxx\r\n0\r\n\r\n{HIDDEN}"),
        ),
        ("a last chunk with a bare LF", format!("0\n\n{HIDDEN}")),
        (
            "a trailer with a bare LF",
            format!("0\r\nA: b\n\r\n{HIDDEN}"),
        ),
        (
            "a trailer without a colon",
            "0\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        ),
        (
            "a folded trailer",
            format!("0\r\nA: b\r\n c\r\n\r\n{HIDDEN}"),
        ),
    ] {
        add(
            &format!("chunks: {name}"),
            format!("{post}Transfer-Encoding: chunked\r\n\r\n{body}"),
        );
    }
    // Heads that end, or begin, elsewhere.
    add(
        "a head ended by bare LFs",
        format!("GET /page HTTP/1.1\nHost: x\n\n{HIDDEN}"),
    );
    add(
        "an empty line with a space",
        format!("GET /page HTTP/1.1\r\nHost: x\r\n \r\n{HIDDEN}"),
    );
    add(
        "an empty line of CRs",
        format!("GET /page HTTP/1.1\r\nHost: x\r\n\r\r\n{HIDDEN}"),
    );
    add(
        "NUL in a field",
        format!("GET /page HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n{HIDDEN}"),
    );
    add(
        "two Hosts",
        format!("GET /page HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n{HIDDEN}"),
    );
    add(
        "a target with a line end",
        format!("GET /page\u{a}A HTTP/1.1\r\nHost: x\r\n\r\n{HIDDEN}"),
    );
    add("HTTP/0.9", format!("GET /page\r\n{HIDDEN}"));
    add(
        "1.0 with chunks",
        format!("POST /page HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{whole}"),
    );
    add(
        "a body behind a wish to upgrade",
        format!(
            "GET /page HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Content-Length: {hidden}\r\n\r\n{HIDDEN}"
        ),
    );
    add(
        "a body behind Expect",
        format!("{post}Expect: 100-continue\r\nContent-Length: {hidden}\r\n\r\n{HIDDEN}"),
    );
    add(
        "a length named away",
        format!("{post}Connection: Content-Length\r\nContent-Length: {hidden}\r\n\r\n{HIDDEN}"),
    );
    all
}
