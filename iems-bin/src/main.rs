//! The `iems` program: parse, wire, run, exit code.
//!
//! Only this crate reads the environment, prints, handles signals and exits; everything it does with
//! mail it asks of the libraries.

#[cfg(feature = "acme")]
mod acme;
mod admin;
mod believe;
mod cli;
mod config;
mod exit;
mod log;
mod machine;
mod mail;
mod memory;
mod password;
mod serve;
mod services;
mod site;
mod tls;
mod tokens;

use std::process::ExitCode;

fn main() -> ExitCode {
    let command = match cli::parse(std::env::args_os()) {
        Ok(command) => command,
        Err(error) => {
            let asked_for = !error.use_stderr();
            // Nobody is left to be told when standard error is closed.
            let _ = error.print();
            return ExitCode::from(if asked_for { 0 } else { exit::Failure::usage("").code });
        }
    };
    match command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("iems: {failure}");
            ExitCode::from(failure.code)
        }
    }
}
