//! The one binary. See [`leaseline::cli`].

fn main() -> std::process::ExitCode {
    leaseline::cli::main(std::env::args_os())
}
