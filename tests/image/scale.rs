//! What img-unpack takes of the memory does not grow with the image.

use std::fs;
use std::io::Write;

use kit::image::{Image, Layer};
use kit::{Run, tool};

/// Unpacks with an address space of 64 MiB, which bounds what is resident.
fn in_64_mib(image: &[u8], flags: &str) -> String {
    let script = format!(
        "ulimit -v 65536 && \"$UNPACK\" --squash-ids --print=none {flags} - box <image"
    );
    let run = Run::program("sh").args(["-c", &script]).env("UNPACK", tool("img-unpack"));
    fs::write(run.tmp().join("image"), image).unwrap();
    let out = run.timeout(120).run();
    format!("{}{}", out.status, String::from_utf8_lossy(&out.stderr))
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::fast();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_large_file_takes_no_more_memory_than_a_small_one() {
    let layer = Layer::default().file("zeros", 0o644, vec![0; 128 << 20]);
    let image = gzip(&Image::default().layer(layer).oci("x"));

    assert_eq!(in_64_mib(&image, ""), "exit status: 0");
}

#[test]
fn many_layers_take_no_more_memory_than_few() {
    let layer = |i| Layer::default().file(&format!("d/{i}"), 0o644, "x");
    let image = (0..128).fold(Image::default(), |image, i| image.layer(layer(i)));

    assert_eq!(in_64_mib(&image.oci("x"), ""), "exit status: 0");
    assert_eq!(in_64_mib(&image.oci("x"), "--flat"), "exit status: 0");
}

#[test]
fn many_files_directories_and_whiteouts_fit_in_a_bounded_memory() {
    let (mut lower, mut upper) = (Layer::default(), Layer::default());
    for i in 0..6_000 {
        let name = format!("usr/share/some-directory/{i}");
        lower = lower.dir(&name, 0o755).file(&format!("{name}/file"), 0o644, "");
        upper = upper.whiteout(&format!("{name}/file"));
    }
    let image = Image::default().layer(lower).layer(upper).oci("x");

    assert_eq!(in_64_mib(&image, ""), "exit status: 0");
}

#[test]
fn what_would_have_to_be_remembered_without_end_is_refused() {
    let mut builder = tar::Builder::new(Vec::new());
    let value = vec![b'x'; 1 << 16];
    for i in 0..1000 {
        let records = [("SCHILY.xattr.user.large", value.as_slice())];
        builder.append_pax_extensions(records).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        builder.append_data(&mut header, format!("d{i}"), &[][..]).unwrap();
    }
    let image = Image::default().layer_tar(builder.into_inner().unwrap()).oci("x");

    assert_eq!(
        in_64_mib(&image, ""),
        "exit status: 125img-unpack: cannot unpack the layer: to remember its directories \
         would take more than 40 MiB\n"
    );
}
