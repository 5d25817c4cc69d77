"use strict";
(() => {
  const root = document.documentElement;
  const faults = [];
  const tell = () => { root.dataset.checked = faults.length ? faults.join("; ") : "ok"; };
  window.onerror = (message, _, line) => { faults.push(`script: ${message}, line ${line}`); tell(); };

  // Light or dark: the address decides, then the last choice, then the reader's system.
  const remember = (theme) => { try { localStorage.setItem("theme", theme); } catch { /* a file may have no store */ } };
  const remembered = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const asked = location.hash.slice(1);
  const theme = asked === "dark" || asked === "light" ? asked : remembered();
  if (theme === "dark" || theme === "light") root.dataset.theme = theme;
  document.getElementById("theme").addEventListener("click", () => {
    const now = root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    remember(root.dataset.theme);
  });

  // The values of a mark: its title, shown at once instead of after a while, and on a touch.
  const tip = document.getElementById("tip");
  const show = (event) => {
    const mark = event.target.closest && event.target.closest("svg .m, svg g");
    const title = mark && mark.querySelector(":scope > title");
    if (title) { mark.dataset.tip = title.textContent; title.remove(); }
    if (!mark || !mark.dataset.tip) { tip.hidden = true; return; }
    tip.textContent = mark.dataset.tip;
    tip.hidden = false;
    const { offsetWidth: width, offsetHeight: height } = tip;
    const left = Math.min(Math.max(8, event.clientX - width / 2), innerWidth - width - 8);
    const above = event.clientY - height - 14;
    tip.style.left = `${left}px`;
    tip.style.top = `${above < 8 ? event.clientY + 18 : above}px`;
  };
  document.addEventListener("pointermove", show);
  document.addEventListener("pointerdown", show);
  document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

  // Does the page hold what it was made to hold?
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const charts = document.querySelectorAll("svg[data-points]");
  if (charts.length !== facts.charts.length) faults.push(`${charts.length} charts of ${facts.charts.length}`);
  for (const { id, title, points } of facts.charts) {
    const chart = document.getElementById(id);
    if (!chart) { faults.push(`${id} (${title}) is missing`); continue; }
    const marks = chart.querySelectorAll(".m").length;
    if (marks !== points || chart.dataset.points !== String(points)) faults.push(`${id} (${title}): ${marks} marks of ${points}`);
    if (/NaN|Infinity|undefined/.test(chart.innerHTML)) faults.push(`${id} (${title}): a place that is no number`);
    for (const path of chart.querySelectorAll("path[data-n]")) {
      const corners = (path.getAttribute("d").match(/[ML]/g) || []).length;
      if (corners !== Number(path.dataset.n)) faults.push(`${id} (${title}): ${corners} corners of ${path.dataset.n}`);
    }
  }
  tell();
})();
