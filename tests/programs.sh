#!/usr/bin/env bash
# Real programs under LD_PRELOAD, with the same output, byte for byte, as without.
#
#   tests/programs.sh quick    some seconds: what every Debian has, for .ci/run
#   tests/programs.sh          also Python's own tests, PHP, Ruby, redis, lua, ghostscript, z3: minutes
#
# Installs what is missing with apt-get. Each program runs three times: without the library, with it, and with
# it under HIGHWATER_CHECK=1, which ends a program that gives back what is not its own.
set -euo pipefail
cd "$(dirname "$0")/.."
part=${1:-all}
library=$PWD/target/preload/libhighwater.so
python=/usr/bin/python3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

need() { # a program, and the packages that bring it
    local program=$1
    shift
    command -v "$program" >/dev/null || apt-get install -y --no-install-recommends "$@" >&2
}

# The same function three times, each in a fresh folder; what it prints and writes to $OUT must be the same.
compare() {
    local name=$1 body=$2 way
    for way in without with checked; do
        mkdir -p "$work/$name/$way"
        (
            cd "$work/$name/$way"
            export LC_ALL=C PYTHONHASHSEED=0 PYTHONMALLOC=malloc
            case $way in
            with) export LD_PRELOAD=$library ;;
            checked) export LD_PRELOAD=$library HIGHWATER_CHECK=1 ;;
            esac
            "$body"
        ) >"$work/$name/$way.out" 2>"$work/$name/$way.err" || echo "exit status $?" >>"$work/$name/$way.out"
    done
    for way in with checked; do
        if cmp -s "$work/$name/without.out" "$work/$name/$way.out" && cmp -s "$work/$name/without.err" "$work/$name/$way.err"; then
            continue
        fi
        failures=$((failures + 1))
        echo "FAILED  $name, $way the library:"
        diff "$work/$name/without.out" "$work/$name/$way.out" | head -20 || true
        diff "$work/$name/without.err" "$work/$name/$way.err" | head -20 || true
        return
    done
    if grep -q 'exit status' "$work/$name/without.out"; then
        failures=$((failures + 1))
        echo "FAILED  $name, without the library too:"
        tail -5 "$work/$name/without.out" "$work/$name/without.err"
        return
    fi
    printf 'same    %-12s %8d bytes of output\n' "$name" "$(wc -c <"$work/$name/without.out")"
}

# ---- quick ----------------------------------------------------------------------------------------------------

lines() { # some words, the same each time
    awk -v count="$1" 'BEGIN { s = 42; for (i = 0; i < count; i++) { s = (s * 69069 + 1) % 4294967296; print i, "w" s % 5003, s } }'
}

run_perl() {
    lines 100000 | perl -lane '$n{$F[1]} += $F[2]; push @{$l{$F[1]}}, $F[0]; END { print "$_ $n{$_} @{$l{$_}}" for sort keys %n }'
}

run_python() {
    "$python" - <<'EOF'
import copy, json, pickle, threading
records = [{"key": i, "name": "n" * (i % 50), "values": list(range(i % 20))} for i in range(50_000)]
again = pickle.loads(pickle.dumps(copy.deepcopy(records)))
print(again == records, len(json.dumps(again)))
results = []
def work(number):
    results.append((number, sum(len(str(i) * 3) for i in range(50_000))))
threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sorted(results))
EOF
}

run_sqlite() {
    sqlite3 :memory: <<'EOF'
create table t(a integer primary key, b text, c real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000)
insert into t select i, printf('%x-%d', i * 2654435761 % 65536, i), i / 7.0 from n;
create index tb on t(b);
select count(*), sum(length(b)), round(sum(c), 3) from t;
select b, a from t order by b desc limit 500;
select substr(b, 1, 2), count(*), group_concat(a) from t group by 1 order by 1;
EOF
}

run_git() {
    export HOME=$PWD GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
    export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_CONFIG_NOSYSTEM=1
    git init -q -b main repository && cd repository
    for round in $(seq 20); do
        lines $((round * 100)) >"file$((round % 5))"
        git add . && git commit -qm "round $round"
    done
    git -c pack.threads=1 gc --quiet && git fsck --full
    git log --stat --oneline && git rev-parse HEAD && git blame file1 | tail -5
    git diff HEAD~10 | sha256sum
}

