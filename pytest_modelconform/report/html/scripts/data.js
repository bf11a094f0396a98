"use strict";
// The data, and what the address says of how to show it.

const report = JSON.parse(document.getElementById("index").textContent);
const { rows, columns, verdicts } = report;
const here = report.part ? "This part of the report" : "This report";

rows.forEach((row, i) => {
  row.index = i;
  row.key = `${row.file}::${row.case}`;
  row.words = [row.case, row.file, row.dtype, ...row.tags].join(" ").toLowerCase();
  row.cells = new Array(columns.length);
});
// Where two files have a case of the same name, the file is part of it.
const twins = new Map();
for (const row of rows) twins.set(row.case, (twins.get(row.case) ?? new Set()).add(row.file));
for (const row of rows) row.name = twins.get(row.case).size > 1 ? row.key : row.case;

columns.forEach((column, i) => {
  column.index = i;
  column.check = column.runtime === "eager"; // the model itself: its check, and that of its trainings
  const extra = [];
  if (column.device !== "cpu") extra.push(column.device);
  if (column.precision !== "full") extra.push(column.precision);
  if (column.task !== "inference") extra.push(column.task);
  column.extra = extra.join(" ");
  column.runtimeName = [column.check ? "model" : column.runtime, ...extra].join(" ");
  column.name = column.check ? `${column.runtimeName} in eager mode` : `${column.format} → ${column.runtimeName}`;
});

const cells = report.cells.map(([row, column, verdict, state, partly, bits], index) => {
  const cell = { index, row: rows[row], column: columns[column], verdict: verdicts[verdict], v: verdict, state, partly, bits };
  rows[row].cells[column] = cell;
  return cell;
});

// A cell's node id, as terms/cell.py puts it together.
function idOf({ row, column }) {
  const parts = column.check ? [row.collect && column.task === "inference" ? "collect" : column.format] : [column.format, column.runtime, column.device].map((name) => name.replaceAll("-", "_"));
  for (const [word, usual] of [[row.dtype, "float32"], [column.precision, "full"], [column.task, "inference"]]) if (word !== usual) parts.push(word);
  return `${row.key}[${parts.join("-")}]`;
}
let byId = null;
function cellOf(id) {
  byId ??= new Map(cells.map((cell) => [idOf(cell), cell]));
  return byId.get(id);
}

// Details are long, and come last in the file: the matrix is in use before they are there. Each is read when it is first
// asked for. Those of many cells are deflated, in base64, so many cells a line: a line is unpacked when one of its cells
// is asked for, which is what `whenKnown` sees to.
const detailsElement = () => document.getElementById("details");
const packs = [];
let texts = null;
let perPack = 0;
function take() {
  if (texts || document.readyState === "loading") return Boolean(texts);
  const element = detailsElement();
  texts = element.textContent.split("\n");
  perPack = Number(element.dataset.packed ?? 0);
  element.textContent = "";
  return true;
}
function detailsOf(cell) {
  if (!cell.details) cell.details = JSON.parse(perPack ? packs[Math.floor(cell.index / perPack)].lines[cell.index % perPack] : texts[cell.index]);
  return cell.details;
}
const packsOf = (some) => (perPack ? [...new Set(some.map((cell) => Math.floor(cell.index / perPack)))].filter((i) => !packs[i]?.lines) : []);
const isKnown = (some) => take() && !packsOf(some).length;
function whenKnown(some, action) {
  if (!take()) document.addEventListener("DOMContentLoaded", () => whenKnown(some, action), { once: true });
  else if (isKnown(some)) action();
  else Promise.all(packsOf(some).map(unpack)).then(action);
}
async function unpack(i) {
  packs[i] ??= { reading: inflated(texts[i]) };
  packs[i].lines = (await packs[i].reading).split("\n");
  texts[i] = "";
}
function inflated(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).text();
}

function distinct(values) {
  return [...new Set(values)].filter((value) => value !== "").sort();
}

// -- the address: filters, and what is open --------------------------------------------------------------------------

const USUAL = { text: "", field: "", tag: "", format: "", on: "", device: "", verdict: "", group: "format", sort: "file", colour: "verdict", case: "", runtime: "", cell: "" };
let state = { ...USUAL };

function readAddress() {
  const found = new URLSearchParams(location.hash.replace(/^#/, ""));
  state = { ...USUAL };
  for (const name of Object.keys(USUAL)) if (found.has(name)) state[name] = found.get(name);
}

// The address of this state with changes. Colons, slashes and brackets stay as they are: ids can be read.
function addressOf(changes) {
  const next = { ...state, ...changes };
  const parts = [];
  for (const [name, usual] of Object.entries(USUAL)) {
    if (next[name] !== usual) {
      parts.push(`${name}=${encodeURIComponent(next[name]).replace(/%(3A|2F|5B|5D|2C)/g, decodeURIComponent)}`);
    }
  }
  return `#${parts.join("&")}`;
}

function go(changes, replace = false) {
  const address = addressOf(changes);
  if (replace) history.replaceState(null, "", address);
  else if (address !== (location.hash || "#")) history.pushState(null, "", address);
  readAddress();
  show();
}
