//! The program as its users have it: a process, a channel, a log.

mod command_line;
mod isa_serial;
mod process;
mod unix_listen;
