# SPDX-License-Identifier: Apache-2.0
"""Private PostgreSQL servers in a temporary folder, a Meridian server on them, and requests to it.

For scale_plans, scale_sizes and rehearse_citus. Nothing listens at a network address but the Meridian server, and that at loopback.
Everything that is started here is ended when the program ends, by its process id.
"""
import atexit
import http.client
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = pathlib.Path("/usr/lib/postgresql/15/bin")
CITUS = pathlib.Path("/usr/share/postgresql/15/extension/citus.control")
ROLE = "meridian"
# Statements of a server by itself: its pulse, its offices, the views that follow the log.
OWN_WORK = re.compile(r"\bbeat\b|base IS NULL ORDER BY id|pg_try_advisory_lock|FROM meridian\.cursor|SELECT id, hash|nextval\('meridian|published = |SELECT position, at, kind, rid")
QUIET_BYTES = 8192  # in a third of a second: a server's own work goes on


def program():
    """The program to look at: MERIDIAN_PROGRAM, else the release build, else the dev build."""
    named = os.environ.get("MERIDIAN_PROGRAM")
    for path in [named] if named else [ROOT / "build/release/meridian", ROOT / "build/dev/meridian"]:
        if pathlib.Path(path).exists():
            return str(path)
    sys.exit("there is no program: run ./dev build, or name one in MERIDIAN_PROGRAM")


def fail(sentence):
    sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {sentence}")


def settle(nodes):
    """Waits until the logs are quiet; how long each is then."""
    sizes = [node.log_size() for node in nodes]
    for _ in range(40):
        time.sleep(0.3)
        before, sizes = sizes, [node.log_size() for node in nodes]
        if max(after - size for size, after in zip(before, sizes)) < QUIET_BYTES:
            break
    return sizes


class Folder:
    """A temporary folder that the user whom PostgreSQL runs as may enter; gone at the end."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="meridian-scale-"))
        self.running = []
        self.identity = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            user = pwd.getpwnam("postgres")
            os.chown(self.path, user.pw_uid, user.pw_gid)
            self.identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        atexit.register(self.remove)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    def remove(self):
        for process in reversed(self.running):
            process.stop()
        if os.environ.get("MERIDIAN_KEEP"):
            print(f"kept: {self.path}", file=sys.stderr)
        else:
            shutil.rmtree(self.path, ignore_errors=True)


class Postgres:
    """One PostgreSQL server. The port names its socket in the folder and nothing else."""

    def __init__(self, folder, name, port, settings=None, copy_of=None):
        self.folder, self.name, self.port = folder, name, port
        self.data = folder.path / name
        self.settings = {"listen_addresses": "", "max_connections": "200", "shared_buffers": "256MB", "max_wal_size": "4GB",
                         "logging_collector": "on", "log_destination": "jsonlog", "log_filename": "server", "log_rotation_size": "0",
                         "log_min_messages": "warning", "wal_level": "logical", **(settings or {})}
        self.process = None
        if copy_of:
            self.run([PROGRAMS / "pg_basebackup", "-h", folder.path, "-p", str(copy_of.port), "-U", ROLE, "-D", self.data, "-R", "-C",
                      "-S", name, "-c", "fast", "-X", "stream"])
            # The log of the one it was copied from is not its own.
            shutil.rmtree(self.data / "log", ignore_errors=True)
        else:
            self.run([PROGRAMS / "initdb", "-D", self.data, "-A", "trust", "-U", ROLE, "-E", "UTF8", "--locale=C", "--no-sync"])
        self.start()

    def run(self, words):
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, cwd="/", **self.folder.identity)
        if done.returncode != 0:
            fail(f"{words[0]} failed: {done.stderr.strip()}")

    def start(self):
        words = [str(PROGRAMS / "postgres"), "-D", str(self.data), "-k", str(self.folder.path), "-p", str(self.port)]
        for key, value in self.settings.items():
            words += ["-c", f"{key}={value}"]
        with open(self.folder.path / f"{self.name}.out", "ab") as out:
            self.process = subprocess.Popen(words, stdout=out, stderr=out, cwd="/", **self.folder.identity)
        if self not in self.folder.running:
            self.folder.running.append(self)
        for _ in range(600):
            if self.try_sql("SELECT 1", "postgres").returncode == 0:
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        fail(f"PostgreSQL does not start: {(self.folder.path / f'{self.name}.out').read_text()[-2000:]}")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGQUIT)
                self.process.wait()

    def kill(self):
        """As a machine that is gone: every process of the server at once, without a word."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in [self.process.pid, *map(int, children)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()

    def kill_a_process(self):
        """Of those that work for clients the youngest; PostgreSQL then ends all others and recovers."""
        clients = self.sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() "
                           "ORDER BY backend_start DESC LIMIT 1")
        for pid, in clients:
            os.kill(int(pid), signal.SIGKILL)

    def url(self, database="store"):
        return f"postgresql://{ROLE}@/{database}?host={self.folder.path}&port={self.port}"

    def try_sql(self, statements, database="store"):
        words = [str(PROGRAMS / "psql"), "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", self.url(database), "-c", statements]
        return subprocess.run(words, capture_output=True, text=True, cwd="/")

    def sql(self, statements, database="store"):
        """Rows of texts; ends the program with PostgreSQL's words when it refuses."""
        done = self.try_sql(statements, database)
        if done.returncode != 0:
            fail(f"{self.name} says: {done.stderr.strip()} to {statements}")
        return [line.split("\t") for line in done.stdout.splitlines()]

    def number(self, statement, database="store"):
        return int(float(self.sql(statement, database)[0][0] or 0))

    def log_size(self):
        file = self.data / "log" / "server.json"
        return file.stat().st_size if file.exists() else 0

    def log_from(self, offset):
        file = self.data / "log" / "server.json"
        if not file.exists():
            return []
        with open(file, "rb") as log:
            log.seek(offset)
            return [json.loads(line) for line in log.read().splitlines() if line.endswith(b"}")]


