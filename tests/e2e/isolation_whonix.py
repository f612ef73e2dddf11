# SPDX-License-Identifier: BSD-3-Clause
"""A workstation that is set up as Whonix-Workstation is, and nothing in Cloister's configuration: address, route and name
server by hand, and each application with its own SOCKS port in its settings. curl, git, ssh, apt and torsocks work, each on
circuits of its own. What is not installed is left out, and named; then the test counts as not run, unless something failed.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

from scenario import Failure, check, plan, scenario  # first: it makes `lab` known
from lab import proc

WWW = f"www.{plan.ZONE}"
FILES, SSH = 8080, 2222  # ports in `web`

# The SSH server has users and keys of its own, and finds its directory. This machine's are left alone.
SSHD = """
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -m 755 /run/sshd
for name in passwd group shadow; do mount --bind "{home}/$name" "/etc/$name"; done
exec "{sshd}" -D -e -f "{home}/sshd"
"""
USERS = {
    "passwd": "root:x:0:0::{home}:/bin/sh\nsshd:x:61996:61996::/:/bin/false\n",
    "group": "root:x:0:\nsshd:x:61996:\n",
    "shadow": "root:*:1::::::\nsshd:*:1::::::\n",
}


def _find_sshd():
    """The server that `./run deps` fetched, else one that is installed; or None."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    path = os.pathsep.join((f"{root}/build/stock-sshd/usr/sbin", os.environ.get("PATH", ""), "/usr/sbin"))
    return shutil.which("sshd", path=path)


def _quiet(*argv, **options):
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60, **options).stdout


