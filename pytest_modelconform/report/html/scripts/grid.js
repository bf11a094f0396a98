// The matrix: an ARIA grid with one tab stop. Hidden columns are one style rule each, so that a filter touches no cell.

const scroller = document.getElementById("matrix");
const sheet = document.head.appendChild(document.createElement("style"));
const used = columns.filter((column) => rows.some((row) => row.cells[column.index]));
const BANDS = 10; // steps of the colour scale for bits: 2.4 bits each, up to the 24 of float32
let grid = null;
let order = []; // columns, as they are grouped now
let drawn = ""; // what the grid in the page was drawn for
let sorted = [];
let shownRows = [];
let shownColumns = [];
let focus = { row: null, column: null }; // a row or null for the heads; a column or null for the names

const groupOf = (column) => (column.check ? "" : state.group === "runtime" ? column.runtime : column.format);
const inGroup = (column) => (state.group === "runtime" && !column.check ? [column.format, column.extra].filter(Boolean).join(" ") : column.runtimeName);
const bandOf = (bits) => Math.max(0, Math.min(BANDS - 1, Math.floor((bits / 24) * BANDS)));

function drawGrid() {
  const key = `${state.group} ${state.colour} ${columns.length <= 16}`;
  if (drawn === key) return;
  const grouped = state.group === "runtime" ? [...columns].sort((a, b) => b.check - a.check || (a.runtime < b.runtime ? -1 : a.runtime > b.runtime ? 1 : a.index - b.index)) : columns;
  order = [...grouped];
  const wide = columns.length <= 16;
  scroller.style.setProperty("--head", `${Math.min(210, 24 + 6.4 * Math.max(...order.map((c) => Math.max(inGroup(c).length, groupOf(c).length))))}px`);
  delete document.documentElement.dataset.drawn;
  // One string: thousands of elements one by one take several times as long.
  const parts = ['<div class="heads" role="rowgroup"><div class="bands" role="presentation"></div><div class="row head" role="row" aria-rowindex="1"><div class="corner" role="columnheader" aria-colindex="1">Case</div>'];
  order.forEach((column, place) => {
    const name = escaped(inGroup(column));
    const other = escaped(groupOf(column));
    parts.push(`<div class="c${column.index} h" role="columnheader" aria-colindex="${place + 2}" data-column="${column.index}"><a tabindex="-1" href="#" aria-label="${escaped(column.name)}"><span class="of">${other}</span> <span class="is">${name}</span></a></div>`);
  });
  parts.push('</div></div><div class="body" role="rowgroup">');
  for (const row of rows) {
    parts.push(`<div class="row" role="row" data-row="${row.index}"><div class="name" role="rowheader" aria-colindex="1"><a tabindex="-1" href="#">`);
    if (row.field) parts.push(`<span class="field">${escaped(row.field)}</span> `);
    parts.push(`<span>${escaped(row.name)}</span>`);
    if (row.dtype !== "float32") parts.push(` <span class="dtype">${escaped(row.dtype)}</span>`);
    parts.push("</a></div></div>");
  }
  parts.push("</div>");
  grid = document.createElement("div");
  grid.className = `grid by-${state.colour}${wide ? " wide" : ""}`;
  grid.setAttribute("role", "grid");
  grid.setAttribute("aria-label", "Compatibility matrix: cases down, formats and runtimes across");
  grid.setAttribute("aria-colcount", String(columns.length + 1));
  grid.setAttribute("aria-rowcount", String(rows.length + 1));
  grid.innerHTML = parts.join("");
  for (const element of grid.querySelectorAll(".h")) element.firstChild.href = addressOf({ runtime: columns[element.dataset.column].runtime });
  for (const element of grid.querySelectorAll(".row[data-row]")) {
    const row = rows[element.dataset.row];
    row.element = element;
    row.link = element.firstChild.firstChild;
  }
  scroller.replaceChildren(grid);
  for (const row of rows) row.link.href = addressOf({ case: row.key });
  drawn = key;
  sorted = "";
}