def has_citus():
    return CITUS.exists()


def make_nodes(folder, layout, workers=2, settings=None):
    """The servers of a layout, the first one takes the requests: `whole`, `partitions N` or `citus N`; with an empty database `store`."""
    settings = dict(settings or {})
    if not layout.startswith("citus"):
        node = Postgres(folder, "data", 5432, settings)
        node.sql("CREATE DATABASE store", "postgres")
        return [node]
    libraries = ["citus"] + [word for word in [settings.get("shared_preload_libraries")] if word]
    settings |= {"shared_preload_libraries": ",".join(libraries), "max_prepared_transactions": "400",
                 "citus.enable_statistics_collection": "off", "citus.local_hostname": str(folder.path)}
    nodes = [Postgres(folder, name, 5432 + at, settings) for at, name in enumerate(["coordinator"] + [f"worker{i + 1}" for i in range(workers)])]
    for node in nodes:
        node.sql("CREATE DATABASE store", "postgres")
        node.sql("CREATE EXTENSION citus")
    nodes[0].sql(f"SELECT citus_set_coordinator_host('{folder.path}', {nodes[0].port})")
    for worker in nodes[1:]:
        add_worker(nodes[0], worker)
    return nodes


def add_worker(coordinator, worker):
    coordinator.sql(f"SELECT citus_add_node('{worker.folder.path}', {worker.port})")


def init_store(folder, node, layout):
    words = {"whole": [], "partitions": ["--partitions"], "citus": ["--citus", "--shards"]}[layout.split()[0]]
    command(["store", "init", "--store", node.url(), *words, *layout.split()[1:]])


def command(words):
    """Runs the program; its words are shown when it fails."""
    done = subprocess.run([program(), *map(str, words)], capture_output=True, text=True)
    if done.returncode != 0:
        fail(f"meridian {words[0]} ended with {done.returncode}: {(done.stdout + done.stderr)[-1500:]}")
    return done.stdout


class Meridian:
    """A server on the database of `node`."""

    def __init__(self, folder, node, name="server"):
        self.folder = folder
        data = folder.path / name
        data.mkdir(exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.out = open(folder.path / f"{name}.out", "ab")
        self.process = subprocess.Popen([program(), "serve", "--unprotected", "--data", str(data), "--store", node.url(), "--listen", f"127.0.0.1:{self.port}"],
                                        stdout=self.out, stderr=self.out)
        folder.running.append(self)
        for _ in range(1200):
            try:
                if self.send("GET", "/readyz")[0] == 200:
                    return
            except OSError:
                pass
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        fail(f"meridian does not serve: {(folder.path / f'{name}.out').read_text()[-1500:]}")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def connect(self, timeout=60):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def send(self, method, path, body=None, connection=None, headers=None):
        """Status and JSON of an answer; None where there is none."""
        status, _, answer = self.ask(method, path, body, connection, headers)
        return status, answer

    def ask(self, method, path, body=None, connection=None, headers=None):
        """The same with the headers of the answer between them."""
        own = connection or self.connect()
        own.request(method, path, json.dumps(body) if body is not None else None,
                    {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json", **(headers or {})})
        answer = own.getresponse()
        text = answer.read()
        if not connection:
            own.close()
        try:
            return answer.status, answer.headers, json.loads(text)
        except ValueError:
            return answer.status, answer.headers, None


def dense_log(node):
    """What is wrong with the log, as sentences; none is as it should be."""
    faults = []
    checks = {
        "the log has gaps": "SELECT coalesce(max(position) + 1, 0) - count(*) FROM meridian.log",
        "the log holds a version twice": "SELECT count(*) - count(DISTINCT (rid, version)) FROM meridian.log",
        "entries wait for a position": "SELECT count(*) FROM meridian.log_waiting",
        "versions of a resource stand in the wrong order":
            "SELECT count(*) FROM meridian.log a JOIN meridian.log b ON b.rid = a.rid AND b.version = a.version + 1 WHERE b.position < a.position",
    }
    for sentence, sql in checks.items():
        if (found := node.number(sql)) != 0:
            faults.append(f"{sentence}: {found}")
    return faults
