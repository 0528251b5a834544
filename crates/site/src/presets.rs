//! Pure: the site files that `mainstay init` writes.

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    pub name: &'static str,
    /// One line for the help.
    pub about: &'static str,
    /// The whole file.
    pub text: &'static str,
}

/// All presets, the usual one first.
pub const PRESETS: [Preset; 2] = [
    Preset {
        name: "textbook",
        about: "one balancer, two app servers, one database server with primary and replica",
        text: include_str!("presets/textbook.toml"),
    },
    Preset {
        name: "three-servers",
        about: "three servers, of which any one may fail",
        text: include_str!("presets/three-servers.toml"),
    },
];

/// The preset of that name.
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}
