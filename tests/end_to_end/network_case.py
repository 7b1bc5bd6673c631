#!/usr/bin/env python3
"""A cluster whose nodes sit on hosts of their own: network namespaces on a bridge, and mount namespaces with an empty /tmp and /dev/shm.
A node has a folder with its program, model, keys and cluster file; with the others it shares the system's libraries and nothing else.
"""
import contextlib
import json
import os
import shutil
import subprocess
import tempfile

from harness import BATON, KV_BYTES_PER_TOKEN, MODEL, READY_S, Server, Skip, run_case, wait_for

BRIDGE = "10.77.0"
NODES = {"gateway": 1, "scheduler": 1, "prefill0": 2, "decode0": 3}      # name -> host number; gateway and scheduler share a machine


def sh(*arguments, check=True):
    return subprocess.run(arguments, capture_output=True, text=True, check=check)


class Hosts:
    """Three namespaces on one bridge, which is in a fourth; everything ends with the context. Skip where a machine does not allow it."""

    def __init__(self):
        if os.geteuid() != 0:
            raise Skip("network namespaces need root, and this user is not")
        for program in ("ip", "unshare", "mount", "curl"):
            if not shutil.which(program):
                raise Skip(f"there is no program `{program}` (Debian: iproute2, util-linux, mount, curl)")
        self.tag = f"bt{os.getpid() % 100000}"

    def space(self, number):
        return f"{self.tag}-{number}"

    def __enter__(self):
        with contextlib.ExitStack() as ending:
            try:
                sh("unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/tmp")
                self._add("net", ending)
                sh("ip", "-n", self.space("net"), "link", "add", "br0", "type", "bridge")
                sh("ip", "-n", self.space("net"), "link", "set", "br0", "up")
                for number in (1, 2, 3):
                    self._add(number, ending)
                    self._plug(number)
            except subprocess.CalledProcessError as failure:
                raise Skip(f"this machine does not allow `{' '.join(failure.cmd)}`: {failure.stderr.strip()}") from failure
            self.ending = ending.pop_all()
        return self

    def _add(self, number, ending):
        sh("ip", "netns", "add", self.space(number))
        ending.callback(sh, "ip", "netns", "del", self.space(number), check=False)

    def _plug(self, number):
        space, bridge = self.space(number), self.space("net")
        sh("ip", "-n", space, "link", "set", "lo", "up")
        sh("ip", "-n", bridge, "link", "add", f"port{number}", "type", "veth", "peer", "name", "eth0", "netns", space)
        sh("ip", "-n", bridge, "link", "set", f"port{number}", "master", "br0", "up")
        sh("ip", "-n", space, "addr", "add", f"{BRIDGE}.{number}/24", "dev", "eth0")
        sh("ip", "-n", space, "link", "set", "eth0", "up")

    def __exit__(self, *unused):
        self.ending.close()


