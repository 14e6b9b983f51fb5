//! A PostgreSQL of the test's own: Debian's `initdb` and `postgres`, run as a user that is not root, reached over a
//! socket in a directory of its own, gone with the test's process.

use sqlx::{Connection as _, PgConnection};
use std::{
    io::{BufRead as _, BufReader},
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// The shell waits on its standard input: when this process ends, however it ends, the pipe closes, the server
/// stops and its directory goes.
const SCRIPT: &str = r#"
set -e
"$BIN/initdb" -D "$DIR/data" -U sekisho -A trust --no-locale -E UTF8 --no-sync >"$DIR/initdb.log" 2>&1
"$BIN/postgres" -D "$DIR/data" -k "$DIR" -c listen_addresses= -c fsync=off >"$DIR/log" 2>&1 &
server=$!
until "$BIN/pg_isready" -q -h "$DIR"; do kill -0 $server; sleep 0.05; done
echo ready
read -r gone || true
kill -INT $server
wait $server || true
rm -rf "$DIR"
"#;

struct Cluster {
    dir: PathBuf,
    // Held for its standard input.
    _shell: Child,
}

/// The URL of a new, empty PostgreSQL database; `None` where PostgreSQL is not installed, which fails where CI=true.
///
/// # Panics
/// Where it is installed and does not start: a test cannot go on then.
pub async fn database() -> Option<String> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let Some(cluster) = CLUSTER.get_or_init(start) else {
        println!("skipped: postgresql not installed");
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "PostgreSQL must be installed where CI=true");
        return None;
    };
    let url = |db: &str| format!("postgres:///{db}?host={}&user=sekisho", cluster.dir.display());
    let name = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut admin = PgConnection::connect(&url("postgres")).await.expect("the test's PostgreSQL answers");
    let sql = sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")));
    sql.execute(&mut admin).await.expect("a database for the test");
    Some(url(&name))
}

fn start() -> Option<Cluster> {
    let bin = newest_bin()?;
    let dir = tempfile::Builder::new().prefix("sekisho-pg-").tempdir().ok()?.keep();
    let mut command = if std::fs::metadata("/proc/self").ok()?.uid() == 0 {
        // PostgreSQL refuses to run as root.
        let (uid, gid) = user_of("postgres").or_else(|| user_of("nobody"))?;
        chown(&dir, Some(uid), Some(gid)).ok()?;
        let mut c = Command::new("setpriv");
        c.args([&format!("--reuid={uid}"), &format!("--regid={gid}"), "--clear-groups", "sh", "-c", SCRIPT]);
        c
    } else {
        let mut c = Command::new("sh");
        c.args(["-c", SCRIPT]);
        c
    };
    command.env("BIN", &bin).env("DIR", &dir).current_dir(&dir).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut shell = command.spawn().expect("a shell");
    let mut line = String::new();
    let out = shell.stdout.take().expect("the shell's output");
    BufReader::new(out).read_line(&mut line).expect("the shell's word");
    assert_eq!(line.trim(), "ready", "PostgreSQL did not start; see {}", dir.display());
    Some(Cluster { dir, _shell: shell })
}

fn newest_bin() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut bins: Vec<PathBuf> = versions.flatten().map(|v| v.path().join("bin")).collect();
    bins.sort();
    bins.into_iter().rev().find(|b: &PathBuf| Path::new(&b.join("initdb")).exists())
}

fn user_of(name: &str) -> Option<(u32, u32)> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    let fields: Vec<&str> = passwd.lines().find(|l| l.split(':').next() == Some(name))?.split(':').collect();
    Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
}