// The squares of a row, if it has none yet.
function fill(row) {
  if (row.filled === grid) return;
  row.filled = grid;
  const wide = columns.length <= 16;
  const name = escaped(rowName(row));
  const parts = order.map((column, place) => {
    const cell = row.cells[column.index];
    const common = `role="gridcell" aria-colindex="${place + 2}" tabindex="-1" data-column="${column.index}"`;
    if (!cell) return `<div class="c c${column.index}" ${common} aria-label="none"></div>`;
    const band = cell.bits === null ? "" : ` b${bandOf(cell.bits)}`;
    return `<div class="c c${column.index} v-${cell.verdict.name} s${cell.state}${band}" ${common} data-cell="${cell.index}" aria-label="${name}, ${escaped(column.name)}: ${spoken(cell)}">${squareText(cell, wide)}</div>`;
  });
  row.element.insertAdjacentHTML("beforeend", parts.join(""));
}

// What fits the window now, the rest little by little: the matrix is in use before thousands of squares are made.
function fillAll() {
  const these = grid;
  for (const row of shownRows.slice(0, Math.ceil(innerHeight / 29))) fill(row);
  const rest = [...shownRows, ...rows].filter((row) => row.filled !== these);
  const more = () => {
    if (grid !== these) return;
    const until = performance.now() + 12;
    while (rest.length && performance.now() < until) fill(rest.shift());
    next();
  };
  const next = () => (rest.length ? setTimeout(more) : (document.documentElement.dataset.drawn = ""));
  next();
}

function squareText(cell, wide) {
  const bits = cell.bits === null ? "" : cell.bits >= 60 ? "∞" : cell.bits.toFixed(0);
  if (state.colour === "bits" && bits) return bits;
  return wide && bits ? `${symbolOf(cell)} ${bits}` : symbolOf(cell);
}

// -- filters ---------------------------------------------------------------------------------------------------------

function applyFilters() {
  drawGrid();
  const wanted = new Set(state.verdict.split(",").filter(Boolean));
  const fits = (cell) => wanted.has(cell.verdict.name) || (wanted.has("unexpected") && cell.state === 2);
  const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
  let some = order.filter(
    (c) =>
      c.check
        ? !state.format && !state.on && !state.device
        : (!state.format || c.format === state.format) && (!state.on || c.runtime === state.on) && (!state.device || c.device === state.device),
  );
  shownRows = rows.filter(
    (row) =>
      words.every((word) => row.words.includes(word)) &&
      (!state.field || row.field === state.field) &&
      (!state.tag || row.tags.includes(state.tag)) &&
      some.some((c) => row.cells[c.index]) &&
      (!wanted.size || some.some((c) => row.cells[c.index] && fits(row.cells[c.index]))),
  );
  if (wanted.size) some = some.filter((c) => shownRows.some((row) => row.cells[c.index] && fits(row.cells[c.index])));
  else some = some.filter((c) => shownRows.some((row) => row.cells[c.index]));
  shownColumns = some;
  sortRows();

  const shown = new Set(shownColumns);
  const hidden = order.filter((c) => !shown.has(c)).map((c) => `.c${c.index}`);
  const hits = [...wanted].map((name) => (name === "unexpected" ? ".s2" : `.v-${CSS.escape(name)}`));
  let rules = hidden.length ? `.grid :is(${hidden.join(",")}){display:none}` : "";
  if (hits.length) rules += `.grid .c:not(${hits.join(",")}){background:none;color:var(--faint);font-weight:400;outline:0}`;
  if (sheet.textContent !== rules) sheet.textContent = rules;
  const visible = new Set(shownRows);
  for (const row of rows) row.element.hidden = !visible.has(row);
  grid.style.setProperty("--n", String(shownColumns.length));
  drawBands();
  fillAll();

  if (focus.row && !visible.has(focus.row)) focus.row = null;
  if (focus.column && !shown.has(focus.column)) focus.column = null;
  if (!focus.row) focus = { row: shownRows[0] ?? null, column: focus.column ?? shownColumns[0] ?? null };
  setStop();
  const count = shownRows.reduce((sum, row) => sum + shownColumns.filter((c) => row.cells[c.index]).length, 0);
  const all = shownRows.length === rows.length && shownColumns.length === used.length;
  document.getElementById("status").textContent = all
    ? `${plural(rows.length, "row")} × ${plural(used.length, "column")}, ${plural(count, "cell")}`
    : `${shownRows.length} of ${plural(rows.length, "row")}, ${shownColumns.length} of ${plural(used.length, "column")}, ${count} of ${plural(cells.length, "cell")}`;
}

