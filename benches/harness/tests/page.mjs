// Opens a report in a real browser, on a desk and on a phone, light and dark, and fails if anything is amiss.
//
//   node page.mjs FOLDER [SHOTS]     FOLDER has report.html and results.json; screenshots go to SHOTS
//
// What must be there is read from the results, not from the page: a chart of each kind for every workload, and in
// each as many series as contenders that were measured.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

// Installed beside the caller, not beside this file.
const { chromium } = createRequire(join(process.cwd(), "x.js"))("playwright-core");

const [folder, shots] = process.argv.slice(2).map((path) => resolve(path));
const results = JSON.parse(readFileSync(join(folder, "results.json"), "utf8"));
const address = pathToFileURL(join(folder, "report.html")).href;

const DESK = { width: 1100, height: 1400 };
const PHONE = { width: 390, height: 844 };
const LETTERS_MIN_PX = 9.5;

const browserArguments = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

/** The contenders of a workload that were measured. */
const measured = (workload) => workload.runs.filter((run) => run.report).map((run) => run.contender);

/** Each chart that must be there, and the contenders of which it must have a series. */
function wantedCharts() {
  const wanted = new Map();
  for (const workload of results.workloads) {
    const contenders = measured(workload);
    if (contenders.length === 0) continue;
    const kinds = workload.ruler ? ["curve", "figures", "trade-off"] : ["curve", "figures"];
    for (const kind of kinds) wanted.set(`${workload.workload}-${kind}`, contenders);
  }
  const everywhere = results.settings.contenders.filter(
    (name) => results.workloads.every((workload) => measured(workload).includes(name)),
  );
  if (everywhere.length > 0 && results.workloads.length > 0) wanted.set("trade-off", everywhere);
  return wanted;
}

/** What is shown of every chart: its series, its size on the screen, its smallest letters. */
const readCharts = (page) => page.$$eval("svg[data-chart]", (charts) => charts
  .filter((chart) => getComputedStyle(chart).display !== "none")
  .map((chart) => {
    const { width, height } = chart.getBoundingClientRect();
    const scale = width / chart.viewBox.baseVal.width;
    const sizes = [...chart.querySelectorAll("text")].map((text) => parseFloat(text.getAttribute("font-size")));
    const shapes = [...chart.querySelectorAll("[data-series]")];
    return {
      name: chart.dataset.chart,
      series: [...new Set(shapes.map((shape) => shape.dataset.series))],
      drawn: shapes.every((shape) => shape.getBoundingClientRect().width + shape.getBoundingClientRect().height > 0),
      label: chart.getAttribute("aria-label"),
      width,
      height,
      letters: Math.min(...sizes) * scale,
    };
  }));

async function check(page, viewport, scheme) {
  const complaints = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    if (!/^(file|data):/.test(request.url())) complaints.push(`asks for ${request.url()}`);
  });
  await page.setViewportSize(viewport);
  await page.emulateMedia({ colorScheme: scheme });
  await page.goto(address);

  const charts = new Map((await readCharts(page)).map((chart) => [chart.name, chart]));
  for (const [name, contenders] of wantedCharts()) {
    const chart = charts.get(name);
    assert.ok(chart, `no chart ${name}`);
    assert.deepEqual([...chart.series].sort(), [...contenders].sort(), `the series of ${name}`);
    assert.ok(chart.drawn, `a series of ${name} has no extent`);
    assert.ok(chart.label.length > 20, `${name} says nothing to who cannot see it`);
  }
  for (const chart of charts.values()) {
    assert.ok(chart.width > 200 && chart.height > 40, `${chart.name} is ${chart.width} x ${chart.height}`);
    assert.ok(!(chart.letters < LETTERS_MIN_PX), `letters of ${chart.letters} px in ${chart.name}`);
  }
  const mapped = results.maps?.filter((map) => map.maps.length > 1) ?? [];
  const maps = [...charts.keys()].filter((name) => name.startsWith("heap-map-") && name !== "heap-map-legend");
  assert.equal(maps.length, mapped.length === 0 ? 0 : mapped.length + 1, "heap maps: before, and each rung after");

  const text = await page.innerText("body");
  for (const workload of results.workloads) {
    for (const run of workload.runs.filter((run) => run.failed)) {
      assert.ok(text.includes(`${run.contender} failed: ${run.failed}`), `${run.contender} failed, unsaid`);
    }
  }
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(overflow <= 0, `the page is ${overflow} px wider than the screen`);
  assert.deepEqual(complaints, [], "complaints of the browser");
  return { charts: charts.size, ground: await page.$eval("body", (body) => getComputedStyle(body).backgroundColor) };
}

/** Pressing a contender's name leaves it alone in every chart; pressing it again shows all. */
async function checkPicking(page) {
  const name = measured(results.workloads[0])[0];
  const pick = page.locator(`button[data-pick="${name}"]`);
  const faint = () => page.$$eval("[data-series]", (shapes, name) => {
    const of = (shape) => Number(getComputedStyle(shape).opacity);
    return {
      own: shapes.filter((shape) => shape.dataset.series === name).every((shape) => of(shape) > 0.5),
      others: shapes.filter((shape) => shape.dataset.series !== name).every((shape) => of(shape) < 0.5),
    };
  }, name);
  await page.emulateMedia({ reducedMotion: "reduce" });
  await pick.press("Enter");
  assert.deepEqual(await faint(), { own: true, others: true }, `${name} was picked`);
  assert.equal(await pick.getAttribute("aria-pressed"), "true");
  await pick.press("Enter");
  assert.equal((await faint()).others, false, "all are shown again");
}

/** The page down to the end of its first workload. */
async function shoot(page, path, width) {
  const height = await page.evaluate(() => {
    const first = document.querySelector("section:has([data-figure$='-curve'])");
    return Math.ceil(first.getBoundingClientRect().bottom + window.scrollY);
  });
  await page.screenshot({ path, fullPage: true, clip: { x: 0, y: 0, width, height } });
}

const profile = mkdtempSync(join(tmpdir(), "page-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: "/usr/bin/chromium",
  headless: true,
  args: browserArguments,
});
try {
  const grounds = new Map();
  for (const scheme of ["light", "dark"]) {
    for (const [place, viewport] of [["desk", DESK], ["phone", PHONE]]) {
      const page = await browser.newPage();
      const { charts, ground } = await check(page, viewport, scheme);
      grounds.set(scheme, ground);
      console.log(`${scheme}, ${place}: ${charts} charts, as wanted`);
      if (shots) await shoot(page, join(shots, `report-${scheme}-${place}.png`), viewport.width);
      if (place === "desk") await checkPicking(page);
      await page.close();
    }
  }
  assert.notEqual(grounds.get("light"), grounds.get("dark"), "dark is light");
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}
