//! Steps: one thing at a time, a line when it ends, its output in a file, a sum at the end.

use std::{
    fs::{self, File},
    io::{IsTerminal, Read, Seek, SeekFrom},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

/// Lines of a failed step's output that are shown.
const TAIL: usize = 120;

/// How long a step may stay silent before it says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// How a command ended.
pub enum Ended {
    /// Exit code 0.
    Well,
    /// Another exit code, a signal, or it could not be started.
    Badly(String),
}

/// Everything that has run so far.
pub struct Steps {
    start: Instant,
    passed: u64,
    failures: Vec<String>,
    skips: Vec<String>,
}

impl Steps {
    /// Nothing has run.
    pub fn new() -> Self {
        Self { start: Instant::now(), passed: 0, failures: Vec::new(), skips: Vec::new() }
    }

    /// True where CI asks: then nothing may be skipped for want of a tool or a right.
    pub fn is_ci() -> bool {
        std::env::var("CI").is_ok_and(|v| v == "true" || v == "1")
    }

    /// Prints a line with the time since the start.
    pub fn say(&self, line: &str) {
        println!("[{:7.1} s] {line}", self.start.elapsed().as_secs_f64());
    }

    /// Counts a check that needs no command.
    pub fn judge(&mut self, name: &str, findings: Result<(), Vec<String>>) {
        match findings {
            Ok(()) => self.pass(name, None),
            Err(list) => {
                list.iter().for_each(|f| println!("    {f}"));
                self.fail(name, &format!("{} finding(s)", list.len()));
            }
        }
    }

    /// Runs a command as a step of its own: it passes or fails. Returns whether it passed.
    pub fn run(&mut self, name: &str, command: Command, limit: Duration) -> bool {
        let began = Instant::now();
        match self.command(name, command, limit, |_| false) {
            (Ended::Well, _) => {
                self.pass(name, Some(began.elapsed()));
                true
            }
            (Ended::Badly(why), log) => {
                show_tail(&log);
                self.fail(name, &format!("{why}; all of it in {}", log.display()));
                false
            }
        }
    }

    /// Runs a command without counting it. Lines for which `show` is true are printed as they come.
    pub fn command(
        &self,
        name: &str,
        mut command: Command,
        limit: Duration,
        show: impl Fn(&str) -> bool,
    ) -> (Ended, PathBuf) {
        let log = log_path(name);
        self.say(&format!("{name} ..."));
        let child = File::create(&log).and_then(|f| {
            command.env("CARGO_TERM_COLOR", "never");
            command.stdin(Stdio::null()).stdout(f.try_clone()?).stderr(f);
            // Alone in its group it can be ended with its children; at a terminal Ctrl-C must reach it.
            if !std::io::stdin().is_terminal() {
                command.process_group(0);
            }
            command.spawn()
        });
        let ended = match child {
            Ok(child) => self.wait(name, child, limit, &log, show),
            Err(e) => Ended::Badly(format!("could not be started: {e}")),
        };
        (ended, log)
    }

    fn wait(
        &self,
        name: &str,
        mut child: Child,
        limit: Duration,
        log: &Path,
        show: impl Fn(&str) -> bool,
    ) -> Ended {
        let began = Instant::now();
        let mut beat = began;
        let mut follow = Follow::new(log);
        loop {
            for line in follow.lines().into_iter().filter(|l| show(l)) {
                println!("    {}", line.trim_end());
            }
            match child.try_wait() {
                Ok(Some(status)) if status.success() => return Ended::Well,
                Ok(Some(status)) => return Ended::Badly(status.to_string()),
                Ok(None) if began.elapsed() > limit => {
                    end_group(&mut child);
                    return Ended::Badly(format!("not finished after {} s", limit.as_secs()));
                }
                Ok(None) => std::thread::sleep(Duration::from_millis(100)),
                Err(e) => return Ended::Badly(format!("lost sight of it: {e}")),
            }
            if beat.elapsed() > HEARTBEAT {
                beat = Instant::now();
                self.say(&format!("{name} goes on: {}", follow.last.trim()));
            }
        }
    }

    /// Counts a pass.
    pub fn pass(&mut self, name: &str, took: Option<Duration>) {
        self.passed += 1;
        let took = took.map_or(String::new(), |t| format!(" ({:.1} s)", t.as_secs_f64()));
        self.say(&format!("{name}: passed{took}"));
    }

    /// Counts a failure.
    pub fn fail(&mut self, name: &str, why: &str) {
        self.say(&format!("{name}: FAILED: {why}"));
        self.failures.push(format!("{name}: {why}"));
    }

    /// Counts something that could not be tried here: a skip, and with CI=true a failure.
    pub fn skip(&mut self, name: &str, why: &str) {
        if Self::is_ci() {
            return self.fail(name, &format!("{why} (CI=true: nothing may be missing)"));
        }
        self.leave_out(name, why);
    }

    /// Counts something that is left out on purpose, in CI too.
    pub fn leave_out(&mut self, name: &str, why: &str) {
        self.say(&format!("{name}: skipped: {why}"));
        self.skips.push(format!("{name}: {why}"));
    }

    /// Adds passes that were counted elsewhere.
    pub fn add_passed(&mut self, n: u64) {
        self.passed += n;
    }

    /// The sum: the last line, and the exit code.
    pub fn finish(self) -> ExitCode {
        println!();
        self.skips.iter().for_each(|s| println!("skipped: {s}"));
        self.failures.iter().for_each(|f| println!("FAILED: {f}"));
        self.say("done");
        println!("{} passed, {} failed, {} skipped", self.passed, self.failures.len(), self.skips.len());
        if self.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Where the output of a step goes.
fn log_path(name: &str) -> PathBuf {
    let dir = target_dir().join("xtask");
    // Where this fails, creating the file fails too, and that is told.
    _ = fs::create_dir_all(&dir);
    let file: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    dir.join(format!("{file}.log"))
}

/// Cargo's target directory.
pub fn target_dir() -> PathBuf {
    let dir = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    std::path::absolute(&dir).unwrap_or(dir)
}

/// The cargo that started us.
pub fn cargo(args: &[&str]) -> Command {
    let mut c = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    c.args(args);
    // Nobody builds there a second time.
    if Steps::is_ci() {
        c.env("CARGO_INCREMENTAL", "0");
    }
    c
}

/// Prints the end of a log.
pub fn show_tail(log: &Path) {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    for line in lines.iter().skip(lines.len().saturating_sub(TAIL)) {
        println!("    {line}");
    }
}

fn end_group(child: &mut Child) {
    // SIGTERM to the group first, so that namespaces and children go in order; then the child for sure.
    let group = format!("-{}", child.id());
    _ = Command::new("kill").args(["-TERM", "--", &group]).stderr(Stdio::null()).status();
    std::thread::sleep(Duration::from_secs(3));
    _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
    _ = child.kill();
    _ = child.wait();
}

/// Reads a growing file line by line.
struct Follow {
    file: Option<File>,
    at: u64,
    part: String,
    last: String,
}

impl Follow {
    fn new(log: &Path) -> Self {
        Self { file: File::open(log).ok(), at: 0, part: String::new(), last: String::new() }
    }

    fn lines(&mut self) -> Vec<String> {
        let mut new = Vec::new();
        if let Some(file) = &mut self.file
            && file.seek(SeekFrom::Start(self.at)).is_ok()
            && let Ok(n) = file.read_to_end(&mut new)
        {
            self.at += n as u64;
        }
        self.part.push_str(&String::from_utf8_lossy(&new));
        let mut whole = Vec::new();
        while let Some(end) = self.part.find('\n') {
            let line: String = self.part.drain(..=end).collect();
            self.last.clone_from(&line);
            whole.push(line);
        }
        whole
    }
}
