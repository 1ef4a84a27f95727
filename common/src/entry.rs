//! The program's `main`: what std's would do to signals and descriptors is left undone.
//!
//! std's start-up ignores SIGPIPE, which COMMAND would inherit, and opens /dev/null on
//! closed standard descriptors. A link must hand both on as it got them, so every tool
//! is `no_main`. The allocator is part of it: a tool that execs in 200 us has no use for
//! a heap that maps and unmaps; memory comes from one arena in .bss and is never freed.
#![allow(unsafe_code, reason = "argv is C's, and so is an allocator's interface")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::convert::Infallible;
use std::ffi::{CStr, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use libc::{c_char, c_int};

use crate::{Fail, sys};

/// Defines `main` of a tool: `common::entry!("ns-run", ns_run::run);`.
///
/// With `raised` it may be setuid and have file capabilities.
#[macro_export]
macro_rules! entry {
    ($name:literal, $run:path) => {
        $crate::entry!($name, $run, start);
    };
    ($name:literal, $run:path, raised) => {
        $crate::entry!($name, $run, start_raised);
    };
    ($name:literal, $run:path, $start:ident) => {
        #[global_allocator]
        static ARENA: $crate::entry::Arena = $crate::entry::Arena::new();

        /// The C entry point, see `common::entry`.
        #[allow(unsafe_code, reason = "the C library calls it by this name")]
        #[unsafe(no_mangle)]
        pub extern "C" fn main(
            argc: $crate::entry::CInt,
            argv: $crate::entry::Argv,
        ) -> $crate::entry::CInt {
            $crate::entry::$start($name, argc, argv, $run)
        }
    };
}

/// C's `int`, for the macro.
pub type CInt = c_int;

/// C's `char **argv`, made by the C library only.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Argv(*const *const c_char);

/// Runs a tool and turns its result into the exit status.
///
/// A tool that is setuid, setgid or has file capabilities is refused: nothing here was
/// written to cross such a border (CVE-2026-41163 is what comes of it).
pub fn start(
    name: &str,
    argc: c_int,
    argv: Argv,
    run: fn(Vec<OsString>) -> Result<Infallible, Fail>,
) -> c_int {
    start_raised(name, argc, argv, |args| refuse_raised().and_then(|()| run(args)))
}

/// Refuses to be setuid, setgid or have file capabilities.
///
/// # Errors
/// When it is so, or the caller's real and effective ids differ.
pub fn refuse_raised() -> Result<(), Fail> {
    if sys::auxv(libc::AT_SECURE) == 0 {
        return Ok(());
    }
    Err(Fail::new(
        "cannot run with raised privileges: the file is setuid, setgid or has file capabilities",
    ))
}

/// As [`start`], for a tool that is made to be setuid: it uses no environment variable
/// for itself, and hands on none that could turn against what it becomes.
pub fn start_raised(
    name: &str,
    argc: c_int,
    argv: Argv,
    run: impl FnOnce(Vec<OsString>) -> Result<Infallible, Fail>,
) -> c_int {
    reserve_standard_descriptors();
    name_after_execveat(name);
    match run(arguments(argc, argv)) {
        Ok(never) => match never {},
        Err(fail) => c_int::from(report(name, &fail)),
    }
}

/// Says what a failure has to say, and what status to end with.
///
/// Called by a forked child too, which then leaves by [`sys::exit_now`].
pub fn report(name: &str, fail: &Fail) -> u8 {
    if fail.text.is_empty() {
        return fail.status;
    }
    if fail.output {
        return match write_all(1, fail.text.as_bytes()) {
            Ok(()) => fail.status,
            Err(e) => report(name, &Fail::os("cannot write to standard output", e)),
        };
    }
    // Nowhere is left to complain when standard error is gone.
    let _ = write_all(2, format!("{name}: {}\n", fail.text).as_bytes());
    fail.status
}

/// write(2) until all is written.
pub fn write_all(fd: c_int, mut data: &[u8]) -> nix::Result<()> {
    while !data.is_empty() {
        // SAFETY: write(2) on a number that is not open is EBADF, nothing worse.
        let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
        match nix::unistd::write(fd, data) {
            Ok(n) => data = data.get(n..).unwrap_or_default(),
            Err(nix::errno::Errno::EINTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Keeps our own files off the numbers 0 to 2 where the caller closed them.
///
/// An epoll instance sits there until exec closes it: COMMAND finds the number closed,
/// as the caller left it, and an error message cannot end up in a file of ours.
fn reserve_standard_descriptors() {
    let mut three = [0, 1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // SAFETY: the array is live and its length is right.
    unsafe { libc::poll(three.as_mut_ptr(), 3, 0) };
    // The lowest free number is taken each time.
    for _ in three.iter().filter(|p| p.revents & libc::POLLNVAL != 0) {
        // SAFETY: takes flags only, gives a descriptor or -1.
        unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    }
}

/// Before Linux 6.14 a program started by descriptor is called after its number.
fn name_after_execveat(name: &str) {
    let by_fd = sys::execfn().is_some_and(|f| f.to_bytes().starts_with(b"/dev/fd/"));
    if by_fd && let Ok(name) = std::ffi::CString::new(name) {
        // The name is for ps(1) only.
        let _ = sys::set_comm(&name);
    }
}

fn arguments(argc: c_int, argv: Argv) -> Vec<OsString> {
    let count = usize::try_from(argc).unwrap_or(0);
    let mut all = Vec::with_capacity(count);
    for i in 0..count {
        // SAFETY: argv has argc entries.
        let at = unsafe { argv.0.add(i) };
        // SAFETY: see above.
        let entry = unsafe { *at };
        // SAFETY: an entry below argc is a C string.
        let arg = unsafe { CStr::from_ptr(entry) };
        all.push(OsStr::from_bytes(arg.to_bytes()).to_owned());
    }
    all
}

const ARENA_SIZE: usize = 256 * 1024;

/// Where the arena begins: not at zero, so that this lies in .data and not in a page of
/// .bss that nothing else needs.
const START: usize = 16;

/// How much of the arena is taken.
static USED: AtomicUsize = AtomicUsize::new(START);

/// Whether nothing came from the C library's heap so far.
static IS_ALL: AtomicBool = AtomicBool::new(true);

/// Whether all memory in use is of the arena, and there is plenty left.
pub fn has_room() -> bool {
    let used = USED.load(Ordering::Relaxed);
    let is_used = (START..ARENA_SIZE / 2).contains(&used) && used != START;
    is_used && IS_ALL.load(Ordering::Relaxed)
}

/// A bump allocator over .bss that falls back to the C library's when it is full. There is
/// one in a program.
pub struct Arena(UnsafeCell<[u8; ARENA_SIZE]>);

// SAFETY: disjoint parts of the memory are handed out through an atomic counter.
unsafe impl Sync for Arena {}

impl Arena {
    /// An empty arena; costs nothing until it is touched.
    #[allow(clippy::new_without_default, reason = "made once, in a static")]
    #[allow(clippy::large_stack_arrays, reason = "evaluated at compile time")]
    pub const fn new() -> Self {
        Self(UnsafeCell::new([0; ARENA_SIZE]))
    }

    fn base(&self) -> *mut u8 {
        self.0.get().cast()
    }

    /// How far behind the base it lies, if it is of the arena.
    fn offset(&self, at: *mut u8) -> Option<usize> {
        at.addr().checked_sub(self.base().addr()).filter(|offset| *offset < ARENA_SIZE)
    }
}

// SAFETY: `alloc` gives every caller its own aligned part of the arena or what the
// system allocator gives; memory of the arena is never reused, but the last part of it
// grows and shrinks where it is.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.base();
        let mut start = 0;
        let taken = USED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            let mask = layout.align().wrapping_sub(1);
            let aligned = base.addr().checked_add(used)?.checked_add(mask)? & !mask;
            start = aligned.checked_sub(base.addr())?;
            start.checked_add(layout.size()).filter(|end| *end <= ARENA_SIZE)
        });
        if taken.is_err() {
            IS_ALL.store(false, Ordering::Relaxed);
            // SAFETY: the caller's contract is passed on.
            return unsafe { System.alloc(layout) };
        }
        // SAFETY: start + size lies within the arena.
        unsafe { base.add(start) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if self.offset(at).is_none() {
            // SAFETY: it came from the system allocator, see alloc.
            unsafe { System.dealloc(at, layout) }
        }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(start) = self.offset(at) else {
            // SAFETY: it came from the system allocator, see alloc.
            return unsafe { System.realloc(at, layout, size) };
        };
        let end = start.checked_add(size).filter(|end| *end <= ARENA_SIZE);
        let is_resized = end.is_some_and(|end| {
            let old = start.saturating_add(layout.size());
            USED.compare_exchange(old, end, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        });
        if is_resized {
            return at;
        }
        // SAFETY: the caller promises that the new size is none that overflows.
        let layout_wanted =
            unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the size is not zero, as the caller promises.
        let new = unsafe { self.alloc(layout_wanted) };
        if !new.is_null() {
            // SAFETY: both are as long as the shorter of them, and the new one was free.
            unsafe { new.copy_from_nonoverlapping(at, layout.size().min(size)) };
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arena_aligns_grows_and_falls_back_when_it_is_full() {
        static ARENA: Arena = Arena::new();
        let odd = Layout::from_size_align(3, 1).unwrap();
        let page = Layout::from_size_align(4096, 4096).unwrap();
        let huge = Layout::from_size_align(ARENA_SIZE, 8).unwrap();

        // SAFETY: the layouts have sizes above zero.
        let [a, b, c] = [odd, page, huge].map(|layout| unsafe { ARENA.alloc(layout) });

        let is_within = [a, b, c].map(|at| ARENA.offset(at).is_some());
        assert_eq!(is_within, [true, true, false]);
        assert_eq!(b.addr() % 4096, 0);
        // SAFETY: allocated above with the same layout.
        let grown = unsafe { ARENA.realloc(b, page, 8192) };
        // SAFETY: allocated above with the same layout.
        let moved = unsafe { ARENA.realloc(a, odd, 4) };
        assert!(grown == b && moved.addr() >= b.addr() + 8192);
        assert!(!has_room());
        // SAFETY: allocated above with the same layout.
        unsafe { ARENA.dealloc(c, huge) };
    }
}
