//! `--securebits`: `+noroot,-keep_caps_locked,-all`.

use common::Fail;

use super::usage;
use crate::securebits::NAMES;

/// It goes at every exec.
pub(super) const KEEP_CAPS: u32 = 1 << 4;

/// Every bit that has a name, with that.
pub(super) fn named() -> impl Iterator<Item = (u32, &'static str)> {
    (0_u32..).map(|bit| 1_u32.checked_shl(bit).unwrap_or(0)).zip(NAMES)
}

/// What the bits come to.
///
/// # Errors
/// When the list is not of the form.
pub(super) fn change(now: u32, list: &str) -> Result<u32, Fail> {
    if now & !named().fold(0, |all, (bit, _)| all | bit) != 0 {
        let text = "unrecognized securebit set -- refusing to adjust";
        return Err(usage(text).status(127));
    }
    let mut bits = now;
    for word in list.split(',') {
        let is_set = match word.as_bytes().first() {
            Some(b'+') => true,
            Some(b'-') => false,
            _ => return Err(usage("bad securebits string")),
        };
        let name = word.get(1..).unwrap_or_default();
        let bit = named().find(|(_, known)| *known == name).map(|(bit, _)| bit);
        bits = match (name, bit) {
            ("all", _) if is_set => {
                return Err(usage("+all securebits is not allowed"));
            }
            ("all", _) => 0,
            (_, Some(KEEP_CAPS)) => {
                return Err(usage("adjusting keep_caps does not make sense"));
            }
            (_, Some(bit)) if is_set => bits | bit,
            (_, Some(bit)) => bits & !bit,
            (_, None) => return Err(usage("unrecognized securebit")),
        };
    }
    // It takes that until the exec, which clears it.
    Ok(bits | KEEP_CAPS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_set_and_cleared_from_left_to_right() {
        let of = |list: &str| change(0x8, list).map_err(|f| (f.status, f.text));
        let refused = |text: &str| Err((1, text.to_owned()));

        assert_eq!(of("+noroot,+noroot_locked"), Ok(0x1b));
        assert_eq!(of("-all,+exec_deny_interactive_locked"), Ok(0x810));
        assert_eq!(of("+noroot,-noroot"), Ok(0x18));
        assert_eq!(of("noroot"), refused("bad securebits string"));
        assert_eq!(of(""), refused("bad securebits string"));
        assert_eq!(of("+noroot,"), refused("bad securebits string"));
        assert_eq!(of("+all"), refused("+all securebits is not allowed"));
        assert_eq!(of("-keep_caps"), refused("adjusting keep_caps does not make sense"));
        assert_eq!(of("+no"), refused("unrecognized securebit"));
        assert_eq!(change(1 << 12, "-all").unwrap_err().status, 127);
    }
}
