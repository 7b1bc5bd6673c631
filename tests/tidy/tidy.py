#!/usr/bin/env python3
"""The rules of the house that can be read off the text. `tidy.py RULE` checks one and names every place that breaks it.

A rule is a function that yields (file, line, message). Files are those git tracks, or all where there is no git.
"""
import ast
import os
import re
import subprocess
import sys

import cc_functions

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCE = (".h", ".cc", ".cu", ".inl")

# folder -> (system headers it must not include, project folders it may include). ARCHITECTURE.md, "The house".
CAF, UCX, CUDA = r"caf/", r"(ucp|uct|ucs)/", r"(cuda|cublas|nvrtc|nccl)"
SIMD = r"(immintrin|x86intrin|emmintrin|avxintrin|arm_neon)\.h"
HTTP = r"boost/(beast|asio)"
SOCKETS = r"(sys/socket|netinet/|arpa/inet|netdb|sys/epoll|poll)"
THREADS = r"(thread|mutex|shared_mutex|condition_variable|future|atomic|stop_token|pthread\.h|semaphore|barrier|latch)"
MSGPACK = r"msgpack"
ALLOWED = {
    "kernels": ([CAF, UCX, HTTP, SOCKETS, MSGPACK, r"spdlog", r"yaml-cpp", r"nlohmann"], ["kernels"]),
    "transport": ([CAF, CUDA, SIMD, HTTP, r"yaml-cpp", r"nlohmann"], ["transport"]),
    "runtime": ([CAF, UCX, CUDA, SIMD, HTTP, SOCKETS, THREADS, MSGPACK, r"openssl/"], ["runtime", "kernels"]),
    "actors": ([UCX, CUDA, SIMD, MSGPACK], ["actors", "runtime", "kernels", "transport"]),
}
HTTP_HOME = "actors/gateway/"
NO_CAF = ("actors/gateway/", "actors/instance/", "actors/network/")     # built without CAF too, for ThreadSanitizer


def files(*suffixes):
    try:
        listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=True)
        names = listed.stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        names = [os.path.relpath(os.path.join(d, f), ROOT) for d, dirs, fs in os.walk(ROOT) for f in fs
                 if "/build/" not in d + "/" and "/.git/" not in d + "/"]
    return sorted(n for n in names if n.endswith(suffixes) and os.path.isfile(os.path.join(ROOT, n)))


