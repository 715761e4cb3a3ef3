"""More real programs for `programs.py`, chosen without a look at how they fare: compilers, interpreters with memory of their own or
without, tools for text, pictures, films and circuits. What they read is written here, the same each time.

Debian: apt-get install clang doxygen yosys swi-prolog-nox xsltproc gawk ruby nodejs tcl emacs-nox python3-pandas guile-3.0 imagemagick
ffmpeg cmake ninja-build pandoc. PHP is left out: under Debian's mimalloc and jemalloc it ends at its first extension.
"""

import random

RUBY = """
h = {}
300_000.times { |i| h["key#{i}"] = [i, "v" * (i % 40)] }
a = Array.new(300_000) { |i| "x#{i * i}" }.sort
puts a.map(&:reverse).uniq.size, a.group_by(&:size).size
require 'json'
puts JSON.parse(JSON.generate(h)).size
5.times { puts a.map { |x| x.split("1") }.flatten.size }
"""

NODE = """
const buffers = [];
for (let i = 0; i < 200000; i++) { const b = Buffer.allocUnsafeSlow(100 + i % 3000); b[0] = i; buffers[i % 5000] = b; }
const map = new Map();
for (let i = 0; i < 500000; i++) map.set('k' + i, { i });
const zlib = require('zlib');
for (let i = 0; i < 300; i++) zlib.inflateSync(zlib.deflateSync(Buffer.alloc(20000, i)));
console.log(map.size);
"""

TCL = """
for {set i 0} {$i < 300000} {incr i} {
    dict set d k$i [list $i [string repeat x [expr {$i % 40}]]]
    lappend l "s[expr {$i * 7919 % 300007}]"
}
set n 0
foreach x [lsort $l] { incr n [string length [string map {1 ab} $x]] }
foreach {k v} $d { append o "$k=$v;" }
puts "$n [string length $o] [llength [split $o ";"]]"
"""

PROLOG = """
queens(N, Qs) :- numlist(1, N, Ns), select_all(Ns, [], Qs).
select_all([], Qs, Qs).
select_all(Left, Set, Qs) :- select(Q, Left, Rest), \\+ attacked(Q, 1, Set), select_all(Rest, [Q | Set], Qs).
attacked(X, N, [Y | _]) :- X is Y + N ; X is Y - N.
attacked(X, N, [_ | Ys]) :- N1 is N + 1, attacked(X, N1, Ys).
insert(0) :- !.
insert(N) :- atom_concat(a, N, A), assertz(fact(A, N)), N1 is N - 1, insert(N1).
:- queens(9, Q), print(Q), findall(X, queens(6, X), L), length(L, K), print(K), insert(200000),
   aggregate_all(count, fact(_, _), C), print(C), retractall(fact(_, _)), halt.
"""

LISP = """
(let (l (h (make-hash-table :test 'equal)))
  (dotimes (i 200000) (push (format "s%d" (* i 7919)) l) (puthash (format "k%d" i) (list i (make-string (% i 40) ?x)) h))
  (with-temp-buffer
    (dolist (x (sort l #'string<)) (insert x "\\n"))
    (goto-char 1)
    (while (re-search-forward "\\\\([0-9]\\\\)7" nil t) (replace-match "<\\\\1>"))
    (princ (buffer-size))))
"""

PANDAS = """
import numpy as np, pandas as pd
n = 400_000
random = np.random.default_rng(1)
d = pd.DataFrame({"a": np.arange(n) % 1000, "b": random.random(n), "c": ["s%d" % (i % 5000) for i in range(n)]})
for _ in range(3):
    g = d.groupby("c").agg({"b": ["mean", "sum"], "a": "max"})
    m = d.merge(d.drop_duplicates("a")[["a", "b"]], on="a").sort_values("b_x")
    t = m["c"].str.upper().value_counts()
print(len(g), len(m), len(t))
"""

