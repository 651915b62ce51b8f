// ---- one host

let opened = null, asking = false, logs = new Map();

function openHost(name) {
  if (!hosts.has(name)) return;
  if (opened !== name) logs = new Map();
  opened = name;
  history.replaceState(null, "", "#" + encodeURIComponent(name));
  at("host").hidden = false;
  at("host").querySelector(".body").replaceChildren(make("p", { class: "dim" }, "asking"));
  put(at("host-title"), name);
  markCurrent();
  at("host").focus();
  refreshHost();
}

function closeHost() {
  const tile = tiles.get(opened);
  opened = null;
  at("host").hidden = true;
  history.replaceState(null, "", location.pathname);
  markCurrent();
  if (tile && tile.isConnected) tile.firstElementChild.focus();
}

function markCurrent() {
  for (const [name, tile] of tiles) {
    if (name === opened) tile.setAttribute("aria-current", "true");
    else tile.removeAttribute("aria-current");
  }
}

function openFromAddress() {
  let name = "";
  try { name = decodeURIComponent(location.hash.slice(1)); } catch { /* an address somebody mistyped */ }
  if (!opened && name && hosts.has(name)) openHost(name);
}

async function refreshHost() {
  if (!opened || asking) return;
  asking = true;
  const name = opened;
  try {
    const [answer, told] = await Promise.all([ask("/api/v1/hosts/" + encodeURIComponent(name)), ask("/api/v1/events?limit=40&host=" + encodeURIComponent(quote(name)))]);
    if (answer.ok && told.ok && opened === name) drawHost(await answer.json(), (await told.json()).events);
  } catch { /* the stream tells that the connection is lost */ }
  asking = false;
}
setInterval(() => { if (opened && !lost) refreshHost(); }, REFRESH_MS);

function drawHost(host, events) {
  const state = at("host").querySelector(".state");
  state.className = "state " + host.level;
  put(state, host.word + (host.account ? ` \u00b7 account ${host.account}` : ""));
  const body = at("host").querySelector(".body");
  const top = at("host").scrollTop;
  const kept = body.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const parts = [];
  if (host.open.length) parts.push(make("h3", {}, "Open alerts"), make("ul", { class: "open" }, ...host.open.map((alert) => make("li", {}, make("span", { class: alert.severity }, `${alert.severity} ${alert.detector}`), ` ${span(ago(alert.fired_at || alert.since))}: ${alert.message}`))));
  for (const detail of host.detail) parts.push(streamPart(host, detail));
  if (host.past.length) parts.push(make("h3", {}, "Past alerts"), make("ul", { class: "events" }, ...host.past.map((alert) =>
    make("li", {}, make("time", {}, clock(alert.resolved_at)), make("span", {}, `${alert.detector} ${alert.message}`)))));
  parts.push(make("h3", {}, "Newest events"));
  parts.push(events.length ? make("ul", { class: "events", tabindex: "0", "aria-label": "Newest events" }, ...events.map(eventRow)) : make("p", { class: "dim" }, "none since the watch began"));
  body.replaceChildren(...parts);
  at("host").scrollTop = top;
  if (kept) {
    const again = [...body.querySelectorAll("[data-key]")].find((element) => element.dataset.key === kept);
    if (again) again.focus({ preventScroll: true });
  }
}

function eventRow(line) {
  const event = line.event || {};
  const words = Object.entries(event).filter(([key]) => key !== "ts" && key !== "event").map(([key, value]) => `${key}=${typeof value === "object" ? JSON.stringify(value) : value}`);
  if (line.reason) words.push(line.reason);
  if (line.detector) words.push(line.detector);
  if (line.alert) words.push(`${line.alert.detector}: ${line.alert.message}`);
  return make("li", {}, make("time", {}, clock(event.ts || line.at)), make("b", {}, event.event || line.type), make("span", {}, words.join(" ").slice(0, 300)));
}

function streamPart(host, detail) {
  const row = host.streams.find((stream) => stream.project === detail.project) || {};
  const id = { host: host.name, project: detail.project };
  const name = `${host.name}/${detail.project}`;
  const buttons = make("div", { class: "row" }, make("h3", {}, detail.project));
  const add = (text, does) => buttons.append(keyed(button(text, does, `${text} ${name}`), text + detail.project));
  if (detail.stopped) add("Resume", () => act({ action: "resume", services: [id] }));
  else if (row.standing === "stopped") add("Start", () => act({ action: "start", ...id }));
  if (row.standing === "active") add("Stop", () => sure("Stop", `${name} ends after its round and is not started again until somebody does.`, { action: "stop", ...id }));
  add("Log", () => fetchLog(detail.project));
  const state = detail.state || {};
  const facts = [
    ["state", lost ? "unknown" : (row.standing || "").replace("auto_", "auto-").replace("_", " ") + (detail.stopped ? ` for ${detail.stopped.detector} by ${detail.stopped.by}` : "")],
    ["round", state.round_num === null || state.round_num === undefined ? "none yet" : `${state.round_num}${state.phase ? " \u00b7 " + state.phase : ""}${row.running ? " \u00b7 running for " + span(ago(state.since)) : ""}`],
    ["last data", detail.age_s <= 1 ? "now" : span(detail.age_s) + " ago"],
    ["link", detail.link + (detail.reason ? ": " + detail.reason : "")],
    ["agent", detail.agent_version || "not heard"],
    ["own monitor", detail.monitor_active ? "runs" : "does not run: the controller stops it"],
    ["cannot judge", (state.cannot_judge || []).map((one) => `${one.detector}: ${one.error}`).join("; ") || null],
    ["throttled", state.throttled_until ? "until " + clock(state.throttled_until) : null],
    ["clock", Math.abs(detail.clock_skew_s || 0) > 1 ? `${detail.clock_skew_s} s off` : null],
  ].filter(([, value]) => value !== null);
  const part = make("section", { class: "stream", "aria-label": name }, buttons,
    make("dl", {}, ...facts.flatMap(([key, value]) => [make("dt", {}, key), make("dd", {}, value)])),
    rounds(detail.rounds), make("div", { class: "small" }, ...trends(detail.trend)));
  const log = logs.get(detail.project);
  if (log) part.append(make("h3", {}, "Log of the newest round"), make("pre", { tabindex: "0", role: "region", "aria-label": `Log of ${name}` }, log));
  return part;
}

