//! Pure: `[firewall]`: on or off, and who may use SSH.

use crate::address::network;
use crate::at::At;
use crate::problem::Code;
use crate::resolve::setting::or;
use crate::source::Problems;
use crate::topology::Firewall;
use crate::written::Written;

/// None without the section, and with `enabled = false`.
pub(super) fn resolve(written: &Written, problems: &mut Problems<'_>) -> Option<Firewall> {
    let At {
        value: section,
        span,
    } = written.firewall.as_ref()?;
    let mut ssh_from = Vec::new();
    for At { value: text, span } in section.ssh_from.iter().flat_map(|list| &list.value) {
        match network(text) {
            Ok(network) => ssh_from.push(network),
            Err(no) => problems.add(Code::BadValue, span, no.what, no.write),
        }
    }
    // An empty list cannot mean "nobody": that would lock the people of the site out.
    if let Some(list) = section
        .ssh_from
        .as_ref()
        .filter(|list| list.value.is_empty())
    {
        let what = "`ssh-from` is empty; it does not say who may still administer the servers";
        let write = "ssh-from = [\"203.0.113.0/24\"] with your own network";
        problems.add(Code::BadValue, &list.span, what, write);
    }
    let enabled = or(section.enabled.as_ref(), true);
    enabled.then(|| Firewall {
        ssh_from,
        at: problems.source.place(span.start),
    })
}
