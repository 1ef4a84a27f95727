//! Texts and what they come to.

use super::*;
use crate::value::{Quota, human};

const MIB: u64 = 1 << 20;

#[test]
fn memory_is_a_size_a_share_or_max() {
    let of = |n| Ok(Value::Amount(Amount::Of(n)));
    assert_eq!(memory("64M"), of(64 * MIB));
    assert_eq!(memory("64MiB"), of(64 * MIB));
    assert_eq!(memory("3.6G"), of(3_865_470_566));
    assert_eq!(memory("16000m"), of(16_000 * MIB));
    assert_eq!(memory("75%"), Ok(Value::Share(750_000)));
    assert_eq!(memory("0.5%"), Ok(Value::Share(5000)));
    for none in ["max", "infinity", "-1"] {
        assert_eq!(memory(none), Ok(Value::Amount(Amount::Max)), "{none}");
    }
    for text in ["", "%", "101%", "0%", "-2", "unlimited", "1.5.0%", "5 M", "64Q", "0x10"]
    {
        assert!(memory(text).is_err(), "{text}");
    }
}

#[test]
fn a_quota_stays_within_the_kernels_bounds() {
    for (text, quota) in [
        ("1.5", "150000 100000"),
        ("150%", "150000 100000"),
        ("50%", "50000 100000"),
        ("1%", "1000 100000"),
        ("0.005", "5000 1000000"),
        ("0.001", "1000 1000000"),
        ("64", "6400000 100000"),
    ] {
        let Ok(Value::Cpus(cpus)) = cpus(text) else { panic!("{text}") };
        assert_eq!(Quota::of(cpus, None).to_string(), quota, "{text}");
    }
    assert_eq!(Quota::of(500_000, Some(20_000)).to_string(), "10000 20000");
    for text in ["0", "0.0009", "-2", "", "%", "1e3", "1000001"] {
        assert!(cpus(text).is_err(), "{text}");
    }
}

#[test]
fn a_group_that_could_not_hold_one_task_is_refused() {
    assert_eq!(tasks("1"), Ok(Value::Amount(Amount::Of(1))));
    assert_eq!(tasks("4194304"), Ok(Value::Amount(Amount::Of(4_194_304))));
    assert_eq!(tasks("-1"), Ok(Value::Amount(Amount::Max)));
    assert_eq!(tasks("10%"), Ok(Value::Share(100_000)));
    for text in ["0", "-2", "+5", "4194305", "1.5", "1k", ""] {
        assert!(tasks(text).is_err(), "{text}");
    }
}

#[test]
fn a_disk_is_told_from_its_amount_by_the_last_colon_or_blank() {
    let disk = |path: &str, n| Ok(Value::Disk(path.into(), Amount::Of(n)));
    assert_eq!(disk_bytes("/dev/vda:10M"), disk("/dev/vda", 10 * MIB));
    assert_eq!(disk_bytes("/dev/vda 10M"), disk("/dev/vda", 10 * MIB));
    assert_eq!(disk_bytes("8:0:5"), disk("8:0", 5));
    assert_eq!(disk_bytes_of_1000("/dev/vda 1.5K"), disk("/dev/vda", 1500));
    assert_eq!(disk_count("/dev/vda:100"), disk("/dev/vda", 100));
    assert_eq!(disk_time("/dev/vda 25ms"), disk("/dev/vda", 25_000));
    for text in ["/dev/vda", ":5", "/dev/vda:", "/dev/vda:0", "/dev/vda:-5"] {
        assert!(disk_bytes(text).is_err() && disk_count(text).is_err(), "{text}");
    }
}

#[test]
fn keyed_limits_are_lines() {
    let line = |key: &str, words: &str| Ok(Value::Keyed(key.into(), words.into()));
    assert_eq!(
        rdma("mlx5_0:hca_handle=2,hca_object=max"),
        line("mlx5_0", "hca_handle=2 hca_object=max")
    );
    assert_eq!(misc("sev:4"), line("sev", "4"));
    assert_eq!(
        huge("2M:64M"),
        Ok(Value::Huge { page: 2 * MIB, amount: Amount::Of(64 * MIB) })
    );
    for text in ["", "x", "x:", ":1", "a b:1", "x:y=", "x:1\n"] {
        assert!(rdma(text).is_err() && misc(text).is_err(), "{text}");
    }
    for text in ["3M:1", "2M", "2M:x", "0:1"] {
        assert!(huge(text).is_err(), "{text}");
    }
}

#[test]
fn times_have_units() {
    for (text, ms) in
        [("5", 5000), ("5s", 5000), ("1.5min", 90_000), ("100ms", 100), ("2h", 7_200_000)]
    {
        assert_eq!(time(text), Ok(std::time::Duration::from_millis(ms)), "{text}");
    }
    for text in ["", "s", "5x", "-1", "5 s", "1e3"] {
        assert!(time(text).is_err(), "{text}");
    }
    assert!(timeout("0").is_err());
}

#[test]
fn a_size_is_the_number_times_its_unit() {
    arbtest::arbtest(|u| {
        let number: u32 = u.arbitrary()?;
        let (unit, shift) = *u.choose(&[("", 0), ("K", 10), ("MiB", 20), ("g", 30)])?;

        let read = bytes(&format!("{number}{unit}"));

        assert_eq!(read, Ok(Amount::Of(u64::from(number) << shift)));
        Ok(())
    });
}

#[test]
fn of_two_limits_the_lower_one_holds() {
    arbtest::arbtest(|u| {
        let mut quota = || -> arbtest::arbitrary::Result<Quota> {
            let number = u64::from(u.int_in_range(1000_u32..=9000)?);
            let quota = *u.choose(&[Amount::Max, Amount::Of(number)])?;
            Ok(Quota { quota, period: u64::from(u.int_in_range(1000_u32..=9000)?) })
        };
        let (a, b) = (quota()?, quota()?);
        let share = |q: Quota| match q.quota {
            Amount::Of(n) => {
                f64::from(u32::try_from(n).unwrap())
                    / f64::from(u32::try_from(q.period).unwrap())
            }
            Amount::Max => f64::INFINITY,
        };

        let least = a.within(b);

        assert!(
            (share(least) - share(a).min(share(b))).abs() < 1e-9
                || share(least).is_infinite()
        );
        assert!(least == a || least == b);
        Ok(())
    });
}

#[test]
fn sizes_are_printed_for_people() {
    for (bytes, text) in [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (33_554_432, "32 MiB"),
        (1_610_612_736, "1.5 GiB"),
        (33_500_000, "31.9 MiB"),
        (u64::MAX, "16383.9 PiB"),
    ] {
        assert_eq!(human(bytes), text);
    }
}
