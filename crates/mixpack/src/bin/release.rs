//! `release`, as a platform calls it.

fn main() -> std::process::ExitCode {
    mixpack::main(Some("release"))
}
