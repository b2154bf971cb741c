//! The lines that a process prints, up to the last one.
//!
//! The end of a process and the end of its output are two events. A process may exit while its last
//! lines are still in the pipe, and a background process may hold the pipe open for ever.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;
use std::collections::VecDeque;
use std::io::{ErrorKind, PipeReader, Read};
use std::time::{Duration, Instant};

/// The time that background processes have to print more lines after the process has exited. For example, `tee` in
/// `exec > >(tee build.log)` prints the last lines of a hook after its shell has exited.
const GRACE: Duration = Duration::from_secs(1);

/// The next event of a process.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Line(String),
    /// Nothing was printed for as long as the caller waited.
    Silence,
    /// The process has exited, and all its lines have been returned.
    End,
}

/// Reads the output of one process.
pub(crate) struct OutputLines {
    pipe: PipeReader,
    /// Closes when the process exits.
    exited: PipeReader,
    lines: VecDeque<String>,
    /// The incomplete last line.
    partial: Vec<u8>,
    /// Whether every process that could write to the pipe has closed it.
    closed: bool,
    /// Set when the process has exited.
    deadline: Option<Instant>,
}

impl OutputLines {
    pub(crate) fn new(pipe: PipeReader, exited: PipeReader) -> Self {
        Self {
            pipe,
            exited,
            lines: VecDeque::new(),
            partial: Vec::new(),
            closed: false,
            deadline: None,
        }
    }

    /// Waits for the next line, no longer than `wait`.
    pub(crate) fn next(&mut self, wait: Duration) -> Next {
        let until = Instant::now() + wait;
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Next::Line(line);
            }
            let now = Instant::now();
            if self.is_over(now) {
                // The last line may lack a newline.
                if self.partial.is_empty() {
                    return Next::End;
                }
                let line = text(&std::mem::take(&mut self.partial));
                return Next::Line(line);
            }
            let end = self.deadline.map_or(until, |deadline| deadline.min(until));
            match self.wait(end.saturating_duration_since(now)) {
                Ready::Output => drop(self.read(usize::MAX)),
                Ready::Exit => self.exit(),
                Ready::Nothing => {}
            }
            let is_silent = self.lines.is_empty() && Instant::now() >= until;
            if is_silent && self.deadline.is_none() {
                return Next::Silence;
            }
        }
    }

    /// Reads all output of the process itself. It is already in the pipe, before any later output of other processes.
    fn exit(&mut self) {
        let remaining = ioctl_fionread(&self.pipe).unwrap_or_default();
        let mut remaining = usize::try_from(remaining).unwrap_or(usize::MAX);
        while remaining > 0 && !self.closed {
            remaining -= self.read(remaining);
        }
        self.deadline = Some(Instant::now() + GRACE);
    }

    fn is_over(&self, now: Instant) -> bool {
        let exited = self.deadline.is_some();
        exited && (self.closed || self.deadline.is_some_and(|deadline| now >= deadline))
    }

    fn wait(&self, timeout: Duration) -> Ready {
        let timeout = Timespec::try_from(timeout).ok();
        let mut fds = [
            PollFd::new(&self.exited, PollFlags::IN),
            PollFd::new(&self.pipe, PollFlags::IN),
        ];
        let from = usize::from(self.deadline.is_some());
        let to = if self.closed { 1 } else { 2 };
        // An interrupting signal is handled elsewhere.
        if poll(&mut fds[from..to], timeout.as_ref()).is_err() {
            return Ready::Nothing;
        }
        let [exited, pipe] = fds.each_ref().map(|fd| !fd.revents().is_empty());
        match (exited, pipe) {
            (true, _) => Ready::Exit,
            (_, true) => Ready::Output,
            _ => Ready::Nothing,
        }
    }

    /// Reads at most `most` bytes once. Returns the number of bytes read.
    fn read(&mut self, most: usize) -> usize {
        let mut buffer = [0; 16 * 1024];
        let most = most.min(buffer.len());
        let read = match self.pipe.read(&mut buffer[..most]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return 0,
            read => read.unwrap_or_default(),
        };
        self.closed |= read == 0;
        for part in buffer[..read].split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.lines.push_back(text(&self.partial));
                self.partial.clear();
            }
        }
        read
    }
}

enum Ready {
    Exit,
    Output,
    Nothing,
}

/// Returns a line without its newline. Of a progress bar that redraws its line, only the last state counts.
fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches(['\n', '\r']);
    text.rsplit('\r').next().unwrap_or(text).to_owned()
}