run_xz() {
    lines 300000 >text
    xz -T2 -k -3 text && xz -dc text.xz | cmp - text && sha256sum text.xz
}

run_gcc() {
    cat >program.c <<'EOF'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }
int main(void) {
    char *texts[1000];
    for (int i = 0; i < 1000; i++) { texts[i] = malloc(32); snprintf(texts[i], 32, "%d", i * 7919 % 1000); }
    qsort(texts, 1000, sizeof *texts, by_text);
    for (int i = 0; i < 1000; i++) { puts(texts[i]); free(texts[i]); }
}
EOF
    gcc -O2 -S program.c -o - && gcc -O2 -g program.c -o program && ./program
}

run_jq() {
    lines 30000 | awk '{ printf "{\"a\":%d,\"b\":\"%s\",\"c\":[%d,%d]}\n", $1, $2, $3, $1 % 7 }' |
        jq -s 'group_by(.b) | map({b: .[0].b, n: length, c: map(.c[0]) | add}) | sort_by(.n)'
}

need perl perl
need "$python" python3
need sqlite3 sqlite3
need git git
need xz xz-utils
need gcc gcc libc6-dev
need jq jq
cargo preload
compare perl run_perl
compare python run_python
compare sqlite run_sqlite
compare git run_git
compare xz run_xz
compare gcc run_gcc
compare jq run_jq

# ---- the rest -------------------------------------------------------------------------------------------------

run_gxx() {
    cat >program.cc <<'EOF'
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <string>
#include <thread>
#include <vector>
struct alignas(64) Line { int values[16] = {}; };
int main() {
    std::map<std::string, std::vector<std::unique_ptr<Line>>> lines;
    for (int i = 0; i < 20000; i++) lines[std::to_string(i % 997)].push_back(std::make_unique<Line>());
    std::vector<std::thread> threads;
    std::vector<size_t> sums(8);
    for (int t = 0; t < 8; t++) threads.emplace_back([&sums, t] {
        std::vector<std::string> texts;
        for (int i = 0; i < 50000; i++) texts.push_back(std::string(i % 200, 'a' + t));
        for (auto &text : texts) sums[t] += text.size();
    });
    for (auto &thread : threads) thread.join();
    for (auto &[key, value] : lines) std::cout << key << ' ' << value.size() << '\n';
    for (auto sum : sums) std::cout << sum << '\n';
    try { std::vector<char> huge(size_t(1) << 46); } catch (std::bad_alloc &) { std::cout << "bad_alloc\n"; }
    std::cout << std::regex_replace(std::string("a1b22c333"), std::regex("[0-9]+"), "#") << '\n';
}
EOF
    g++ -O2 -std=c++17 -S program.cc -o - | sha256sum && g++ -O2 -std=c++17 -pthread program.cc -o program && ./program
}

