//! A demonstration of what an application may offer: a user, programs, a command of its own
//!
//! Only where the feature `demonstration` is asked for. Nothing else uses what is set here.

mod operator;
mod programs;

use agent_core::{
    AuthorizedKeys, Call, Command, Error, Field, Function, Functions, OsInfo, Passwords, Programs,
    Type, Vendor,
};

use machine::Nameplate;
use static_cell::ConstStaticCell;

use self::operator::Operator;
use crate::application::Application;
use crate::board::Appliance;

/// Outcomes of programs that are kept.
const RUNS: usize = 4;
/// Bytes that are kept of each stream of a program.
const OUTPUT: usize = 1024;

static OPERATOR: ConstStaticCell<Operator> = ConstStaticCell::new(Operator::new());

/// The application. It is handed on from function to function, so what takes memory is elsewhere.
pub(crate) struct Demonstration<'f> {
    operator: &'f mut Operator,
    programs: &'f mut dyn Programs,
}

/// Runs an appliance with the application in it.
pub(crate) fn with<R>(run: impl FnOnce(Demonstration<'_>) -> R) -> R {
    let (mut echo, mut streams) = (programs::echo, programs::streams);
    let mut table: [(&str, Function<'_>); 2] =
        [("/bin/echo", &mut echo), ("streams", &mut streams)];
    let mut programs = Functions::<RUNS, OUTPUT>::new(&mut table);
    run(Demonstration { operator: OPERATOR.take(), programs: &mut programs })
}

impl Application for Demonstration<'_> {
    fn authorized_keys(&mut self) -> Option<&mut dyn AuthorizedKeys> {
        Some(self.operator)
    }

    fn nameplate(&self) -> Nameplate<'static> {
        let appliance = Nameplate::image("demonstration");
        let os = OsInfo { pretty_name: Some("a demonstration of tinyqga"), ..appliance.os };
        Nameplate { host_name: "demonstration", os, ..appliance }
    }

    fn passwords(&mut self) -> Option<&mut dyn Passwords> {
        Some(self.operator)
    }

    fn programs(&mut self) -> Option<&mut dyn Programs> {
        Some(self.programs)
    }

    fn vendor_commands<'m>(&self) -> &[Vendor<Appliance<'m, Self>>] {
        &[Vendor { command: CHECK_PASSWORD, handler: check_password }]
    }
}

const CHECK_PASSWORD: Command = Command {
    about: "Tells whether this is the user's password.",
    arguments: &[Field::new("username", Type::STRING), Field::new("password", Type::STRING)],
    returns: "bool",
    ..Command::new("demonstration-check-password", "0.1")
};

/// Tells whether this is the user's password.
fn check_password(call: &mut Call<'_, '_, Appliance<'_, Demonstration<'_>>>) -> Result<(), Error> {
    let argument = |name| call.arguments.string(name).unwrap_or_default();
    let operator = &call.board.application.operator;
    let is_right = operator
        .has_password(argument("username"), argument("password"))
        .ok_or(Error::refusal("there is no such user"))?;
    call.reply.boolean(is_right);
    Ok(())
}
