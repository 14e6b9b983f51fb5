//! The README's first fifteen minutes, and those of its Japanese twin: their commands are run as they are written, one
//! after the other in one shell, with the real binary and real traffic.

use crate::{
    demo,
    step::{Ended, Steps, show_tail, target_dir},
};
use std::{
    fs,
    net::TcpListener,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// The whole walk.
const LIMIT: Duration = Duration::from_secs(120);

/// A README: file, heading of its walk, language, and the words of a device that gets no page.
struct Twin {
    file: &'static str,
    heading: &'static str,
    lang: &'static str,
    closed: &'static str,
}

const TWINS: [Twin; 2] = [
    Twin {
        file: "README.md",
        heading: "## The first fifteen minutes",
        lang: "en_US.UTF-8",
        closed: "does not answer",
    },
    Twin {
        file: "README.ja.md", heading: "## 最初の 15 分", lang: "ja_JP.UTF-8", closed: "応答しません"
    },
];

/// Stands before each command in what the shell says.
const MARK: &str = "::: ";

/// Both walks, side by side.
pub fn all(steps: &mut Steps) {
    const SAME: &str = "both READMEs have the same first fifteen minutes";
    let walks = TWINS.map(|t| {
        let text = fs::read_to_string(t.file).map_err(|e| format!("{}: {e}", t.file))?;
        commands(&text, t.heading).ok_or_else(|| format!("{} has no walk under {}", t.file, t.heading))
    });
    let [Ok(en), Ok(ja)] = &walks else {
        let why = walks.into_iter().filter_map(Result::err).collect();
        return steps.judge(SAME, Err(why));
    };
    steps.judge(SAME, same(en, ja));
    if let Err(why) = demo::sites_are_possible() {
        return steps.skip("the README's first fifteen minutes", why);
    }
    let ran = std::thread::scope(|s| {
        let steps = &*steps;
        let run = |twin, walk| s.spawn(move || run(steps, twin, walk));
        let [en, ja] = [run(&TWINS[0], en), run(&TWINS[1], ja)];
        [en.join(), ja.join()]
    });
    for (twin, ran) in TWINS.iter().zip(ran) {
        let name = name(twin);
        match ran {
            Ok((Ok(()), took, _)) => steps.pass(&name, Some(took)),
            Ok((Err(why), _, log)) => {
                show_tail(&log);
                steps.fail(&name, &format!("{why}; all of it in {}", log.display()));
            }
            Err(_) => steps.fail(&name, "the thread that ran it has panicked"),
        }
    }
}

fn name(twin: &Twin) -> String {
    format!("first fifteen minutes of {}", twin.file)
}

fn run(steps: &Steps, twin: &Twin, walk: &[String]) -> (Result<(), String>, Duration, PathBuf) {
    let began = Instant::now();
    let place = match Place::new(twin.lang) {
        Ok(place) => place,
        Err(e) => return (Err(format!("no place to work in: {e}")), began.elapsed(), PathBuf::new()),
    };
    let mut c = Command::new("bash");
    c.args(["-c", &script(walk)]).current_dir(&place.dir);
    for (name, _) in std::env::vars().filter(|(n, _)| n.starts_with("SEKISHO_") || n.starts_with("LC_")) {
        c.env_remove(name);
    }
    // Where the API listens is the one thing that must not be as written: the usual port may be taken here.
    let at = format!("127.0.0.1:{}", place.port);
    c.env("HOME", place.dir.join("home")).env("LANG", twin.lang);
    c.env("SEKISHO_API_LISTEN", &at).env("SEKISHO_API", format!("http://{at}"));
    let (ended, log) = steps.command(&name(twin), c, LIMIT, |_| false);
    let said = fs::read_to_string(&log).unwrap_or_default();
    let verdict = match ended {
        Ended::Well => judge(walk, &said, twin.closed),
        Ended::Badly(why) => {
            let last = said.lines().rfind(|l| l.starts_with(MARK)).unwrap_or("before its first command");
            Err(format!("{why}: {last}"))
        }
    };
    (verdict, began.elapsed(), log)
}

/// The commands in the fences of a section, without comments.
fn commands(text: &str, heading: &str) -> Option<Vec<String>> {
    let (_, section) = text.split_once(&format!("{heading}\n"))?;
    let section = section.split("\n## ").next()?;
    let fences = section.split("```").skip(1).step_by(2);
    let lines = fences.flat_map(str::lines).map(str::trim);
    let found: Vec<String> =
        lines.filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned).collect();
    (!found.is_empty()).then_some(found)
}

fn same(en: &[String], ja: &[String]) -> Result<(), Vec<String>> {
    let differs = |(i, (a, b)): (usize, (&String, &String))| {
        (a != b).then(|| format!("command {}: `{a}` in the one, `{b}` in the other", i + 1))
    };
    let mut found: Vec<String> = en.iter().zip(ja).enumerate().filter_map(differs).collect();
    if en.len() != ja.len() {
        found.push(format!("{} commands in the one, {} in the other", en.len(), ja.len()));
    }
    if found.is_empty() { Ok(()) } else { Err(found) }
}

