//! The agent: bytes in, bytes out.

use crate::{
    board::Board,
    capability::{Errno, FreezeError, Handle, Pid, Stream},
    command::{self, State, filesystem::thaw_all, info::write_command},
    error::Error,
    limits::Buffers,
    policy::Policy,
    wire::{Event, Message, Piece, Reply, ReplyWriter, Request, Source, Span},
};

/// The guest agent of one channel.
///
/// Give it what the host sends with [`receive`](Self::receive), send what [`pending`](Self::pending)
/// shows and say so with [`sent`](Self::sent). Nothing blocks, and every call does a bounded amount
/// of work. While replies wait to be sent `receive` may take less than it is given; the rest must
/// be given again later.
///
/// ```
/// use agent_core::{Agent, Board, Buffers};
///
/// struct Guest;
/// impl Board for Guest {}
///
/// let mut buffers: Buffers = Buffers::new();
/// let mut agent = Agent::new(Guest, &mut buffers);
///
/// let request = br#"{"execute": "guest-sync", "arguments": {"id": 42}}"#;
/// assert_eq!(agent.receive(request), request.len());
/// assert_eq!(agent.pending(), b"{\"return\": 42}\n");
/// agent.sent(15);
/// assert_eq!(agent.pending(), b"");
/// ```
#[derive(Debug)]
pub struct Agent<'b, B> {
    board: B,
    policy: Policy<'b>,
    message: Message<'b>,
    reply: Reply<'b>,
    frozen: bool,
    /// The message has been answered; it is kept for what the reply quotes of it.
    answered: bool,
}

impl<'b, B: Board> Agent<'b, B> {
    /// An agent that offers what the board can do.
    pub fn new<const REQUEST: usize, const REPLY: usize>(
        board: B,
        buffers: &'b mut Buffers<REQUEST, REPLY>,
    ) -> Self {
        Self {
            board,
            policy: Policy::AllowAll,
            message: Message::new(buffers.request.as_mut_view(), &mut buffers.items),
            reply: Reply::new(buffers.reply.as_mut_view()),
            frozen: false,
            answered: false,
        }
    }

    /// The same agent under a policy.
    #[must_use]
    pub fn with_policy(self, policy: Policy<'b>) -> Self {
        Self { policy, ..self }
    }

    /// The board.
    pub fn board_mut(&mut self) -> &mut B {
        &mut self.board
    }

    /// Whether file systems are frozen, and with them most commands.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Thaws file systems without being asked to by the host.
    ///
    /// # Errors
    ///
    /// What the board answers: [`FreezeError::Hook`] after the thaw, and with
    /// [`FreezeError::Disk`] they are still frozen.
    pub fn thaw(&mut self) -> Result<u32, FreezeError> {
        let Self { board, frozen, .. } = self;
        board.filesystems().map_or(Ok(0), |filesystems| thaw_all(filesystems, frozen))
    }

    /// Takes bytes from the host and answers the requests in them; returns how many it took.
    ///
    /// It takes all of them unless replies fill the reply buffer.
    pub fn receive(&mut self, input: &[u8]) -> usize {
        let mut taken = 0_usize;
        while self.settle() {
            let rest = input.get(taken..).unwrap_or_default();
            let (count, event) = self.message.push(rest);
            taken = taken.saturating_add(count);
            match event {
                None => break,
                Some(Event::Complete) => self.answer(),
                Some(Event::Failed(error)) => {
                    self.refuse(error.into(), None);
                    self.answered = true;
                }
                // The message goes on, to be skipped.
                Some(Event::TooLong) => self.refuse(Error::request_too_long(), None),
            }
        }
        taken
    }

    /// What is to be sent to the host next; empty when all replies have been sent.
    pub fn pending(&mut self) -> &[u8] {
        self.settle();
        self.reply.pending()
    }

    /// The first `count` bytes of [`pending`](Self::pending) have been sent.
    pub fn sent(&mut self, count: usize) {
        self.reply.sent(count);
    }

    /// Goes on with the last reply; whether another can be begun.
    fn settle(&mut self) -> bool {
        let Self { board, policy, frozen, .. } = self;
        let mut rest = Rest { board, state: State { policy: *policy, frozen } };
        let written = self.reply.write(self.message.bytes(), &mut rest);
        if written && self.answered {
            self.message.clear();
            self.answered = false;
        }
        written && self.reply.is_ready()
    }

    /// Runs the request that the message is.
    fn answer(&mut self) {
        self.answered = true;
        let message = self.message.bytes();
        let id = Request::id(message);
        let outcome = Request::read(message).map_err(Error::from).and_then(|request| {
            let state = State { policy: self.policy, frozen: &mut self.frozen };
            command::dispatch(&mut self.board, state, request, &mut self.reply.writer())
        });
        match outcome {
            Ok(true) => {
                if let Some(id) = id {
                    self.reply.push_format(", \"id\": %", &[Piece::Value(id)]);
                }
                self.reply.push(Piece::Text("}\n"));
            }
            Ok(false) => {}
            Err(error) => self.refuse(error, id),
        }
    }

    /// Answers with an error.
    fn refuse(&mut self, error: Error, id: Option<Span>) {
        match id {
            Some(id) => self.reply.push_format("{\"id\": %, ", &[Piece::Value(id)]),
            None => self.reply.push(Piece::Text("{")),
        }
        let class = [Piece::Text(error.class())];
        self.reply.push_format("\"error\": {\"class\": \"%\", \"desc\": \"", &class);
        let (format, pieces) = error.description();
        self.reply.push_format(format, pieces);
        self.reply.push(Piece::Text("\"}}\n"));
    }
}

/// What a reply still needs of the agent once the command has run.
struct Rest<'a, B> {
    board: &'a mut B,
    state: State<'a>,
}

impl<B: Board> Source for Rest<'_, B> {
    fn read_file(&mut self, handle: Handle, buffer: &mut [u8]) -> Result<usize, Errno> {
        self.board.files().ok_or(Errno::BAD_DESCRIPTOR)?.read(handle, buffer)
    }

    fn read_output(&mut self, pid: Pid, stream: Stream, buffer: &mut [u8]) -> Result<usize, Errno> {
        let programs = self.board.programs().ok_or(Errno::BAD_DESCRIPTOR)?;
        Ok(programs.read_output(pid, stream, buffer))
    }

    fn write_element(&mut self, index: usize, writer: &mut ReplyWriter<'_>) -> bool {
        write_command(self.board, &self.state, index, writer)
    }
}
