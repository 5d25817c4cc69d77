//! The program `carrack-bench`; all of it is in the library.

fn main() -> std::process::ExitCode {
    carrack_bench::program::main()
}
