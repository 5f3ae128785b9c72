"use strict";
// Tables are sorted by their heads, and lists narrowed by words. Everything can be read without; paper shows all of it.
{
  const worst = ["lost", "doomed", "unreadable", "revoked", "unreachable", "unknown", "expiring", "readable"];
  const grave = ["critical", "high", "medium", "low"];
  const units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
  const lengths = { d: 86400, h: 3600, min: 60, s: 1 };
  const enough = 6;

  const made = (name, among, text = "") => {
    const one = document.createElement(name);
    one.textContent = text;
    among.append(one);
    return one;
  };

  // What a cell counts for: a number, a length of time, a place in an order, or words. Nothing is known of an empty one.
  const value = (cell) => {
    const text = cell.textContent.trim();
    const amount = /^(?:< )?([0-9][0-9.,]*) ?(%|[kMGTPE]?B)?$/.exec(text);
    if (amount) return Number(amount[1].replaceAll(",", "")) * 1000 ** Math.max(0, units.indexOf(amount[2]));
    if (/^[0-9]+ (d|h|min|s)( [0-9]+ (h|min))?$/.test(text)) {
      return [...text.matchAll(/([0-9]+) ([a-z]+)/g)].reduce((sum, [, count, unit]) => sum + count * lengths[unit], 0);
    }
    for (const order of [worst, grave]) {
      const place = order.indexOf(text.split(/\s/)[0]);
      if (place >= 0) return place;
    }
    return text === "" || text === "-" ? null : text.toLowerCase();
  };

  const compared = (one, other) => {
    if (typeof one === typeof other) return one < other ? -1 : Number(one > other);
    return typeof one === "number" ? -1 : 1;
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    if (body.rows.length < 2) continue;
    heads.forEach((head, place) => {
      const text = head.textContent;
      head.textContent = "";
      const button = made("button", head, text);
      button.type = "button";
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        heads.forEach((one) => one.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down === 1 ? "ascending" : "descending");
        const rows = [...body.rows].map((row) => [value(row.cells[place]), row]);
        const known = rows.filter(([key]) => key !== null).sort(([one], [other]) => down * compared(one, other));
        body.append(...[...known, ...rows.filter(([key]) => key === null)].map(([, row]) => row));
      });
    });
  }

  const narrowed = (items, before, what) => {
    if (items.length < enough) return;
    const line = document.createElement("p");
    line.className = "narrow";
    before.before(line);
    const label = made("label", line, `Only ${what} with `);
    const field = made("input", label);
    field.type = "search";
    field.autocomplete = "off";
    const told = made("output", line, "");
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const one of items) {
        const text = one.textContent.toLowerCase();
        const fits = words.every((word) => text.includes(word));
        one.classList.toggle("off", !fits);
        shown += fits;
      }
      told.textContent = words.length ? `${shown} of ${items.length}` : "";
    });
  };

  const findings = [...document.querySelectorAll("[aria-labelledby=findings] > .finding, table.brief > tbody > tr")];
  if (findings.length) narrowed(findings, findings[0].closest(".finding, .scroll"), "findings");
  for (const table of document.querySelectorAll("table.sortable:not(.brief)")) {
    narrowed([...table.tBodies[0].rows], table.closest(".scroll"), "rows");
  }
}
