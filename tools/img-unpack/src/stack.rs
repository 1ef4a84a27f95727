//! The layers of an image while they are unpacked, several at a time: one that has to look
//! at what lies below waits until that is complete.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use nix::errno::Errno;

/// The roots of the layers, bottom first, as they become complete.
#[derive(Default)]
pub(crate) struct Stack {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    roots: Vec<Option<Arc<OwnedFd>>>,
    /// Nothing more will come.
    is_over: bool,
}

impl Stack {
    /// All of a layer is there, and looks as it will.
    pub(crate) fn put(&self, index: usize, root: OwnedFd) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.roots.len() <= index {
            state.roots.resize_with(index.saturating_add(1), || None);
        }
        if let Some(place) = state.roots.get_mut(index) {
            *place = Some(Arc::new(root));
        }
        self.changed.notify_all();
    }

    /// Somebody failed: who waits need not wait any more.
    pub(crate) fn stop(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
        self.changed.notify_all();
    }

    /// The lowest `count` layers, the topmost first.
    ///
    /// # Errors
    /// `ECANCELED` where one of them will never be complete.
    pub(crate) fn first(&self, count: usize) -> Result<Vec<Arc<OwnedFd>>, Errno> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let there: Option<Vec<_>> =
                (0..count).rev().map(|i| state.roots.get(i)?.clone()).collect();
            match there {
                _ if state.is_over => return Err(Errno::ECANCELED),
                Some(roots) => return Ok(roots),
                None => {}
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd, OwnedFd};

    use super::*;

    fn fd() -> OwnedFd {
        std::fs::File::open("/").unwrap().into()
    }

    #[test]
    fn who_needs_the_layers_below_waits_for_them() {
        let stack = Stack::default();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| stack.first(2).map(|roots| roots.len()));
            stack.put(1, fd());
            stack.put(0, fd());

            assert_eq!(waiter.join().unwrap(), Ok(2));
        });
        let [top, bottom] = &stack.first(2).unwrap()[..] else { panic!("two") };
        assert_ne!(top.as_raw_fd(), bottom.as_raw_fd());
        assert_eq!(stack.first(0).unwrap().len(), 0);
    }

    #[test]
    fn nobody_waits_for_what_will_not_come() {
        let stack = Stack::default();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| stack.first(1).map(|roots| roots.len()));
            stack.stop();

            assert_eq!(waiter.join().unwrap(), Err(Errno::ECANCELED));
        });
    }
}
