// Keyboard help for the console; everything works without it.
"use strict";

// "/" goes to the search field, "?" nowhere: few keys, none of them in the way of typing (WCAG 2.1.4: they do nothing within fields).
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    const field = document.querySelector("[data-search]");
    if (field) { field.focus(); event.preventDefault(); }
  } else if (event.key === "j" || event.key === "k") {
    const links = [...document.querySelectorAll("table.mails tbody a")];
    const now = links.indexOf(document.activeElement);
    const next = links[event.key === "j" ? now + 1 : Math.max(now - 1, 0)];
    if (next) next.focus();
  } else if (event.key === "n") {
    const older = document.querySelector("a[rel=next]");
    if (older) older.click();
  }
});

// One box in the head of a list ticks all.
const first = document.querySelector("table.mails thead th .unseen");
if (first && document.querySelector("table.mails input[name=pick]")) {
  const box = document.createElement("input");
  box.type = "checkbox";
  box.setAttribute("aria-label", first.textContent);
  box.addEventListener("change", () => {
    for (const one of document.querySelectorAll("table.mails input[name=pick]")) one.checked = box.checked;
  });
  first.replaceWith(box);
}
