#!/usr/bin/env python3
"""Real programs under preloaded allocators: processor time, elapsed time, largest resident memory.

    cargo preload && benches/programs.py [--rounds 5] [--only python,gcc] [--allocators highwater,mimalloc,glibc]
    cargo preload && benches/programs.py --clock instructions --rounds 1 --allocators highwater,mimalloc
    cargo preload && benches/programs.py --set more
    cargo preload && benches/programs.py --set patterns --allocators highwater,mimalloc,jemalloc,glibc

`huge-pages` is highwater with `HIGHWATER_HUGE_PAGES=on`. `more` are the programs of `more_programs.py`, which says what they need. `patterns` are those of `patterns.c`, that other
allocators are judged by, each with a number of threads.

Debian: apt-get install libmimalloc2.0 libjemalloc2 redis-server redis-tools lua5.4 ghostscript z3 sqlite3 jq perl git gcc g++ valgrind.
Rounds are interleaved: each program under each allocator, then again. The tables show medians. A ratio is to the
second allocator's figure of the same round, and the median of the rounds' ratios, as a shared processor may be twice as
fast from one minute to the next; least and most of them stand beside it. Processor time is that of all processes and
threads of a program, the allocator's own too. Instructions are those of all its processes in user code, in millions,
counted by valgrind: they take twenty times as long, and are the same on every day; caches and the kernel are in none.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from math import exp, log
from pathlib import Path

import more_programs

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = {
    "highwater": str(ROOT / "target/preload/libhighwater.so"),
    "mimalloc": "/usr/lib/x86_64-linux-gnu/libmimalloc.so.2.0",
    "jemalloc": "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2",
    "glibc": "",
}
LIBRARIES["huge-pages"] = LIBRARIES["highwater"]
# What is in the environment beside.
SETTINGS = {"huge-pages": {"HIGHWATER_HUGE_PAGES": "on"}}

PYTHON = """
import copy, json, pickle, random
random.seed(1)
records = [(random.random(), "".join(random.choices("abcdefgh", k=20)), i) for i in range(120_000)]
for _ in range(2):
    again = pickle.loads(pickle.dumps(copy.deepcopy(records)))
    text = json.dumps(again)
    records = [tuple(record) for record in json.loads(text)]
index = {}
for number, name, key in records:
    index.setdefault(name[:3], []).append({"key": key, "number": number, "name": name.upper()})
