//! A row of the table: what is known of a command without running it.

use core::fmt;

use super::{Field, Needs};

/// A command.
///
/// Shown, it is its entry in a QAPI schema:
///
/// ```
/// use agent_core::COMMANDS;
///
/// let command = COMMANDS.iter().find(|command| command.name == "guest-shutdown").unwrap();
/// let schema = "{ 'command': 'guest-shutdown', 'data': { '*mode': 'str' }, 'success-response': false }";
/// assert!(command.to_string().ends_with(schema));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it does, in a few words.
    pub about: &'static str,
    /// The release that has it first: of QEMU's schema, or of the application.
    pub since: &'static str,
    /// Its arguments, in the order of the schema.
    pub arguments: &'static [Field],
    /// What it returns, as the schema writes it; empty where that is nothing.
    pub returns: &'static str,
    /// Whether it may be used while file systems are frozen.
    pub while_frozen: bool,
    /// What a board must be able to do for it to exist.
    pub needs: Needs,
    /// How success is answered.
    pub response: Response,
}

impl Command {
    /// A command without arguments that returns nothing and that no board lacks, to be completed:
    ///
    /// ```
    /// use agent_core::{Command, Field, Type};
    ///
    /// const SET_LAMP: Command = Command {
    ///     about: "Switches the lamp.",
    ///     arguments: &[Field::new("on", Type::BOOLEAN)],
    ///     ..Command::new("acme-set-lamp", "1.0")
    /// };
    /// ```
    pub const fn new(name: &'static str, since: &'static str) -> Self {
        Self {
            name,
            about: "",
            since,
            arguments: &[],
            returns: "",
            while_frozen: false,
            needs: Needs::Nothing,
            response: Response::Line,
        }
    }

    pub(super) const fn rules(&self) -> Rules {
        let Self { name, arguments, while_frozen, response, .. } = *self;
        Rules { name, arguments, while_frozen, response }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, about, since, arguments, returns, .. } = self;
        write!(f, "# @{name}: {about}\n# Since: {since}\n{{ 'command': '{name}'")?;
        for (number, field) in arguments.iter().enumerate() {
            f.write_str(if number == 0 { ", 'data': { " } else { ", " })?;
            let star = if field.optional { "*" } else { "" };
            let quote = if field.r#type.name.starts_with('[') { "" } else { "'" };
            write!(f, "'{star}{}': {quote}{}{quote}", field.name, field.r#type.name)?;
        }
        if !arguments.is_empty() {
            f.write_str(" }")?;
        }
        if !returns.is_empty() {
            let quote = if returns.starts_with('[') { "" } else { "'" };
            write!(f, ", 'returns': {quote}{returns}{quote}")?;
        }
        if self.response == Response::Silent {
            f.write_str(", 'success-response': false")?;
        }
        f.write_str(" }")
    }
}

/// How the success of a command is answered. Errors are always answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// With a line.
    Line,
    /// With the byte 0xFF and a line.
    Delimited,
    /// Not at all (`success-response: false` in the schema).
    Silent,
}

/// What of a row is needed to run it: an image has nothing of the rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) name: &'static str,
    pub(super) arguments: &'static [Field],
    pub(super) while_frozen: bool,
    pub(super) response: Response,
}
