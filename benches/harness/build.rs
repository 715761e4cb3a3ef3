//! Tells the harness which compiler builds it and for which target: both belong beside every figure.

use std::env;
use std::process::Command;

fn main() {
    let rustc = env::var_os("RUSTC").expect("cargo sets RUSTC for build scripts");
    let version = Command::new(rustc).arg("--version").output().map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    );
    let target = env::var("TARGET").expect("cargo sets TARGET for build scripts");
    println!("cargo::rustc-env=HARNESS_RUSTC={version}");
    println!("cargo::rustc-env=HARNESS_TARGET={target}");
    println!("cargo::rerun-if-changed=build.rs");
}
