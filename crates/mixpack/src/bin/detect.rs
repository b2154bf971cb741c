//! `detect`, as a platform calls it.

fn main() -> std::process::ExitCode {
    mixpack::main(Some("detect"))
}
