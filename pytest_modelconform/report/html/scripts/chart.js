// Charts, as SVG that takes its colours from the page's style.

// How many elements are off by up to 1, 2, 4, … times their noise. Heights by log: a single bad element has to show.
function histogram(counts) {
  const [width, height, bar] = [96, 26, 8];
  const most = Math.log1p(Math.max(...counts, 1));
  const total = counts.reduce((sum, count) => sum + count, 0);
  const names = counts.map((_, i) => (i === 0 ? "≤ 1" : i < counts.length - 1 ? `≤ 2^${i}` : `> 2^${i - 1}`));
  const said = names.map((name, i) => (counts[i] ? `${counts[i]} ${name}` : "")).filter(Boolean).join(", ");
  return svg("svg", { class: "histogram", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${total} elements by error in units of the noise: ${said}` },
    counts.map((count, i) => {
      const size = count ? Math.max(2, (Math.log1p(count) / most) * (height - 1)) : 1;
      return svg("rect", { x: i * bar, y: height - size, width: bar - 1, height: size, class: !count ? "none" : i > 4 ? "far" : i > 2 ? "off" : "near" }, svg("title", {}, `${names[i]} × noise: ${count}`));
    }));
}

function ticks(low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const step of high / low > 300 ? [1] : high / low > 12 ? [1, 3] : [1, 2, 5]) {
      const value = step * 10 ** power;
      if (value >= low && value <= high) found.push(value);
    }
  }
  return found;
}

// Deployments by latency (across, log) and effective bits (up); the area is the artifact's size.
function deploymentChart(points) {
  const [width, height] = [1070, 360];
  const [left, right, top, bottom] = [52, 30, 24, 46];
  const times = points.map((p) => p.seconds).filter((t) => t > 0);
  const low = Math.min(...times) / 1.3;
  const high = Math.max(...times) * 1.6;
  const levels = points.map((p) => Math.min(p.bits, 26));
  const floor = Math.max(0, Math.floor(Math.min(...levels) - 1));
  const ceiling = Math.max(floor + 2, Math.ceil(Math.max(...levels) + 1));
  const x = (t) => left + ((Math.log(Math.max(t, low)) - Math.log(low)) / (Math.log(high) - Math.log(low))) * (width - left - right);
  const y = (b) => top + (1 - (Math.min(b, 26) - floor) / (ceiling - floor)) * (height - top - bottom);
  const largest = Math.max(...points.map((p) => p.bytes ?? 0), 1);
  const radius = (bytes) => 4 + 12 * Math.sqrt((bytes ?? 0) / largest);
  const step = ceiling - floor > 12 ? 4 : ceiling - floor > 6 ? 2 : 1;
  const levelsShown = [];
  for (let b = Math.ceil(floor / step) * step; b <= ceiling; b += step) levelsShown.push(b);

  const placed = [];
  const label = (p) => {
    const text = p.name;
    const size = text.length * 6.3;
    const r = radius(p.bytes);
    const options = [[x(p.seconds) + r + 4, y(p.bits) + 4], [x(p.seconds) - r - 4 - size, y(p.bits) + 4], [x(p.seconds) - size / 2, y(p.bits) - r - 5], [x(p.seconds) - size / 2, y(p.bits) + r + 13], [x(p.seconds) - size / 2, y(p.bits) - r - 19], [x(p.seconds) - size / 2, y(p.bits) + r + 27], [x(p.seconds) + r * 0.7 - 4, y(p.bits) + r + 11], [x(p.seconds) - size - r * 0.7 + 4, y(p.bits) + r + 11]];
    for (const [lx, ly] of options) {
      const box = [lx, ly - 10, lx + size, ly + 3];
      const free = box[0] >= left && box[2] <= width - 2 && box[1] >= 2 && box[3] <= height - bottom + 2;
      if (free && placed.every((o) => box[2] < o[0] || box[0] > o[2] || box[3] < o[1] || box[1] > o[3])) {
        placed.push(box);
        return svg("text", { x: lx, y: ly, class: "label" }, text);
      }
    }
    return null;
  };
  for (const p of points) {
    const r = radius(p.bytes) - 1;
    placed.push([x(p.seconds) - r, y(p.bits) - r, x(p.seconds) + r, y(p.bits) + r]);
  }
  const marks = [...points].sort((a, b) => (b.bytes ?? 0) - (a.bytes ?? 0)).map((p) =>
    svg("a", { href: addressOf({ cell: idOf(p.cell) }), "aria-label": `${p.name}: ${secondsText(p.seconds)}, ${bitsText(p.bits)} bits, ${bytesText(p.bytes)}` },
      svg("circle", { cx: x(p.seconds), cy: y(p.bits), r: radius(p.bytes), class: `point${p.best ? " best" : ""}` }, svg("title", {}, `${p.name}: ${secondsText(p.seconds)}, ${bitsText(p.bits)} bits, ${bytesText(p.bytes)}`))));
  return svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Deployments by latency and effective bits" },
    levelsShown.map((b) => [svg("line", { x1: left, x2: width - right, y1: y(b), y2: y(b), class: "grid-line" }), svg("text", { x: left - 8, y: y(b) + 4, class: "tick end" }, String(b))]),
    ticks(low, high).map((t) => [svg("line", { x1: x(t), x2: x(t), y1: top, y2: height - bottom, class: "grid-line" }), svg("text", { x: x(t), y: height - bottom + 16, class: "tick middle" }, secondsText(t).replace(/\.0+ /, " "))]),
    svg("text", { x: (left + width - right) / 2, y: height - 8, class: "axis middle" }, "latency (log) →"),
    svg("text", { x: 12, y: (top + height - bottom) / 2, class: "axis middle", transform: `rotate(-90 12 ${(top + height - bottom) / 2})` }, "effective bits →"),
    marks, [true, false].map((first) => [...points].sort((a, b) => a.seconds - b.seconds).filter((p) => p.best === first).map(label)));
}

function bar(share, text, kind) {
  return h("div", { class: "bar" }, h("span", { class: `fill ${kind}`, vars: { "--share": Math.max(0, Math.min(1, share)) } }), h("span", { class: "of" }, text));
}

// How many cells have which verdict, as one bar.
function shareBar(found) {
  const counts = verdicts.map((verdict) => [verdict, found.filter((cell) => cell.verdict === verdict)]).filter(([, of]) => of.length);
  return h("div", { class: "share", role: "img", "aria-label": counts.map(([verdict, of]) => `${of.length} ${verdict.name}`).join(", ") },
    counts.flatMap(([verdict, of]) => [2, 0, 1].map((s) => [s, of.filter((cell) => cell.state === s).length]).filter(([, n]) => n)
      .map(([s, n]) => h("span", { class: `v-${verdict.name} s${s}`, vars: { "--share": n / found.length }, title: `${n} ${verdict.name}${s === 1 ? ", expected" : s === 2 ? ", unexpected" : ""}` }))));
}
