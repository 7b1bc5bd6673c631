"""Starts real clusters and talks to them: processes on loopback, HTTP by the standard library, events waited for and not slept for."""
import contextlib
import http.client
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BATON = os.environ.get("BATON_BINARY", os.path.join(ROOT, "build", "release", "baton"))
MODEL = os.environ.get("BATON_MODEL") or os.path.join(
    os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "baton", "SmolLM2-135M-Instruct.Q4_1.gguf")
KV_BYTES_PER_TOKEN = 23040     # of the default model in bf16: 30 layers, 3 kv heads of 64, K and V
READY_S = float(os.environ.get("BATON_TEST_READY_S", "60"))


class Skip(Exception):
    pass


def wait_for(condition, seconds, what):
    """Polls until condition() is true and returns its value. `what` is text, or a function that makes it when it is needed."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:.1f} s: {what() if callable(what) else what}")
        time.sleep(0.02)


class Gateway:
    """One gateway, as its clients see it."""

    def __init__(self, host, port):
        self.host, self.port = host, port

    def connect(self, timeout=60):
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def call(self, method, path, body=None, timeout=60):
        """-> (status, parsed JSON or text)"""
        with contextlib.closing(self.connect(timeout)) as connection:
            payload = json.dumps(body) if isinstance(body, (dict, list)) else body
            connection.request(method, path, payload, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
            if "json" in (response.getheader("Content-Type") or ""):
                return response.status, json.loads(text)
            return response.status, text.decode()

    def complete(self, **body):
        path = "/v1/chat/completions" if "messages" in body else "/v1/completions"
        status, answer = self.call("POST", path, body)
        assert status == 200, (status, answer)
        return answer

    def stream(self, **body):
        return Stream(self, body)

    def cluster(self):
        return self.call("GET", "/cluster")[1]

    def nodes(self, role=None):
        return [n for n in self.cluster()["nodes"] if role in (None, n["role"])]

    def node(self, name):
        return next(n for n in self.nodes() if n["name"] == name)

    def metric(self, name, **labels):
        """The sum over all samples of this name with these labels."""
        total, seen = 0.0, False
        for line in self.call("GET", "/metrics")[1].splitlines():
            match = re.match(re.escape(name) + r"(?:\{(.*)\})? (\S+)$", line)
            if match and all(f'{key}="{value}"' in (match[1] or "") for key, value in labels.items()):
                total, seen = total + float(match[2]), True
        assert seen, f"no metric {name} {labels}"
        return total

    def ready(self):
        """Every node that it knows of is there; gateways do not know each other."""
        return self.call("GET", "/health")[0] == 200 and all(n["state"] == "ready" for n in self.nodes() if n["role"] != "gateway")

    def idle(self):
        """No block in use for a request, none leased, nothing running or waiting."""
        view = self.cluster()
        return view["requests"] == {"running": 0, "waiting": 0} and all(
            n["blocks_used"] == 0 and n["blocks_leased"] == 0 and n["running"] == 0 and n["waiting"] == 0 for n in view["nodes"])


def make_keys(folder, names):
    """Keys of a cluster with these nodes, as the `security` of its file."""
    subprocess.run([BATON, "keys", "init", folder], check=True, capture_output=True)
    for name in names:
        subprocess.run([BATON, "keys", "issue", folder, name], check=True, capture_output=True)
    return {"ca": f"{folder}/ca.pem", "certificate": folder + "/{name}.pem", "key": folder + "/{name}.key"}


class Server(Gateway):
    """`baton serve` with these flags, or of this cluster file (a dict without model and keys), on a port of its own: a context manager
    that ends it with SIGTERM and demands exit code 0.
    """

    def __init__(self, *flags, env=None, model=MODEL, config=None, expect_clean_exit=True):
        super().__init__(None, None)
        if model == MODEL and not os.path.exists(model):
            raise Skip(f"the default model is not at {model}")
        self.flags = [str(flag) for flag in flags]
        self.config = config
        self.model = model
        self.env = {**os.environ, **(env or {})}
        self.clean = expect_clean_exit

    def __enter__(self):
        with contextlib.ExitStack() as ending:
            folder = ending.enter_context(tempfile.TemporaryDirectory(prefix="baton-test-"))
            self.log = ending.enter_context(open(os.path.join(folder, "log"), "w+", encoding="utf-8"))
            command = [BATON, "serve", "--port", "0", "--model", self.model, *self.flags]
            if self.config:
                command = [BATON, "serve", "--config", os.path.join(folder, "cluster.yaml"), *self.flags]
                security = make_keys(os.path.join(folder, "keys"), [node["name"] for node in self.config["nodes"]])
                with open(command[3], "w", encoding="utf-8") as file:
                    json.dump({"model": self.model, "security": security, **self.config}, file)        # JSON is YAML
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, env=self.env, text=True)
            ending.callback(self._kill)
            line = self._first_line()
            match = re.match(r"ready http://([^:]+):(\d+)$", line)
            if not match:
                raise AssertionError(f"no ready line from {' '.join(command)} but {line!r}\n{self.log_text()[-4000:]}")
            self.host, self.port = match[1], int(match[2])
            wait_for(self.ready, READY_S, lambda: "the other instances are ready too\n" + self.log_text()[-4000:])
            self.ending = ending.pop_all()
        return self

    def _first_line(self):
        lines = queue.Queue()

        def read():
            with self.process.stdout as stdout:
                for text in stdout:
                    lines.put(text)
            lines.put("")
        threading.Thread(target=read, daemon=True).start()
        try:
            return lines.get(timeout=READY_S).strip()
        except queue.Empty:
            return ""

    def _kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def __exit__(self, kind, value, trace):
        with self.ending:
            self.process.send_signal(signal.SIGTERM)
            try:
                code = self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                code = "nothing, 30 s after SIGTERM"
            if kind is not None:
                print("---- the end of the server's log ----\n" + self.log_text()[-6000:], file=sys.stderr)
            elif self.clean and code != 0:
                raise AssertionError(f"baton serve ended with {code}\n{self.log_text()[-4000:]}")

    def log_text(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as file:
            return file.read()


class Stream:
    """One streamed answer. Iterate for its events (parsed JSON), or `whole()`.

    In the end either `complete` ([DONE] and the last chunk came) or `error`, which says how it broke off.
    """

    def __init__(self, server, body):
        path = "/v1/chat/completions" if "messages" in body else "/v1/completions"
        self.connection = server.connect(timeout=120)
        self.connection.request("POST", path, json.dumps({**body, "stream": True}), {"Content-Type": "application/json"})
        self.response = self.connection.getresponse()
        self.status = self.response.status
        self.raw = b""
        self.events = []
        self.complete = False
        self.error = None

    def __iter__(self):
        while not self.complete and not self.error:
            try:
                line = self.response.readline()
                done = line.strip() == b"data: [DONE]"
                tail = self.response.read() if done else b""
            except (http.client.HTTPException, OSError) as failure:
                self.error = repr(failure)
                return
            self.raw += line + tail
            if done:
                self.complete = tail in (b"\n", b"")
                self.error = None if self.complete else f"{tail[:80]} after [DONE]"
                self.connection.close()
            elif not line.endswith(b"\n"):
                self.error = "the connection ended before [DONE]"
            elif line.startswith(b"data: "):
                self.events.append(json.loads(line[6:]))
                yield self.events[-1]

    def run(self):
        for _ in self:
            pass
        return self

    def whole(self):
        """Runs to the end, which must be a good one."""
        self.run()
        assert self.complete and self.status == 200, (self.status, self.error, self.raw[-300:])
        return self

    def next_token(self):
        """The next event with text or a token."""
        for event in self:
            if event.get("choices") and (event["choices"][0].get("text") or event["choices"][0].get("delta", {}).get("content")):
                return event
        return None

    def text(self, index=0):
        return "".join(c.get("text") or c.get("delta", {}).get("content") or ""
                       for e in self.events for c in e.get("choices", []) if c["index"] == index)

    def tokens(self, index=0):
        return [t for e in self.events for c in e.get("choices", []) if c["index"] == index for t in c.get("token_ids", [])]

    def finish(self, index=0):
        reasons = [c["finish_reason"] for e in self.events for c in e.get("choices", []) if c["index"] == index and c["finish_reason"]]
        assert len(reasons) <= 1, reasons
        return reasons[0] if reasons else None

    def close(self):
        # The response holds a reference to the socket: both must go for the peer to see the end.
        self.response.close()
        self.connection.close()


@contextlib.contextmanager
def stopped(*nodes):
    """These nodes' processes stand still meanwhile; to the others it looks like a freeze, or like a stall when it is shorter than 2.5 s."""
    for node in nodes:
        os.kill(node["pid"], signal.SIGSTOP)
    try:
        yield
    finally:
        for node in nodes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(node["pid"], signal.SIGCONT)


def free_port():
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_bytes(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def run_case(cases):
    """`FILE.py` lists the cases, `FILE.py NAME` runs one: exit 0, 1, or 77 (skipped, by name)."""
    table = {case.__name__: case for case in cases}
    if len(sys.argv) == 1:
        print("\n".join(table))
        return
    try:
        table[sys.argv[1]]()
    except Skip as reason:
        print(f"skipped {sys.argv[1]}: {reason}")
        sys.exit(77)
    print(f"passed {sys.argv[1]}")