words = sorted(" ".join(record["name"] for record in group[:50]) for group in index.values())
assert len(words) == len(index)
"""

PERL = """
my %count; my @lines; my $s = 42;
for my $i (0 .. 700_000) {
    $s = ($s * 69069 + 1) % 4294967296;
    my $word = "word" . ($s % 50021);
    $count{$word} .= "$i,"; push @lines, [$i, $word, length $word] if $s % 3 == 0;
}
my @sorted = sort { $a->[1] cmp $b->[1] } @lines;
print scalar(keys %count), " ", scalar(@sorted), "\\n";
"""

SQLITE = """
create table t(a integer primary key, b text, c real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 500000)
insert into t select i, printf('%x-%d', i * 2654435761 % 65536, i), i / 7.0 from n;
create index tb on t(b);
select count(*), sum(length(b)) from t;
select substr(b, 1, 3), count(*), length(group_concat(a)) from t group by 1 order by 1;
select count(*) from t x join t y on y.b = printf('%x-%d', x.a * 2654435761 % 65536, x.a);
"""

LUA = """
local function tree(n) if n == 0 then return {} end return { tree(n - 1), tree(n - 1) } end
local function count(t) if not t[1] then return 1 end return 1 + count(t[1]) + count(t[2]) end
local n = 0
for i = 1, 12 do n = n + count(tree(15)) end
local t = {}
for i = 1, 600000 do t[i] = ("x"):rep(i % 60) .. i end
table.sort(t)
print(n, #t)
"""

POSTSCRIPT = """%!PS
/Times-Roman findfont 12 scalefont setfont
1 1 60 { /p exch def
  0 1 50 { /i exch def 50 750 i 14 mul sub moveto (page ) show p 10 string cvs show ( line ) show i 10 string cvs show
    i 50 div 0.5 p 60 div setrgbcolor 300 i 14 mul moveto 200 0 rlineto stroke } for showpage } for
"""

REDIS = """
redis-server --port 0 --unixsocket "$PWD/socket" --save '' --daemonize no >/dev/null & server=$!
until redis-cli -s socket ping 2>/dev/null | grep -q PONG; do sleep 0.05; done
redis-benchmark -s socket -q -n 150000 -r 100000 -P 16 -d 100 -t set,get,lpush,lpop,sadd,hset,zadd >/dev/null
redis-cli -s socket shutdown nosave; wait $server
"""


def c_source(functions):
    """A C file of many functions, so that the compiler has something to do."""
    body = "int f%d(int a, int *b) { int s = a; for (int i = 0; i < a; i++) { s += b[i] * %d; if (s %% 7 == 3) s ^= b[s & 15]; } return s; }"
    return "\n".join(body % (i, i) for i in range(functions))


CXX = """
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <regex>
#include <string>
#include <unordered_map>
#include <vector>
int main() {
    std::map<std::string, std::vector<std::function<int(int)>>> m;
    std::unordered_map<std::string, std::regex> r;
    for (int i = 0; i < 10; i++) m[std::to_string(i)].push_back([i](int x) { return x + i; });
    for (auto &[k, v] : m) std::sort(v.begin(), v.end(), [](auto &a, auto &b) { return a(1) < b(1); });
    std::cout << m.size() << r.size() << std::regex_replace(std::string("a1"), std::regex("[0-9]"), "#");
}
"""


def queens(n):
    lines = [f"(declare-const q{i} Int)(assert (and (<= 0 q{i}) (< q{i} {n})))" for i in range(n)]
    for i in range(n):
        for j in range(i + 1, n):
            differ = f"(not (= q{i} q{j})) (not (= (- q{i} q{j}) {j - i})) (not (= (- q{j} q{i}) {j - i}))"
            lines.append(f"(assert (and {differ}))")
    return "\n".join(lines + ["(check-sat)"])


def prepare(folder):
    """Writes what the programs read, the same each time."""
    (folder / "script.py").write_text(PYTHON)
    (folder / "script.pl").write_text(PERL)
    (folder / "script.sql").write_text(SQLITE)
    (folder / "script.lua").write_text(LUA)
    (folder / "page.ps").write_text(POSTSCRIPT)
    (folder / "program.c").write_text(c_source(1200))
    (folder / "program.cc").write_text(CXX)
    (folder / "queens.smt2").write_text(queens(22))
    seed, lines = 42, []
    for i in range(200_000):
        seed = (seed * 69069 + 1) % 2**32
        lines.append(f'{{"a":{i},"b":"w{seed % 5003}","c":[{seed},{i % 7}]}}')
    (folder / "lines.json").write_text("\n".join(lines))
    git = "git init -q r && cd r && git config user.name a && git config user.email a@b && for i in $(seq 60); do " \
        "for f in 1 2 3 4 5 6 7 8; do head -n $((i * f * 40)) ../lines.json > f$f; done; git add . && git commit -qm $i; done; git repack -adfq"
    subprocess.run(["bash", "-c", git], cwd=folder, check=True)


def prepare_patterns(folder):
    """Compiles the patterns."""
    subprocess.run(["gcc", "-O2", "-pthread", "-o", folder / "patterns", ROOT / "benches/patterns.c"], check=True)


PROGRAMS = {
    "python": "PYTHONMALLOC=malloc /usr/bin/python3 script.py",
    "perl": "perl script.pl",
    "sqlite": "sqlite3 :memory: < script.sql",
    "git": "cd r && git -c pack.threads=1 repack -adfq --depth=50 --window=30 && git log -p --stat | wc -c",
    "gcc": "gcc -O2 -S program.c -o /dev/null",
    "g++": "g++ -O1 -std=c++17 -S program.cc -o /dev/null",
    "jq": "jq -s 'group_by(.b) | map({b: .[0].b, n: length, c: map(.c[0]) | add}) | sort_by(.n) | length' lines.json",
    "lua": "lua5.4 script.lua",
    "gs": "gs -q -dNOPAUSE -dBATCH -dSAFER -sDEVICE=png16m -r60 -sOutputFile=/dev/null page.ps",
    "z3": "z3 smt.random_seed=1 queens.smt2",
    "redis": REDIS,
}

# A pattern, and how many threads.
PATTERNS = ["strings 1", "buffers 1", "large-buffers 1", "one-buffer 1", "sizes 1", "sizes 4", "table 1", "table 4",
            "batches 2", "batches 8", "neighbours 2", "neighbours 8", "short-threads 8", "generations 4", "middle 1",
            "spans 1", "requests 1", "requests 2", "requests 8", "pairs 1", "alike 1", "small 1", "mixed 1",
            "sparse 1", "sparse-small 1", "passed 2", "passed 8", "swaps 4", "small-swaps 4"]

SETS = {
    "programs": (prepare, PROGRAMS),
    "more": (lambda folder: more_programs.prepare(folder, CXX), more_programs.PROGRAMS),
    "patterns": (prepare_patterns, {pattern.replace(" ", "-"): f"exec ./patterns {pattern}" for pattern in PATTERNS}),
}


COUNTED = ["valgrind", "--quiet", "--soname-synonyms=somalloc=nouserintercepts", "--tool=cachegrind", "--cache-sim=no",
           "--trace-children=yes"]


def instructions(folder):
    """Millions of instructions that the processes counted wrote down in `folder`."""
    summaries = [file.read_text().splitlines()[-1] for file in folder.iterdir()]
    return sum(int(line.removeprefix("summary:")) for line in summaries) / 1e6


def run(command, allocator, folder, counted):
    """Processor seconds, or, `counted`, instructions in millions; elapsed seconds; and the largest resident set of one
    process, in MiB."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HIGHWATER_")}
    environment.update(LC_ALL="C", PYTHONHASHSEED="0", **SETTINGS.get(allocator, {}))
    library = LIBRARIES[allocator]
    if library:
        environment["LD_PRELOAD"] = library
    counts = Path(tempfile.mkdtemp(dir=folder)) if counted else None
    prefix = COUNTED + [f"--cachegrind-out-file={counts}/%p"] if counted else []
    started = time.monotonic()
    process = subprocess.Popen([*prefix, "bash", "-c", command], cwd=folder, env=environment,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    elapsed = time.monotonic() - started
    process.returncode = status
    if status != 0:
        sys.exit(f"{command!r} under {allocator}: status {status}\n{errors.decode()}")
    cost = instructions(counts) if counted else usage.ru_utime + usage.ru_stime
    return cost, elapsed, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--set", choices=SETS, default="programs")
    parser.add_argument("--only", help="some of the set, with commas between")
    parser.add_argument("--allocators", default="highwater,mimalloc,glibc")
    parser.add_argument("--clock", choices=["cpu", "instructions"], default="cpu")
    arguments = parser.parse_args()
    allocators = arguments.allocators.split(",")
    write, commands = SETS[arguments.set]
    programs = arguments.only.split(",") if arguments.only else list(commands)
    counted = arguments.clock == "instructions"
    for name in allocators:
        if LIBRARIES[name] and not Path(LIBRARIES[name]).exists():
            sys.exit(f"{LIBRARIES[name]} is missing; see --help")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    folder = Path(tempfile.mkdtemp())
    measured = {(program, name): [] for program in programs for name in allocators}
    try:
        write(folder)
        for turn in range(arguments.rounds):
            for program in programs:
                order = allocators[turn % len(allocators):] + allocators[:turn % len(allocators)]
                for name in order:
                    measured[program, name].append(run(commands[program], name, folder, counted))
    finally:
        shutil.rmtree(folder)
    report(programs, allocators, measured, "M" if counted else "s")


def report(programs, allocators, measured, unit):
    def median(program, name, column):
        return statistics.median(row[column] for row in measured[program, name])

    def paired(program, column):
        pairs = zip(measured[program, first], measured[program, second])
        return sorted(one[column] / other[column] for one, other in pairs)

    first, second = allocators[0], allocators[min(1, len(allocators) - 1)]
    titles = [f"{name}, {unit}" for name in allocators] + ["ratio", "least to most", "elapsed"]
    titles += [f"{name}, MiB" for name in allocators]
    print("| program | " + " | ".join(titles) + " |")
    print("|---|" + "---|" * len(titles))
    ratios, elapsed = [], []
    for program in programs:
        rounds = paired(program, 0)
        ratios.append(statistics.median(rounds))
        elapsed.append(statistics.median(paired(program, 1)))
        cells = [f"{median(program, name, 0):.2f}" for name in allocators]
        cells += [f"{ratios[-1]:.2f}", f"{rounds[0]:.2f} to {rounds[-1]:.2f}", f"{elapsed[-1]:.2f}"]
        cells += [f"{median(program, name, 2):.0f}" for name in allocators]
        print(f"| {program} | " + " | ".join(cells) + " |")
    mean, mean_elapsed = (exp(sum(map(log, values)) / len(values)) for values in (ratios, elapsed))
    empty = " | ".join("" for _ in allocators)
    print(f"| geometric mean | {empty} | {mean:.3f} | | {mean_elapsed:.3f} | {empty} |")


if __name__ == "__main__":
    main()
