//! `guest-get-time` and `guest-set-time`.

use super::{Call, Command, Field, Needs, Response, Type};
use crate::{
    capability::{Board, ClockError, UnixNanos},
    error::Error,
};

const TIME: Field = Field { name: "time", r#type: Type::Integer, optional: true };

pub(super) const GET_TIME: Command = Command {
    name: "guest-get-time",
    since: "1.5",
    arguments: &[],
    while_frozen: false,
    needs: Needs::Clock,
    response: Response::Line,
};

pub(super) const SET_TIME: Command = Command {
    name: "guest-set-time",
    since: "1.5",
    arguments: &[TIME],
    while_frozen: false,
    needs: Needs::Clock,
    response: Response::Line,
};

/// 2070-01-01, the first point in time that qemu-ga refuses to set.
const TOO_LATE: UnixNanos = UnixNanos(3_155_760_000_000_000_000);

/// Nanoseconds since 1970, in whole microseconds.
pub(super) fn get_time<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let UnixNanos(now) = call.clock()?.now().map_err(|_| Error::Command("Failed to get time"))?;
    call.reply.integer(now.saturating_sub(now % 1000));
    Ok(())
}

/// Sets clock and RTC to `time`, or without it the clock from the RTC.
pub(super) fn set_time<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let Some(time) = call.arguments.integer(TIME.name).map(UnixNanos) else {
        return call
            .clock()?
            .set_from_rtc()
            .map_err(|_| Error::Command("hwclock failed to set hardware clock to system time"));
    };
    if time < UnixNanos(0) || time >= TOO_LATE {
        return Err(Error::Command("Invalid time"));
    }
    call.clock()?.set(time).map_err(|error| match error {
        ClockError::Hardware => {
            Error::Command("hwclock failed to set hardware clock to system time")
        }
        ClockError::OutOfRange => Error::Command("Invalid time"),
    })
}
