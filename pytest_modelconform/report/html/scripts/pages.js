// The page of a case (which deployment should I choose?) and the page of a runtime (what does it fail on?).

const page = document.getElementById("page");
const overview = document.getElementById("overview");

// Returns what is wrong with the address.
function showPage() {
  const found = state.case ? rows.filter((row) => row.key === state.case) : [];
  const at = state.runtime ? columns.filter((c) => c.runtime === state.runtime) : [];
  const parts = found.length ? casePage(found) : at.length ? runtimePage(state.runtime, at) : null;
  const key = parts ? `${state.case} ${state.runtime}` : "";
  const changed = page.dataset.key !== key;
  page.dataset.key = key;
  overview.hidden = Boolean(parts);
  page.hidden = !parts;
  document.title = parts ? `${found.length ? found[0].name : state.runtime} · ${report.title}` : report.title;
  if (!parts) return state.case ? `${here} has no case ${state.case}` : state.runtime ? `${here} has no runtime ${state.runtime}` : "";
  if (changed) {
    page.replaceChildren(...parts);
    scrollTo(0, 0);
    if (!state.cell) page.querySelector("h2").focus({ preventScroll: true });
  }
  return "";
}

const back = () => h("p", { class: "back" }, link(addressOf({ case: "", runtime: "", cell: "" }), "← Matrix"));
const heading = (title, ...more) => h("div", { class: "page-head" }, h("h2", { tabindex: "-1" }, title), ...more);

// -- a case ----------------------------------------------------------------------------------------------------------

function casePage(of) {
  const all = of.flatMap((row) => row.cells.filter(Boolean));
  const runs = all.filter((cell) => !cell.column.check && cell.column.runtime !== "eager");
  const tried = runs.filter((cell) => !["unavailable", "not-run"].includes(cell.verdict.name));
  const passed = runs.filter((cell) => cell.verdict.name === "pass");
  const about = [of[0].field && h("span", { class: "tag" }, of[0].field), ...of[0].tags.map((tag) => h("span", { class: "tag" }, tag)), h("code", {}, of[0].file)];
  let explained = false;
  const parts = [back(), heading(of[0].case, h("p", { class: "tags" }, about)), h("p", { class: "lead" }, h("b", {}, `Runs on ${passed.length} of ${tried.length}`), " that could be tried", runs.length > tried.length ? `; ${runs.length - tried.length} more not available or not run` : "", "."), shareBar(runs)];
  for (const row of of) {
    const points = deployments(row);
    if (points.length < 2) continue;
    parts.push(h("section", {}, h("h3", {}, of.length > 1 ? `Which deployment? ${row.dtype}` : "Which deployment?"), h("ul", { class: "advice" }, advice(points)), deploymentChart(points),
      !explained && h("p", { class: "caption" }, "What passes, by latency and effective bits; the area is the artifact's size. Filled: nothing else is both faster and more exact.")));
    explained = true;
  }
  parts.push(h("section", {}, h("h3", {}, "All of its cells"), caseTable(all)));
  return parts;
}

// What passes, with a latency over the same input sets for all.
function deployments(row) {
  const passing = row.cells.filter((cell) => cell && !cell.column.check && cell.column.task === "inference" && cell.verdict.name === "pass" && cell.bits !== null);
  const timed = passing.map((cell) => [cell, new Map(Object.entries(detailsOf(cell).inputs ?? {}).filter(([, e]) => e.seconds > 0).map(([name, e]) => [name, e.seconds]))]);
  const usable = timed.filter(([, sets]) => sets.size);
  const common = [...(usable[0]?.[1].keys() ?? [])].filter((name) => usable.every(([, sets]) => sets.has(name)));
  if (!common.length) return [];
  const points = usable.map(([cell, sets]) => {
    const name = `${cell.column.format} → ${cell.column.runtimeName}`;
    return { cell, name, bits: cell.bits, seconds: common.reduce((sum, set) => sum + sets.get(set), 0) / common.length, bytes: detailsOf(cell).bytes };
  });
  for (const p of points) p.best = !points.some((o) => o !== p && o.seconds <= p.seconds && o.bits >= p.bits && (o.seconds < p.seconds || o.bits > p.bits));
  return points;
}

function advice(points) {
  // Of equals the fastest: one artifact is run by several runtimes.
  const least = (of, among = points) => [...among].sort((a, b) => of(a) - of(b) || a.seconds - b.seconds)[0];
  const sized = points.filter((p) => p.bytes !== undefined);
  const found = [["Fastest", least((p) => p.seconds), (p) => `${secondsText(p.seconds)} an input set`]];
  if (sized.length) found.push(["Smallest", least((p) => p.bytes, sized), (p) => bytesText(p.bytes)]);
  found.push(["Most exact", least((p) => -p.bits), (p) => (p.bits >= 60 ? "no error" : `${p.bits.toFixed(1)} bits`)]);
  return found.map(([word, p, text]) => h("li", {}, h("span", { class: "word" }, word), cellLink(p.cell, p.name), h("b", {}, text(p))));
}