SCHEME = """
(define h (make-hash-table))
(do ((i 0 (+ i 1))) ((= i 300000)) (hash-set! h (number->string i) (make-string (modulo i 50) #\\x)))
(display (hash-count (const #t) h))
"""

AWK = """
BEGIN {
    for (i = 0; i < 600000; i++) a["k" i] = i "v" i * i
    for (k in a) { n += length(a[k]); b[substr(k, 2, 4)] = b[substr(k, 2, 4)] substr(a[k], 1, 2) }
    for (k in b) m += length(b[k])
    print n, m
}
"""

STYLE = """<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/"><o>
<xsl:for-each select="r/i"><xsl:sort select="@k"/><p><xsl:value-of select="a"/><xsl:value-of select="b"/></p></xsl:for-each>
</o></xsl:template></xsl:stylesheet>"""

VERILOG = """
module m(input clk, input [31:0] a, b, output reg [31:0] o);
    reg [31:0] r[0:15];
    integer i;
    always @(posedge clk) begin
        r[0] <= a * b;
        for (i = 1; i < 16; i = i + 1) r[i] <= r[i - 1] ^ (a + r[i - 1] * i);
        o <= r[15];
    end
endmodule
"""

CMAKE = """
cmake_minimum_required(VERSION 3.20)
project(x CXX)
foreach(i RANGE 3000)
    set(v "a;b;c;${i}")
    list(SORT v)
    string(REGEX REPLACE "a" "bb" w "${v}")
    add_custom_target(t${i} COMMAND echo ${w})
endforeach()
"""

DOXYGEN = """
INPUT = /usr/include/c++/12/bits
FILE_PATTERNS = *.h *.tcc
GENERATE_HTML = NO
GENERATE_LATEX = NO
GENERATE_XML = YES
QUIET = YES
WARNINGS = NO
"""


def prepare(folder, cxx):
    """Writes what the programs read, the same each time; `cxx` is C++ for a compiler."""
    random.seed(1)
    texts = {"a.rb": RUBY, "a.js": NODE, "a.tcl": TCL, "a.pl": PROLOG, "a.el": LISP, "a.py": PANDAS, "a.scm": SCHEME, "a.awk": AWK,
             "a.xsl": STYLE, "a.v": VERILOG, "a.cc": cxx, "Doxyfile": DOXYGEN}
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "cmake").mkdir()
    (folder / "cmake/CMakeLists.txt").write_text(CMAKE)
    items = "".join(f'<i id="{i}" k="{random.random()}"><a>{i * 7}</a><b>text {i}</b></i>' for i in range(60_000))
    (folder / "a.xml").write_text(f"<r>{items}</r>")
    parts = (f"# H{i}\n\nSome *text* with `code` and [a link](http://x/{i}) {i} times.\n\n- a\n- b **c**\n" for i in range(1500))
    (folder / "a.md").write_text("\n".join(parts))


PROGRAMS = {
    "clang": "clang++ -fsyntax-only -std=c++17 a.cc",
    "doxygen": "rm -rf xml && doxygen Doxyfile",
    "yosys": "yosys -q -p 'read_verilog a.v; synth'",
    "prolog": "swipl -q a.pl",
    "xslt": "xsltproc a.xsl a.xml",
    "awk": "gawk -f a.awk",
    "ruby": "ruby a.rb",
    "node": "node a.js",
    "tcl": "tclsh a.tcl",
    "emacs": "emacs -Q --batch -l a.el",
    "pandas": "/usr/bin/python3 a.py",
    "guile": "guile --no-auto-compile a.scm",
    "convert": "convert -seed 1 -size 1500x1500 plasma: -resize 50% -blur 0x3 -rotate 30 png:/dev/null",
    "ffmpeg": "ffmpeg -v error -f lavfi -i testsrc2=d=10:s=640x360 -c:v mpeg4 -f null -",
    "cmake": "rm -rf built && cmake -S cmake -B built -G Ninja",
    "pandoc": "pandoc a.md -t html",
}
