//! Pure: the longest of many prefixes, by whole segments: one lookup for each segment of what is
//! asked, and none behind the longest there is, however many there are. For paths, and for host names
//! read from the right.

use crate::hash::Map;

#[derive(Debug)]
pub(crate) struct Trie {
    /// The first is the root; a child stands behind its parent.
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    children: Map<Box<[u8]>, usize>,
    value: Option<usize>,
    /// The nearest value among those above.
    above: Option<usize>,
}

/// A prefix that was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) value: usize,
    node: usize,
}

impl Trie {
    /// From prefixes, as their segments, with their values.
    pub(crate) fn new<'s, S>(prefixes: impl IntoIterator<Item = (S, usize)>) -> Self
    where
        S: IntoIterator<Item = &'s [u8]>,
    {
        let mut nodes = vec![Node::default()];
        for (segments, value) in prefixes {
            let mut at = 0;
            for segment in segments {
                let next = nodes.len();
                let Some(node) = nodes.get_mut(at) else { break };
                at = *node.children.entry(segment.into()).or_insert(next);
                if at == next {
                    nodes.push(Node::default());
                }
            }
            if let Some(node) = nodes.get_mut(at) {
                node.value = Some(value);
            }
        }
        for at in 0..nodes.len() {
            let Some(node) = nodes.get(at) else { break };
            let above = if node.value.is_some() {
                Some(at)
            } else {
                node.above
            };
            let children: Vec<usize> = node.children.values().copied().collect();
            for child in children {
                if let Some(child) = nodes.get_mut(child) {
                    child.above = above;
                }
            }
        }
        Self { nodes }
    }

    /// The longest prefix of `segments`.
    pub(crate) fn longest<'s>(&self, segments: impl Iterator<Item = &'s [u8]>) -> Option<Found> {
        let mut at = 0;
        let mut node = self.nodes.first()?;
        for segment in segments {
            let Some(child) = node.children.get(segment) else {
                break;
            };
            at = *child;
            node = self.nodes.get(at)?;
        }
        match node.value {
            Some(value) => Some(Found { value, node: at }),
            None => self.at(node.above?),
        }
    }

    /// The next longest.
    pub(crate) fn shorter(&self, found: Found) -> Option<Found> {
        self.at(self.nodes.get(found.node)?.above?)
    }

    fn at(&self, node: usize) -> Option<Found> {
        let value = self.nodes.get(node)?.value?;
        Some(Found { value, node })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_found_from_the_longest_to_the_shortest() {
        let of = |text: &'static str| text.split('/').map(str::as_bytes);
        let trie = Trie::new([(of("a"), 0), (of("a/b/c"), 1), (of("x/y"), 2)]);
        let found = |text: &'static str| {
            let mut values = Vec::new();
            let mut next = trie.longest(of(text));
            while let Some(found) = next {
                values.push(found.value);
                next = trie.shorter(found);
            }
            values
        };
        assert_eq!(found("a/b/c/d"), [1, 0]);
        assert_eq!(found("a/b"), [0]);
        assert_eq!(found("ab"), [0_usize; 0]);
        assert_eq!(found("x"), [0_usize; 0]);
        assert_eq!(found("x/y"), [2]);
    }
}
