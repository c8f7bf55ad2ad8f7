//! What Linux says of an errno: the texts of glibc's `strerror`, which qemu-ga's errors end with.
//!
//! A table, since `strerror` has a buffer of its own, and other C libraries have other texts.

use agent_core::Errno as Words;
use rustix::io::Errno;

/// The words for what the kernel answered.
pub(super) fn words(error: Errno) -> Words {
    let row = TEXTS.iter().find(|(known, _)| *known == error);
    Words(row.map_or("Unknown error", |(_, text)| text))
}

/// In the order of the numbers of x86.
const TEXTS: [(Errno, &str); 131] = [
    (Errno::PERM, "Operation not permitted"),
    (Errno::NOENT, "No such file or directory"),
    (Errno::SRCH, "No such process"),
    (Errno::INTR, "Interrupted system call"),
    (Errno::IO, "Input/output error"),
    (Errno::NXIO, "No such device or address"),
    (Errno::TOOBIG, "Argument list too long"),
    (Errno::NOEXEC, "Exec format error"),
    (Errno::BADF, "Bad file descriptor"),
    (Errno::CHILD, "No child processes"),
    (Errno::AGAIN, "Resource temporarily unavailable"),
    (Errno::NOMEM, "Cannot allocate memory"),
    (Errno::ACCESS, "Permission denied"),
    (Errno::FAULT, "Bad address"),
    (Errno::NOTBLK, "Block device required"),
    (Errno::BUSY, "Device or resource busy"),
    (Errno::EXIST, "File exists"),
    (Errno::XDEV, "Invalid cross-device link"),
    (Errno::NODEV, "No such device"),
    (Errno::NOTDIR, "Not a directory"),
    (Errno::ISDIR, "Is a directory"),
    (Errno::INVAL, "Invalid argument"),
    (Errno::NFILE, "Too many open files in system"),
    (Errno::MFILE, "Too many open files"),
    (Errno::NOTTY, "Inappropriate ioctl for device"),
    (Errno::TXTBSY, "Text file busy"),
    (Errno::FBIG, "File too large"),
    (Errno::NOSPC, "No space left on device"),
    (Errno::SPIPE, "Illegal seek"),
    (Errno::ROFS, "Read-only file system"),
    (Errno::MLINK, "Too many links"),
    (Errno::PIPE, "Broken pipe"),
    (Errno::DOM, "Numerical argument out of domain"),
    (Errno::RANGE, "Numerical result out of range"),
    (Errno::DEADLK, "Resource deadlock avoided"),
    (Errno::NAMETOOLONG, "File name too long"),
    (Errno::NOLCK, "No locks available"),
    (Errno::NOSYS, "Function not implemented"),
    (Errno::NOTEMPTY, "Directory not empty"),
    (Errno::LOOP, "Too many levels of symbolic links"),
    (Errno::NOMSG, "No message of desired type"),
    (Errno::IDRM, "Identifier removed"),
    (Errno::CHRNG, "Channel number out of range"),
    (Errno::L2NSYNC, "Level 2 not synchronized"),
    (Errno::L3HLT, "Level 3 halted"),
    (Errno::L3RST, "Level 3 reset"),
    (Errno::LNRNG, "Link number out of range"),
    (Errno::UNATCH, "Protocol driver not attached"),
    (Errno::NOCSI, "No CSI structure available"),
    (Errno::L2HLT, "Level 2 halted"),
    (Errno::BADE, "Invalid exchange"),
    (Errno::BADR, "Invalid request descriptor"),
    (Errno::XFULL, "Exchange full"),
    (Errno::NOANO, "No anode"),
    (Errno::BADRQC, "Invalid request code"),
    (Errno::BADSLT, "Invalid slot"),
    (Errno::BFONT, "Bad font file format"),
    (Errno::NOSTR, "Device not a stream"),
    (Errno::NODATA, "No data available"),
    (Errno::TIME, "Timer expired"),
    (Errno::NOSR, "Out of streams resources"),
    (Errno::NONET, "Machine is not on the network"),
    (Errno::NOPKG, "Package not installed"),
    (Errno::REMOTE, "Object is remote"),
    (Errno::NOLINK, "Link has been severed"),
    (Errno::ADV, "Advertise error"),
    (Errno::SRMNT, "Srmount error"),
    (Errno::COMM, "Communication error on send"),
    (Errno::PROTO, "Protocol error"),
    (Errno::MULTIHOP, "Multihop attempted"),
    (Errno::DOTDOT, "RFS specific error"),
    (Errno::BADMSG, "Bad message"),
    (Errno::OVERFLOW, "Value too large for defined data type"),
    (Errno::NOTUNIQ, "Name not unique on network"),
    (Errno::BADFD, "File descriptor in bad state"),
    (Errno::REMCHG, "Remote address changed"),
    (Errno::LIBACC, "Can not access a needed shared library"),
    (Errno::LIBBAD, "Accessing a corrupted shared library"),
    (Errno::LIBSCN, ".lib section in a.out corrupted"),
    (Errno::LIBMAX, "Attempting to link in too many shared libraries"),
    (Errno::LIBEXEC, "Cannot exec a shared library directly"),
    (Errno::ILSEQ, "Invalid or incomplete multibyte or wide character"),
    (Errno::RESTART, "Interrupted system call should be restarted"),
    (Errno::STRPIPE, "Streams pipe error"),
    (Errno::USERS, "Too many users"),
    (Errno::NOTSOCK, "Socket operation on non-socket"),
    (Errno::DESTADDRREQ, "Destination address required"),
    (Errno::MSGSIZE, "Message too long"),
    (Errno::PROTOTYPE, "Protocol wrong type for socket"),
    (Errno::NOPROTOOPT, "Protocol not available"),
    (Errno::PROTONOSUPPORT, "Protocol not supported"),
    (Errno::SOCKTNOSUPPORT, "Socket type not supported"),
    (Errno::NOTSUP, "Operation not supported"),
    (Errno::PFNOSUPPORT, "Protocol family not supported"),
    (Errno::AFNOSUPPORT, "Address family not supported by protocol"),
    (Errno::ADDRINUSE, "Address already in use"),
    (Errno::ADDRNOTAVAIL, "Cannot assign requested address"),
    (Errno::NETDOWN, "Network is down"),
    (Errno::NETUNREACH, "Network is unreachable"),
    (Errno::NETRESET, "Network dropped connection on reset"),
    (Errno::CONNABORTED, "Software caused connection abort"),
    (Errno::CONNRESET, "Connection reset by peer"),
    (Errno::NOBUFS, "No buffer space available"),
    (Errno::ISCONN, "Transport endpoint is already connected"),
    (Errno::NOTCONN, "Transport endpoint is not connected"),
    (Errno::SHUTDOWN, "Cannot send after transport endpoint shutdown"),
    (Errno::TOOMANYREFS, "Too many references: cannot splice"),
    (Errno::TIMEDOUT, "Connection timed out"),
    (Errno::CONNREFUSED, "Connection refused"),
    (Errno::HOSTDOWN, "Host is down"),
    (Errno::HOSTUNREACH, "No route to host"),
    (Errno::ALREADY, "Operation already in progress"),
    (Errno::INPROGRESS, "Operation now in progress"),
    (Errno::STALE, "Stale file handle"),
    (Errno::UCLEAN, "Structure needs cleaning"),
    (Errno::NOTNAM, "Not a XENIX named type file"),
    (Errno::NAVAIL, "No XENIX semaphores available"),
    (Errno::ISNAM, "Is a named type file"),
    (Errno::REMOTEIO, "Remote I/O error"),
    (Errno::DQUOT, "Disk quota exceeded"),
    (Errno::NOMEDIUM, "No medium found"),
    (Errno::MEDIUMTYPE, "Wrong medium type"),
    (Errno::CANCELED, "Operation canceled"),
    (Errno::NOKEY, "Required key not available"),
    (Errno::KEYEXPIRED, "Key has expired"),
    (Errno::KEYREVOKED, "Key has been revoked"),
    (Errno::KEYREJECTED, "Key was rejected by service"),
    (Errno::OWNERDEAD, "Owner died"),
    (Errno::NOTRECOVERABLE, "State not recoverable"),
    (Errno::RFKILL, "Operation not possible due to RF-kill"),
    (Errno::HWPOISON, "Memory page has hardware error"),
];

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn the_texts_are_those_of_the_c_library() {
        for number in 1..=133 {
            let shown = io::Error::from_raw_os_error(number).to_string();
            let expected = shown.strip_suffix(&format!(" (os error {number})")).unwrap();
            let Words(found) = words(Errno::from_raw_os_error(number));
            assert!(expected.starts_with(found), "{number}: {found:?}, not {expected:?}");
            assert!(expected == found || [41, 58].contains(&number), "{number}: {found:?}");
        }
    }
}