function sortRows() {
  const failures = (row) => shownColumns.reduce((sum, c) => sum + failing(row.cells[c.index]), 0);
  // A surprise counts for more than any number of failures that are known.
  const failing = (cell) => (!cell ? 0 : cell.state === 2 ? 1000 : cell.verdict.failed ? 1 : 0);
  const fewest = (row) => Math.min(...shownColumns.map((c) => row.cells[c.index]?.bits ?? Infinity));
  const name = (a, b) => (rowName(a) < rowName(b) ? -1 : 1);
  const next = [...shownRows];
  if (state.sort === "name") next.sort(name);
  else if (state.sort !== "file") {
    const of = state.sort === "failures" ? (row) => -failures(row) : fewest;
    const values = new Map(next.map((row) => [row, of(row)]));
    next.sort((a, b) => values.get(a) - values.get(b) || a.index - b.index);
  }
  shownRows = next;
  const key = next.map((row) => row.index).join();
  if (sorted !== key) {
    const body = grid.lastChild;
    let before = body.firstChild;
    for (const row of next) {
      if (row.element !== before) body.insertBefore(row.element, before);
      else before = before.nextSibling;
    }
    sorted = key;
  }
  next.forEach((row, i) => {
    row.element.setAttribute("aria-rowindex", String(i + 2));
    row.element.classList.toggle("first", state.sort === "file" && i > 0 && next[i - 1].field !== row.field);
  });
}

function drawBands() {
  const bands = grid.firstChild.firstChild;
  const runs = [];
  for (const column of shownColumns) {
    const name = groupOf(column);
    if (runs.length && runs.at(-1).name === name) runs.at(-1).columns.push(column);
    else runs.push({ name, columns: [column] });
  }
  const width = columns.length <= 16 ? 68 : 38;
  // A name that its band would cut off stands at the columns instead.
  const isCut = (run) => run.name.length * 6.7 + 10 > run.columns.length * width;
  bands.replaceChildren(h("div", { class: "corner" }), ...runs.map((run) => h("div", { class: "band", vars: { "--span": run.columns.length }, title: run.name }, isCut(run) ? "" : run.name)));
  for (const run of runs) {
    const cut = isCut(run);
    run.columns.forEach((column, i) => {
      const head = grid.querySelector(`.h.c${column.index}`);
      head.classList.toggle("cut", cut);
      head.classList.toggle("begins", i === 0);
    });
  }
  const begins = runs.map((run) => `.grid .c${run.columns[0].index}`);
  if (begins.length) sheet.textContent += `${begins.join(",")}{border-left-color:var(--line-strong);border-top-left-radius:0;border-bottom-left-radius:0}`;
}

// -- keyboard and pointer --------------------------------------------------------------------------------------------

