#!/usr/bin/env python3
"""Corrupt bytes, garbage on ports, clients that leave, queues that are full: nothing is served wrong, nothing leaks, the process lives."""
import contextlib
import os
import random
import socket
import threading

from harness import Server, alive, rss_bytes, run_case, wait_for

PROMPT = {"prompt": "river " * 300, "max_tokens": 12, "temperature": 0}


def a_flipped_bit_on_the_wire_is_rejected_counted_and_recomputed_to_the_same_answer():
    with Server() as server:
        want = server.complete(**PROMPT)["choices"][0]["text"]
    for piece in (1, 3):
        for hand_off in ("pull", "push_by_layer"):
            with Server("--hand-off", hand_off, env={"BATON_FAULT": f"flip_bit:{piece}"}) as server:
                got = server.complete(**PROMPT)["choices"][0]["text"]
                assert got == want, (piece, hand_off)
                assert server.metric("baton:kv_blocks_rejected_total", reason="digest") == 1
                assert server.metric("baton:recomputed_tokens_total") > 0
                assert server.complete(**PROMPT)["choices"][0]["text"] == want
                wait_for(server.idle, 5, "nothing left in use")


def a_client_that_goes_away_frees_everything_within_a_second():
    with Server() as server:
        for prompt in ("Tell me", "stone " * 600):
            stream = server.stream(prompt=prompt, max_tokens=1500 if prompt == "Tell me" else 200, ignore_eos=True)
            if prompt == "Tell me":
                assert stream.next_token()
            stream.close()
            wait_for(server.idle, 1.0, "everything freed after the client left")
        connection = server.connect()
        connection.request("POST", "/v1/completions", '{"prompt": "slow", "max_tokens": 1500, "ignore_eos": true}',
                           {"Content-Type": "application/json"})
        wait_for(lambda: server.cluster()["requests"]["running"] + server.cluster()["requests"]["waiting"] == 1, 10, "the request runs")
        connection.close()
        wait_for(server.idle, 1.0, "everything freed after the client of a whole answer left")
        body = b'{"prompt": "slow", "max_tokens": 1500, "ignore_eos": true}'
        request = b"POST /v1/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        for more in (b"x", request, b"x" * (256 << 10)):
            with socket.create_connection((server.host, server.port)) as connection:
                connection.sendall(request)
                wait_for(lambda: server.cluster()["requests"]["running"] == 1, 10, "the request runs")
                connection.sendall(more)
            wait_for(server.idle, 1.0, f"everything freed after a client left that had sent {len(more)} bytes more")


def named_ports(server):
    """Every port that the cluster listens on, by what it is for."""
    named = {f"http of {server.host}": server.port}
    for node in server.nodes():
        control = int(node["address"].rsplit(":", 1)[1])
        ports = set(listening_ports(node["pid"]))
        assert control in ports, (node, ports)
        named[f"control of {node['name']}"] = control
        data = ports - {control, server.port}
        assert bool(data) == (node["role"] in ("prefill", "decode")), (node, data)     # the fabric's, and UCX's own
        named.update({f"data {i} of {node['name']}": port for i, port in enumerate(sorted(data))})
    return named


def speak_garbage(name, port, times, rng):
    """How many connections were taken. UCX ends the process for what looks like its own packets (SECURITY.md), so a data port hears
    bytes that do not: random ones. The others hear short and empty lines of bytes as well.
    """
    data = name.startswith("data")
    taken = 0
    for i in range(times):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                taken += 1
                connection.settimeout(0.05)
                connection.sendall(rng.randbytes(rng.choice([16, 36, 200, 5000] + [1] * (not data))))
                if i % 3 == 0 and not data:
                    connection.sendall(b"\x00" * 64)
                connection.recv(1000)
        except OSError:                    # refused, reset, or no answer in time: all the same to the other side's memory
            pass
    return taken


