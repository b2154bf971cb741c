//! The build's log: one stream of events, printed in the style of the platform.
//!
//! Steps may run in parallel, but the log shows one after the other: the lines of the *active* step are
//! printed at once, and those of the others are held until it has ended.

use crate::mask::Mask;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const PLAIN: &str = "\x1b[0m";
/// Moves to the start of the line, and erases it.
const ERASE_LINE: &str = "\r\x1b[K";
/// The number of columns of the smallest terminal.
const TERMINAL_WIDTH: usize = 79;
/// The shortest time between two changes of the progress line.
const REDRAW_INTERVAL: Duration = Duration::from_millis(100);

/// The style of a platform's logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `-----> Header` with an indent of seven spaces, as in classic buildpacks (devcenter.heroku.com, Buildpack
    /// API).
    Arrows,
    /// `- Header` with an indent of two spaces, as in Heroku's Cloud Native Buildpacks.
    Bullets,
}

impl Style {
    fn header(self, text: &str) -> String {
        match self {
            Self::Arrows => format!("-----> {text}\n"),
            Self::Bullets => format!("- {text}\n"),
        }
    }

    /// Indents each line of a text.
    fn detail(self, text: &str) -> String {
        let indent = match self {
            Self::Arrows => "       ",
            Self::Bullets => "  ",
        };
        let lines = text.split('\n').map(|line| format!("{indent}{line}"));
        let lines: Vec<String> = lines
            .map(|line| line.trim_end().to_owned() + "\n")
            .collect();
        lines.concat()
    }

    fn warning(self, text: &str) -> String {
        match self {
            Self::Arrows => format!(" !     {text}"),
            Self::Bullets => format!("! {text}"),
        }
    }
}

/// The outputs of a log: details go to `out`, warnings and errors to `err`.
pub struct Sinks {
    pub out: Box<dyn Write + Send>,
    pub err: Box<dyn Write + Send>,
    /// Whether `err` is a terminal. If so, a line below the log shows the progress.
    pub terminal: bool,
    /// Whether warnings and errors are coloured. Each line resets its colour, since git prefixes every line with
    /// `remote:`.
    pub colour: bool,
    pub style: Style,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    Header(String),
    Detail(String),
    Warning(String),
}

struct Open {
    id: u64,
    header: String,
    /// The progress of the step, for a terminal.
    progress: Option<String>,
    lines: Vec<Line>,
    finished: bool,
}

struct Inner {
    sinks: Sinks,
    next_id: u64,
    active: Option<u64>,
    open: Vec<Open>,
    mask: Mask,
    last_write: Instant,
    /// When the current progress line was written.
    shown: Option<Instant>,
}

/// The log of one build. It never fails, since a closed pipe must not end a build.
pub struct Log {
    inner: Mutex<Inner>,
}

/// The log of a step. Ends the block of the step when dropped.
pub struct StepLog<'a> {
    log: &'a Log,
    id: u64,
    started: Instant,
}

impl Log {
    #[must_use]
    pub fn new(sinks: Sinks) -> Self {
        Self {
            inner: Mutex::new(Inner {
                sinks,
                next_id: 0,
                active: None,
                open: Vec::new(),
                mask: Mask::default(),
                last_write: Instant::now(),
                shown: None,
            }),
        }
    }

    /// A log on the process's own stdout and stderr.
    #[must_use]
    pub fn to_stdio(colour: bool, style: Style) -> Self {
        Self::new(Sinks {
            out: Box::new(std::io::stdout()),
            err: Box::new(std::io::stderr()),
            terminal: std::io::stderr().is_terminal(),
            colour,
            style,
        })
    }

    /// From now on, prints `[hidden]` in place of this secret.
    pub fn hide(&self, secret: &str) {
        self.lock().mask.add(secret);
    }