function caseTable(all) {
  const d = new Map(all.map((cell) => [cell, detailsOf(cell)]));
  const most = (of) => Math.max(...all.map((cell) => of(d.get(cell)) ?? 0), 0) || 1;
  const [slowest, largest] = [most((x) => x.seconds?.run), most((x) => x.bytes)];
  const several = new Set(all.map((cell) => cell.row)).size > 1;
  const ordered = [...all].sort((a, b) => a.row.index - b.row.index || b.column.check - a.column.check || rank(a) - rank(b) || (d.get(a).seconds?.run ?? Infinity) - (d.get(b).seconds?.run ?? Infinity));
  return h("div", { class: "wide-table", tabindex: "0", role: "region", "aria-label": "All cells of the case" }, h("table", { class: "cells" },
    h("thead", {}, h("tr", {}, [several && "dtype", "format", "runtime", "verdict", "bits", "all input sets", "size", "why"].filter(Boolean).map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", {}, ordered.map((cell) => {
      const x = d.get(cell);
      return h("tr", {}, several && h("td", {}, cell.row.dtype), h("td", {}, cell.column.format),
        h("th", { scope: "row" }, cellLink(cell, cell.column.runtimeName)),
        h("td", {}, badge(cell)),
        h("td", {}, cell.bits === null ? "–" : bar(cell.bits / 26, bitsText(cell.bits), "bits")),
        h("td", {}, x.seconds?.run ? bar(x.seconds.run / slowest, secondsText(x.seconds.run), "time") : "–"),
        h("td", {}, x.bytes ? bar(x.bytes / largest, bytesText(x.bytes), "size") : "–"),
        h("td", { class: "why", title: cell.verdict.name === "pass" ? null : reasonOf(cell) }, cell.verdict.name === "pass" ? "" : reasonOf(cell)));
    }))));
}
const rank = (cell) => (cell.verdict.name === "pass" ? 0 : cell.verdict.failed ? 1 : 2);

// -- a runtime -------------------------------------------------------------------------------------------------------

function runtimePage(name, at) {
  const all = at.flatMap((column) => rows.map((row) => row.cells[column.index]).filter(Boolean));
  const tried = all.filter((cell) => !["unavailable", "not-run"].includes(cell.verdict.name));
  const passed = all.filter((cell) => cell.verdict.name === "pass");
  const formats = distinct(at.map((column) => column.format));
  const parts = [back(), heading(name, h("p", { class: "tags" }, formats.map((format) => h("span", { class: "tag" }, format)))),
    h("p", { class: "lead" }, h("b", {}, `${passed.length} of ${plural(tried.length, "cell passes", "cells pass")}`), all.length > tried.length ? `; ${all.length - tried.length} more not available or not run` : "", "."), shareBar(all)];
  parts.push(h("section", {}, h("h3", {}, "By format"), h("div", { class: "wide-table", tabindex: "0", role: "region", "aria-label": "Verdicts by format" }, h("table", { class: "by-format" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "format"), h("th", { scope: "col" }, "cells"), h("th", { scope: "col" }, "pass"), h("th", { scope: "col" }, "verdicts"))),
    h("tbody", {}, at.map((column) => {
      const of = all.filter((cell) => cell.column === column);
      return h("tr", {}, h("th", { scope: "row" }, [column.format, column.extra].filter(Boolean).join(" ")), h("td", { class: "number" }, String(of.length)), h("td", { class: "number" }, String(of.filter((cell) => cell.verdict.name === "pass").length)), h("td", { class: "shares" }, shareBar(of)));
    }))))));
  for (const reason of distinct(at.flatMap((column) => column.limits))) {
    const of = at.filter((column) => column.limits.includes(reason)).map((column) => [column.format, column.extra].filter(Boolean).join(" "));
    parts.push(h("p", { class: "note" }, `${of.join(", ")}: ${reason}`));
  }
  const groups = new Map();
  for (const cell of all) {
    if (cell.verdict.name === "pass") continue;
    const reason = reasonOf(cell);
    const stage = detailsOf(cell).stage ?? "";
    const key = `${cell.v} ${stage} ${cell.state === 1} ${kindOf(reason)}`;
    if (!groups.has(key)) groups.set(key, { reason, stage, cells: [] });
    groups.get(key).cells.push(cell);
  }
  const weight = ({ cells: of }) => (of.some((cell) => cell.state === 2) ? 2e6 : of[0].verdict.failed ? 1e6 : 0) + of.length;
  const ordered = [...groups.values()].sort((a, b) => weight(b) - weight(a));
  parts.push(h("section", {}, h("h3", {}, ordered.length ? "What it does not do, by reason" : "Nothing fails here"), h("ol", { class: "reasons" }, ordered.map((group) => reasonPart(group)))));
  return parts;
}

function reasonPart({ reason, stage, cells: of }) {
  return h("li", {},
    h("div", { class: "line" }, badge(of[0]), stage && h("span", { class: "tag" }, `stage ${stage}`), h("span", { class: "count" }, plural(of.length, "cell")), of[0].state === 1 && h("span", { class: "tag" }, "expected")),
    h("p", { class: "why" }, reason || "no reason given"),
    h("p", { class: "members" }, of.map((cell) => cellLink(cell, rowName(cell.row), " ", h("small", {}, [cell.column.format, cell.column.extra].filter(Boolean).join(" "))))));
}
