//! Pure: `[site]`: the name and the domains.

use crate::at::At;
use crate::domain::{as_label, domain, is_label};
use crate::hint::{quoted, section as section_hint};
use crate::problem::Code;
use crate::schema::schema;
use crate::source::Problems;
use crate::written::Written;

/// What `[site]` says.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) name: String,
    pub(super) domains: Vec<String>,
}

/// `alone`: the section may be left out.
pub(super) fn resolve(written: &Written, alone: bool, problems: &mut Problems<'_>) -> Names {
    let section = written.site.as_ref().map(|at| &at.value);
    if section.is_none() && !alone && !written.left_out.contains("site") {
        let write = section_hint("site", &schema()["properties"]["site"]);
        problems.add(Code::Missing, &(0..0), "the file has no [site]", write);
    }
    let name = section.and_then(|site| site.name.as_ref());
    let domains = section.and_then(|site| site.domains.as_ref());
    Names {
        name: name
            .map(|name| site_name(name, problems))
            .unwrap_or_default(),
        domains: domains
            .map(|list| site_domains(list, problems))
            .unwrap_or_default(),
    }
}

/// A label, because it becomes part of `www.<name>.localhost` and of file names.
fn site_name(At { value: name, span }: &At<String>, problems: &mut Problems<'_>) -> String {
    if !is_label(name) {
        let what = format!("the site's name `{name}` may have only a-z, 0-9 and `-` inside");
        let proposed = as_label(name).unwrap_or_else(|| "foobar".to_owned());
        problems.add(
            Code::BadValue,
            span,
            what,
            format!("name = {}", quoted(&proposed)),
        );
    }
    name.clone()
}

fn site_domains(list: &At<Vec<At<String>>>, problems: &mut Problems<'_>) -> Vec<String> {
    if list.value.is_empty() {
        let what = "the site has no domain, so it would answer no request";
        problems.add(
            Code::Missing,
            &list.span,
            what,
            "domains = [\"www.foobar.com\"]",
        );
    }
    let mut known: Vec<String> = Vec::new();
    for At { value: text, span } in &list.value {
        match domain(text) {
            Ok(domain) if known.contains(&domain) => {
                let what = format!("the domain `{domain}` is written twice");
                problems.add(Code::Duplicate, span, what, "every domain once");
            }
            Ok(domain) => known.push(domain),
            Err(no) => problems.add(Code::BadValue, span, no.what, no.write),
        }
    }
    known
}
