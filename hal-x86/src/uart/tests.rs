//! The driver against a model of the port

use std::vec::Vec;

use super::*;
use crate::uart::line::tests::Model;

fn open(model: &Model) -> Uart<&Model> {
    Uart::with_ports(model, ComPort::Com1).unwrap()
}

pub(super) fn read_all(uart: &mut Uart<&Model>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 7];
    while uart.read_ready().unwrap() {
        let read = uart.read(&mut buffer).unwrap();
        bytes.extend(&buffer[..read]);
    }
    bytes
}

#[test]
fn ports_and_interrupts_are_those_of_a_pc() {
    let all = [ComPort::Com1, ComPort::Com2, ComPort::Com3, ComPort::Com4];
    assert_eq!(all.map(ComPort::base), [0x3f8, 0x2f8, 0x3e8, 0x2e8]);
    assert_eq!(all.map(ComPort::irq), [4, 3, 4, 3]);
}

#[test]
fn an_empty_bus_is_no_port() {
    let machine = crate::fake::Machine::new();
    assert_eq!(Uart::with_ports(&machine, ComPort::Com2).unwrap_err(), UartError::Absent);
}

#[test]
fn opens_at_the_highest_rate_with_interrupts() {
    let model = Model::new();
    open(&model);
    assert_eq!(model.divisor(), 1);
    assert_eq!(model.interrupt_enable(), 1);
    assert_eq!(model.line_control(), 3);
    assert_eq!(model.modem_control() & 0x0b, 0x0b);
    assert!(model.fifo_is_on());
    assert!(!model.line_is_up());
}

#[test]
fn bytes_from_before_the_opening_are_kept() {
    // Without FIFO one byte is held; with it sixteen.
    for (fifo, bytes) in [(false, &b"{"[..]), (true, b"{\"execute\":\"gue")] {
        let model = Model::new();
        model.set_fifo(fifo);
        model.receive(bytes);
        let mut uart = open(&model);
        assert!(!uart.acknowledge());
        model.receive(b"st");
        assert_eq!(read_all(&mut uart), [bytes, b"st"].concat());
        assert!(uart.acknowledge());
    }
}

#[test]
fn reading_never_waits() {
    let model = Model::new();
    let mut uart = open(&model);
    assert_eq!(uart.read(&mut [0; 4]), Err(NotReady));
    assert_eq!(uart.read(&mut []), Ok(0));
    model.receive(b"abcdef");
    let mut buffer = [0; 4];
    assert_eq!(uart.read(&mut buffer), Ok(4));
    assert_eq!(&buffer, b"abcd");
    assert_eq!(uart.read(&mut buffer), Ok(2));
}

#[test]
fn writing_takes_what_fits_and_room_interrupts() {
    let model = Model::new();
    let mut uart = open(&model);
    assert_eq!(uart.write(&[0x55; 40]), Ok(16));
    assert_eq!(model.interrupt_enable(), 3);
    assert_eq!(uart.write_ready(), Ok(false));
    assert_eq!(uart.write(&[0x55; 24]), Err(NotReady));
    assert_eq!(uart.flush(), Err(NotReady));
    assert!(uart.acknowledge());

    model.transmit();
    assert!(model.line_is_up());
    assert!(!uart.acknowledge());
    assert!(!model.line_is_up());
    assert_eq!(uart.write_ready(), Ok(true));
    assert_eq!(uart.write(&[0xaa; 3]), Ok(3));
    assert_eq!(model.interrupt_enable(), 1);
    model.transmit();
    assert!(!model.line_is_up());
    assert_eq!(uart.flush(), Ok(()));
    assert_eq!(model.sent(), [&[0x55; 16][..], &[0xaa; 3]].concat());
    assert_eq!(uart.write(&[]), Ok(0));
}

#[test]
fn a_writer_that_finds_no_room_is_woken() {
    let model = Model::new();
    let mut uart = open(&model);
    // All fitted, so nothing is waited for yet; then there is more to say.
    assert_eq!(uart.write(&[1; 16]), Ok(16));
    assert_eq!(model.interrupt_enable(), 1);
    assert_eq!(uart.write_ready(), Ok(false));
    assert!(uart.acknowledge());
    model.transmit();
    assert!(model.line_is_up());
}

#[test]
fn the_processor_never_sleeps_with_the_line_up() {
    // Whatever happens in whatever order: after `acknowledge` says so, the line is down.
    for events in 0..4u32.pow(6) {
        let model = Model::new();
        let mut uart = open(&model);
        let mut rest = events;
        while rest > 0 {
            match rest % 4 {
                0 => model.receive(b"x"),
                1 => _ = uart.write(&[0; 17]),
                2 => model.transmit(),
                _ => model.break_condition(),
            }
            rest /= 4;
        }
        let mut looks = 0;
        while !uart.acknowledge() {
            looks += 1;
            assert!(looks < 4, "{events}");
            read_all(&mut uart);
            if uart.write_ready().unwrap() {
                uart.write(b"y").unwrap();
            }
        }
        assert!(!model.line_is_up(), "{events}");
    }
}

#[test]
fn a_host_that_sends_but_does_not_take_lets_the_processor_sleep() {
    for early in [&b""[..], b"e"] {
        let model = Model::new();
        model.receive(early);
        let mut uart = open(&model);
        assert_eq!(uart.write(&[1; 20]), Ok(16));
        model.receive(b"more");
        // The board looks, cannot read for want of room, and looks again.
        assert!(!uart.acknowledge());
        assert!(uart.acknowledge());
        assert!(!model.line_is_up());
        model.receive(b" and more");
        assert!(!model.line_is_up());
        assert!(uart.acknowledge());
        // Room wakes it. Then it can read again, and be woken by what comes.
        model.transmit();
        assert!(model.line_is_up());
        assert!(!uart.acknowledge());
        assert_eq!(uart.write(&[1; 4]), Ok(4));
        assert_eq!(read_all(&mut uart), [early, b"more and more"].concat());
        assert!(uart.acknowledge());
        model.receive(b"!");
        assert!(model.line_is_up());
    }
}

#[test]
fn errors_of_the_line_are_told_once() {
    let breaks: fn(&Model) = Model::break_condition;
    let overruns: fn(&Model) = |model| model.receive(&[b'z'; 20]);
    let model = Model::new();
    let mut uart = open(&model);
    for (event, bytes) in [(breaks, 1), (overruns, 16)] {
        assert!(!uart.had_errors());
        event(&model);
        assert_eq!(read_all(&mut uart).len(), bytes);
        assert!(uart.had_errors());
    }
    assert!(!uart.had_errors());
}

#[test]
fn a_port_whose_transmitter_never_empties_opens_all_the_same() {
    let model = Model::new();
    model.stall_transmitter();
    let mut uart = open(&model);
    assert_eq!(uart.write_ready(), Ok(false));
    assert!(!uart.is_drained());
}
