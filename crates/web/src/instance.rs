//! Pure: which ready instance a request goes to: in turn, passing over those already tried.

use crate::snapshot::Instance;

/// The instance at `turn` among the ready ones, or the next that has not been tried.
pub(crate) fn choose(instances: &[Instance], turn: usize, tried: &[usize]) -> Option<usize> {
    let count = instances.len();
    (0..count)
        .map(|step| turn.wrapping_add(step) % count)
        .find(|index| {
            instances.get(*index).is_some_and(|instance| instance.ready) && !tried.contains(index)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Listen;

    #[test]
    fn ready_ones_take_turns() {
        let instance = |ready| Instance {
            name: String::new(),
            listen: Listen::Socket("/x".into()),
            ready,
        };
        let instances = [instance(true), instance(false), instance(true)];
        let chosen: Vec<_> = (0..4).map(|turn| choose(&instances, turn, &[])).collect();
        assert_eq!(chosen, [Some(0), Some(2), Some(2), Some(0)]);
        assert_eq!(choose(&instances, 0, &[0]), Some(2));
        assert_eq!(choose(&instances, 0, &[0, 2]), None);
        assert_eq!(choose(&[], 0, &[]), None);
    }
}
