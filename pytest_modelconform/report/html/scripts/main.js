// Controls, and what is shown when the address changes.

const FIELDS = { text: "f-text", field: "f-field", tag: "f-tag", format: "f-format", on: "f-runtime", device: "f-device", group: "f-group", sort: "f-sort", colour: "f-colour" };
const field = (name) => document.getElementById(FIELDS[name]);

let waiting = 0;
function show() {
  for (const name of Object.keys(FIELDS)) if (field(name).value !== state[name]) field(name).value = state[name];
  const wanted = state.verdict.split(",");
  for (const chip of document.querySelectorAll(".chip")) chip.setAttribute("aria-pressed", String(wanted.includes(chip.dataset.verdict)));
  applyFilters();
  showScale();
  // What is asked for before its details are there waits for them.
  clearTimeout(waiting);
  const some = neededFor(state);
  if ((state.case || state.runtime || state.cell) && !isKnown(some)) {
    waiting = setTimeout(() => notice("Reading what is known of these cells…"), 300);
    return whenKnown(some, show);
  }
  const wrong = [showPage(), showCell()];
  notice(wrong.filter(Boolean).join(". "));
}

// The cells whose details what is open shows.
function neededFor({ case: key, runtime, cell }) {
  const of = [];
  if (key) of.push(...rows.filter((row) => row.key === key).flatMap((row) => row.cells.filter(Boolean)));
  if (runtime) of.push(...cells.filter((one) => one.column.runtime === runtime));
  if (cell && cellOf(cell)) of.push(cellOf(cell));
  return of;
}

function showScale() {
  const scale = document.getElementById("scale");
  scale.hidden = state.colour !== "bits";
  if (!scale.hidden && !scale.childElementCount) {
    const steps = Array.from({ length: BANDS }, (_, i) => h("i", { class: `b${i}`, "aria-hidden": "true" }));
    scale.append("0 bits ", h("span", { class: "steps" }, steps), " 24 and more; ∞: no error");
  }
}

function drawTotals() {
  document.getElementById("share").replaceWith(Object.assign(shareBar(cells), { id: "share" }));
  const chips = document.getElementById("verdicts");
  const chip = (name, className, symbol, count, title) => h("button", { type: "button", class: "chip", "data-verdict": name, "aria-pressed": "false", title, onclick: () => toggleVerdict(name) }, h("span", { class: `mark ${className}`, "aria-hidden": "true" }, symbol), h("b", {}, String(count)), name);
  for (const verdict of verdicts) {
    const of = cells.filter((cell) => cell.verdict === verdict);
    if (of.length) chips.append(chip(verdict.name, `v-${verdict.name} s${verdict.failed ? 2 : 0}`, verdict.symbol, of.length, verdict.meaning));
  }
  const surprises = cells.filter((cell) => cell.state === 2).length;
  const noted = cells.filter((cell) => cell.state === 1).length;
  const odd = cells.some((cell) => cell.state === 2 && !cell.verdict.failed);
  if (surprises && (noted || odd)) chips.append(chip("unexpected", "surprise", "!", surprises, "failures that expected.toml does not record, and passes where it records a failure"));
  const said = [cells.some((cell) => cell.partly) && "◐: pass in part, an input set was refused.", noted && "Faded: a failure that expected.toml records."].filter(Boolean);
  document.getElementById("legend").textContent = said.join(" ");

  const options = { field: distinct(rows.map((row) => row.field)), tag: distinct(rows.flatMap((row) => row.tags)), format: distinct(columns.filter((c) => !c.check).map((c) => c.format)), on: distinct(columns.filter((c) => !c.check).map((c) => c.runtime)), device: distinct(columns.filter((c) => !c.check).map((c) => c.device)) };
  for (const [name, values] of Object.entries(options)) {
    field(name).append(h("option", { value: "" }, "all"), ...values.map((value) => h("option", { value }, value)));
    // A choice of one is none.
    field(name).closest("label").hidden = values.length < (name === "tag" ? 1 : 2);
  }
}

function toggleVerdict(name) {
  const wanted = new Set(state.verdict.split(",").filter(Boolean));
  if (!wanted.delete(name)) wanted.add(name);
  go({ verdict: [...wanted].join(","), case: "", runtime: "" }, true);
}

const filters = document.getElementById("filters");
filters.addEventListener("input", (event) => {
  const name = Object.keys(FIELDS).find((key) => FIELDS[key] === event.target.id);
  if (name) go({ [name]: event.target.value }, true);
});
filters.addEventListener("reset", (event) => {
  event.preventDefault();
  go({ ...USUAL }, true);
});
filters.addEventListener("submit", (event) => event.preventDefault());

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    if (state.cell) go({ cell: "" });
    else if (state.case || state.runtime) {
      const row = rows.find((r) => r.key === state.case);
      const column = columns.find((c) => c.runtime === state.runtime);
      go({ case: "", runtime: "" });
      focusOn({ row: row ?? null, column: row ? null : (column ?? null) });
    } else return;
    event.preventDefault();
  } else if (event.key === "/" && !event.target.closest("input, textarea, select")) {
    event.preventDefault();
    if (state.case || state.runtime) go({ case: "", runtime: "", cell: "" });
    field("text").focus();
  }
});
// Links within the page are addresses like any other.
document.addEventListener("click", (event) => {
  const anchor = event.target.closest("a[href^='#']");
  if (!anchor || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (anchor.classList.contains("skip")) {
    elementAt(focus)?.focus();
    return;
  }
  history.pushState(null, "", anchor.getAttribute("href"));
  readAddress();
  show();
});
addEventListener("hashchange", () => {
  readAddress();
  show();
});
addEventListener("popstate", () => {
  readAddress();
  show();
});

drawFrame();
drawTotals();
readAddress();
// An address that needs details waits for them.
const begin = { ...state };
state = { ...state, case: "", runtime: "", cell: "" };
show();
// After the frame that shows the matrix: a task behind it.
requestAnimationFrame(() => setTimeout(() => performance.mark("modelconform-interactive")));
whenKnown(neededFor(begin), () => {
  if (begin.case || begin.runtime || begin.cell) {
    readAddress();
    show();
  }
  performance.mark("modelconform-complete");
  document.documentElement.dataset.complete = "";
});
