"""What the suites of client libraries share: a broker for each of them, and a list of expected failures that may only shrink.

The broker is `rinka serve` on free ports and a temporary directory, unless the environment says otherwise:
  RINKA_SUITES                     where suites are built and brokers keep their data [target/suites]
  RINKA_ROUTING                    `core`: each shard is a broker to clients [node]
  RINKA                            the binary [target/debug/rinka, or target/release/rinka when only that is there]
  RINKA_TEST_BOOTSTRAP=host:port   a broker that runs already
  RINKA_TEST_BROKER=program        a broker that is started as `program --port PORT --data DIR --set KEY=VALUE ...`, stays in the
                                   foreground and prints `Kafka Server started`, as perf/kafka/start does: the control
"""

import atexit
import os
import queue
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[2]
# Beside cargo's own output.
CACHE = Path(os.environ.get("RINKA_SUITES", TOP / "target" / "suites"))
READY_WITHIN_S = 90
ROUTING = os.environ.get("RINKA_ROUTING", "node")
# What follows a test's name in the lists.
SUFFIX = "@core" if ROUTING == "core" else ""
# As the tests of ours: a journal that is soon made, and groups that do not wait for three seconds each.
SETTINGS = {"group.initial.rebalance.delay.ms": "0"}
RINKA_SETTINGS = {
    "rinka.journal.bytes": "67108864",
    "rinka.shards": "2",
    "rinka.routing": ROUTING,
    "rinka.admin.listener": "127.0.0.1:0",
}


class Broker:
    """A broker for the length of a `with`; `bootstrap` says where it listens."""

    def __init__(self, settings):
        self.settings = {**SETTINGS, **settings}

    def __enter__(self):
        self.process = self.directory = None
        if running := os.environ.get("RINKA_TEST_BOOTSTRAP"):
            self.bootstrap = running
            return self
        port = free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        self.directory = tempfile.mkdtemp(prefix="rinka-suite-", dir=made(CACHE))
        self.log = Path(self.directory, "output")
        if control := os.environ.get("RINKA_TEST_BROKER"):
            ready = "Kafka Server started"
            command = [control, "--port", str(port), "--data", f"{self.directory}/data"]
            settings = self.settings
        else:
            ready = "  ready in "
            command = [rinka(), "serve", f"--set=listeners=PLAINTEXT://127.0.0.1:{port}"]
            settings = {**self.settings, **RINKA_SETTINGS, "log.dirs": f"{self.directory}/data"}
        for key, value in settings.items():
            value = value.format(port=port, controller_port=port + 1)
            command += ["--set", f"{key}={value}"]
        self.process = subprocess.Popen(
            command, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        told = queue.Queue()
        threading.Thread(target=self.follow, args=(self.process.stdout, ready, told), daemon=True).start()
        # Also when somebody ends the suite.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        atexit.register(self.end)
        try:
            is_ready = told.get(timeout=READY_WITHIN_S)
        except queue.Empty:
            is_ready = False
        if not is_ready:
            sys.exit(f"the broker did not become ready:\n{self.log.read_text(errors='replace')}")
        return self

    def follow(self, output, ready, told):
        """Keeps what it prints, and tells whether it became ready: once it has, or when it ends."""
        with open(self.log, "wb", buffering=0) as log:
            for line in output:
                log.write(line)
                if ready in line.decode(errors="replace"):
                    told.put(True)
        told.put(False)

    def __exit__(self, *_):
        ended_by_itself = self.process is not None and self.process.poll() is not None
        if ended_by_itself:
            print(f"the broker ended by itself:\n{self.tail()}")
        self.end()
        if ended_by_itself:
            sys.exit(1)

    def tail(self):
        """The end of what it printed."""
        return self.log.read_text(errors="replace")[-8000:] if self.process else ""

    def end(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
            shutil.rmtree(self.directory, ignore_errors=True)


def rinka():
    built = [TOP / "target" / profile / "rinka" for profile in ("debug", "release")]
    paths = [Path(os.environ["RINKA"])] if "RINKA" in os.environ else [path for path in built if path.exists()]
    return str(paths[0]) if paths else sys.exit("no binary: `cargo build` makes one, RINKA names one")


def free_port():
    """The first of ten free ports, below those that the kernel gives to outgoing connections."""
    while True:
        first = random.randrange(20_000, 32_000, 10)
        try:
            for port in range(first, first + 10):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue


def made(folder):
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def limited(command, seconds, **options):
    """Runs a command with everything it starts, for so many seconds at most; returns what it printed and its exit code, or None."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, **options
    )
    killed = threading.Event()

    def kill():
        killed.set()
        os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(seconds, kill)
    timer.start()
    try:
        output = process.communicate()[0].decode(errors="replace")
    finally:
        timer.cancel()
        if process.poll() is None:
            kill()
    return output, None if killed.is_set() else process.returncode


def step(command, **options):
    """One step of a build; ends everything with its output when it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout.decode(errors='replace')[-8000:]}")


def listed(name):
    """A file beside this one: on each line a test and, after it, why it is listed."""
    lines = (line.strip() for line in (HERE / name).read_text().splitlines())
    pairs = (line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))
    return {test: why for test, why in pairs}


def verdict(results, expected):
    """Compares results (test -> passed, failed or skipped) with the failures that are expected of the tests that ran; the exit code."""
    of = lambda state: sorted(test for test, found in results.items() if found == state)
    failed, passed, skipped = of("failed"), of("passed"), of("skipped")
    unexpected = [test for test in failed if test not in expected]
    mended = [test for test in passed if test in expected]
    for test in failed:
        print(f"failed    {test}: {expected.get(test, 'NOT EXPECTED')}")
    for test in skipped:
        print(f"skipped   {test}")
    for test in mended:
        print(f"passed    {test}: it was expected to fail; take its line off the list of expected failures")
    on_kafka = [test for test in failed if expected.get(test, "").startswith("Kafka too:")]
    print(f"score: {len(passed)} of {len(passed) + len(failed) - len(on_kafka)}; {len(on_kafka)} fail on Apache Kafka too")
    return 1 if unexpected or mended or not results else 0
