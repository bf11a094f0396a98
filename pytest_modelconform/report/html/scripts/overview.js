// The page in front of the parts: each part is a page like that of a small report, in the folder beside this one.

const report = JSON.parse(document.getElementById("index").textContent);
const { parts, verdicts, files } = report;
const MOST_FOUND = 200;

const rows = report.rows.map(([file, name, dtype, part, tags]) => {
  const row = { key: `${files[file]}::${name}`, name, dtype, file: files[file], part: parts[part] };
  row.words = [name, row.file, dtype, ...report.tags[tags]].join(" ").toLowerCase();
  return row;
});

const sum = (counts, fits = () => true) => counts.filter(([v, s]) => fits(verdicts[v], s)).reduce((all, [, , n]) => all + n, 0);
const merged = (all) => {
  const found = new Map();
  for (const [v, s, n] of all.flat()) found.set(`${v} ${s}`, [v, s, (found.get(`${v} ${s}`)?.[2] ?? 0) + n]);
  return [...found.values()].sort(([a, s], [b, t]) => a - b || s - t);
};
const isPass = (verdict) => verdict.name === "pass";
// Ids stay readable, as in the addresses of the parts' own pages.
const encoded = (text) => encodeURIComponent(text).replace(/%(3A|2F|5B|5D|2C)/g, decodeURIComponent);
const addressIn = (part, name, value) => `${part.href}#${name}=${encoded(value)}`;

function shareOf(counts) {
  const total = sum(counts);
  const said = verdicts.map((verdict) => [verdict, sum(counts, (one) => one === verdict)]).filter(([, n]) => n);
  return h("div", { class: "share", role: "img", "aria-label": said.map(([verdict, n]) => `${n} ${verdict.name}`).join(", ") },
    counts.map(([v, s, n]) => h("span", { class: `v-${verdicts[v].name} s${s}`, vars: { "--share": n / total }, title: `${n} ${verdicts[v].name}${s === 1 ? ", expected" : s === 2 ? ", unexpected" : ""}` })));
}

function drawTotals() {
  const all = merged(parts.map((part) => part.counts));
  const unexpected = sum(all, (verdict, state) => state === 2);
  document.getElementById("lead").append(h("b", {}, plural(sum(all), "cell")), ` of ${plural(new Set(rows.map((row) => row.key)).size, "case")} on ${plural(parts.length, "page")}; `, h("b", {}, unexpected ? `${unexpected} unexpected` : "nothing unexpected"), ".");
  const chips = verdicts.map((verdict) => [verdict, sum(all, (one) => one === verdict)]).filter(([, n]) => n);
  document.getElementById("totals").append(shareOf(all), h("ul", { class: "chips" }, chips.map(([verdict, n]) =>
    h("li", { class: "chip still", title: verdict.meaning }, h("span", { class: `mark v-${verdict.name} s${verdict.failed ? 2 : 0}`, "aria-hidden": "true" }, verdict.symbol), h("b", {}, String(n)), verdict.name))));
}

function drawProblems() {
  const section = document.getElementById("problems");
  section.append(h("h2", {}, report.problems.length ? "What is not as expected" : "Everything is as expected"));
  section.append(h("ol", { class: "reasons" }, report.problems.map((one) => {
    const [v, state] = one.square;
    const more = [one.also && `also in ${plural(one.also, "more cell")}`, one.following && `${plural(one.following, "cell")} fail only since this one does`].filter(Boolean).join("; ");
    return h("li", {},
      h("div", { class: "line" }, h("span", { class: `badge v-${verdicts[v].name} s${state}` }, h("i", { "aria-hidden": "true" }, verdicts[v].symbol), one.title), link(addressIn(parts[one.part], "cell", one.id), one.id)),
      one.message && h("p", { class: "why" }, one.message), more && h("p", { class: "count" }, more));
  })));
  if (report.more) section.append(h("p", { class: "note" }, `${plural(report.more, "more problem")} are on the pages of the parts.`));
}

