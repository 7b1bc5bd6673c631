#!/usr/bin/env python3
"""Every rule of tidy.py finds the fault that it is for: a check that cannot fail is none."""
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tidy  # noqa: E402

LONG_FUNCTION = "void f() {\n" + "  g();\n" * 80 + "}\n"
HEADERS = {"runtime/a.h": "", "actors/caf.h": "#include <caf/actor.hpp>\n"}      # what the files below include
FAULTS = {  # rule -> files that break it
    "includes": {"runtime/a.h": "#pragma once\n#include <caf/actor.hpp>\n", "runtime/b.h": "#include <mutex>\n",
                 "kernels/c.h": '#include "runtime/a.h"\n', "actors/d.cc": "#include <ucp/api/ucp.h>\n",
                 "transport/e.cc": "#include <immintrin.h>\n", "actors/gateway/f.cc": "#include <caf/actor.hpp>\n",
                 "actors/instance/i.cc": '#include "actors/caf.h"\n',
                 "actors/g.cc": "#include <boost/beast.hpp>\n", "runtime/h.cc": '#include "a.h"\n'},
    "pure_core": {"runtime/a.cc": "auto t = std::chrono::steady_clock::now();\n", "runtime/b.cc": "sleep_for(x);\n"},
    "length": {"runtime/a.cc": "\n" * 401, "kernels/b.cc": "\n" * 601},
    "functions": {"runtime/a.cc": LONG_FUNCTION},
    "text": {"runtime/a.cc": "// TO" + "DO later\n", "runtime/b.cc": "int a; \n", "runtime/c.h": "int a;\n", "docs/d.md": "see /wo" + "rk/x\n"},
    "top_level": {"stuff/a.cc": "\n"},
    "documents": {"README.md": "see `runtime/nowhere.h`\n"},
}

missed = []
for rule, faults in FAULTS.items():
    for name, content in faults.items():
        with tempfile.TemporaryDirectory() as folder:
            tidy.ROOT = folder
            for path, text in {**(HEADERS if rule == "includes" else {}), name: content}.items():
                os.makedirs(os.path.join(folder, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(folder, path), "w", encoding="utf-8") as file:
                    file.write(text)
            if not any(place == name or place == name.split("/")[0] for place, _, _ in tidy.RULES[rule]()):
                missed.append(f"{rule} does not see {name}")
print("\n".join(missed) or f"{len(FAULTS)} rules find their faults")
sys.exit(1 if missed else 0)