class Cluster:
    """One `baton node` per entry of NODES, each in its folder."""

    def __init__(self, hosts, folder, hand_off, **changes):
        self.hosts, self.folder, self.changes, self.hand_off = hosts, folder, changes, hand_off
        self.processes = {}

    def config(self):
        def address(node, port):
            return f"{BRIDGE}.{NODES[node]}:{port}"
        nodes = [{"name": "gateway", "role": "gateway", "control": address("gateway", 9000), "http": address("gateway", 8000)},
                 {"name": "scheduler", "role": "scheduler", "control": address("scheduler", 9001)},
                 {"name": "prefill0", "role": "prefill", "control": address("prefill0", 9000), "data": f"{BRIDGE}.2"},
                 {"name": "decode0", "role": "decode", "control": address("decode0", 9000), "data": f"{BRIDGE}.3"}]
        for node in nodes:
            node.update(self.changes.get(node["name"], {}))
        return {"model": "model.gguf", "instances": {"kv_blocks": 256}, "scheduler": {"hand_off": self.hand_off}, "nodes": nodes,
                "security": {"ca": "ca.pem", "certificate": "cert.pem", "key": "key.pem"}}        # of the node's folder

    def __enter__(self):
        with contextlib.ExitStack() as ending:
            ending.callback(self._end)
            authority = os.path.join(self.folder, "authority")
            sh(BATON, "keys", "init", authority)
            for name in NODES:
                own = os.path.join(self.folder, name)
                os.makedirs(own)
                certificate, key = sh(BATON, "keys", "issue", authority, name).stdout.split()
                copies = {os.path.join(authority, "ca.pem"): "ca.pem", certificate: "cert.pem", key: "key.pem", MODEL: "model.gguf",
                          BATON: "baton"}
                for source, target in copies.items():
                    shutil.copy(source, os.path.join(own, target))
                with open(os.path.join(own, "cluster.yaml"), "w", encoding="utf-8") as file:
                    json.dump(self.config(), file)           # JSON is YAML
            shutil.rmtree(authority)
            for name in self.changes.get("order", NODES):
                self.start(name)
            self.ending = ending.pop_all()
        return self

    def start(self, name):
        own = os.path.join(self.folder, name)
        # The node's folder is seen at /mnt, then the /tmp in which it lies is hidden, with the folders of the others.
        inner = (f"mount --bind {own} /mnt && cd /mnt && mount -t tmpfs tmpfs /tmp && mount -t tmpfs tmpfs /dev/shm && "
                 f"exec ./baton node --config cluster.yaml --name {name}")
        with open(os.path.join(own, "log"), "w", encoding="utf-8") as log:
            self.processes[name] = subprocess.Popen(
                ["ip", "netns", "exec", self.hosts.space(NODES[name]), "unshare", "-m", "sh", "-c", inner], stdout=log, stderr=log)

    def logs(self):
        def end_of(name):
            with open(os.path.join(self.folder, name, "log"), encoding="utf-8") as file:
                return file.read()[-6000:]
        return "\n".join(f"---- {name}\n" + end_of(name) for name in self.processes)

    def call(self, method, path, body=None):
        """HTTP from inside the decode host's namespace, by curl: the gateway is on another host. Nothing while nobody answers."""
        command = ["ip", "netns", "exec", self.hosts.space(3), "curl", "-sS", "-m", "60", "-X", method, f"http://{BRIDGE}.1:8000{path}"]
        if body is not None:
            command += ["-d", json.dumps(body)]
        return sh(*command, check=False).stdout

    def await_ready(self):
        wait_for(lambda: '"ready"' in self.call("GET", "/health"), READY_S, lambda: "the cluster is ready\n" + self.logs())

    def _end(self):
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def __exit__(self, kind, *unused):
        self.ending.close()
        if kind is not None:
            print(self.logs())


BODY = {"prompt": "The river flows from the mountain to", "max_tokens": 32, "temperature": 0.8, "seed": 7}


def three_hosts_serve_the_bytes_of_one_machine():
    with Server() as server:
        want = server.complete(**BODY)["choices"][0]["text"]
    for hand_off in ("pull", "push_by_layer"):
        with Hosts() as hosts, tempfile.TemporaryDirectory() as folder, Cluster(hosts, folder, hand_off) as cluster:
            cluster.await_ready()
            answer = json.loads(cluster.call("POST", "/v1/completions", BODY))
            assert answer["choices"][0]["text"] == want, answer
            metrics = cluster.call("GET", "/metrics")
            received = sum(float(line.split()[-1]) for line in metrics.splitlines() if line.startswith("baton:kv_bytes_received_total{"))
            assert received == answer["usage"]["prompt_tokens"] * KV_BYTES_PER_TOKEN, received


def nodes_may_start_in_any_order():
    for order in (["decode0", "prefill0", "gateway", "scheduler"], ["prefill0", "scheduler", "decode0", "gateway"]):
        with Hosts() as hosts, tempfile.TemporaryDirectory() as folder, Cluster(hosts, folder, "pull", order=order) as cluster:
            cluster.await_ready()
            assert json.loads(cluster.call("POST", "/v1/completions", BODY))["choices"][0]["text"]


def a_node_with_another_block_size_is_refused_by_name_on_both_sides():
    with Hosts() as hosts, tempfile.TemporaryDirectory() as folder, Cluster(hosts, folder, "pull", decode0={"block_size": 32}) as cluster:
        def refusal(name, other):
            """A line of this node's log that names the other and what differs."""
            with open(os.path.join(folder, name, "log"), encoding="utf-8") as file:
                return next((line for line in file if other in line and "block" in line), None)
        wait_for(lambda: refusal("prefill0", "decode0") and refusal("decode0", "prefill0"), 30, "both say why they do not pair")

        def seen():
            answer = cluster.call("GET", "/cluster")
            return answer and all(n["state"] == "ready" for n in json.loads(answer)["nodes"])
        wait_for(seen, 30, "the gateway sees everybody")
        assert '"ready"' not in cluster.call("GET", "/health"), "two that do not pair cannot serve"
        assert all(process.poll() is None for process in cluster.processes.values())


if __name__ == "__main__":
    run_case([three_hosts_serve_the_bytes_of_one_machine, nodes_may_start_in_any_order,
              a_node_with_another_block_size_is_refused_by_name_on_both_sides])
