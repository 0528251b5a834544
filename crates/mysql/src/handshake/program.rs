//! Pure: what a client says it is: its connection attributes `_client_name` and `_client_version`. A hint, never
//! a proof.

use super::{FirstAnswer, text};
use crate::wire::Reader;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Program {
    pub name: String,
    pub version: String,
}

impl Program {
    /// `payload`: of a response. Empty when it says nothing, or nothing that can be read.
    pub fn of(payload: &[u8]) -> Self {
        let read = FirstAnswer::read(payload);
        let attributes = read.and_then(|(_, attributes)| attributes);
        attributes.and_then(Self::read).unwrap_or_default()
    }

    fn read(attributes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(attributes);
        let mut program = Self::default();
        while !reader.is_empty() {
            let (name, value) = (reader.lenenc_bytes()?, reader.lenenc_bytes()?);
            match name {
                b"_client_name" => program.name = text(value),
                b"_client_version" => program.version = text(value),
                _ => {}
            }
        }
        Some(program)
    }

    /// libmysqlclient from 9.0 on has no mysql_native_password any more (MySQL 9.0 release notes).
    pub fn lacks_native_password(&self) -> bool {
        let major = self.version.split('.').next().map(str::parse::<u32>);
        self.name == "libmysql" && matches!(major, Some(Ok(9..)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::CONNECT_ATTRS;
    use crate::handshake::Response;
    use crate::wire::{put_lenenc, put_lenenc_bytes};

    fn response(attributes: &[(&str, &str)]) -> Vec<u8> {
        let mut payload = Response::default().encode();
        let capabilities = u32::from_le_bytes(payload[..4].try_into().unwrap()) | CONNECT_ATTRS;
        payload[..4].copy_from_slice(&capabilities.to_le_bytes());
        let mut all = Vec::new();
        for (name, value) in attributes {
            put_lenenc_bytes(&mut all, name.as_bytes());
            put_lenenc_bytes(&mut all, value.as_bytes());
        }
        put_lenenc(&mut payload, all.len() as u64);
        payload.extend(all);
        payload
    }

    #[test]
    fn only_libmysqlclient_9_lacks_the_native_password() {
        for (name, version, lacks) in [
            ("libmysql", "9.1.0", true),
            ("libmysql", "10.0.0", true),
            ("libmysql", "8.0.36", false),
            ("libmariadb", "9.9.9", false),
            ("libmysql", "x", false),
        ] {
            let payload = response(&[
                ("_os", "Linux"),
                ("_client_name", name),
                ("_client_version", version),
            ]);
            let program = Program::of(&payload);
            assert_eq!((&*program.name, &*program.version), (name, version));
            assert_eq!(program.lacks_native_password(), lacks, "{name} {version}");
        }
        assert_eq!(
            Program::of(&Response::default().encode()),
            Program::default()
        );
        assert_eq!(Program::of(b""), Program::default());
    }
}