def garbage_on_any_port_kills_nothing_and_grows_no_memory():
    rng = random.Random(1)
    with Server() as server:
        nodes = server.nodes()
        ports = named_ports(server)
        for name, port in ports.items():   # what is made once, at the first of each kind
            speak_garbage(name, port, 20, rng)
        server.complete(**PROMPT)
        memory = {n["pid"]: rss_bytes(n["pid"]) for n in nodes}
        taken = {name: speak_garbage(name, port, 60, rng) for name, port in ports.items()}
        print(taken)
        assert all(taken.values()), taken
        assert server.complete(**PROMPT)["usage"]["completion_tokens"] == 12
        assert all(alive(n["pid"]) for n in nodes)
        grown = {n["name"]: rss_bytes(n["pid"]) - memory[n["pid"]] for n in nodes}
        print(grown)
        assert all(growth < 16e6 for growth in grown.values()), grown


def a_forged_packet_on_a_data_port_costs_a_restart_at_most():
    with Server("--decode", 2) as server:
        want = server.complete(**PROMPT)["choices"]
        for name, port in named_ports(server).items():
            if name.startswith("data"):
                for bytes_sent in (b"\x01" + b"\x00" * 64, b"\x00" * 64, b"\x08" + b"\x00" * 7):
                    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                        connection.sendall(bytes_sent)
        wait_for(server.ready, 60, "all are there again")
        assert server.complete(**PROMPT)["choices"] == want


def listening_ports(pid):
    """TCP ports that this process listens on."""
    inodes = set()
    for entry in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{entry}")
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{table}", encoding="ascii") as file:
            for line in file.readlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and fields[9] in inodes:
                    yield int(fields[1].rsplit(":", 1)[1], 16)


def nothing_listens_beyond_loopback():
    with Server() as server:
        pids = {n["pid"] for n in server.nodes()}
        assert sum(len(list(listening_ports(pid))) for pid in pids) >= len(pids)
        for pid in pids:
            for address in listening_addresses(pid):
                assert address in ("0100007F", "00000000000000000000000001000000"), (pid, address)


def listening_addresses(pid):
    ports = set(listening_ports(pid))
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{table}", encoding="ascii") as file:
            for line in file.readlines()[1:]:
                fields = line.split()
                address, port = fields[1].rsplit(":", 1)
                if fields[3] == "0A" and int(port, 16) in ports:
                    yield address


def a_full_queue_refuses_with_429_and_retry_after_and_serves_the_rest():
    with Server("--max-waiting", 4) as server:
        results = []
        lock = threading.Lock()

        def ask(i):
            connection = server.connect()
            connection.request("POST", "/v1/completions", '{"prompt": "%s", "max_tokens": 4}' % (f"{i} queue " * 400),
                               {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            with lock:
                results.append((response.status, response.getheader("Retry-After")))
        threads = [threading.Thread(target=ask, args=(i,)) for i in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        statuses = [status for status, _ in results]
        assert set(statuses) == {200, 429}, statuses
        assert all(retry and int(retry) >= 1 for status, retry in results if status == 429)
        wait_for(server.idle, 5, "nothing left in use")
        assert server.complete(**PROMPT)["usage"]["completion_tokens"] == 12


def one_request_that_runs_and_as_many_as_may_wait_are_all_taken():
    with Server("--max-waiting", 2) as server:
        for i in range(5):
            connections = [server.connect() for _ in range(3)]
            for k, connection in enumerate(connections):
                body = '{"prompt": "%s", "max_tokens": 4}' % (f"{i} {k} " + "queue " * 500)
                connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
            statuses = [connection.getresponse().status for connection in connections]
            assert statuses == [200, 200, 200], (i, statuses)


if __name__ == "__main__":
    run_case([a_flipped_bit_on_the_wire_is_rejected_counted_and_recomputed_to_the_same_answer,
              a_client_that_goes_away_frees_everything_within_a_second, garbage_on_any_port_kills_nothing_and_grows_no_memory,
              a_forged_packet_on_a_data_port_costs_a_restart_at_most, nothing_listens_beyond_loopback,
              a_full_queue_refuses_with_429_and_retry_after_and_serves_the_rest,
              one_request_that_runs_and_as_many_as_may_wait_are_all_taken])
