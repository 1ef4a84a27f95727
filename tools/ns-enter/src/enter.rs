//! setns(2): at once where one process has them all, else one by one.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

use common::nstype::{Ns, flags};
use common::{Fail, sys};
use nix::errno::Errno;

use crate::find::Process;
use crate::open::Opened;
use crate::refused;

/// What one call enters.
struct Part<'a> {
    fd: BorrowedFd<'a>,
    kinds: Vec<Ns>,
    /// The process whose descriptor it is, else it is a file.
    process: Option<&'a Process>,
    /// The process whose file it is.
    pid: Option<i32>,
}

impl<'a> Part<'a> {
    fn of_process(process: &'a Process, kinds: Vec<Ns>) -> Self {
        Self { fd: process.pidfd.as_fd(), kinds, process: Some(process), pid: None }
    }

    fn of_file(ns: Ns, file: BorrowedFd<'a>, pid: Option<i32>) -> Self {
        Self { fd: file, kinds: vec![ns], process: None, pid }
    }

    fn enter(&self) -> Result<(), Errno> {
        sys::setns(self.fd, flags(&self.kinds))
    }

    fn explain(&self, errno: Errno, has_user: bool) -> Fail {
        match (self.process, &self.kinds[..]) {
            (None, [ns, ..]) => {
                let fail = Fail::os(refused::what(*ns, self.pid), errno);
                refused::explained(fail, *ns, Some(self.fd), has_user)
            }
            (Some(process), kinds) => refused::process(process, kinds, errno),
            (None, []) => Fail::os("cannot enter a namespace", errno),
        }
    }
}

/// Enters the process's namespaces and those that were opened.
pub(crate) fn enter(opened: &Opened, kinds: &[Ns]) -> Result<(), Fail> {
    if let (Some(process), true) = (&opened.process, opened.files.is_empty()) {
        return at_once(process, kinds);
    }
    // Apart from the others, since it may have to come before them or after.
    let (user, others): (Vec<_>, Vec<_>) = kinds.iter().partition(|ns| **ns == Ns::User);
    let of_process = |kinds: Vec<Ns>| {
        let process = opened.process.as_ref().filter(|_| !kinds.is_empty());
        process.map(|process| Part::of_process(process, kinds))
    };
    let files =
        opened.files.iter().map(|(ns, file)| Part::of_file(*ns, file.as_fd(), None));
    let parts: Vec<_> =
        of_process(user).into_iter().chain(of_process(others)).chain(files).collect();
    one_by_one(&parts)
}

/// By the process's descriptor, since Linux 5.8; where that is not known, by its files.
fn at_once(process: &Process, kinds: &[Ns]) -> Result<(), Fail> {
    match sys::setns(process.pidfd.as_fd(), flags(kinds)) {
        Err(Errno::EINVAL) => by_files(process, kinds),
        Err(e) => Err(refused::process(process, kinds, e)),
        Ok(()) => Ok(()),
    }
}

/// All are opened before one is entered: /proc may be another's afterwards.
fn by_files(process: &Process, kinds: &[Ns]) -> Result<(), Fail> {
    let open = |ns: &Ns| process.namespace(*ns).map(|file| (*ns, file));
    let files = kinds.iter().map(open).collect::<Result<Vec<(Ns, File)>, _>>()?;
    process.confirm()?;
    let parts: Vec<_> = files
        .iter()
        .map(|(ns, file)| Part::of_file(*ns, file.as_fd(), Some(process.pid)))
        .collect();
    one_by_one(&parts)
}

/// The user namespace gives the right to enter the others, or takes it away: what is
/// refused before it is tried again after it.
fn one_by_one(parts: &[Part<'_>]) -> Result<(), Fail> {
    let (user, others): (Vec<_>, Vec<_>) =
        parts.iter().partition(|part| part.kinds.contains(&Ns::User));
    let mut again = Vec::new();
    for part in others {
        match part.enter() {
            Err(_) if !user.is_empty() => again.push(part),
            Err(e) => return Err(part.explain(e, false)),
            Ok(()) => {}
        }
    }
    for part in user.into_iter().chain(again) {
        part.enter().map_err(|e| part.explain(e, true))?;
    }
    Ok(())
}
