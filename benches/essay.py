#!/usr/bin/env python3
"""The experiments of an essay of 2015 on Python's memory, in today's Python, under several allocators.

    cargo preload && benches/essay.py [--experiment survivors] [--python /usr/bin/python3] [--chart docs/essay.svg]

Each experiment runs in a fresh process for each allocator; after every statement that process reads its
own resident memory. The tables show MiB over what it was before the first statement. --chart needs matplotlib.
mimalloc and jemalloc are shown if Debian's libmimalloc2.0 and libjemalloc2 are there.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HIGHWATER = str(ROOT / "target/preload/libhighwater.so")
RUNGS = ["never-shrink", "keep-arenas", "return-arenas", "return-pools", "return-pages"]
SYSTEM = "/usr/lib/x86_64-linux-gnu"
IDLE_S = 4


def allocators():
    """Name and environment of each, those that are there."""
    raw = {"PYTHONMALLOC": "malloc"}
    found = {"pymalloc": {}, "glibc": raw}
    for name, library in [("mimalloc", f"{SYSTEM}/libmimalloc.so.2.0"), ("jemalloc", f"{SYSTEM}/libjemalloc.so.2")]:
        if Path(library).exists():
            found[name] = {**raw, "LD_PRELOAD": library}
    for rung in RUNGS:
        found[f"highwater, {rung}"] = {**raw, "LD_PRELOAD": HIGHWATER, "HIGHWATER_RETENTION": rung}
    return found


# ---- the experiments: what the child does, a statement at a time ------------------------------------------------

class Record:
    """Reads resident memory after each statement."""

    def __init__(self):
        self.page = os.sysconf("SC_PAGE_SIZE")
        self.base = self.resident()
        self.steps = []

    def resident(self):
        with open("/proc/self/statm", "rb", buffering=0) as file:
            return int(file.read().split()[1]) * self.page

    def after(self, statement):
        self.steps.append((statement, (self.resident() - self.base) / 2**20))


def letters(number):
    return "".join(chr(97 + (number >> shift) % 26) for shift in range(20))


def make(first, count):
    """Records of a float, a text of 20 letters and a large integer."""
    return [(i * 0.5, letters(i), i + 2**40) for i in range(first, first + count)]


def survivors(record):
    kept = make(0, 500_000)
    record.after("500,000 records built")
    copy = [(number + 1.0, text[:10] + text[10:], key + 1) for number, text, key in kept]
    record.after("and copied")
    del kept
    copy = copy[::1000]
    record.after("deleted but for 500")
    more = make(0, 20_000)
    del more
    time.sleep(IDLE_S)
    record.after("some work, then idle")
    assert len(copy) == 500


def deepcopy(record):
    import copy
    first = list(range(10**6, 2 * 10**6))
    record.after("list of a million integers")
    second = copy.deepcopy([[number] for number in first])
    record.after("deep copy, each in a list")
    del first
    record.after("first deleted")
    del second
    record.after("second deleted")
    time.sleep(IDLE_S)
    record.after("idle")


def pickled(record):
    import pickle
    records = make(0, 1_000_000)
    record.after("a million records built")
    with tempfile.TemporaryFile() as file:
        pickle.dump(records, file, pickle.HIGHEST_PROTOCOL)
        record.after("pickled to a file")
        del records
        record.after("deleted")
        file.seek(0)
        records = pickle.load(file)
        record.after("read back")
    del records
    record.after("deleted again")
    time.sleep(IDLE_S)
    record.after("idle")


def flat(record):
    records = make(0, 1_000_000)
    record.after("a million records built")
    with tempfile.TemporaryFile("w+") as file:
        for number, text, key in records:
            file.write(f"{number}\t{text}\t{key}\n")
        record.after("written, a line each")
        del records
        record.after("deleted")
        file.seek(0)
        fields = (line.split("\t") for line in file)
        records = [(float(number), text, int(key)) for number, text, key in fields]
        record.after("read back")
    del records, fields
    record.after("deleted again")
    time.sleep(IDLE_S)
    record.after("idle")


EXPERIMENTS = {"survivors": survivors, "deepcopy": deepcopy, "pickle": pickled, "flat": flat}


# ---- the parent ---------------------------------------------------------------------------------------------------

def run(python, experiment, environment):
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("HIGHWATER_", "PYTHON"))}
    command = [python, __file__, "--child", experiment]
    done = subprocess.run(command, env={**inherited, **environment}, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def table(experiment, results):
    statements = [statement for statement, _ in next(iter(results.values()))]
    lines = [f"| {experiment}, MiB | " + " | ".join(statements) + " |", "|---|" + "---:|" * len(statements)]
    for name, steps in results.items():
        lines.append(f"| {name} | " + " | ".join(f"{mib:.1f}" for _, mib in steps) + " |")
    return "\n".join(lines)


def draw(results, path):
    """One panel an experiment: a line an allocator, a point a statement."""
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "highwater", "svg.fonttype": "none"})
    import matplotlib.pyplot as plt
    figure, panels = plt.subplots(len(results), 1, figsize=(11, 4 * len(results)), squeeze=False)
    for (experiment, rows), panel in zip(results.items(), panels[:, 0]):
        for name, steps in rows.items():
            ours = name.startswith("highwater")
            panel.plot([mib for _, mib in steps], label=name, marker="o" if ours else "x",
                       linestyle="-" if ours else "--", linewidth=1.5)
        statements = [statement for statement, _ in next(iter(rows.values()))]
        panel.set_xticks(range(len(statements)), statements, fontsize=8)
        panel.set_ylabel("MiB over the baseline")
        panel.set_ylim(bottom=0)
        panel.set_title(experiment)
        panel.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", action="append", choices=EXPERIMENTS)
    parser.add_argument("--python", default="/usr/bin/python3")
    parser.add_argument("--chart")
    parser.add_argument("--limit-mib", type=float, help="fail if highwater's highest rung holds more at the end of survivors")
    parser.add_argument("--child", choices=EXPERIMENTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        record = Record()
        EXPERIMENTS[arguments.child](record)
        print(json.dumps(record.steps))
        return
    if not Path(HIGHWATER).exists():
        sys.exit("run `cargo preload` first")
    results = {}
    for experiment in arguments.experiment or EXPERIMENTS:
        rows = {name: run(arguments.python, experiment, environment) for name, environment in allocators().items()}
        results[experiment] = rows
        print(table(experiment, rows) + "\n")
    if arguments.chart:
        draw(results, arguments.chart)
    if arguments.limit_mib is not None:
        held = results["survivors"]["highwater, return-pages"][-1][1]
        if held > arguments.limit_mib:
            sys.exit(f"{held:.1f} MiB are held after survivors: more than {arguments.limit_mib}")


if __name__ == "__main__":
    main()
