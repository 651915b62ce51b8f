// ---- hands

document.addEventListener("click", (event) => {
  const tile = event.target.closest("#hosts li");
  if (tile) openHost(tile.dataset.host);
});
at("host").querySelector(".close").addEventListener("click", closeHost);
at("filter").addEventListener("input", order);
at("sort").addEventListener("change", order);
at("levels").addEventListener("click", (event) => {
  const chip = event.target.closest("button");
  if (!chip) return;
  shownLevel = chip.dataset.level === shownLevel ? "" : chip.dataset.level;
  drawLevels();
  order();
});
at("resume").querySelector("button").addEventListener("click", () =>
  sure("Resume", "Every auto-stopped service is started again: accounts side by side, the hosts of one account one after another, once a round of the first has ended well.", { action: "resume", services: [] }));
at("keys-open").addEventListener("click", () => at("keys").showModal());
at("keys").querySelector("button").addEventListener("click", () => at("keys").close());

function step(by) {
  const list = [...at("hosts").children];
  if (!list.length) return;
  const here = list.findIndex((tile) => tile.contains(document.activeElement) || (opened && tile.dataset.host === opened));
  const next = list[Math.min(list.length - 1, Math.max(0, here < 0 ? (by > 0 ? 0 : list.length - 1) : here + by))];
  if (opened) openHost(next.dataset.host);
  else next.firstElementChild.focus();
  next.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
  if (event.key === "Escape") {
    if (opened) closeHost();
    else if (at("filter").value || shownLevel) { at("filter").value = ""; shownLevel = ""; drawLevels(); order(); }
    else document.activeElement.blur();
    return;
  }
  if (typing) {
    if (event.key === "Enter" && document.activeElement === at("filter")) { step(1); event.preventDefault(); }
    return;
  }
  const does = {
    "/": () => { at("filter").focus(); at("filter").select(); },
    j: () => step(1),
    k: () => step(-1),
    a: () => { const first = at("alerts").querySelector("li button"); if (first) first.focus(); },
    "?": () => at("keys").showModal(),
  }[event.key];
  if (does) { event.preventDefault(); does(); }
});

// What the server has drawn is taken over as it is; the stream's first message fills the rest in.
for (const tile of at("hosts").children) tiles.set(tile.dataset.host, tile);
if (!locked) put(at("shown"), String(tiles.size));
connect();
