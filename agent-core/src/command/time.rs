//! `guest-get-time` and `guest-set-time`.

use super::{Call, Command, Field, Needs, Type, call::present};
use crate::{
    board::Board,
    capability::{ClockError, UnixNanos},
    error::Error,
};

const TIME: Field = Field::optional("time", Type::INTEGER);

pub(super) const GET_TIME: Command = Command {
    about: "Tells the time, in nanoseconds since 1970.",
    returns: "int",
    needs: Needs::Clock,
    ..Command::new("guest-get-time", "1.5")
};

pub(super) const SET_TIME: Command = Command {
    about: "Sets clock and RTC, or the clock from the RTC.",
    arguments: &[TIME],
    needs: Needs::Clock,
    ..Command::new("guest-set-time", "1.5")
};

/// 2070-01-01, the first point in time that qemu-ga refuses to set.
const TOO_LATE: UnixNanos = UnixNanos(3_155_760_000_000_000_000);

/// Nanoseconds since 1970, in whole microseconds.
pub(super) fn get_time<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let UnixNanos(now) =
        present(call.board.clock())?.now().map_err(|_| Error::plain("Failed to get time"))?;
    call.reply.integer(now.saturating_sub(now % 1000));
    Ok(())
}

/// Sets clock and RTC to `time`, or without it the clock from the RTC.
pub(super) fn set_time<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let Some(time) = call.arguments.integer(TIME.name).map(UnixNanos) else {
        return present(call.board.clock())?
            .set_from_rtc()
            .map_err(|_| Error::plain("hwclock failed to set hardware clock to system time"));
    };
    if time < UnixNanos(0) || time >= TOO_LATE {
        return Err(Error::plain("Invalid time"));
    }
    present(call.board.clock())?.set(time).map_err(|error| match error {
        ClockError::Hardware => Error::plain("hwclock failed to set hardware clock to system time"),
        ClockError::OutOfRange => Error::plain("Invalid time"),
    })
}
