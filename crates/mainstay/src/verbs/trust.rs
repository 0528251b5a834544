//! `mainstay trust [SITE]`: how to make this machine trust the site's local authority.

use std::io::Write as _;

use crate::report::Failure;
use crate::site_file::Which;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let authority = certs::local::files(&args.which.state().join("certificates")).authority;
    let Ok(path) = authority.canonicalize() else {
        let what = format!("there is no authority at {} yet", authority.display());
        return Err(Failure::new(what, "`mainstay up` makes one at its first start").into());
    };
    let path = path.display();
    write!(
        std::io::stdout().lock(),
        "The authority of this site, made on this machine for this state directory only:\n\n  \
         {path}\n\n\
         Whoever has its key can pretend to be any site towards those who trust it: keep the\n\
         directory to yourself, and trust it only on machines for development.\n\n\
         For curl and other tools of this system (Debian, Ubuntu), as root:\n  \
         cp {path} /usr/local/share/ca-certificates/mainstay-local.crt && update-ca-certificates\n\
         For Chromium and Chrome of this user:\n  \
         certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n mainstay-local -i {path}\n\
         For Firefox: Settings, Certificates, View Certificates, Authorities, Import.\n\
         For one call of curl:\n  curl --cacert {path} https://…\n"
    )?;
    Ok(0)
}
