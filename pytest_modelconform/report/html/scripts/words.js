// Elements, and numbers in words. Text is only ever set as text.

function h(name, properties = {}, ...children) {
  return filled(document.createElement(name), properties, children);
}
function svg(name, properties = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), properties, children);
}
function filled(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "vars") for (const [key, v] of Object.entries(value)) element.style.setProperty(key, v);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return element;
}
function escaped(text) {
  return String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

const fixed = (value, digits = 1) => (value === null || value === undefined ? "–" : value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1"));
const bitsText = (bits) => (bits === null || bits === undefined ? "–" : bits >= 60 ? "exact" : bits.toFixed(1));
function power(value) {
  if (value === null || value === undefined) return "–";
  return value <= -60 ? "0" : h("span", {}, "2", h("sup", {}, value.toFixed(1)));
}
function secondsText(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds === 0) return "0 s";
  if (seconds < 1e-3) return `${seconds < 1e-5 ? (seconds * 1e6).toFixed(1) : (seconds * 1e6).toFixed(0)} µs`;
  if (seconds < 1) return `${digits(seconds * 1e3)} ms`;
  return seconds < 120 ? `${digits(seconds)} s` : `${(seconds / 60).toFixed(1)} min`;
}
function bytesText(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (bytes >= 1024 && i < units.length - 1) [bytes, i] = [bytes / 1024, i + 1];
  return `${i ? digits(bytes) : bytes} ${units[i]}`;
}
const digits = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));
function scientific(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e-3 && size < 1e5 ? String(Number(value.toPrecision(4))) : value.toExponential(2);
}
const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

// What a square says when it is read aloud.
function spoken(cell) {
  const parts = [cell.verdict.name];
  if (cell.partly) parts.push("in part, an input set was refused");
  if (cell.state === 2) parts.push("unexpected");
  if (cell.state === 1) parts.push("as expected");
  if (cell.bits !== null) parts.push(cell.bits >= 60 ? "no error" : `${cell.bits.toFixed(0)} bits`);
  return parts.join(", ");
}
function symbolOf(cell) {
  return cell.partly ? "◐" : cell.verdict.symbol;
}
function rowName(row) {
  return row.dtype === "float32" ? row.name : `${row.name} ${row.dtype}`;
}

function badge(cell, text = cell.state === 2 && !cell.verdict.failed ? `UNEXPECTED ${cell.verdict.name.toUpperCase()}` : cell.verdict.name) {
  return h("span", { class: `badge v-${cell.verdict.name} s${cell.state}` }, h("i", { "aria-hidden": "true" }, symbolOf(cell)), text);
}
function mark(cell) {
  return h("span", { class: `mark v-${cell.verdict.name} s${cell.state}`, role: "img", "aria-label": spoken(cell) }, symbolOf(cell));
}
function link(address, ...children) {
  return h("a", { href: address }, ...children);
}
function cellLink(cell, ...children) {
  return link(addressOf({ cell: idOf(cell) }), ...children);
}

function copyable(text, what) {
  const button = h("button", { type: "button", class: "copy", "aria-label": `Copy ${what}`, title: `Copy ${what}` }, "Copy");
  button.addEventListener("click", async () => {
    const done = await copied(text);
    button.textContent = done ? "Copied" : "Failed";
    say(done ? `Copied ${what}` : `Could not copy ${what}`);
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  return button;
}
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Pages from a file have no clipboard of that kind everywhere.
    const area = h("textarea", { class: "unseen" });
    area.value = text;
    const focus = document.activeElement;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    focus?.focus();
    return done;
  }
}
function say(text) {
  document.getElementById("said").textContent = text;
}

// Why a cell is not a pass, in one line: the reason that expected.toml gives, or the first line of what was said.
function reasonOf(cell) {
  const details = detailsOf(cell);
  const noted = (details.notes ?? []).find((note) => note.startsWith("expected: "));
  if (noted && cell.state === 1) return noted.slice("expected: ".length).split("\n")[0];
  return (details.message ?? "").split("\n")[0];
}
// Messages that differ in names of input sets and in numbers only are one reason.
function kindOf(reason) {
  return reason.replace(/^input set '[^']*'( \([^)]*\))?: /, "").replace(/[-+]?\d+(\.\d+)?(e[-+]?\d+)?/g, "#").slice(0, 300);
}
