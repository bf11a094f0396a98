"use strict";
// The data, and what the address says of how to show it.

const report = JSON.parse(document.getElementById("index").textContent);
const { rows, columns, verdicts } = report;

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

// Details are long: they are read line by line, and each when it is first asked for.
let lines = null;
function detailsOf(cell) {
  if (!cell.details) {
    lines ??= document.getElementById("details").textContent.split("\n");
    cell.details = JSON.parse(lines[cell.index]);
  }
  return cell.details;
}
const idOf = (cell) => detailsOf(cell).id;
function cellOf(id) {
  if (cells.length) detailsOf(cells[0]);
  const index = (lines ?? []).findIndex((line) => JSON.parse(line.match(/^\{"id":("(?:[^"\\]|\\.)*")/)[1]) === id);
  return cells[index];
}
// They come last in the file. The matrix is in use before they are there.
function whenComplete(action) {
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => whenUnpacked(action), { once: true });
  else whenUnpacked(action);
}
// Those of many cells are deflated, in base64.
let unpacking = null;
function whenUnpacked(action) {
  const element = document.getElementById("details");
  if (lines || !("packed" in element.dataset)) action();
  else (unpacking ??= unpacked(element)).then(action);
}
async function unpacked(element) {
  const bytes = Uint8Array.from(atob(element.textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  lines = (await new Response(stream).text()).split("\n");
  element.textContent = "";
}
const isComplete = () => lines !== null || (document.readyState !== "loading" && !("packed" in document.getElementById("details").dataset));

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
