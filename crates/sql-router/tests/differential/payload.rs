//! Pure: the payloads of commands.

use mysql::wire::put_lenenc_bytes;

use crate::step::Value;

/// A text with a comment behind it that makes it this long.
pub(crate) fn padded(sql: &str, length: usize) -> Vec<u8> {
    let mut out = format!("{sql} /*").into_bytes();
    out.resize(length.saturating_sub(2), b'p');
    out.extend_from_slice(b"*/");
    out
}

/// The type a value is sent as.
fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 6,
        Value::Int(_) => 8,
        Value::Double(_) => 5,
        Value::Text(_) | Value::Long(_) => 253,
    }
}

/// COM_STMT_EXECUTE's payload and the types bound now. With `before` they are not sent, and those of
/// then hold: a value of another type is sent as NULL.
pub(crate) fn execute(
    id: u32,
    parameters: u16,
    values: &[Value],
    cursor: bool,
    before: Option<&Vec<u8>>,
) -> (Vec<u8>, Vec<u8>) {
    let parameters = usize::from(parameters);
    let sent = |index: usize| values.get(index).unwrap_or(&Value::Null);
    let types: Vec<u8> = match before {
        Some(types) => types.clone(),
        None => (0..parameters).map(|index| kind(sent(index))).collect(),
    };
    let fits = |index: usize| types.get(index) == Some(&kind(sent(index)));
    let value = |index: usize| {
        if fits(index) {
            sent(index)
        } else {
            &Value::Null
        }
    };
    let mut out = id.to_le_bytes().to_vec();
    out.push(u8::from(cursor));
    out.extend_from_slice(&1u32.to_le_bytes());
    if parameters == 0 {
        return (out, types);
    }
    let mut nulls = vec![0u8; parameters.div_ceil(8)];
    for index in (0..parameters).filter(|index| *value(*index) == Value::Null) {
        nulls[index / 8] |= 1 << (index % 8);
    }
    out.extend_from_slice(&nulls);
    out.push(u8::from(before.is_none()));
    if before.is_none() {
        out.extend(types.iter().flat_map(|kind| [*kind, 0]));
    }
    for index in 0..parameters {
        match value(index) {
            Value::Null => {}
            Value::Int(int) => out.extend_from_slice(&int.to_le_bytes()),
            Value::Double(double) => out.extend_from_slice(&double.to_le_bytes()),
            Value::Text(text) => put_lenenc_bytes(&mut out, text.as_bytes()),
            Value::Long(length) => put_lenenc_bytes(&mut out, &vec![b'v'; *length]),
        }
    }
    (out, types)
}