run_lua() {
    lua5.4 - <<'EOF'
local t = {}
for i = 1, 200000 do t[i] = ("x"):rep(i % 60) .. i end
table.sort(t, function(a, b) return #a < #b or (#a == #b and a < b) end)
local n = 0
for i = 1, #t, 3 do n = n + #t[i]; t[i] = nil end
collectgarbage()
print(n, t[2], t[199999], #table.concat({ "a", "b" }))
EOF
}

run_ghostscript() {
    cat >page.ps <<'EOF'
%!PS
/Times-Roman findfont 12 scalefont setfont
1 1 20 { /p exch def
  0 1 50 { /i exch def 50 750 i 14 mul sub moveto (page ) show p 10 string cvs show ( line ) show i 10 string cvs show
    i 50 div 0.5 p 20 div setrgbcolor 300 i 14 mul moveto 200 0 rlineto stroke } for showpage } for
EOF
    gs -q -dNOPAUSE -dBATCH -dSAFER -sDEVICE=png16m -r100 -sOutputFile=page-%02d.png page.ps && sha256sum page-*.png
}

run_z3() {
    awk 'BEGIN { n = 9; for (i = 0; i < n; i++) printf "(declare-const q%d Int)(assert (and (<= 0 q%d) (< q%d %d)))\n", i, i, i, n
        for (i = 0; i < n; i++) for (j = i + 1; j < n; j++)
            printf "(assert (and (not (= q%d q%d)) (not (= (- q%d q%d) %d)) (not (= (- q%d q%d) %d))))\n", i, j, i, j, j - i, j, i, j - i
        print "(check-sat)(get-model)" }' >queens.smt2
    z3 smt.random_seed=1 queens.smt2
}

# Its extensions are loaded with RTLD_DEEPBIND.
run_php() {
    php -d memory_limit=-1 -r '
        for ($i = 0; $i < 50000; $i++) $a["k$i"] = ["n" => $i, "s" => str_repeat("x", $i % 50)];
        $b = json_decode(json_encode($a), true);
        uasort($b, fn($x, $y) => strlen($x["s"]) <=> strlen($y["s"]) ?: $x["n"] <=> $y["n"]);
        echo count($b), " ", key($b), " ", count(preg_split("/x+/", json_encode($b))), "\n";
        $d = new DOMDocument;
        $d->loadXML("<r>" . str_repeat("<i a=\"1\">t</i>", 20000) . "</r>");
        echo strlen($d->saveXML()), " ", mb_strtoupper("straße"), " ", md5(gzcompress(implode(",", array_keys($b)))), "\n";'
}

run_ruby() {
    ruby -e '
        h = (0...50000).to_h { |i| ["k#{i}", [i, "v" * (i % 40)]] }
        words = h.flat_map { |k, v| (k + v[1]).split("1") }.sort
        GC.compact if GC.respond_to?(:compact)
        puts words.size, words.group_by(&:size).map { |k, v| [k, v.size] }.sort.inspect, Marshal.load(Marshal.dump(h)) == h
        puts 8.times.map { |t| Thread.new { (0...20000).sum { |i| (i * t).to_s.size } } }.map(&:value).inspect'
}

run_redis() {
    local socket=$PWD/socket
    redis-server --port 0 --unixsocket "$socket" --save '' --daemonize no --logfile log &
    local server=$!
    for _ in $(seq 100); do redis-cli -s "$socket" ping 2>/dev/null | grep -q PONG && break; sleep 0.1; done
    redis-cli -s "$socket" debug populate 100000 key 100
    lines 20000 | awk '{ print "rpush", $2, $3; print "hset h" $1 % 50, $2, $3; print "zadd z", $3, $2 }' | redis-cli -s "$socket" >answers
    sha256sum answers
    redis-benchmark -s "$socket" -q -n 20000 -c 20 -t set,get,lpush,lrange_100 >rates || echo "benchmark: status $?"
    wc -l <rates | tr -d ' '
    redis-cli -s "$socket" del mylist key:__rand_int__
    redis-cli -s "$socket" debug digest
    redis-cli -s "$socket" bgsave >/dev/null
    redis-cli -s "$socket" shutdown nosave || true
    wait "$server"
}

run_python_tests() {
    # What takes time, and where the tests are, is no result.
    "$python" -m test test_json test_list test_dict test_set test_unicode test_bytes test_array test_re test_thread \
        test_threading test_fork1 test_os test_subprocess test_mmap test_zlib test_ctypes test_gc test_deque \
        test_struct test_memoryview 2>/dev/null | grep -E '^(Tests result|All|[0-9]+ tests? |    test_)'
}

if [ "$part" != quick ]; then
    need g++ g++
    need lua5.4 lua5.4
    need gs ghostscript
    need z3 z3
    need php php-cli php-xml php-mbstring
    need ruby ruby
    need redis-server redis-server redis-tools
    [ -d /usr/lib/python3.11/test/test_json ] || apt-get install -y --no-install-recommends libpython3.11-testsuite >&2
    compare g++ run_gxx
    compare lua run_lua
    compare ghostscript run_ghostscript
    compare z3 run_z3
    compare php run_php
    compare ruby run_ruby
    compare redis run_redis
    compare python-tests run_python_tests
fi
[ "$failures" = 0 ] || { echo "$failures failed"; exit 1; }
