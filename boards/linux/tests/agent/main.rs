//! The program as its users have it: a process, a channel, a log.

mod command_line;
mod corpus;
mod files;
mod filesystems;
mod isa_serial;
mod listener;
mod process;
mod programs;
mod queries;
mod unix_listen;
mod users;
