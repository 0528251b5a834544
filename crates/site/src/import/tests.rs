//! For any input whatever: an error that names a line, or text that loads, and no panic.

use proptest::prelude::*;

use super::*;

fn import(text: &str) -> Result<Imported, Refusal> {
    haproxy(text, "haproxy.cfg", &[])
}

#[track_caller]
fn is_sound(text: &str) {
    match import(text) {
        Ok(imported) => {
            if let Err(problems) = crate::load(&imported.text, "site.toml") {
                panic!("{text}\n→\n{}\n{problems:?}", imported.text);
            }
            let last = u32::try_from(text.lines().count()).unwrap();
            assert!(
                imported
                    .notes
                    .iter()
                    .all(|note| (1..=last).contains(&note.line))
            );
            assert!(imported.lines_lost <= imported.lines);
        }
        Err(refusal) => assert!(refusal.line >= 1 && !refusal.what.is_empty()),
    }
}

/// Pieces of real configurations, put together at random: right, half right and wrong.
fn word() -> impl Strategy<Value = String> {
    const WORDS: &str = "if unless or || ! { } acl a !a b web app www -i -m beg end reg found str -f -- path path_beg path_end \
        path_reg path_sub hdr(host) hdr_dom(host) hdr_end(host) hdr(X-A) hdr_sub(User-Agent) cook(c) url_param(q) method GET \
        src 10.0.0.0/8 10.0.0.5/24 2001:db8::/32 ssl_fc req.ssl_sni sc_http_req_rate(0) src_http_req_rate(app) sc_conn_cur(0) \
        gt 10 / /api /api/ /admin .php ^/x$ (a|b) [ ( foobar.com .foobar.com *.foobar.com 10.0.0.5:80 [2001:db8::5]:80 app.internal:80 \
        *:80 :443 :::80 0.0.0.0:9400 unix@/run/x /run/x ssl crt /etc/a.pem /etc/dir/ ca-file verify required none alpn h2 accept-proxy check inter 2s 0 1ms \
        99999999d weight 256 257 backup disabled maxconn port send-proxy sni str(a.b) cookie slowstart rise fall deny redirect scheme https \
        location prefix code 301 999 set-header add-header del-header X-A Host %[src] %[path] %{x} {y} set-path replace-path (.*) /\\1 \
        ^/api/(.*)$ return status string track-sc0 table http_req_rate(10s) store type ip size 1m expire deny_status 429 roundrobin leastconn \
        source uri hdr(X) random first insert indirect nocache GET HEAD HTTP/1.1 expect rstatus 200 '' ' \" \\ # ü \u{7f} \u{1} \t";
    let words: Vec<&'static str> = WORDS.split(' ').filter(|word| !word.is_empty()).collect();
    prop_oneof![
        9 => prop::sample::select(words).prop_map(str::to_owned),
        1 => "[!-~]{0,12}",
    ]
}

fn line() -> impl Strategy<Value = String> {
    const BEGINNINGS: &str = "acl a|acl b|use_backend web|use_backend app if|default_backend app|default_backend web|bind|bind *:80|bind *:443 ssl|\
        server s1|server s2 10.0.0.6:80|server s3 10.0.0.7:80 check|server-template t 3|default-server|http-request|http-request deny if|\
        http-request set-header X-A v|http-request replace-path|http-request set-path|http-request redirect|http-response set-header X-B|redirect|balance|\
        hash-type consistent|hash-balance-factor|cookie|option httpchk|http-check|option tcp-check|tcp-check|retries|timeout client|timeout server|timeout connect|\
        timeout check|timeout queue|maxconn|mode http|mode tcp|stick-table type ip size 1m store|stick on|errorfile|log|stats enable|monitor-uri|tcp-request|frontend www|\
        frontend www2|backend web|backend app|listen both|defaults|defaults d|global|userlist u|peers p|.if|.endif|no option|option redispatch|compression|disabled|\
        http-request track-sc0 src|block if|http-after-response set-header X-C|frontend|backend|listen|defaults x from";
    let beginnings: Vec<&'static str> = BEGINNINGS.split('|').map(str::trim).collect();
    let words = prop::collection::vec(word(), 0..6);
    (prop::sample::select(beginnings), words)
        .prop_map(|(beginning, words)| format!("{beginning} {}", words.join(" ")))
}

/// So that many of them become a site file.
const SURE: &str = "defaults\n mode http\nbackend app\n server a 10.0.0.5:80 check\nbackend web\n server w 10.0.0.6:80\nfrontend www\n bind :80\n default_backend app\n";

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(text in "(?s).{0,400}") {
        is_sound(&text);
    }

    #[test]
    fn any_pieces_of_a_configuration_are_answered(lines in prop::collection::vec(line(), 0..40)) {
        is_sound(&lines.join("\n"));
    }

    #[test]
    fn a_good_configuration_with_any_pieces_is_answered(lines in prop::collection::vec(line(), 0..15)) {
        let text = format!("{SURE}{}", lines.join("\n"));
        is_sound(&text);
    }
}

#[test]
fn every_line_is_accounted_for() {
    let text = format!("{SURE} option frobnicate\nuserlist u\n user a password b\n");
    let imported = import(&text).unwrap();
    let lost: Vec<u32> = imported.notes.iter().map(|note| note.line).collect();
    assert_eq!(lost, [5, 10, 11]);
    // With the server of `web`, which nothing leads to, and the user.
    assert_eq!((imported.lines, imported.lines_lost), (12, 5));
}

#[test]
fn the_first_rule_counts_here_too() {
    let text = format!(
        "{SURE} use_backend web if {{ path_beg /api/ }}\n use_backend app if {{ hdr(host) a.foobar.com }}\n"
    );
    let imported = import(&text).unwrap();
    let both = "host = [\"a.foobar.com\"]\npath-prefix = \"/api\"\nbackend = \"web\"";
    assert!(imported.text.contains(both), "{}", imported.text);
    assert!(imported.notes.is_empty());
}
