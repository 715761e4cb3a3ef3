//! Files of the kernel's: lines come whole however they are read, and no file leads a cgroup's limit astray.

use std::fs;
use std::ops::ControlFlow;
use std::sync::OnceLock;

use highwater::fuzzing::cgroup::Level;
use highwater::fuzzing::file::{self, Path};

/// Bytes of a line that is passed over.
const LONG: usize = 1 << 10;

/// The first byte says in what pieces is read; the rest is a `cgroup` and a `mountinfo`, with a 0xFF between.
pub fn run(data: &[u8]) {
    let Some((&piece, text)) = data.split_first() else { return };
    lines_are_whole(text, usize::from(piece) + 1);
    numbers_are_numbers(text);
    paths_have_an_end(text);
    let parts = text.iter().position(|&byte| byte == 0xFF);
    let (cgroup, mountinfo) = parts.map_or((text, &[][..]), |at| (&text[..at], &text[at + 1..]));
    if let Some(level) = level(cgroup, mountinfo) {
        assert!(level.limit < 1 << 62, "what is no limit is none");
        let _ = level.used();
    }
}

fn lines_are_whole(text: &[u8], piece: usize) {
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut left = text;
    let read = |room: &mut [u8]| {
        let read = piece.min(left.len()).min(room.len());
        room[..read].copy_from_slice(&left[..read]);
        left = &left[read..];
        Some(read)
    };
    let keep = |line: &[u8]| {
        found.push(line.to_vec());
        ControlFlow::<()>::Continue(())
    };
    assert_eq!(file::for_each_line_read(read, keep), None);
    let mut lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    lines.retain(|line| line.len() < LONG);
    assert_eq!(found, lines);
}

fn numbers_are_numbers(text: &[u8]) {
    for word in text.split(|&byte| byte == b'\n') {
        let parsed = std::str::from_utf8(word).ok().and_then(|word| word.trim().parse().ok());
        assert_eq!(file::parse(word), parsed);
    }
}

fn paths_have_an_end(text: &[u8]) {
    let parts: Vec<&[u8]> = text.split(|&byte| byte == b'/').collect();
    let all = parts.concat();
    match Path::empty().joined(&parts) {
        Some(path) => {
            assert_eq!(path.as_bytes(), all);
            let half = path.cut(all.len() / 2);
            assert_eq!(half.as_bytes(), &all[..all.len() / 2]);
            assert!(half.joined(&[b"x"]).is_some() || all.len() < 2);
        }
        None => assert!(all.len() > 511, "{} bytes have room", all.len()),
    }
}

fn level(cgroup: &[u8], mountinfo: &[u8]) -> Option<Level> {
    static FOLDER: OnceLock<String> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("highwater-fuzz-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder.to_str().unwrap().to_owned()
    });
    let write = |name: &str, text: &[u8]| {
        let path = format!("{folder}/{name}");
        fs::write(&path, text).unwrap();
        Path::empty().joined(&[path.as_bytes()]).unwrap()
    };
    Level::by_files(&write("cgroup", cgroup), &write("mountinfo", mountinfo))
}