def _make_files(home):
    """What the web server has: a file, a git repository, a flat repository of packages."""
    os.mkdir(f"{home}/www")
    with open(f"{home}/www/file", "wb") as file:
        file.write(os.urandom(300000))
    if shutil.which("git"):
        settings = ("-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "init.defaultBranch=main")
        _quiet("git", *settings, "init", "-q", f"{home}/tree")
        with open(f"{home}/tree/hello", "w") as file:
            file.write("from far away\n")
        _quiet("git", "-C", f"{home}/tree", "add", "hello")
        _quiet("git", "-C", f"{home}/tree", *settings, "commit", "-q", "-m", "x")
        _quiet("git", "clone", "-q", "--bare", f"{home}/tree", f"{home}/www/repo.git")
        _quiet("git", "-C", f"{home}/www/repo.git", "update-server-info")
    if shutil.which("dpkg-deb") and shutil.which("apt-get"):
        os.makedirs(f"{home}/deb/DEBIAN")
        os.mkdir(f"{home}/www/apt")
        control = "Package: cloister-lab\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.com>\nDescription: x\n"
        with open(f"{home}/deb/DEBIAN/control", "w") as file:
            file.write(control)
        _quiet("dpkg-deb", "--root-owner-group", "-b", f"{home}/deb", f"{home}/www/apt/x.deb")
        with open(f"{home}/www/apt/x.deb", "rb") as file:
            deb = file.read()
        with open(f"{home}/www/apt/Packages", "w") as file:
            file.write(f"{control}Filename: ./x.deb\nSize: {len(deb)}\nSHA256: {hashlib.sha256(deb).hexdigest()}\n\n")


def _start_sshd(run, home):
    for key in ("host", "user"):
        _quiet("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{home}/{key}")
    shutil.copy(f"{home}/user.pub", f"{home}/authorized")
    for name, text in USERS.items():
        with open(f"{home}/{name}", "w") as file:
            file.write(text.replace("{home}", home))
    with open(f"{home}/sshd", "w") as file:
        file.write(f"Port {SSH}\nHostKey {home}/host\nAuthorizedKeysFile {home}/authorized\nStrictModes no\n"
                   "UsePAM no\nPermitRootLogin yes\nPidFile none\n")
    script = SSHD.replace("{home}", home).replace("{sshd}", _find_sshd())
    with open(f"{home}/sshd.log", "w") as log:
        return run.lab.start("web", ["unshare", "--mount", "sh", "-c", script], stdout=log, stderr=log)


@contextlib.contextmanager
def _servers(run, home):
    started = [run.lab.start("web", [sys.executable, "-m", "http.server", "-d", f"{home}/www", str(FILES)],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)]
    try:
        if _find_sshd() and shutil.which("ssh-keygen"):
            started.append(_start_sshd(run, home))
        yield
    finally:
        proc.stop(started)


def _ws(run, *argv, **options):
    done = run.lab.run("ws", list(argv), 90, **options)
    check(done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}")
    return done.stdout


def _curl(run, home):
    for proxy in ("9101", "9050"):
        got = f"{home}/got"
        _ws(run, "curl", "-sS", "--retry", "5", "--retry-all-errors", "--socks5-hostname", f"{plan.GATEWAY}:{proxy}", "-o",
            got, f"http://{WWW}:{FILES}/file")
        with open(got, "rb") as one, open(f"{home}/www/file", "rb") as other:
            check(one.read() == other.read(), "curl got another file")
    _ws(run, "curl", "-sS", "-o", "/dev/null", f"http://{WWW}:{FILES}/file")  # and without, as everything else


def _git(run, home):
    _ws(run, "git", "-c", f"http.proxy=socks5h://{plan.GATEWAY}:9103", "clone", "-q", f"http://{WWW}:{FILES}/repo.git",
        f"{home}/clone")
    with open(f"{home}/clone/hello") as file:
        check(file.read() == "from far away\n", "git got another file")


def _apt(run, home):
    for directory in ("lists/partial", "cache/archives/partial", "etc/sources.list.d", "etc/preferences.d", "state"):
        os.makedirs(f"{home}/a/{directory}")
    with open(f"{home}/a/sources", "w") as file:
        file.write(f"deb [trusted=yes] http://{WWW}:{FILES}/apt ./\n")
    open(f"{home}/a/state/status", "w").close()
    options = []
    for option in (f"Dir::State={home}/a/state", f"Dir::State::lists={home}/a/lists",
                   f"Dir::State::status={home}/a/state/status", f"Dir::Cache={home}/a/cache",
                   f"Dir::Etc={home}/a/etc", f"Dir::Etc::sourcelist={home}/a/sources", "APT::Sandbox::User=root",
                   f"Acquire::http::Proxy=socks5h://{plan.GATEWAY}:9104", "Acquire::Languages=none"):
        options += ["-o", option]
    _ws(run, "apt-get", *options, "-q", "update")
    _ws(run, "apt-get", *options, "-q", "download", "cloister-lab", cwd=home)
    check([name for name in os.listdir(home) if name.startswith("cloister-lab_1")], "apt got no package")


def _torsocks(run, home):
    torsocks = ("torsocks", "-a", plan.GATEWAY, "-P", "9109")
    _ws(run, *torsocks, "curl", "-sS", "-o", "/dev/null", f"http://{WWW}:{FILES}/file")
    _ws(run, *torsocks, "-i", "curl", "-sS", "-o", "/dev/null", f"http://{WWW}:{FILES}/file")


def _ssh(run, home):
    """By a proxy command, by torsocks, and as everything else."""
    ways = [("ssh", "-o", f"ProxyCommand=nc -X 5 -x {plan.GATEWAY}:9106 %h %p"), ("ssh",)]
    if shutil.which("torsocks"):
        ways.append(("torsocks", "-a", plan.GATEWAY, "-P", "9106", "ssh"))
    for way in ways:
        try:
            said = _ws(run, *way, "-F", "none", "-i", f"{home}/user", "-p", str(SSH), "-o", "StrictHostKeyChecking=no",
                       "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={home}/known", f"root@{WWW}",
                       "echo from far away")
        except Failure as failure:
            raise Failure(f"{failure}\n{proc.tail(f'{home}/sshd.log', 20)}") from None
        check(said == "from far away\n", f"ssh said {said!r}")


@scenario()
def a_whonix_workstation_works_unchanged(run):
    with tempfile.TemporaryDirectory(prefix="cloister-whonix-") as home:
        os.chmod(home, 0o755)
        _make_files(home)
        with _servers(run, home), run.watch() as watch:
            _curl(run, home)
            for needed, task in ((("git",), _git), (("apt-get", "dpkg-deb"), _apt), (("torsocks",), _torsocks),
                                 (("ssh", "ssh-keygen", "nc", "sshd"), _ssh)):
                missing = [program for program in needed
                           if not (_find_sshd() if program == "sshd" else shutil.which(program))]
                if missing:
                    run.leave_out(f"{task.__name__[1:]}, for there is no {', no '.join(missing)}")
                else:
                    task(run, home)
            passwords = {flow.password for flow in watch.wait_flows(5)}
            check(len(passwords) >= 4, "the applications should be kept apart")