/// One shell runs them all and stops at the first that fails. The list of flows is asked for until both flows are on record: a
/// flow is written some seconds after its end.
fn script(walk: &[String]) -> String {
    let mut text = "set -euo pipefail\ntrap 'sekisho lab down' EXIT\n".to_owned();
    for command in walk {
        let quoted = command.replace('\'', r"'\''");
        text.push_str(&format!("echo '{MARK}{quoted}'\n"));
        if command.starts_with("sekisho flows") {
            text.push_str(&format!(
                "for again in $(seq 60); do said=$({command}); \
                 case \"$said\" in *allow*deny*|*deny*allow*) break;; esac; sleep 0.5; done; echo \"$said\"\n"
            ));
        } else {
            text.push_str(command);
            text.push('\n');
        }
    }
    text
}

/// Whether it ended as it is told: one app is seen, the other is not, and both are on record with rule and reason.
fn judge(walk: &[String], said: &str, closed: &str) -> Result<(), String> {
    let whole = format!("\n{said}");
    let parts = whole.split(&format!("\n{MARK}")).skip(1).collect::<Vec<_>>();
    let said: Vec<(&str, &str)> = parts.iter().map(|p| p.split_once('\n').unwrap_or((p, ""))).collect();
    if said.len() != walk.len() || said.iter().zip(walk).any(|((ran, _), written)| ran != written) {
        return Err(format!("{} of {} commands were run", said.len(), walk.len()));
    }
    let of =
        |verb: &str| said.iter().filter(|(c, _)| c.starts_with(verb)).map(|(_, s)| *s).collect::<Vec<_>>();
    match of("sekisho lab open").as_slice() {
        [first, second] if first.contains("HTTP 200") && second.contains(closed) => {}
        other => return Err(format!("one app was to be seen, and the other not: {other:?}")),
    }
    let flows = of("sekisho flows").concat();
    let has = |words: [&str; 2]| flows.lines().any(|l| words.iter().all(|w| l.contains(w)));
    if !has(["allow", "office-intranet"]) || !has(["deny", "no-rule"]) {
        return Err(format!("an allowed and a denied flow were to be on record:\n{flows}"));
    }
    Ok(())
}

/// What the walk begins in: a checkout's example configuration and what was built, and an empty home. Gone when dropped.
struct Place {
    dir: PathBuf,
    port: u16,
}

impl Place {
    fn new(name: &str) -> std::io::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let dir = std::env::temp_dir().join(format!("sekisho-readme-{}-{name}", std::process::id()));
        fs::create_dir(&dir)?;
        let place = Self { dir, port };
        fs::create_dir_all(place.dir.join("target/debug"))?;
        fs::create_dir(place.dir.join("home"))?;
        symlink(target_dir().join("debug/sekisho"), place.dir.join("target/debug/sekisho"))?;
        fs::copy(Path::new("sekisho.example.toml"), place.dir.join("sekisho.example.toml"))?;
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A directory left under /tmp hurts nobody.
        _ = fs::remove_dir_all(&self.dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# X\n## Walk\nwords\n```\na\n# why\nb 'c'\n```\nmore\n```\nsekisho flows\n```\n## Next\n```\nd\n```\n";

    fn walk(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn the_fences_of_one_section_are_its_commands() {
        assert_eq!(commands(TEXT, "## Walk").unwrap(), ["a", "b 'c'", "sekisho flows"]);
        assert_eq!(commands(TEXT, "## Next").unwrap(), ["d"]);
        assert_eq!(commands(TEXT, "## Other"), None);
        assert!(script(&walk(&["b 'c'"])).contains(r"echo '::: b '\''c'\'''"));
    }

    #[test]
    fn a_twin_that_differs_is_named() {
        assert!(same(&walk(&["a"]), &walk(&["a"])).is_ok());
        assert_eq!(same(&walk(&["a"]), &walk(&["b"])).unwrap_err().len(), 1);
        assert_eq!(same(&walk(&["a"]), &walk(&["a", "b"])).unwrap_err().len(), 1);
    }

    #[test]
    fn only_a_walk_that_ends_with_one_app_open_and_one_closed_holds() {
        let walk = walk(&["sekisho lab open x 1", "sekisho lab open x 2", "sekisho flows"]);
        let good = "::: sekisho lab open x 1\n1 answered: HTTP 200\n::: sekisho lab open x 2\n2 does not answer\n\
                    ::: sekisho flows\nallow office-intranet\ndeny no-rule\n";
        let judge = |said: &str| judge(&walk, said, "does not answer");
        assert_eq!(judge(good), Ok(()));
        assert!(judge(&good.replace("HTTP 200", "HTTP 500")).is_err());
        assert!(judge(&good.replace("2 does not answer", "2 answered: HTTP 200")).is_err());
        assert!(judge(&good.replace("no-rule", "rule")).is_err());
        assert!(judge(&good.replace("allow ", "deny ")).is_err());
        assert!(judge("::: sekisho lab open x 1\n").is_err());
    }
}
