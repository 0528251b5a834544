//! Memory for read buffers that nobody holds at the moment, kept by each thread for itself. A connection
//! that waits holds none: ten thousand of them cost what the few that are being read cost.
//!
//! Only the two sizes of `limits` are kept, each up to its bound; everything else goes to the allocator.

use std::cell::RefCell;

use crate::limits::{BODY_BUFFER, BUFFER, FREE_BODY_BUFFERS, FREE_BUFFERS};

thread_local! {
    static FREE: RefCell<Free> = const { RefCell::new(Free { small: Vec::new(), wide: Vec::new() }) };
}

#[derive(Debug)]
struct Free {
    small: Vec<Vec<u8>>,
    wide: Vec<Vec<u8>>,
}

impl Free {
    fn of(&mut self, size: usize) -> Option<(&mut Vec<Vec<u8>>, usize)> {
        match size {
            BUFFER => Some((&mut self.small, FREE_BUFFERS)),
            BODY_BUFFER => Some((&mut self.wide, FREE_BODY_BUFFERS)),
            _ => None,
        }
    }
}

/// `size` bytes. What stands in them is of no meaning: another connection's, or zeros.
pub(crate) fn take(size: usize) -> Vec<u8> {
    let free = FREE.try_with(|free| {
        let mut free = free.try_borrow_mut().ok()?;
        free.of(size).and_then(|(list, _)| list.pop())
    });
    free.ok().flatten().unwrap_or_else(|| vec![0; size])
}

/// Keeps it for the next, or frees it.
pub(crate) fn give_back(bytes: Vec<u8>) {
    // A thread that ends has no list any more, and needs none.
    let _ended = FREE.try_with(|free| {
        if let Ok(mut free) = free.try_borrow_mut()
            && let Some((list, bound)) = free.of(bytes.len())
            && list.len() < bound
        {
            list.push(bytes);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> (usize, usize) {
        FREE.with_borrow(|free| (free.small.len(), free.wide.len()))
    }

    #[test]
    fn memory_comes_back_and_the_bound_holds() {
        let first = take(BUFFER);
        let at = first.as_ptr();
        give_back(first);
        assert_eq!(kept(), (1, 0));
        let again = take(BUFFER);
        assert_eq!((again.as_ptr(), again.len(), kept()), (at, BUFFER, (0, 0)));
        for _ in 0..2 * FREE_BUFFERS {
            give_back(vec![0; BUFFER]);
            give_back(vec![0; BODY_BUFFER]);
            give_back(vec![0; 100]);
        }
        assert_eq!(kept(), (FREE_BUFFERS, FREE_BODY_BUFFERS));
    }
}
