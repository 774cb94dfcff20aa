"use strict";
// What is typed, and which box was chosen, decide what is shown. Without this script everything is.
(() => {
  const find = document.getElementById("find");
  const found = document.getElementById("found");
  const all = (selector) => [...document.querySelectorAll(selector)];
  const boxes = all(".box");
  const lines = all("#picture [data-caller]");
  const words = all(".words");
  const rows = all("tbody tr");
  const calls = all("#calls tbody tr");

  const parties = (row) => [row.dataset.callee, row.dataset.caller];
  const text = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));

  const show = () => {
    const wanted = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = (row) => wanted.every((word) => text.get(row).includes(word));
    for (const row of rows) row.hidden = !shown(row);
    const left = calls.filter((row) => !row.hidden);
    const numbers = new Set(left.map((row) => row.dataset.line));
    const named = new Set(left.flatMap(parties));
    for (const box of boxes) {
      const name = box.dataset.name.toLowerCase();
      const meant = named.has(box.dataset.name) || wanted.every((word) => name.includes(word));
      box.classList.toggle("faint", wanted.length > 0 && !meant);
      box.classList.toggle("chosen", box.dataset.name === find.value);
    }
    for (const line of lines) {
      line.classList.toggle("faint", !numbers.has(line.id));
      line.classList.toggle("strong", wanted.length > 0 && numbers.has(line.id));
    }
    for (const word of words) word.classList.toggle("faint", !numbers.has(word.dataset.line));
    found.value = wanted.length ? `${left.length} of ${calls.length} calls` : "";
  };

  find.addEventListener("input", show);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && find.value) {
      find.value = "";
      show();
    } else if (event.key === "/" && document.activeElement !== find) {
      event.preventDefault();
      find.focus();
    }
  });
  for (const box of boxes) {
    box.addEventListener("click", (event) => {
      event.preventDefault();
      find.value = find.value === box.dataset.name ? "" : box.dataset.name;
      show();
    });
  }
  for (const row of calls) {
    const line = document.getElementById(row.dataset.line);
    row.addEventListener("mouseenter", () => line.classList.add("strong"));
    row.addEventListener("mouseleave", show);
  }
})();