    /// Opens a block under a header.
    pub fn step(&self, header: &str) -> StepLog<'_> {
        let mut inner = self.lock();
        let id = inner.next_id;
        inner.next_id += 1;
        inner.open.push(Open {
            id,
            header: header.to_owned(),
            progress: None,
            lines: Vec::new(),
            finished: false,
        });
        if inner.active.is_none() {
            inner.active = Some(id);
        }
        inner.push(id, Line::Header(header.to_owned()));
        StepLog {
            log: self,
            id,
            started: Instant::now(),
        }
    }

    /// Prints the lines of an error at once, after the output of the active step.
    pub fn error(&self, lines: &[String]) {
        let mut inner = self.lock();
        inner.paragraph(lines, RED);
    }

    /// Prints a warning outside any step.
    pub fn warning(&self, lines: &[String]) {
        let mut inner = self.lock();
        inner.paragraph(lines, YELLOW);
    }

    /// Returns the text as the log would print it.
    #[must_use]
    pub fn without_secrets(&self, text: &str) -> String {
        self.lock().mask.apply(text)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StepLog<'_> {
    /// Prints one or more lines, such as the output of a tool or the text of a hook.
    pub fn detail(&self, text: &str) {
        self.log
            .lock()
            .push(self.id, Line::Detail(text.trim_end().to_owned()));
    }

    pub fn warning(&self, text: &str) {
        for line in text.lines() {
            self.log
                .lock()
                .push(self.id, Line::Warning(line.trim_end().to_owned()));
        }
    }

    /// Shows the progress of the step on a terminal. The next line replaces it.
    pub fn progress(&self, text: &str) {
        let mut inner = self.log.lock();
        if !inner.sinks.terminal {
            return;
        }
        if let Some(open) = inner.open.iter_mut().find(|open| open.id == self.id) {
            open.progress = Some(text.to_owned());
        }
        if inner
            .shown
            .is_none_or(|shown| shown.elapsed() >= REDRAW_INTERVAL)
        {
            inner.show_progress();
        }
    }

    /// Prints the progress as a line of the log, if the step is the active one and there is no terminal.
    pub fn progress_line(&self, text: &str) {
        let mut inner = self.log.lock();
        if inner.active == Some(self.id) && !inner.sinks.terminal {
            inner.push(self.id, Line::Detail(text.to_owned()));
        }
    }

    /// Prints that the step is still running, if nothing was printed for the duration `silence`.
    pub fn heartbeat(&self, activity: &str, silence: Duration) {
        let since = self.log.lock().last_write.elapsed();
        if since >= silence {
            let so_far = self.started.elapsed().as_secs();
            self.progress_line(&format!("... {activity}, {so_far} s so far"));
        }
    }

    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for StepLog<'_> {
    fn drop(&mut self) {
        self.log.lock().finish(self.id);
    }
}

impl Inner {
    fn push(&mut self, id: u64, line: Line) {
        if self.active == Some(id) {
            self.print(&line);
        } else if let Some(open) = self.open.iter_mut().find(|open| open.id == id) {
            open.lines.push(line);
        }
    }

    fn finish(&mut self, id: u64) {
        if let Some(open) = self.open.iter_mut().find(|open| open.id == id) {
            open.finished = true;
            open.progress = None;
        }
        self.hide_progress();
        if self.active != Some(id) {
            return;
        }
        self.open.retain(|open| open.id != id);
        self.active = None;
        // Print the steps that have ended meanwhile. Then the oldest running step becomes the active one.
        while let Some(at) = self.open.iter().position(|open| open.finished) {
            let finished = self.open.remove(at);
            for line in &finished.lines {
                self.print(line);
            }
        }
        if let Some(open) = self.open.first_mut() {
            self.active = Some(open.id);
            for line in std::mem::take(&mut open.lines) {
                self.print(&line);
            }
        }
    }

    fn print(&mut self, line: &Line) {
        match line {
            Line::Header(text) => {
                let text = self.mask.apply(text);
                self.write_out(&self.sinks.style.header(&text));
            }
            Line::Detail(text) => {
                let text = self.mask.apply(text);
                self.write_out(&self.sinks.style.detail(&text));
            }
            Line::Warning(text) => self.write_err(text, YELLOW),
        }
    }

