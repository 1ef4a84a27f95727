//! Units of v1, docker and v2.

use super::*;

fn converted(of: fn(&Value, Given<'_>) -> Files, n: u64) -> String {
    let facts = Facts::default();
    let given = Given { asked: &Asked::default(), facts: &facts };
    let files = of(&Value::Amount(Amount::Of(n)), given).unwrap();
    files.into_iter().map(|f| f.value).collect::<Vec<_>>().join(" ")
}

#[test]
fn shares_become_weights_as_in_runc_and_crun() {
    for (shares, weight) in [
        (2, "1"),
        (10, "4"),
        (100, "17"),
        (256, "35"),
        (512, "59"),
        (1024, "100"),
        (2048, "174"),
        (4096, "303"),
        (10240, "639"),
        (102_400, "4429"),
        (262_144, "10000"),
    ] {
        assert_eq!(converted(weight_of_shares, shares), weight, "{shares}");
    }
}

#[test]
fn the_default_weight_is_the_default_share() {
    assert_eq!(converted(shares_of_weight, 100), "1024");
    assert_eq!(converted(shares_of_weight, 1), "10");
    assert_eq!(converted(shares_of_weight, 10_000), "102400");
}

#[test]
fn weights_of_disks_are_bfqs_or_stretched() {
    assert_eq!(converted(io_weight, 100), "default 100");
    assert_eq!(converted(io_weight, 10_000), "default 1000");
    let facts = Facts::default();
    let given = Given { asked: &Asked::default(), facts: &facts };
    for (docker, io) in [(10, "default 1"), (100, "default 910"), (1000, "default 10000")]
    {
        let files = weight_of_blkio(&Value::Amount(Amount::Of(docker)), given).unwrap();
        assert_eq!(files[0].instead.as_ref().unwrap().value, io);
    }
}

#[test]
fn pages_are_called_as_in_sys() {
    for (page, name) in
        [(1 << 21, "2MB"), (1 << 30, "1GB"), (1 << 16, "64KB"), (1 << 34, "16GB")]
    {
        assert_eq!(page_name(page), name);
    }
}
