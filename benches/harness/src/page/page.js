"use strict";
// Shows one contender in every chart: while its name is pointed at, and until it is pressed again once it was pressed.
(() => {
  const buttons = [...document.querySelectorAll("button[data-pick]")];
  let pressed = null;
  const show = (name) => {
    document.body.classList.toggle("picked", name !== null);
    for (const shape of document.querySelectorAll("[data-series]")) {
      shape.classList.toggle("shown", shape.dataset.series === name);
    }
    for (const row of document.querySelectorAll("tr[data-row]")) {
      row.classList.toggle("shown", row.dataset.row === name);
    }
  };
  for (const button of buttons) {
    const name = button.dataset.pick;
    button.addEventListener("click", () => {
      pressed = pressed === name ? null : name;
      for (const other of buttons) {
        other.setAttribute("aria-pressed", String(other.dataset.pick === pressed));
      }
      show(pressed);
    });
    button.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse") show(name);
    });
    button.addEventListener("pointerleave", () => show(pressed));
  }
})();
