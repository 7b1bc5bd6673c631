#!/usr/bin/env python3
"""A cluster whose nodes sit in network namespaces of their own: no hidden loopback, shared file or shared memory between them."""
import json
import os
import shutil
import subprocess
import tempfile

from harness import BATON, KV_BYTES_PER_TOKEN, MODEL, Server, Skip, run_case, wait_for

BRIDGE = "10.77.0"
NODES = {"gateway": 1, "scheduler": 1, "prefill0": 2, "decode0": 3}      # name -> host number; gateway and scheduler share a machine


def sh(*arguments, check=True):
    return subprocess.run(arguments, capture_output=True, text=True, check=check)


class Hosts:
    """Three namespaces on one bridge, which is in a fourth; everything ends with the context."""

    def __init__(self):
        if os.geteuid() != 0 or not shutil.which("ip"):
            raise Skip("network namespaces need root and iproute2")
        self.tag = f"bt{os.getpid() % 100000}"

    def space(self, number):
        return f"{self.tag}-{number}"

    def __enter__(self):
        try:
            sh("ip", "netns", "add", self.space("net"))
        except subprocess.CalledProcessError as failure:
            raise Skip(f"this machine makes no network namespaces: {failure.stderr.strip()}") from failure
        sh("ip", "-n", self.space("net"), "link", "add", "br0", "type", "bridge")
        sh("ip", "-n", self.space("net"), "link", "set", "br0", "up")
        for number in (1, 2, 3):
            space = self.space(number)
            sh("ip", "netns", "add", space)
            sh("ip", "-n", space, "link", "set", "lo", "up")
            sh("ip", "-n", self.space("net"), "link", "add", f"port{number}", "type", "veth", "peer", "name", "eth0", "netns", space)
            sh("ip", "-n", self.space("net"), "link", "set", f"port{number}", "master", "br0", "up")
            sh("ip", "-n", space, "addr", "add", f"{BRIDGE}.{number}/24", "dev", "eth0")
            sh("ip", "-n", space, "link", "set", "eth0", "up")
        return self

    def __exit__(self, *unused):
        for number in ("net", 1, 2, 3):
            sh("ip", "netns", "del", self.space(number), check=False)


class Cluster:
    """One `baton node` per entry of NODES, each with its keys and its own copy of the model in a directory of its own."""

    def __init__(self, hosts, folder, hand_off, **changes):
        self.hosts, self.folder, self.changes, self.hand_off = hosts, folder, changes, hand_off
        self.processes = {}

    def config(self, name):
        def address(node, port):
            return f"{BRIDGE}.{NODES[node]}:{port}"
        nodes = [{"name": "gateway", "role": "gateway", "control": address("gateway", 9000), "http": address("gateway", 8000)},
                 {"name": "scheduler", "role": "scheduler", "control": address("scheduler", 9001)},
                 {"name": "prefill0", "role": "prefill", "control": address("prefill0", 9000), "data": f"{BRIDGE}.2"},
                 {"name": "decode0", "role": "decode", "control": address("decode0", 9000), "data": f"{BRIDGE}.3"}]
        for node in nodes:
            node.update(self.changes.get(node["name"], {}))
        own = os.path.join(self.folder, name)
        return {"model": os.path.join(own, "model.gguf"), "instances": {"kv_blocks": 256}, "scheduler": {"hand_off": self.hand_off}, "nodes": nodes,
                "security": {"ca": os.path.join(own, "ca.pem"), "certificate": os.path.join(own, "cert.pem"), "key": os.path.join(own, "key.pem")}}

    def __enter__(self):
        authority = os.path.join(self.folder, "authority")
        sh(BATON, "keys", "init", authority)
        for name in NODES:
            own = os.path.join(self.folder, name)
            os.makedirs(own)
            certificate, key = sh(BATON, "keys", "issue", authority, name).stdout.split()
            shutil.copy(os.path.join(authority, "ca.pem"), os.path.join(own, "ca.pem"))
            shutil.copy(certificate, os.path.join(own, "cert.pem"))
            shutil.copy(key, os.path.join(own, "key.pem"))
            shutil.copy(MODEL, os.path.join(own, "model.gguf"))
            with open(os.path.join(own, "cluster.yaml"), "w", encoding="utf-8") as file:
                json.dump(self.config(name), file)           # JSON is YAML
        shutil.rmtree(authority)
        for name in self.changes.get("order", NODES):
            self.start(name)
        return self

    def start(self, name):
        own = os.path.join(self.folder, name)
        log = open(os.path.join(own, "log"), "w", encoding="utf-8")
        # A mount namespace with an empty /dev/shm and /tmp of its own: nothing is shared through them.
        inner = f"mount -t tmpfs tmpfs /dev/shm; exec {BATON} node --config {own}/cluster.yaml --name {name}"
        self.processes[name] = subprocess.Popen(["ip", "netns", "exec", self.hosts.space(NODES[name]), "unshare", "-m", "sh", "-c", inner],
                                                stdout=log, stderr=log, cwd=own)

    def logs(self):
        return "\n".join(f"---- {name}\n" + open(os.path.join(self.folder, name, "log"), encoding="utf-8").read()[-6000:] for name in self.processes)

    def call(self, method, path, body=None):
        """HTTP from inside the decode host's namespace, by curl: the gateway is on another host."""
        command = ["ip", "netns", "exec", self.hosts.space(3), "curl", "-sS", "-m", "60", "-X", method, f"http://{BRIDGE}.1:8000{path}"]
        if body is not None:
            command += ["-d", json.dumps(body)]
        return sh(*command, check=False).stdout

    def __exit__(self, kind, *unused):
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
        if kind is not None:
            print(self.logs())


