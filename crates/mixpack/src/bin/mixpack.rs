//! `mixpack COMMAND …`: see `mixpack --help`.

fn main() -> std::process::ExitCode {
    mixpack::main(None)
}
