//! The shell script that sets up the sandbox of a program and runs it.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::Path;

use super::sandbox::{Access, Bind};
use super::{AppDir, Command, Sandbox};

impl Sandbox {
    /// The shell script that is process 1 of a command's pid namespace. It sets up the sandbox, runs the program as
    /// its child (process 1 would ignore signals without a handler), and exits with the program's status. The kernel
    /// then ends all other processes in the namespace.
    pub(super) fn script(&self, run: &Path, command: &Command<'_>) -> String {
        let mut script = Script::new(run);
        script.stage("the pid namespace", &["mount", "--make-rprivate", "/"]);
        script.stage(
            "the image",
            &[
                OsStr::new("mount"),
                "--bind".as_ref(),
                self.stack.root.as_os_str(),
                "lower".as_ref(),
            ],
        );
        script.stage(
            "overlayfs",
            &[
                "mount",
                "-t",
                "overlay",
                "overlay",
                "-o",
                "lowerdir=lower,upperdir=upper,workdir=work",
                "merged",
            ],
        );
        script.stage("/proc", &["mount", "-t", "proc", "proc", "merged/proc"]);
        script.stage("/sys", &["mount", "--rbind", "/sys", "merged/sys"]);
        script.devices();
        script.stage("/tmp", &["mount", "--bind", "../tmp", "merged/tmp"]);
        self.app_stages(&mut script);
        for bind in &self.binds {
            script.bind(bind);
        }
        script.run(self.user, command, self.app == AppDir::Tmpfs);
        script.text
    }

    fn app_stages(&self, script: &mut Script) {
        match &self.app {
            AppDir::Missing => {}
            AppDir::Tmpfs => {
                script.stage("/app", &["mkdir", "-p", "merged/app"]);
                let options = format!("mode=755,uid={0},gid={0}", self.user);
                script.stage(
                    "/app",
                    &[
                        "mount",
                        "-t",
                        "tmpfs",
                        "-o",
                        &options,
                        "tmpfs",
                        "merged/app",
                    ],
                );
            }
            AppDir::ReadOnly => {
                script.stage("/app", &["mkdir", "-p", "merged/app"]);
                script.stage(
                    "/app",
                    &[
                        "mount",
                        "-t",
                        "tmpfs",
                        "-o",
                        "ro,mode=755",
                        "tmpfs",
                        "merged/app",
                    ],
                );
            }
            AppDir::Bind(host) => script.bind(&Bind {
                host: host.clone(),
                inside: "/app".into(),
                access: Access::ReadWrite,
            }),
        }
    }
}

/// Builds the script of [`Sandbox::script`]. Its working directory is that of the run, with `lower`, `upper`, `work`
/// and `merged`, and the files that it writes: `failed` (stage and message of an error before the program), `started`
/// and `app` (the files left in /app).
pub(super) struct Script {
    text: String,
}

impl Script {
    fn new(run: &Path) -> Self {
        // The program gets stderr as descriptor 3, so that messages of the shell itself ("Terminated") don't mix with
        // its output.
        let mut script = Self {
            text: String::from(
                "exec 3>&2 2>/dev/null\n\
                 fail() { printf '%s\\n' \"$1\" > failed; cat message >> failed; exit 125; }\n",
            ),
        };
        script.line(&[OsStr::new("cd"), run.as_os_str()], " || exit 125");
        script
    }

    fn line<W: AsRef<OsStr>>(&mut self, words: &[W], rest: &str) {
        for (number, word) in words.iter().enumerate() {
            if number > 0 {
                self.text.push(' ');
            }
            self.text.push_str(&quote(word.as_ref()));
        }
        self.text.push_str(rest);
        self.text.push('\n');
    }

    fn stage<W: AsRef<OsStr>>(&mut self, name: &str, words: &[W]) {
        let rest = format!(" 2>message || fail {}", quote(name.as_ref()));
        self.line(words, &rest);
    }

    fn devices(&mut self) {
        self.stage(
            "/dev",
            &[
                "mount",
                "-t",
                "tmpfs",
                "-o",
                "mode=755",
                "tmpfs",
                "merged/dev",
            ],
        );
        for node in ["null", "zero", "full", "random", "urandom", "tty"] {
            let inside = format!("merged/dev/{node}");
            self.stage("/dev", &["touch", &inside]);
            self.stage(
                "/dev",
                &["mount", "--bind", &format!("/dev/{node}"), &inside],
            );
        }
        for (target, name) in [
            ("/proc/self/fd", "fd"),
            ("/proc/self/fd/0", "stdin"),
            ("/proc/self/fd/1", "stdout"),
            ("/proc/self/fd/2", "stderr"),
            ("pts/ptmx", "ptmx"),
        ] {
            self.stage("/dev", &["ln", "-s", target, &format!("merged/dev/{name}")]);
        }
        self.stage("/dev", &["mkdir", "merged/dev/shm", "merged/dev/pts"]);
        self.stage(
            "/dev/shm",
            &[
                "mount",
                "-t",
                "tmpfs",
                "-o",
                "mode=1777",
                "tmpfs",
                "merged/dev/shm",
            ],
        );
        self.stage(
            "/dev/pts",
            &[
                "mount",
                "-t",
                "devpts",
                "-o",
                "newinstance,ptmxmode=0666",
                "devpts",
                "merged/dev/pts",
            ],
        );
    }

    fn bind(&mut self, bind: &Bind) {
        let stage = bind.inside.to_string_lossy().into_owned();
        let mut target = OsString::from("merged");
        target.push(&bind.inside);
        let target = Path::new(&target);
        if bind.host.is_dir() {
            self.stage(
                &stage,
                &[OsStr::new("mkdir"), "-p".as_ref(), target.as_os_str()],
            );
        } else {
            if let Some(parent) = target.parent() {
                self.stage(
                    &stage,
                    &[OsStr::new("mkdir"), "-p".as_ref(), parent.as_os_str()],
                );
            }
            self.stage(&stage, &[OsStr::new("touch"), target.as_os_str()]);
        }
        self.stage(
            &stage,
            &[
                OsStr::new("mount"),
                "--bind".as_ref(),
                bind.host.as_os_str(),
                target.as_os_str(),
            ],
        );
        if bind.access == Access::ReadOnly {
            self.stage(
                &stage,
                &[
                    OsStr::new("mount"),
                    "-o".as_ref(),
                    "remount,bind,ro".as_ref(),
                    target.as_os_str(),
                ],
            );
        }
    }

    fn run(&mut self, user: u32, command: &Command<'_>, list_app: bool) {
        self.text.push_str(": > started\n");
        let mut words: Vec<OsString> = vec![
            "chroot".into(),
            format!("--userspec=+{user}:+{user}").into(),
            format!("--groups=+{user}").into(),
            "merged".into(),
            "/usr/bin/env".into(),
            "-i".into(),
            "-C".into(),
            command.dir.clone().into(),
        ];
        for (name, value) in &command.env {
            let mut pair = name.clone();
            pair.push("=");
            pair.push(value);
            words.push(pair);
        }
        words.extend(command.words.iter().cloned());
        // Run in a subshell, since dash redirects the descriptors of a plain command in itself.
        self.text.push_str("( exec ");
        self.line(&words, " 2>&3 3>&- )");
        self.text.push_str("status=$?\n");
        if list_app {
            self.text
                .push_str("(cd merged/app && find . -mindepth 1 -print0) > app\n");
        }
        let _ = writeln!(self.text, "exit \"$status\"");
    }
}

/// Quotes `word` for a shell. Words that aren't UTF-8 aren't supported, since no test needs them.
fn quote(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    shell_words::quote(&word).into_owned()
}