BODY = {"prompt": "The river flows from the mountain to", "max_tokens": 32, "temperature": 0.8, "seed": 7}


def three_hosts_serve_the_bytes_of_one_machine():
    with Server() as server:
        want = server.complete(**BODY)["choices"][0]["text"]
    for hand_off in ("pull", "push_by_layer"):
        with Hosts() as hosts, tempfile.TemporaryDirectory() as folder, Cluster(hosts, folder, hand_off) as cluster:
            wait_for(lambda: '"ready"' in cluster.call("GET", "/health"), 60, "the cluster is ready\n" + cluster.logs())
            answer = json.loads(cluster.call("POST", "/v1/completions", BODY))
            assert answer["choices"][0]["text"] == want, answer
            metrics = cluster.call("GET", "/metrics")
            received = sum(float(line.split()[-1]) for line in metrics.splitlines() if line.startswith("baton:kv_bytes_received_total{"))
            assert received == answer["usage"]["prompt_tokens"] * KV_BYTES_PER_TOKEN, received


def nodes_may_start_in_any_order():
    for order in (["decode0", "prefill0", "gateway", "scheduler"], ["prefill0", "scheduler", "decode0", "gateway"]):
        with Hosts() as hosts, tempfile.TemporaryDirectory() as folder, Cluster(hosts, folder, "pull", order=order) as cluster:
            wait_for(lambda: '"ready"' in cluster.call("GET", "/health"), 60, "the cluster is ready")
            assert json.loads(cluster.call("POST", "/v1/completions", BODY))["choices"][0]["text"]


def a_node_with_another_block_size_is_refused_by_name_on_both_sides():
    with Hosts() as hosts, tempfile.TemporaryDirectory() as folder, Cluster(hosts, folder, "pull", decode0={"block_size": 32}) as cluster:
        def refusal(name, other):
            """A line of this node's log that names the other and what differs."""
            with open(os.path.join(folder, name, "log"), encoding="utf-8") as file:
                return next((line for line in file if other in line and "block" in line), None)
        wait_for(lambda: refusal("prefill0", "decode0") and refusal("decode0", "prefill0"), 30, "both say why they do not pair")
        assert '"ready"' not in cluster.call("GET", "/health")
        assert all(process.poll() is None for process in cluster.processes.values())


if __name__ == "__main__":
    run_case([three_hosts_serve_the_bytes_of_one_machine, nodes_may_start_in_any_order, a_node_with_another_block_size_is_refused_by_name_on_both_sides])
