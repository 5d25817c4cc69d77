//! The program `carrack`: all of it is in the library beside it.

fn main() -> std::process::ExitCode {
    carrack_cli::main()
}
