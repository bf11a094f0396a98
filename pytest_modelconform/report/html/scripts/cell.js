// What is known of one cell, beside the matrix.

const drawer = document.getElementById("cell");
let drawerFor = null;

// Returns what is wrong with the address.
function showCell() {
  const cell = state.cell ? cellOf(state.cell) : null;
  if (!cell) {
    const was = drawerFor;
    drawerFor = null;
    const wrong = state.cell ? `${here} has no cell ${state.cell}` : "";
    if (drawer.hidden) return wrong;
    const inside = drawer.contains(document.activeElement);
    drawer.hidden = true;
    document.body.classList.remove("beside");
    if (was && inside && !state.case && !state.runtime) focusOn({ row: was.row, column: was.column });
    return wrong;
  }
  if (drawerFor === cell && !drawer.hidden) return "";
  drawerFor = cell;
  drawer.replaceChildren(...cellParts(cell));
  drawer.hidden = false;
  drawer.scrollTop = 0;
  document.body.classList.add("beside");
  document.getElementById("cell-title").focus({ preventScroll: true });
  if (!state.case && !state.runtime && shownRows.includes(cell.row) && shownColumns.includes(cell.column)) {
    focus = { row: cell.row, column: cell.column };
    setStop();
    elementAt(focus)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  return "";
}

function cellParts(cell) {
  const d = detailsOf(cell);
  const close = h("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => go({ cell: "" }) }, "✕");
  const parts = [
    h("div", { class: "cell-head" },
      h("div", {},
        h("h2", { id: "cell-title", tabindex: "-1" }, link(addressOf({ case: cell.row.key, runtime: "", cell: "" }), rowName(cell.row)), " ",
          h("small", {}, cell.column.check ? "the model itself" : [cell.column.format, " → ", link(addressOf({ runtime: cell.column.runtime, case: "", cell: "" }), cell.column.runtime), cell.column.extra ? ` ${cell.column.extra}` : ""])),
        h("p", { class: "id" }, h("code", {}, d.id))),
      close),
    h("p", { class: "verdict" }, badge(cell), h("span", {}, meaningOf(cell, d))),
  ];
  if (d.message) {
    parts.push(h("section", {}, h("div", { class: "line" }, h("h3", {}, cell.verdict.failed ? "What happened" : "Why"), copyable(d.message, "the message")), h("pre", { class: "message", tabindex: "0", role: "region", "aria-label": "Message" }, d.message)));
  }
  if (d.hints) parts.push(h("section", {}, h("h3", {}, hintsTitle(d)), h("ul", { class: "hints" }, d.hints.map((hint) => h("li", {}, hint)))));
  if (d.blame) parts.push(blamePart(d.blame));
  const figures = figuresOf(d);
  if (figures.length) parts.push(h("dl", { class: "figures" }, figures.map(([name, value, title]) => h("div", { title }, h("dt", {}, name), h("dd", {}, value)))));
  if (d.seconds && Object.keys(d.seconds).length) parts.push(timeline(cell, d));
  if (d.inputs) parts.push(...Object.entries(d.inputs).map(([name, entry]) => inputSet(name, entry)));
  if (d.threads) parts.push(threadsPart(d.threads));
  if (d.notes) parts.push(h("section", {}, h("h3", {}, "Notes"), h("ul", {}, d.notes.map((note) => h("li", { class: "note" }, note)))));
  parts.push(commandPart("Run it again", `${cell.column.rerun} ${quoted(d.id)}`, "the command"));
  if (d.repro) parts.push(commandPart("Report it: write a folder for the project at fault", d.repro, "the reporting command"));
  if (d.artifact) parts.push(commandPart("Artifact", d.artifact, "the path"));
  const pins = versionPairs();
  if (pins.length) parts.push(h("section", {}, h("h3", {}, "Versions"), h("p", { class: "versions" }, pins.map(([name, version]) => h("span", {}, `${name} `, h("b", {}, version))))));
  return parts;
}

function hintsTitle(d) {
  if (d.advises) return "What to change";
  return d.hints.length > 1 ? "Likely causes" : "Likely cause";
}

// Which operator it is, where it stands in the user's code, and the case that shows it.
function blamePart({ guilty = [], note, case: text, reads, tries, seconds }) {
  const head = h("div", { class: "line" }, h("h3", {}, guilty.length > 1 ? "Guilty operators" : guilty.length ? "Guilty operator" : "Guilty operator not found"),
    tries > 0 && h("small", { class: "end" }, `${plural(tries, "part")} tried in ${secondsText(seconds)}`));
  return h("section", { class: "blame" }, head,
    guilty.length > 0 && h("ol", {}, guilty.map((one, i) => h("li", {}, guiltyPart(one, i + 1)))),
    note && h("p", { class: "note" }, note),
    text && h("details", {}, h("summary", {}, "A case file that shows it"), h("div", { class: "line" }, copyable(text, "the case file")), reads && h("p", { class: "note" }, "It reads tensors of the model, from a file beside it. The command below writes both."), h("pre", { class: "message", tabindex: "0", role: "region", "aria-label": "A case file that shows it" }, text)));
}

function guiltyPart({ title, party, why, right, message, operators = [] }, number) {
  const said = [party && `in the ${party}`, right].filter(Boolean).join("; ");
  return [
    h("p", { class: "what" }, h("b", {}, title), said && `, ${said}`),
    why && h("p", {}, why),
    operators.map((one) => h("div", { class: "operator" },
      h("p", {}, h("code", {}, one.call)),
      (one.module || one.at) && h("p", { class: "note" }, one.module && ["in ", h("code", {}, one.module), one.kind && ` (${one.kind})`], one.module && one.at && ", ", one.at && h("code", {}, one.at)),
      one.source && h("p", { class: "source" }, h("code", {}, one.source)),
      tensorsOf(one) && h("p", { class: "note" }, tensorsOf(one)))),
    message && h("pre", { class: "message", tabindex: "0", role: "region", "aria-label": `What operator ${number} says alone` }, message),
  ];
}

function meaningOf(cell, d) {
  const stage = d.stage && d.stage !== "compare" ? ` at stage ${d.stage}` : "";
  let text = `${cell.verdict.meaning}${stage}`;
  if (cell.partly) text += "; an input set was refused";
  if (d.blocked) text += "; it follows from the model check alone";
  if (cell.state === 1) text += "; recorded in expected.toml";
  if (d.expected === false) text += "; expected.toml says otherwise";
  return text;
}

function figuresOf(d) {
  const found = [];
  if (d.bits !== undefined) found.push(["effective bits", bitsText(d.bits), "log2 of signal over error; eager has the number beside"]);
  if (d.reference_bits !== undefined) found.push(["reference bits", bitsText(d.reference_bits), "what faithful arithmetic has"]);
  if (d.loss !== undefined) found.push(["bits lost", fixed(d.loss), "to eager, in the group that loses most"]);
  if (d.worst !== undefined) found.push(["worst element", power(d.worst), "its error in units of the noise"]);
  if (d.max_abs !== undefined) found.push(["largest error", scientific(d.max_abs), "largest absolute difference"]);
  if (d.seconds?.run !== undefined) found.push(["all input sets", secondsText(d.seconds.run), "the fastest run of each input set, added up"]);
  if (d.bytes !== undefined) found.push(["artifact", bytesText(d.bytes), `${d.bytes} bytes`]);
  if (d.memory !== undefined) found.push(["memory", bytesText(d.memory), "the most that its processes had resident while it ran"]);
  return found;
}

function timeline(cell, d) {
  const stages = Object.entries(d.seconds).sort(([a], [b]) => report.stages.indexOf(a) - report.stages.indexOf(b));
  const total = stages.reduce((sum, [, value]) => sum + value, 0);
  const said = stages.map(([name, value]) => `${name} ${secondsText(value)}`).join(", ");
  const parts = stages.map(([name, value]) => h("span", { class: `stage t-${name}${name === "export" && d.cached ? " cached" : ""}`, vars: { "--share": total ? value / total : 0 }, title: `${name} ${secondsText(value)}` }));
  const legend = stages.map(([name, value]) => h("li", {}, h("span", { class: `key t-${name}${name === "export" && d.cached ? " cached" : ""}` }), name, h("b", {}, secondsText(value)), name === "export" && d.cached ? h("small", {}, "when it was made, now from the cache") : ""));
  if (d.stage && cell.verdict.failed) legend.push(h("li", { class: "ended" }, mark(cell), `ended at ${d.stage}`));
  return h("section", {}, h("h3", {}, "Stages"), h("div", { class: "timeline", role: "img", "aria-label": `Stages: ${said}` }, parts), h("ul", { class: "stages" }, legend));
}

function inputSet(name, entry) {
  const verdict = verdicts.find((v) => v.name === entry.verdict);
  const head = h("div", { class: "line" },
    verdict && h("span", { class: `mark v-${verdict.name} s0`, role: "img", "aria-label": verdict.name }, verdict.symbol),
    h("h3", {}, "Input set ", h("code", {}, name)),
    entry.generated && h("small", {}, entry.generated),
    entry.seconds !== undefined && h("small", { class: "end" }, secondsText(entry.seconds)));
  const outputs = Object.entries(entry.outputs ?? {});
  const parts = [head];
  const shapes = Object.entries(entry.shapes ?? {});
  if (shapes.length) parts.push(h("p", { class: "note inputs" }, "Inputs: ", shapes.map(([path, shape], i) => [i ? ", " : "", h("code", {}, `${path} (${shape.join(", ")})`)])));
  if (entry.verdict === "unsupported" && entry.message) parts.push(...refusal(entry.message));
  if (outputs.length) {
    // Logs of earlier versions know less.
    const all = outputs.map(([, output]) => output);
    const has = { element: all.some((o) => o.worst_index || o.identical), errors: all.some((o) => o.histogram) };
    const heads = ["output", "dtype", "shape", "bits", "lost", "worst", "largest error", has.errors && "errors", has.element && "worst element: is / model's"].filter(Boolean);
    parts.push(h("div", { class: "wide-table", tabindex: "0", role: "region", "aria-label": `Outputs of input set ${name}` },
      h("table", {}, h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, outputs.map(([path, output]) => outputRow(path, output, has))))));
  } else if (entry.bits !== undefined && entry.bits !== null) {
    const known = (value) => value !== undefined && value !== null;
    const said = [`${bitsText(entry.bits)} bits`, known(entry.reference_bits) && `eager ${bitsText(entry.reference_bits)}`, known(entry.worst) && `worst element 2^${fixed(entry.worst)}`];
    parts.push(h("p", { class: "note" }, said.filter(Boolean).join(", ")));
  }
  return h("section", { class: "set" }, parts);
}

// Why a set was refused in a line; what the library said of it, on demand.
function refusal(message) {
  const [first, ...rest] = message.trim().split("\n");
  const more = rest.join("\n").trimEnd();
  return [h("p", { class: "note" }, `Refused: ${first}`), more && h("details", {}, h("summary", {}, "What was said"), h("pre", { class: "message" }, more))];
}

function outputRow(path, output, has) {
  let element = output.identical ? h("small", {}, "the same bits as eager") : "–";
  if (output.worst_index) {
    element = [h("code", {}, `[${output.worst_index.join(", ")}]`), " ", h("span", { class: "is" }, valueText(output.actual)), " / ", h("span", { class: "model" }, valueText(output.expected))];
  }
  return h("tr", {},
    h("th", { scope: "row" }, h("code", {}, path)), h("td", {}, output.dtype), h("td", { class: "shape" }, `(${(output.shape ?? []).join(", ")})`),
    h("td", { class: "number" }, bitsText(output.bits), output.reference_bits !== undefined && output.reference_bits !== null ? h("small", {}, `, eager ${bitsText(output.reference_bits)}`) : ""),
    h("td", { class: "number" }, fixed(output.loss)), h("td", { class: "number" }, power(output.worst)), h("td", { class: "number" }, scientific(output.max_abs)),
    has.errors && h("td", {}, output.histogram ? histogram(output.histogram) : "–"), has.element && h("td", { class: "element" }, element));
}
function valueText(value) {
  if (typeof value !== "number" || Number.isInteger(value)) return String(value);
  return String(Number(value.toPrecision(9)));
}

function threadsPart(threads) {
  const said = triedFrom(threads);
  const before = triedFrom(threads.before ?? {});
  if (threads.identical !== undefined) said.push(threads.identical ? "always the same bits" : "other bits than serial runs");
  if (before.length) said.push(`in an earlier run of the same artifact: ${before.join(", ")}`);
  return h("section", {}, h("h3", {}, "Several threads"), h("p", {}, said.join("; ")));
}
// An operator on weights alone takes no tensor.
function tensorsOf({ inputs, returns }) {
  return [["takes", inputs], ["returns", returns]].filter(([, of]) => of?.length).map(([word, of]) => `${word} ${of.join(", ")}`).join("; ");
}
function triedFrom(threads) {
  const said = [];
  if (threads.counts?.length) said.push(`from ${threads.counts.join(", ")} threads at once on one instance`);
  if (threads.clones?.length) said.push(`from ${threads.clones.join(", ")} threads on clones`);
  return said;
}
function commandPart(title, text, what) {
  return h("section", {}, h("div", { class: "line" }, h("h3", {}, title), copyable(text, what)), h("pre", { class: "command", tabindex: "0", role: "region", "aria-label": title }, text));
}
const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`);