    fn show_progress(&mut self) {
        let running = self.open.iter().filter_map(|open| {
            let progress = open.progress.as_ref()?;
            Some(format!("{}: {progress}", open.header))
        });
        let line = running.collect::<Vec<_>>().join("; ");
        let line = self.mask.apply(&line);
        // A line that wraps can't be erased.
        let line: String = line.chars().take(TERMINAL_WIDTH).collect();
        let _ = write!(self.sinks.err, "{ERASE_LINE}{line}");
        let _ = self.sinks.err.flush();
        self.shown = Some(Instant::now());
    }

    fn hide_progress(&mut self) {
        if self.shown.take().is_some() {
            let _ = self.sinks.err.write_all(ERASE_LINE.as_bytes());
            let _ = self.sinks.err.flush();
        }
    }

    fn paragraph(&mut self, lines: &[String], colour: &str) {
        self.hide_progress();
        let _ = writeln!(self.sinks.err);
        for line in lines {
            self.write_err(line, colour);
        }
        let _ = writeln!(self.sinks.err);
        let _ = self.sinks.err.flush();
    }

    fn write_out(&mut self, text: &str) {
        self.hide_progress();
        self.last_write = Instant::now();
        let _ = self.sinks.out.write_all(text.as_bytes());
        let _ = self.sinks.out.flush();
    }

    fn write_err(&mut self, text: &str, colour: &str) {
        self.hide_progress();
        self.last_write = Instant::now();
        let text = self.sinks.style.warning(&self.mask.apply(text));
        let text = text.trim_end();
        let _ = if self.sinks.colour {
            writeln!(self.sinks.err, "{colour}{text}{PLAIN}")
        } else {
            writeln!(self.sinks.err, "{text}")
        };
        let _ = self.sinks.err.flush();
    }
}