async function fetchLog(project) {
  const name = opened;
  logs.set(project, "asking the host");
  refreshHost();
  try {
    const answer = await ask(`/api/v1/hosts/${encodeURIComponent(name)}/log?lines=200&project=${encodeURIComponent(project)}`);
    const text = answer.ok ? (await answer.json()).lines.join("\n") || "the log is empty" : await wrong(answer);
    if (opened === name) logs.set(project, text.replace(/\u001b\[[0-9;?]*[ -/]*[@-~]/g, ""));
  } catch (error) {
    if (error instanceof Locked) logs.delete(project); else logs.set(project, "the controller does not answer");
  }
  refreshHost();
}

const OUTCOMES = { o: "ok", x: "failed", t: "timed out", r: "running", "-": "unknown" };

function figure(title, note, svg) {
  return make("figure", {}, make("figcaption", {}, make("span", {}, title), make("span", {}, note)), svg);
}

function rounds(list) {
  const counts = {};
  for (const round of list) counts[round.outcome] = (counts[round.outcome] || 0) + 1;
  const words = Object.entries(counts).map(([outcome, count]) => `${count} ${OUTCOMES[outcome]}`).join(", ");
  const wide = 48, longest = Math.max(1, ...list.map((round) => round.duration_s || 0));
  const svg = draw("svg", { viewBox: `0 0 ${wide} 50`, preserveAspectRatio: "none", role: "img", "aria-label": `The last ${list.length} rounds: ${words || "none"}` });
  list.forEach((round, place) => {
    const tall = round.duration_s ? Math.max(2, 48 * round.duration_s / longest) : 4;
    const kind = round.outcome === "-" ? "u" : round.outcome;
    const bar = draw("rect", { class: kind, x: wide - list.length + place + 0.1, width: 0.8, y: 50 - tall, height: tall });
    const title = draw("title", {});
    title.textContent = `round ${round.number}${round.phase ? " " + round.phase : ""}: ${OUTCOMES[round.outcome]}${round.duration_s ? " in " + span(round.duration_s) : ""}${round.exit_code ? ", exit " + round.exit_code : ""}${round.cost_usd ? ", " + money(round.cost_usd) : ""}${round.ended ? ", " + clock(round.ended) : ""}`;
    bar.append(title);
    svg.append(bar);
    // What went badly has a mark above its bar, so that colour is not all there is.
    if (kind === "x" || kind === "t") svg.append(draw("rect", { class: kind, x: wide - list.length + place + 0.1, width: 0.8, y: 0, height: 3 }));
  });
  return figure("Rounds: duration", words + (list.length ? `; longest ${span(longest)}` : ""), svg);
}

function trends(points) {
  const line = (key, title, note, top) => {
    const known = points.map((point, place) => [place, point[key]]).filter(([, value]) => value !== null && value !== undefined);
    if (known.length === 0) return null;
    const high = top || Math.max(1, ...known.map(([, value]) => value)) * 1.1;
    const x = (place) => points.length > 1 ? (100 * place / (points.length - 1)) : 100;
    const y = (value) => 30 - 29 * Math.min(1, value / high);
    const path = known.length > 1
      ? known.map(([place, value], index) => `${index ? "L" : "M"}${x(place).toFixed(2)} ${y(value).toFixed(2)}`).join("")
      : `M0 ${y(known[0][1]).toFixed(2)}H100`;
    const svg = draw("svg", { viewBox: "0 0 100 30", preserveAspectRatio: "none", role: "img", "aria-label": `${title}: ${note(known[known.length - 1][1])}` });
    svg.append(draw("path", { class: "area", d: (known.length > 1 ? path + `L${x(known[known.length - 1][0]).toFixed(2)} 30L${x(known[0][0]).toFixed(2)} 30Z` : path + "V30H0Z") }));
    svg.append(draw("path", { class: "line", d: path }));
    return figure(title, note(known[known.length - 1][1]), svg);
  };
  const bars = () => {
    const total = points.reduce((sum, point) => sum + point.cost_usd, 0);
    if (total <= 0) return null;
    const high = Math.max(...points.map((point) => point.cost_usd));
    const svg = draw("svg", { viewBox: `0 0 ${points.length} 30`, preserveAspectRatio: "none", role: "img", "aria-label": `Cost: ${money(total)}` });
    points.forEach((point, place) => {
      const tall = 29 * point.cost_usd / high;
      if (tall > 0) svg.append(draw("rect", { class: "bar", x: place + 0.1, width: 0.8, y: 30 - tall, height: tall }));
    });
    return figure("Cost, 5 min each", money(total), svg);
  };
  return [line("disk_used_pct", "Disk used", (value) => value.toFixed(0) + " %", 100), line("mem_available_mb", "Memory left", (value) => value + " MB", 0), bars()].filter(Boolean);
}