const region = (label, head, body) => h("div", { class: "wide-table", tabindex: "0", role: "region", "aria-label": label }, h("table", { class: "by-format" }, h("thead", {}, h("tr", {}, head.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, body)));
const number = (value, href) => h("td", { class: "number" }, href && value ? link(href, String(value)) : String(value || "–"));

function drawParts() {
  const body = parts.map((part) => h("tr", {}, h("th", { scope: "row" }, link(part.href, part.name)), number(part.rows), number(sum(part.counts)), number(sum(part.counts, isPass)),
    number(sum(part.counts, (verdict, state) => state === 2), addressIn(part, "verdict", "unexpected")), h("td", { class: "shares" }, shareOf(part.counts))));
  document.getElementById("parts").append(h("h2", {}, "Parts"), region("Parts", ["part", "rows", "cells", "pass", "unexpected", "verdicts"], body));
}

function drawColumns() {
  const body = report.columns.map(({ name: [format, runtime, device, precision, task], counts }) => {
    const extra = [[device, "cpu"], [precision, "full"], [task, "inference"]].filter(([word, usual]) => word !== usual).map(([word]) => word);
    const title = runtime === "eager" ? ["model in eager mode", ...extra].join(" ") : `${format} → ${[runtime, ...extra].join(" ")}`;
    return h("tr", {}, h("th", { scope: "row" }, title), number(sum(counts)), number(sum(counts, isPass)), number(sum(counts, (verdict, state) => state === 2)), h("td", { class: "shares" }, shareOf(counts)));
  });
  document.getElementById("columns").append(h("h2", {}, "Formats and runtimes"), region("Formats and runtimes", ["column", "cells", "pass", "unexpected", "verdicts"], body));
}

// -- the search: rows by words, as on the pages of the parts; and a cell by its id --------------------------------------

const keyOf = (id) => id.slice(0, id.lastIndexOf("["));
const rowOf = (key) => rows.find((row) => row.key === key);

function search(text) {
  const section = document.getElementById("found");
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  section.hidden = !words.length;
  if (!words.length) return section.replaceChildren();
  const exact = text.includes("[") ? rowOf(keyOf(text.trim())) : null;
  if (exact) return section.replaceChildren(h("ul", { class: "found" }, h("li", {}, link(addressIn(exact.part, "cell", text.trim()), text.trim()))));
  const found = rows.filter((row) => words.every((word) => row.words.includes(word)));
  const more = found.length > MOST_FOUND ? `; the first ${MOST_FOUND} are shown` : "";
  return section.replaceChildren(h("p", { class: "note" }, `${found.length} of ${plural(rows.length, "row")}${more}`), h("ul", { class: "found" }, found.slice(0, MOST_FOUND).map((row) =>
    h("li", {}, link(addressIn(row.part, "case", row.key), row.dtype === "float32" ? row.name : `${row.name} ${row.dtype}`, " ", h("small", {}, row.file))))));
}

const input = document.getElementById("f-text");
input.addEventListener("input", () => search(input.value));
document.getElementById("filters").addEventListener("submit", (event) => {
  event.preventDefault();
  document.querySelector("#found a")?.click();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input")) {
    event.preventDefault();
    input.focus();
  }
});

// An address of a cell or a case, as it was before there were so many: on to the page that has it.
function follow() {
  const asked = new URLSearchParams(location.hash.replace(/^#/, ""));
  const [cell, key, text] = ["cell", "case", "text"].map((name) => asked.get(name) ?? "");
  const row = rowOf(cell ? keyOf(cell) : key);
  if (row) return location.replace(row.part.href + location.hash);
  notice(cell ? `This report has no cell ${cell}` : key ? `This report has no case ${key}` : "");
  input.value = text;
  return search(text);
}
addEventListener("hashchange", follow);

drawFrame();
drawTotals();
drawProblems();
drawParts();
drawColumns();
follow();
requestAnimationFrame(() => setTimeout(() => {
  performance.mark("modelconform-interactive");
  performance.mark("modelconform-complete");
  document.documentElement.dataset.complete = document.documentElement.dataset.drawn = "";
}));