/// `0.4 s`, `12.3 s`, `2 min 5 s`.
#[must_use]
pub fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs();
    if whole >= 60 {
        format!("{} min {} s", whole / 60, whole % 60)
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

/// Captures the output of a log.
#[cfg(test)]
pub(crate) mod captured {
    use super::*;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Captured {
        #[must_use]
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    /// A log, its stdout and its stderr.
    #[must_use]
    pub(crate) fn log(terminal: bool, colour: bool, style: Style) -> (Log, Captured, Captured) {
        let (out, err) = (Captured::default(), Captured::default());
        let log = Log::new(Sinks {
            out: Box::new(out.clone()),
            err: Box::new(err.clone()),
            terminal,
            colour,
            style,
        });
        (log, out, err)
    }
}

#[cfg(test)]
mod tests {
    use super::captured::Captured;
    use super::captured::log as on;
    use super::*;

    fn log(colour: bool) -> (Log, Captured, Captured) {
        styled(colour, Style::Arrows)
    }

    fn styled(colour: bool, style: Style) -> (Log, Captured, Captured) {
        on(false, colour, style)
    }

    #[test]
    fn terminal_progress_line_is_cleared_before_next_log_line() {
        let (log, out, err) = on(true, false, Style::Arrows);
        let erlang = log.step("Installing Erlang");
        let node = log.step("Installing Node");
        erlang.progress("1.0 MB");
        // Too soon after the last update to be shown.
        node.progress("2.0 MB");
        assert_eq!(err.text(), "\r\x1b[KInstalling Erlang: 1.0 MB");
        erlang.detail("fetched");
        let cleared = "\r\x1b[KInstalling Erlang: 1.0 MB\r\x1b[K";
        assert_eq!(err.text(), cleared);
        erlang.progress("3.0 MB");
        let both = "\r\x1b[KInstalling Erlang: 3.0 MB; Installing Node: 2.0 MB";
        assert_eq!(err.text(), format!("{cleared}{both}"));
        drop(erlang);
        drop(node);
        assert_eq!(err.text(), format!("{cleared}{both}\r\x1b[K"));
        assert_eq!(
            out.text(),
            "-----> Installing Erlang\n       fetched\n-----> Installing Node\n"
        );
    }

    #[test]
    fn no_progress_without_terminal() {
        let (log, out, err) = log(false);
        let step = log.step("Installing Node");
        step.progress("1.0 MB");
        drop(step);
        assert_eq!(
            (out.text().as_str(), err.text().as_str()),
            ("-----> Installing Node\n", "")
        );
    }

    #[test]
    fn step_progress_is_logged_without_terminal() {
        for (terminal, lines) in [(false, "       ... 1.0 MB\n"), (true, "")] {
            let (log, out, _) = on(terminal, false, Style::Arrows);
            let erlang = log.step("Erlang");
            let node = log.step("Node");
            node.progress_line("... 2.0 MB");
            erlang.progress_line("... 1.0 MB");
            erlang.heartbeat("at work", Duration::from_mins(1));
            drop(erlang);
            drop(node);
            assert_eq!(
                out.text(),
                format!("-----> Erlang\n{lines}-----> Node\n"),
                "{terminal}"
            );
        }
        let (log, out, _) = on(false, false, Style::Bullets);
        let step = log.step("Compiling");
        step.heartbeat("mix compile, at phoenix", Duration::ZERO);
        assert_eq!(
            out.text(),
            "- Compiling\n  ... mix compile, at phoenix, 0 s so far\n"
        );
    }

    #[test]
    fn output_of_parallel_steps_is_not_interleaved() {
        let (log, out, _) = log(false);
        let compile = log.step("Compiling");
        let npm = log.step("Installing JavaScript dependencies");
        npm.detail("added 3 packages");
        compile.detail("Compiling 2 files (.ex)");
        let digest = log.step("Third");
        digest.detail("third goes on");
        drop(npm);
        compile.detail("Generated app");
        drop(compile);
        digest.detail("live now");
        drop(digest);
        assert_eq!(
            out.text(),
            "-----> Compiling\n       Compiling 2 files (.ex)\n       Generated app\n\
             -----> Installing JavaScript dependencies\n       added 3 packages\n\
             -----> Third\n       third goes on\n       live now\n"
        );
    }

    #[test]
    fn foreground_step_is_printed_live() {
        let (log, out, _) = log(false);
        let step = log.step("Compiling");
        step.detail("one");
        assert_eq!(out.text(), "-----> Compiling\n       one\n");
    }

    #[test]
    fn every_colored_line_resets_its_color() {
        let (log, out, err) = log(true);
        log.error(&["one".into(), String::new(), "two".into()]);
        assert_eq!(out.text(), "");
        assert_eq!(
            err.text(),
            "\n\x1b[1;31m !     one\x1b[0m\n\x1b[1;31m !\x1b[0m\n\x1b[1;31m !     two\x1b[0m\n\n"
        );
    }

    #[test]
    fn cloud_native_log_uses_bullets() {
        let (log, out, err) = styled(false, Style::Bullets);
        let step = log.step("Compiling");
        step.detail("one");
        step.warning("careful");
        assert_eq!(out.text(), "- Compiling\n  one\n");
        assert_eq!(err.text(), "! careful\n");
    }

    #[test]
    fn secret_in_tool_output_is_masked() {
        let (log, out, err) = log(false);
        log.hide("s3cr3t-token");
        let step = log.step("Fetching");
        step.detail("GET https://s3cr3t-token@host/");
        step.warning("bad s3cr3t-token");
        assert!(!out.text().contains("s3cr3t"));
        assert_eq!(err.text(), " !     bad [hidden]\n");
    }

    #[test]
    fn multiline_text_is_indented() {
        for (style, expected) in [
            (
                Style::Arrows,
                "-----> H\n       $ one\n         two\n\n       three\n",
            ),
            (Style::Bullets, "- H\n  $ one\n    two\n\n  three\n"),
        ] {
            let (log, out, _) = styled(false, style);
            log.step("H").detail("$ one\n  two\n \nthree\n");
            assert_eq!(out.text(), expected);
        }
    }

    #[test]
    fn durations_are_human_readable() {
        assert_eq!(seconds(Duration::from_millis(444)), "0.4 s");
        assert_eq!(seconds(Duration::from_secs(125)), "2 min 5 s");
    }
}