function elementAt({ row, column }) {
  if (!grid) return null;
  if (!row) return column ? grid.querySelector(`.h.c${column.index}`)?.firstChild : null;
  fill(row);
  return column ? row.element.querySelector(`.c${column.index}`) : row.link;
}
// Exactly one element of the grid is a tab stop.
function setStop() {
  for (const element of grid.querySelectorAll('[tabindex="0"]')) element.tabIndex = -1;
  const element = elementAt(focus);
  if (element) element.tabIndex = 0;
}
function focusOn(next) {
  focus = next;
  setStop();
  const element = elementAt(focus);
  element?.focus({ preventScroll: true });
  element?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

const HEADS = [null];
function moved(key, ctrl) {
  const down = [...HEADS, ...shownRows];
  const across = [...HEADS, ...shownColumns];
  let r = down.indexOf(focus.row);
  let c = across.indexOf(focus.column);
  const page = Math.max(1, Math.floor(scroller.clientHeight / 30) - 6);
  if (key === "ArrowUp") r -= 1;
  else if (key === "ArrowDown") r += 1;
  else if (key === "ArrowLeft") c -= 1;
  else if (key === "ArrowRight") c += 1;
  else if (key === "PageUp") r -= page;
  else if (key === "PageDown") r += page;
  else if (key === "Home") [r, c] = [ctrl ? 0 : r, 0];
  else if (key === "End") [r, c] = [ctrl ? down.length - 1 : r, across.length - 1];
  else return null;
  r = Math.max(0, Math.min(down.length - 1, r));
  c = Math.max(0, Math.min(across.length - 1, c));
  if (r === 0 && c === 0) return key === "ArrowLeft" || key === "Home" ? { row: null, column: across[1] ?? null } : { row: down[1] ?? null, column: null };
  return { row: down[r], column: across[c] };
}
function placeOf(element) {
  const square = element.closest?.("[data-column], .name");
  if (!square || !grid?.contains(square)) return null;
  const row = square.closest("[data-row]");
  return { row: row ? rows[row.dataset.row] : null, column: square.dataset.column ? columns[square.dataset.column] : null };
}
function open({ row, column }) {
  if (row && column) {
    if (row.cells[column.index]) go({ cell: idOf(row.cells[column.index]) });
  } else if (row) go({ case: row.key });
  else if (column) go({ runtime: column.runtime });
}

scroller.addEventListener("keydown", (event) => {
  if (event.altKey || event.metaKey) return;
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    open(focus);
    return;
  }
  const next = moved(event.key, event.ctrlKey);
  if (next) {
    event.preventDefault();
    focusOn(next);
  }
});
scroller.addEventListener("click", (event) => {
  const place = placeOf(event.target);
  if (!place || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  focus = place;
  setStop();
  open(place);
});
scroller.addEventListener("focusin", (event) => {
  const place = placeOf(event.target);
  if (place && (place.row !== focus.row || place.column !== focus.column)) {
    focus = place;
    setStop();
  }
});

const tip = document.getElementById("tip");
let hot = null;
let timer = 0;
scroller.addEventListener("mouseover", (event) => {
  const square = event.target.closest(".c");
  if (square === hot) return;
  unhover();
  if (!square) return;
  hot = square;
  const place = placeOf(square);
  grid.querySelector(`.h.c${place.column.index}`)?.classList.add("hot");
  const cell = place.row.cells[place.column.index];
  if (cell) timer = setTimeout(() => whenKnown([cell], () => hot === square && showTip(square, cell)), 150);
});
scroller.addEventListener("mouseleave", unhover);
scroller.addEventListener("scroll", unhover, { passive: true });
function unhover() {
  clearTimeout(timer);
  tip.hidden = true;
  hot = null;
  grid?.querySelector(".h.hot")?.classList.remove("hot");
}
function showTip(square, cell) {
  const reason = cell.verdict.name === "pass" ? "" : reasonOf(cell);
  tip.replaceChildren(
    h("strong", {}, rowName(cell.row)), h("span", {}, cell.column.name),
    h("span", { class: "line" }, badge(cell), cell.bits === null ? "" : h("span", {}, cell.bits >= 60 ? "no error" : `${cell.bits.toFixed(1)} bits`), cell.state === 1 ? h("span", {}, "expected") : cell.state === 2 ? h("span", {}, "unexpected") : ""),
    reason && h("span", { class: "why" }, reason.length > 220 ? `${reason.slice(0, 220)}…` : reason),
  );
  tip.hidden = false;
  const at = square.getBoundingClientRect();
  const size = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(8, Math.min(innerWidth - size.width - 8, at.left + at.width / 2 - size.width / 2))}px`;
  tip.style.top = `${at.bottom + size.height + 12 > innerHeight ? at.top - size.height - 6 : at.bottom + 6}px`;
}
