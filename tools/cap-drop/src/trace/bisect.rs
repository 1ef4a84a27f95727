//! The fewest capabilities with which COMMAND ends as it does with all, found by trying.

use common::Fail;

use crate::sets::CapSet;

/// Leaves out as much of `all` as `ends_so` bears, in halves, quarters and so on.
///
/// What is left is minimal: without any one of it COMMAND ends otherwise.
///
/// # Errors
/// Those of a try.
pub fn fewest(
    all: CapSet,
    mut ends_so: impl FnMut(CapSet) -> Result<bool, Fail>,
) -> Result<CapSet, Fail> {
    let mut kept = all;
    if kept.is_empty() || ends_so(CapSet::NONE)? {
        return Ok(CapSet::NONE);
    }
    let mut size = kept.each().count().div_ceil(2);
    loop {
        let before = kept;
        let ones: Vec<CapSet> = kept.each().map(|(_, one)| one).collect();
        for part in ones.chunks(size.max(1)) {
            let part = part.iter().fold(CapSet::NONE, |all, one| all.or(*one));
            let fewer = kept.without(part);
            // None at all was tried.
            if !fewer.is_empty() && ends_so(fewer)? {
                kept = fewer;
            }
        }
        if size <= 1 && kept == before {
            return Ok(kept);
        }
        size = size.div_ceil(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_found_in_few_tries() {
        arbtest::arbtest(|u| {
            let all = CapSet(0x1ff_feff_ffff);
            let mut needed = CapSet::NONE;
            for _ in 0..u.int_in_range(0..=4)? {
                needed = needed.or(CapSet::one(u.int_in_range(0..=40)?)).and(all);
            }
            let mut tries = 0;

            let found = fewest(all, |kept| {
                tries += 1;
                Ok(needed.without(kept).is_empty())
            });

            assert_eq!(found, Ok(needed));
            assert!(tries <= 60, "{tries}");
            Ok(())
        });
    }

    #[test]
    fn either_of_two_is_enough() {
        let either = CapSet::one(1).or(CapSet::one(2));
        let found = fewest(CapSet(0xff), |kept| Ok(!kept.and(either).is_empty()));

        assert_eq!(found.unwrap().each().count(), 1);
    }

    #[test]
    fn a_try_that_fails_is_the_end() {
        assert!(fewest(CapSet(1), |_| Err(Fail::new("no"))).is_err());
        assert_eq!(fewest(CapSet::NONE, |_| Err(Fail::new("no"))), Ok(CapSet::NONE));
    }
}
