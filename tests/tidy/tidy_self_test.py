#!/usr/bin/env python3
"""Every rule of tidy.py finds the faults that it is for, and nothing where there are none: a check that cannot fail is none."""
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tidy  # noqa: E402


def body(count):
    return "  g();\n" * count


SCRIPT, SNAKE = "#!/usr/bin/env bash\n", "#!/usr/bin/env python3\n"
HOME, WORK = "/ho" + "me/somebody/x", "/wo" + "rkspace/x"
FAULTS = {  # rule -> files that break it
    "includes": {"runtime/a.h": "#pragma once\n#include <caf/actor.hpp>\n", "runtime/b.h": "#include <mutex>\n",
                 "kernels/c.h": '#include "runtime/a.h"\n', "actors/d.cc": "#include <ucp/api/ucp.h>\n",
                 "transport/e.cc": "#include <immintrin.h>\n", "actors/gateway/f.cc": "#include <caf/actor.hpp>\n",
                 "actors/instance/i.cc": '#include "actors/caf.h"\n',
                 "actors/g.cc": "#include <boost/beast.hpp>\n", "runtime/h.cc": '#include "a.h"\n'},
    "pure_core": {"runtime/a.cc": "auto t = std::chrono::steady_clock::now();\n", "runtime/b.cc": "sleep_for(x);\n"},
    "length": {"runtime/a.cc": "\n" * 401, "kernels/b.cc": "\n" * 601, "tests/c.py": "\n" * 401, "tests/d": SCRIPT + "\n" * 400},
    "functions": {
        "runtime/a.cc": "void f() {\n" + body(69) + "}\n",
        "runtime/wrapped.cc": "std::vector<int> f(int a,\n    int b) {\n" + body(68) + "}\n",
        "runtime/brace_alone.cc": "void f()\n{\n" + body(68) + "}\n",
        "runtime/member.h": "class A : public B {\n public:\n  template <class T>\n  void f() const {\n" + body(70) + "  }\n};\n",
        "runtime/initialisers.h": "struct A {\n  A() : a_{1}, b_(2) {\n" + body(70) + "  }\n  int a_{0};\n};\n",
        "runtime/spaces.cc": "namespace a {\nnamespace {\nauto f() -> int {\n" + body(70) + "}\n}\n}\n",
        "runtime/lambda.cc": "const auto f = [](int a) {\n" + body(70) + "};\n",
        "runtime/literals.cc": 'void f() {\n  g("}", \'}\', 1\'000);  // }\n' + body(70) + "}\n",
        "tests/a_test.cc": "TEST(A, b) {\n  const auto c = [] {\n" + body(70) + "  };\n}\n",
        "tests/b.py": "def f():\n" + "    g()\n" * 70, "tests/c": SNAKE + "class A:\n    def f(self):\n" + "        g()\n" * 70},
    "text": {"runtime/a.cc": "// TO" + "DO later\n", "runtime/b.cc": "int a; \n", "runtime/c.h": "int a;\n",
             "docs/d.md": f"see {WORK}\n", "tests/e.py": f"PATH = '{HOME}'\n", "tests/f": SCRIPT + f"cd {HOME}\n",
             ".ci/run": SCRIPT + "cd /tm" + "p/build/x\n", "tests/g.cc": f'f("{HOME}");\n',
             "tests/h.py": "open('../sha" + "red/golden')\n",
             "runtime/i.cc": "//" + "x" * 139 + "\n", "tests/j.sh": "#" + "x" * 140 + "\n", "tests/k": SNAKE + "#" + "x" * 140 + "\n"},
    "top_level": {"stuff/a.cc": "\n"},
    "documents": {"README.md": "see `runtime/nowhere.h`\n", "ARCHITECTURE.md": "see `nowhere.h`\n",
                  "runtime/a.h": "// like runtime/nowhere.h\n", "runtime/b.cc": "f();  // as in nowhere.h\n",
                  "tests/c.sh": "# as nowhere.py\n"},
}
FINE = {  # rule -> files that keep it, each close to its edge
    "includes": {"runtime/a.cc": "#include <vector>\n"},
    "pure_core": {"runtime/a.cc": "f();  // not sleep_for(x)\n"},
    "length": {"runtime/a.cc": "\n" * 400, "kernels/b.cc": "\n" * 600, "tests/c.md": "\n" * 900},
    "functions": {
        "runtime/a.cc": "void f() {\n" + body(68) + "}\n",
        "runtime/b.h": "class A {\n" + "  void f() { g(); }\n" * 90 + "};\n",
        "runtime/c.cc": "namespace a {\nconst int kTable[] = {\n" + "  1,\n" * 90 + "};\nenum class E {\n" + "  a,\n" * 90 + "};\n}\n",
        "runtime/d.cc": 'void f() { g("{"); }\n// {\n#define A {\n' + "void f();\n" * 90,
        "tests/e.py": "def f():\n" + "    g()\n" * 69},
    "text": {"runtime/a.cc": "// " + "x" * 137 + "\n", "tests/b.py": 'f("/v1/models", base + "/folder/name", "/dev/shm/x")\n',
             "tests/c.cc": "// of ${BATON_SHARED}: sha" + "red/golden\n"},
    "top_level": {"runtime/a.cc": "\n"},
    "documents": {"README.md": "see `runtime/`, `a.h`, `README.md`\n",
                  "runtime/a.h": "// a.h, and x.hpp of elsewhere\n", "runtime/b.cc": 'f("nowhere.h");\n'},
}


HEADERS = {"runtime/a.h": "#pragma once\n", "actors/caf.h": "#pragma once\n#include <caf/actor.hpp>\n"}      # what files above include


def found(rule, name, content):
    """Whether the rule sees something in this file, in a tree that has little else."""
    with tempfile.TemporaryDirectory() as folder:
        tidy.ROOT = folder
        for path, text in {**HEADERS, name: content}.items():
            os.makedirs(os.path.join(folder, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(folder, path), "w", encoding="utf-8") as file:
                file.write(text)
        return any(place in (name, name.split("/")[0]) for place, _, _ in tidy.RULES[rule]())


wrong = [f"{rule} does not see {name}" for rule, faults in FAULTS.items() for name in faults if not found(rule, name, faults[name])]
wrong += [f"{rule} sees something in {name}" for rule, fine in FINE.items() for name in fine if found(rule, name, fine[name])]
wrong += [f"{rule} has no fault to find here" for rule in tidy.RULES if rule not in FAULTS or rule not in FINE]
print("\n".join(wrong) or f"{len(FAULTS)} rules find their faults, and only those")
sys.exit(1 if wrong else 0)
