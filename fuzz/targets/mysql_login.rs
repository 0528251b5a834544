//! The packets of a login, of both sides: what is accepted and written again reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mysql::handshake::{AuthSwitch, ChangeUser, FirstAnswer, Greeting, Program, Response};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(greeting) = Greeting::parse(bytes) {
        assert_eq!(Greeting::parse(&greeting.encode()).as_ref(), Ok(&greeting));
    }
    if let Ok(switch) = AuthSwitch::parse(bytes) {
        assert_eq!(AuthSwitch::parse(&switch.encode()).as_ref(), Ok(&switch));
    }
    if let Ok(change) = ChangeUser::parse(bytes) {
        assert!(change.user.len() + change.answer.len() <= 3 * bytes.len());
    }
    let program = Program::of(bytes);
    assert!(program.name.len() + program.version.len() <= 3 * bytes.len());
    if let Ok(FirstAnswer::Response(response)) = FirstAnswer::parse(bytes) {
        let Ok(FirstAnswer::Response(again)) = FirstAnswer::parse(&response.encode()) else {
            panic!("{response:?}");
        };
        let same = Response {
            capabilities: again.capabilities,
            plugin: again.plugin.clone(),
            ..response.clone()
        };
        assert_eq!(again, same);
        assert!(response.plugin.is_none() || response.plugin == again.plugin);
    }
});
