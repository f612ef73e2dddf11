# SPDX-License-Identifier: BSD-3-Clause
"""A workstation that is set up as Whonix-Workstation is, and nothing in Cloister's configuration: address, route and name
server by hand, and each application with its own SOCKS port in its settings. curl, git, ssh, apt and torsocks work, each on
circuits of its own. A program that is not installed is left out, and named."""

import contextlib
import getpass
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

from scenario import check, plan, scenario  # first: it makes `lab` known
from lab import proc

WWW = f"www.{plan.ZONE}"
FILES, SSH = 8080, 2222  # ports in `web`


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


@contextlib.contextmanager
def _servers(run, home):
    started = [run.lab.start("web", [sys.executable, "-m", "http.server", "-d", f"{home}/www", str(FILES)],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)]
    try:
        if shutil.which("sshd") or os.path.exists("/usr/sbin/sshd"):
            for key in ("host", "user"):
                _quiet("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{home}/{key}")
            shutil.copy(f"{home}/user.pub", f"{home}/authorized")
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
            with open(f"{home}/sshd", "w") as file:
                file.write(f"Port {SSH}\nHostKey {home}/host\nAuthorizedKeysFile {home}/authorized\nStrictModes no\n"
                           "UsePAM no\nPermitRootLogin yes\nPidFile none\n")
            started.append(run.lab.start("web", ["/usr/sbin/sshd", "-D", "-f", f"{home}/sshd"],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
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
    if os.path.exists(f"{home}/sshd"):
        said = _ws(run, *torsocks, "ssh", "-F", "none", "-i", f"{home}/user", "-p", str(SSH), "-o",
                   "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={home}/known", f"{getpass.getuser()}@{WWW}",
                   "echo from far away")
        check(said == "from far away\n", f"ssh said {said!r}")


@scenario()
def a_whonix_workstation_works_unchanged(run):
    with tempfile.TemporaryDirectory(prefix="cloister-whonix-") as home:
        os.chmod(home, 0o755)
        _make_files(home)
        with _servers(run, home), run.watch() as watch:
            _curl(run, home)
            for program, task in (("git", _git), ("apt-get", _apt), ("torsocks", _torsocks)):
                if shutil.which(program):
                    task(run, home)
                else:
                    print(f"left out, for it is not installed: {program}")
            passwords = {flow.password for flow in watch.wait_flows(5)}
            check(len(passwords) >= 4, "the applications should be kept apart")