def lines(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read().splitlines()


def scripts():
    """(name, language) of every shell and Python script: by suffix, or by the #! line where there is none."""
    for name in files(""):
        suffix = os.path.splitext(name)[1]
        if suffix in (".py", ".sh"):
            yield name, {".py": "python", ".sh": "shell"}[suffix]
        elif not suffix:
            with open(os.path.join(ROOT, name), "rb") as file:
                first = file.readline()
            if first.startswith(b"#!"):
                yield name, "python" if b"python" in first else "shell"


def code():
    """Everything that is written in lines of bounded length."""
    return sorted({*files(*SOURCE), *(name for name, _ in scripts())})


def included(line):
    match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
    return match.groups() if match else ("", "")


def with_caf():
    """Files of actors/ that include CAF, themselves or through others."""
    paths = {name: {included(line)[1] for line in lines(name)} for name in files(*SOURCE) if name.startswith("actors/")}
    found = {name for name in paths if any(re.match(CAF, path) for path in paths[name])}
    while more := {name for name in paths if paths[name] & found} - found:
        found |= more
    return found


def includes():
    caf = with_caf()
    for name in files(*SOURCE):
        top = name.split("/")[0]
        if top not in ALLOWED:
            continue
        forbidden, folders = ALLOWED[top]
        for number, line in enumerate(lines(name), 1):
            quote, path = included(line)
            if not quote:
                continue
            if name.startswith(NO_CAF) and (re.match(CAF, path) or path in caf):
                yield name, number, f"no CAF in {', '.join(NO_CAF)}, not even through {path}"
            if quote == '"':
                if not os.path.isfile(os.path.join(ROOT, path)):
                    yield name, number, f'project includes are written from the root: "{path}" is not there'
                elif path.split("/")[0] not in folders:
                    yield name, number, f"{top}/ may include {', '.join(folders)}, not {path}"
                continue
            for pattern in forbidden:
                if re.match(pattern + (r"$" if pattern is THREADS else ""), path):
                    yield name, number, f"<{path}> has its home elsewhere than {top}/"
            if re.match(HTTP, path) and not name.startswith((HTTP_HOME, "actors/cli/")):
                yield name, number, f"HTTP lives in {HTTP_HOME} and actors/cli/"


def pure_core():
    """runtime/ takes time, randomness and identity as arguments."""
    banned = re.compile(r"std::(thread|mutex|async|chrono::(system|steady|high_resolution)_clock|random_device|rand\b)|"
                        r"\b(sleep_for|usleep|nanosleep|gettimeofday|clock_gettime|getenv|srand|time\(nullptr\)|time\(NULL\))")
    for name in files(*SOURCE):
        if name.startswith("runtime/"):
            for number, line in enumerate(lines(name), 1):
                if banned.search(line.split("//")[0]):
                    yield name, number, "a clock, thread, sleep, environment or unseeded randomness in the pure core"


def length():
    for name in code():
        limit = 600 if name.startswith(("kernels/", "tests/kernels/")) else 400
        count = len(lines(name))
        if count > limit:
            yield name, count, f"{count} lines; {limit} at most: it has become two ideas"


def functions():
    """From the signature's first line to the closing brace, or a Python function's last line."""
    found = [(name, list(cc_functions.functions("\n".join(lines(name))))) for name in files(*SOURCE)]
    for name, language in scripts():
        if language == "python":
            tree = ast.parse("\n".join(lines(name)), name)
            found.append((name, [(node.name, node.lineno, node.end_lineno) for node in ast.walk(tree)
                                 if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]))
    for name, bodies in found:
        for function, first, last in bodies:
            if last - first + 1 > 70:
                yield name, first, f"{function} has {last - first + 1} lines; 70 at most"


# First folders of absolute paths that every machine has, that URLs begin with, or that stand for one: any other is one machine's.
EVERYWHERE = ("dev", "proc", "sys", "usr", "etc", "bin", "var", "srv", "v1", "nowhere")
ABSOLUTE = re.compile(r"""(?<![\w.$})~*/:<>\\-])/([A-Za-z][\w.-]+)/[\w.{-]""")
APPENDED = re.compile(r"""\+ ?["']$|^\s+["']$""")              # what follows is added to a path, on this line or the one before
SHARED = re.compile(r"(?<![\w/])(\.\./)*shared[/]")
OPEN_WORK = re.compile(r"\b(TO[D]O|FI[X]ME|XX[X]|HA[C]K)\b")


def machine_paths(line):
    """What a line names that is on one machine only."""
    for match in ABSOLUTE.finditer(line):
        if match[1] not in EVERYWHERE and not APPENDED.search(line[:match.start()]):
            yield f"/{match[1]}/"
    if SHARED.search(line) and "BATON_SHARED" not in line:
        yield "shared"


def text():
    bounded = set(code())
    for name in sorted(bounded | set(files(".txt", ".md", ".yaml", ".json"))):
        for number, line in enumerate(lines(name), 1):
            if OPEN_WORK.search(line):
                yield name, number, "work left open: do it or drop it"
            for path in machine_paths(line):
                yield name, number, f"{path} is a path of one machine"
            if line != line.rstrip():
                yield name, number, "trailing white space"
            if len(line) > 140 and name in bounded:
                yield name, number, f"{len(line)} columns; 140 at most"
        if name.endswith(".h") and "#pragma once" not in lines(name):
            yield name, 1, "no #pragma once"


def top_level():
    expected = {"CMakeLists.txt", "CMakePresets.json", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md",
                "LICENSE", "actors", "kernels", "transport", "runtime", "configs", "tests", "examples", "docs", ".ci"}
    for entry in sorted({name.split("/")[0] for name in files("")}):
        if entry not in expected and not entry.startswith("."):
            yield entry, 1, "the top level holds the house's folders only"


FOLDERS = r"(?:actors|kernels|transport|runtime|configs|tests|examples|docs|\.ci)/"
IN_QUOTES = re.compile(rf"`({FOLDERS}[\w./-]+|[\w-]+\.(?:h|cc|py|sh))`")
IN_COMMENT = re.compile(rf"(?<![\w./-])({FOLDERS}[\w./-]*\w\.(?:h|cc|py|sh)|\w+\.(?:h|cc|py|sh))\b(?!\.)")


def documents():
    """The files that documents name in back quotes, and comments in plain words, are there: at their path, or anywhere by a bare name."""
    known = {os.path.basename(name) for name in files("")}
    for name in sorted({*files(".md"), *code()}):
        comment = re.compile(r"//(.*)" if name.endswith(SOURCE) else r"(?:^|\s)#(.*)")
        for number, line in enumerate(lines(name), 1):
            if name.endswith(".md"):
                mentioned = IN_QUOTES.findall(line)
            else:
                mentioned = [path for part in comment.findall(line) for path in IN_COMMENT.findall(part)]
            for path in mentioned:
                if not (os.path.exists(os.path.join(ROOT, path)) if "/" in path else path in known):
                    yield name, number, f"{path} is not there"


RULES = {f.__name__: f for f in (includes, pure_core, length, functions, text, top_level, documents)}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in RULES:
        sys.exit(f"usage: tidy.py {'|'.join(RULES)}")
    found = list(RULES[sys.argv[1]]())
    for place, number, message in found:
        print(f"{place}:{number}: {message}")
    checked = len(files(*SOURCE))
    if checked == 0:
        sys.exit("no source file found: nothing was checked")
    print(f"{sys.argv[1]}: {len(found)} broken, {checked} source files")
    sys.exit(1 if found else 0)
