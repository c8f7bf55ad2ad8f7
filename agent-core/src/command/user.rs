//! `guest-set-user-password` and `guest-ssh-*`.

use super::{Arguments, Call, Command, Field, Needs, Type, call::present};
use crate::{
    board::Board,
    capability::{Errno, KeysError, Password},
    error::Error,
    wire::{DECODED_AT_ONCE, Decoder, Piece, Text},
};

const USERNAME: Field = Field::new("username", Type::STRING);
const PASSWORD: Field = Field::new("password", Type::STRING);
const CRYPTED: Field = Field::new("crypted", Type::BOOLEAN);
const KEYS: Field = Field::new("keys", Type::STRINGS);
const RESET: Field = Field::optional("reset", Type::BOOLEAN);

pub(super) const SET_PASSWORD: Command = Command {
    about: "Sets a user's password.",
    arguments: &[USERNAME, PASSWORD, CRYPTED],
    needs: Needs::Passwords,
    ..Command::new("guest-set-user-password", "2.3")
};

const fn keys_command(name: &'static str) -> Command {
    Command { needs: Needs::AuthorizedKeys, ..Command::new(name, "5.2") }
}

pub(super) const GET_KEYS: Command = Command {
    about: "Lists the SSH keys by which a user may log in.",
    arguments: &[USERNAME],
    returns: "GuestAuthorizedKeys",
    ..keys_command("guest-ssh-get-authorized-keys")
};

pub(super) const ADD_KEYS: Command = Command {
    about: "Adds SSH keys by which a user may log in.",
    arguments: &[USERNAME, KEYS, RESET],
    ..keys_command("guest-ssh-add-authorized-keys")
};

pub(super) const REMOVE_KEYS: Command = Command {
    about: "Removes SSH keys by which a user may log in.",
    arguments: &[USERNAME, KEYS],
    ..keys_command("guest-ssh-remove-authorized-keys")
};

/// Sets a user's password.
pub(super) fn set_password<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let user = username(call)?.bytes();
    let text = call.arguments.string(PASSWORD.name).ok_or_else(|| Error::missing(PASSWORD.name))?;
    let crypted =
        call.arguments.boolean(CRYPTED.name).ok_or_else(|| Error::missing(CRYPTED.name))?;
    let mut decoder = Decoder::new(text).ok_or_else(Error::bad_base64)?;
    let mut buffer = [0; DECODED_AT_ONCE];
    let password = decoder.read(&mut buffer);
    if decoder.length() > 0 {
        return Err(Error::plain("the password is too long"));
    }
    // qemu-ga takes a password up to its first zero byte; a part of it is not what was meant.
    if password.iter().any(|byte| matches!(byte, b'\n' | 0)) {
        return Err(Error::plain("forbidden characters in raw password"));
    }
    if user.iter().any(|byte| matches!(byte, b'\n' | b':')) {
        return Err(Error::plain("forbidden characters in username"));
    }
    let password = if crypted { Password::Crypted(password) } else { Password::Plain(password) };
    present(call.board.passwords())?
        .set(user, password)
        .map_err(Error::failed("child process has failed to set user password"))
}

/// Lists the keys of a user.
pub(super) fn get_keys<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let user = username(call)?;
    let reply = &mut *call.reply;
    reply.begin_object().key("keys").begin_array();
    present(call.board.authorized_keys())?
        .list(user.bytes(), &mut |key| {
            reply.string(key);
        })
        .map_err(|error| failed(user, error))?;
    reply.end_array().end_object();
    Ok(())
}

/// Adds keys, or with `reset` puts them in the place of all others.
pub(super) fn add_keys<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let user = username(call)?;
    check_keys(call)?;
    let mut keys = keys(call.arguments);
    let reset = call.arguments.boolean(RESET.name) == Some(true);
    present(call.board.authorized_keys())?
        .add(user.bytes(), &mut keys, reset)
        .map_err(|error| failed(user, error))
}

/// Removes keys. One that is not there is removed.
pub(super) fn remove_keys<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let user = username(call)?;
    check_keys(call)?;
    let arguments = call.arguments;
    let mut selected = |key: &[u8]| keys(arguments).any(|chosen| chosen == key);
    present(call.board.authorized_keys())?
        .remove(user.bytes(), &mut selected)
        .map_err(|error| failed(user, error))
}

fn username<'c, B>(call: &Call<'c, '_, B>) -> Result<Text<'c>, Error> {
    call.arguments.text(USERNAME.name).ok_or_else(|| Error::missing(USERNAME.name))
}

/// Checks that every key of the request is one line that is no comment.
fn check_keys<B>(call: &Call<'_, '_, B>) -> Result<(), Error> {
    for key in call.arguments.texts(KEYS.name).into_iter().flatten() {
        if key.bytes().first() == Some(&b'#') || key.bytes().contains(&b'\n') {
            return Err(Error::new(
                "invalid OpenSSH public key: '%'",
                &[Piece::Quoted(key.span())],
            ));
        }
    }
    Ok(())
}

/// The keys of the request, without the white space around them: what is left of lines that were
/// ended otherwise must not make another key of it.
fn keys(arguments: Arguments<'_>) -> impl Iterator<Item = &[u8]> {
    let keys = arguments.strings(KEYS.name).into_iter().flatten().map(<[u8]>::trim_ascii);
    keys.filter(|key| !key.is_empty() && !key.starts_with(b"#"))
}

fn failed(user: Text<'_>, error: KeysError) -> Error {
    let (text, why) = match error {
        KeysError::NoSuchUser(Errno(why)) => ("failed to lookup user '%': %", why),
        KeysError::Read(Errno(why)) => ("failed to read '~%/.ssh/authorized_keys': %", why),
        KeysError::Write(Errno(why)) => ("failed to write to '~%/.ssh/authorized_keys': %", why),
    };
    Error::new(text, &[Piece::Quoted(user.span()), Piece::Words(why)])
}
