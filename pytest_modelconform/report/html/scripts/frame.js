// What stands around every page: when and where the run was, versions, a line for what is wrong, the theme.

function drawFrame() {
  const { about } = report;
  const date = about.date ? new Date(about.date) : null;
  const when = date && !Number.isNaN(date.getTime()) ? `${about.date.slice(0, 16).replace("T", " ")} ${/(Z|\+00:00)$/.test(about.date) ? "UTC" : about.date.slice(19)}` : about.date;
  const main = ["torch", "onnxruntime", "openvino"].filter((name) => about.packages?.[name]).map((name) => `${name} ${about.packages[name]}`);
  document.getElementById("about").textContent = [when, about.processor, about.cores && plural(about.cores, "core"), ...main].filter(Boolean).join(" · ");
  const all = [...versionPairs(), ["platform", about.platform], ["pytest-modelconform", about["pytest-modelconform"]], ["arguments", (about.arguments ?? []).join(" ")]].filter(([, v]) => v);
  document.querySelector("#versions .panel").append(h("dl", {}, all.map(([name, version]) => [h("dt", {}, name), h("dd", {}, version)])));
  showTheme();
  if (!about.complete) {
    const lacking = about.missing?.length ? `lacks ${about.missing.join(", ")}` : "was cut off";
    document.getElementById("notice").dataset.lasting = `This run ${lacking}: what is not here was not run.`;
  }
}

function versionPairs() {
  const { about } = report;
  const pairs = Object.entries(about.packages ?? {});
  if (about.python) pairs.unshift(["Python", about.python]);
  for (const [name, pins] of Object.entries(about.environments ?? {})) if (pins.length) pairs.push([`${name}:`, pins.join(" ")]);
  return pairs;
}

function notice(text) {
  const element = document.getElementById("notice");
  if (!text && element.dataset.lasting) [text] = [element.dataset.lasting];
  element.textContent = text;
  element.hidden = !text;
}

const themes = { "": ["◐", "as the system"], dark: ["☾", "dark"], light: ["☀", "light"] };
const themeButton = document.getElementById("theme");
function showTheme() {
  const [symbol, name] = themes[document.documentElement.dataset.theme ?? ""] ?? themes[""];
  themeButton.replaceChildren(h("span", { "aria-hidden": "true" }, symbol));
  themeButton.title = `Theme: ${name}`;
  themeButton.setAttribute("aria-label", `Theme: ${name}. Change`);
}
themeButton.addEventListener("click", () => {
  const root = document.documentElement;
  const names = Object.keys(themes);
  const next = names[(names.indexOf(root.dataset.theme ?? "") + 1) % names.length];
  if (next) root.dataset.theme = next;
  else delete root.dataset.theme;
  try {
    if (next) localStorage.setItem("modelconform-theme", next);
    else localStorage.removeItem("modelconform-theme");
  } catch {
    // Not kept, then.
  }
  showTheme();
});
