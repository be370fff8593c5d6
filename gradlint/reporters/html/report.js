"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const dataOf = (element) => JSON.parse(all('script[type="application/json"]', element).at(-1).textContent);

  // Light or dark: what the system says, until the reader says otherwise.
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try { chosen = localStorage.getItem("gradlint-theme"); } catch { /* a file may have no storage */ }
  const paint = () => { root.dataset.theme = chosen ?? (system.matches ? "dark" : "light"); };
  const switchTheme = () => {
    chosen = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("gradlint-theme", chosen); } catch { /* as above */ }
    paint();
  };
  system.addEventListener("change", paint);
  paint();
  document.getElementById("theme-button").addEventListener("click", switchTheme);

  const help = document.getElementById("help");
  const explain = () => {
    help.showModal();
    help.querySelector("h2").focus(); // because the first button stands at the end
  };
  document.getElementById("help-button").addEventListener("click", explain);
  document.getElementById("help-close").addEventListener("click", () => help.close());

  // Findings by key.
  const findings = all("article.finding");
  let current = -1;
  const visit = (step) => {
    if (!findings.length) return;
    current = (current + step + findings.length) % findings.length;
    location.hash = findings[current].id;
    findings[current].focus({ preventScroll: true });
  };
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const filter = document.querySelector(".filter");
    if (event.key === "n") visit(1);
    else if (event.key === "p") visit(current < 0 ? 0 : -1);
    else if (event.key === "t") switchTheme();
    else if (event.key === "?") help.open ? help.close() : explain();
    else if (event.key === "/" && filter) { event.preventDefault(); filter.focus(); }
  });

  const told = (value) =>
    value === null ? "?"
    : typeof value === "string" ? (value === "-inf" ? "none" : "inf")
    : value.toFixed(2).replace(/^-(0\.00)$/, "$1");

  // Curves: a legend that switches them, and reads them at the layer pointed at.
  for (const chart of all("figure.chart")) {
    const data = dataOf(chart);
    const series = all(".series", chart), keys = all(".legend button", chart);
    keys.forEach((key, index) => key.addEventListener("click", () => {
      const on = key.getAttribute("aria-pressed") === "false";
      key.setAttribute("aria-pressed", String(on));
      series[index].classList.toggle("off", !on);
    }));
    const plot = chart.querySelector(".plot"), svg = plot.querySelector("svg");
    const cursor = chart.querySelector(".cursor"), place = chart.querySelector("output");
    const last = data.layers.length - 1;
    let at = 0;
    const read = (layer) => {
      at = Math.max(0, Math.min(last, layer));
      const x = data.left + (last ? at / last : 0) * (data.right - data.left);
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
      cursor.style.visibility = "visible";
      place.textContent = data.layers[at];
      keys.forEach((key, index) => { key.lastChild.textContent = told(data.curves[index].values[at]); });
    };
    const leave = () => {
      cursor.style.visibility = "hidden";
      place.textContent = "";
      for (const key of keys) key.lastChild.textContent = "";
    };
    plot.addEventListener("mousemove", (event) => {
      const box = svg.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
      read(Math.round((x - data.left) / (data.right - data.left) * last));
    });
    plot.addEventListener("mouseleave", leave);
    plot.addEventListener("blur", leave);
    plot.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -last, End: last };
      if (!(event.key in steps)) return;
      event.preventDefault();
      read(at + steps[event.key]);
    });
  }

  // Layer graphs: another condition colours them anew.
  const STEPS = [-6, -4, -2.5, -1, 1, 2.5, 4, 6];
  const shade = (value) =>
    value === null ? "dn"
    : value === "-inf" ? "dz"
    : typeof value === "string" ? "d4"
    : `d${STEPS.filter((step) => value > step).length - 4}`;
  const size = (value) =>
    value === null ? "" : typeof value === "string" ? (value === "-inf" ? "0" : "inf")
    : Number((10 ** value).toPrecision(2)).toString();
  for (const layers of all(".layers")) {
    const data = dataOf(layers);
    const rows = all("tbody tr", layers), strip = layers.querySelector(".strip");
    const scroll = layers.querySelector(".scroll");
    const show = (series) => {
      rows.forEach((row, index) => {
        const value = series.decades[index], bar = row.querySelector(".bar");
        const known = typeof value === "number" ? value : value === "-inf" ? -10 : value ? 10 : 0;
        const width = 5 * Math.min(10, Math.abs(known));
        bar.className = `bar ${shade(value)}`;
        bar.firstChild.style.width = `${width}%`;
        bar.firstChild.style.left = `${known > 0 ? 50 : 50 - width}%`;
        bar.lastChild.textContent = value === null ? "" : told(value);
        row.querySelector("circle").setAttribute("class", shade(value));
        row.querySelector(".size").textContent = size(series.activations[index]);
      });
      strip.replaceChildren(...series.decades.map((value) => {
        const mark = document.createElement("i");
        mark.className = shade(value);
        mark.style.flex = "1";
        return mark;
      }));
    };
    layers.querySelector("select").addEventListener("change", (event) => show(data.series[event.target.value]));
    layers.querySelector(".filter").addEventListener("input", (event) => {
      const wanted = event.target.value.toLowerCase();
      for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    });
    strip.addEventListener("click", (event) => {
      const box = strip.getBoundingClientRect();
      const row = rows[Math.min(rows.length - 1, Math.floor((event.clientY - box.top) / box.height * rows.length))];
      rows.forEach((other) => other.classList.toggle("here", other === row));
      scroll.scrollTo({ top: row.offsetTop - scroll.clientHeight / 2 });
    });
  }

  // On paper everything is open, and paper is light.
  addEventListener("beforeprint", () => {
    root.dataset.theme = "light";
    for (const details of all("details")) details.open = true;
  });
  addEventListener("afterprint", paint);
})();
