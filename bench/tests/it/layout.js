// What a look at the page would show, for a program: put behind the page by `browser.rs`.
(() => {
  const root = document.documentElement;
  const faults = [];
  if (root.scrollWidth > innerWidth) faults.push(`the page is ${root.scrollWidth} wide, the window ${innerWidth}`);
  let charts = 0;
  let texts = 0;
  for (const svg of document.querySelectorAll("svg[data-points]")) {
    const paper = svg.getBoundingClientRect();
    if (!paper.width) continue; // the drawing for the other width
    charts += 1;
    const boxes = [...svg.querySelectorAll("text")].filter((text) => text.textContent).map((text) => {
      const { left, top, right, bottom } = text.getBoundingClientRect();
      const inset = (bottom - top) * 0.2; // lines have room above and below their letters
      return { words: text.textContent, left, right, top: top + inset, bottom: bottom - inset };
    });
    texts += boxes.length;
    boxes.forEach((box, at) => {
      if (box.right - box.left < 2) faults.push(`${svg.id}: "${box.words}" has no width`);
      if (box.left < paper.left - 2 || box.right > paper.right + 2 || box.top < paper.top - 2 || box.bottom > paper.bottom + 2)
        faults.push(`${svg.id}: "${box.words}" is cut off`);
      for (const other of boxes.slice(0, at))
        if (box.left < other.right - 0.5 && other.left < box.right - 0.5 && box.top < other.bottom && other.top < box.bottom)
          faults.push(`${svg.id}: "${box.words}" lies upon "${other.words}"`);
    });
  }
  // A mark tells its values where the pointer is, and nothing once it is elsewhere.
  const point = (on) => on.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX: 9, clientY: 9 }));
  const tip = document.getElementById("tip");
  for (const mark of [document.querySelector("svg g.m rect"), document.querySelector("svg circle.m")]) {
    const words = mark.closest(".m").querySelector("title").textContent;
    point(mark);
    if (tip.hidden || tip.textContent !== words || !words) faults.push(`a mark says "${tip.textContent}", not "${words}"`);
    point(document.body);
    if (!tip.hidden) faults.push("the values stay when the pointer has gone");
  }
  // The button changes light into dark, and back.
  const paper = () => getComputedStyle(document.body).backgroundColor;
  const papers = [0, 1, 2].map((time) => (time && document.getElementById("theme").click(), paper()));
  if (papers[0] === papers[1] || papers[0] !== papers[2]) faults.push(`the button makes ${papers}`);
  root.dataset.window = innerWidth;
  root.dataset.charts = charts;
  root.dataset.texts = texts;
  root.dataset.paper = getComputedStyle(document.querySelector(".panel")).backgroundColor;
  root.dataset.foreign = document.querySelectorAll("img, u, i").length; // the page itself has none of these
  root.dataset.layout = faults.length ? faults.slice(0, 40).join("; ") : "ok";
  parent.postMessage({ ...root.dataset }, "*");
})();
