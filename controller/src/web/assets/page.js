"use strict";
// The page: filled from the live stream. What hosts say becomes text, never markup.

const ROW_LIMIT = 200;        // alerts drawn
const LOST_MS = 7000;         // silence after which the connection counts as lost; the server speaks every 2 s
const STALE_MS = 15000;       // age of the watch's own clock after which it counts as stuck
const REFRESH_MS = 5000;      // how often an open host is asked for again
const LEVELS = ["bad", "warn", "off", "wait", "good"];

const at = (id) => document.getElementById(id);
const html = document.documentElement;
const locked = html.dataset.locked === "yes";

const hosts = new Map();      // name -> row
const tiles = new Map();      // name -> element
const alerts = new Map();     // id -> alert
let summary = null, silences = [], sinks = [], actions = [];
let lost = false, beaten = Date.now(), shownLevel = "", drawn = false;

// ---- elements

function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "class") element.className = value;
    else if (key === "onclick") element.addEventListener("click", value);
    else element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function draw(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const button = (text, does, label) => make("button", label ? { type: "button", onclick: does, "aria-label": label } : { type: "button", onclick: does }, text);

// ---- words

function span(seconds) {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 10) return seconds.toFixed(1) + " s";
  if (seconds < 120) return Math.round(seconds) + " s";
  if (seconds < 7200) return Math.round(seconds / 60) + " min";
  if (seconds < 172800) return Math.round(seconds / 3600) + " h";
  return Math.round(seconds / 86400) + " d";
}

const ago = (stamp) => Math.max(0, (Date.now() - Date.parse(stamp)) / 1000);
const clock = (stamp) => { const date = new Date(stamp); return Number.isNaN(date.getTime()) ? "" : date.toLocaleTimeString([], { hour12: false }); };
const money = (usd) => usd ? "$" + usd.toFixed(2) : "$0";

let announced = 0;
function say(text) {
  // A screen reader is told a few things, not a flood of them.
  const now = Date.now();
  if (now - announced < 1000) return;
  announced = now;
  put(at("said"), text);
}

// ---- hosts

const disk = (row) => Math.max(-1, ...row.streams.map((stream) => stream.disk_pct ?? -1));
const cost = (row) => row.streams.reduce((sum, stream) => sum + stream.cost_usd, 0);
const took = (row) => Math.max(-1, ...row.streams.map((stream) => stream.took_s ?? -1));
const STANDINGS = ["unreachable", "silent", "no_link", "auto_stopped", "stopped", "connecting", "active"];
const byName = (a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
const ORDERS = {
  trouble: (a, b) => LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level) || STANDINGS.indexOf(a.standing) - STANDINGS.indexOf(b.standing) || byName(a, b),
  name: byName,
  disk: (a, b) => disk(b) - disk(a) || byName(a, b),
  cost: (a, b) => cost(b) - cost(a) || byName(a, b),
  took: (a, b) => took(b) - took(a) || byName(a, b),
};

function density() {
  return hosts.size <= 24 ? "cards" : hosts.size <= 150 ? "tiles" : "dense";
}

function strip(letters) {
  const svg = draw("svg", { class: "strip", viewBox: "0 0 24 1", preserveAspectRatio: "none", "aria-hidden": "true" });
  const paths = { o: "", x: "", t: "", r: "", u: "" };
  const from = 24 - letters.length;
  for (let place = 0; place < letters.length; place += 1) {
    const letter = letters[place] in paths ? letters[place] : "u";
    // What went badly stands higher, so that colour is not all there is.
    const top = letter === "o" || letter === "u" ? 0.45 : 0;
    paths[letter] += `M${from + place} ${top}h.8V1h-.8z`;
  }
  for (const [letter, path] of Object.entries(paths)) if (path) svg.append(draw("path", { class: letter, d: path }));
  return svg;
}

function tileOf(name) {
  let tile = tiles.get(name);
  if (!tile) {
    const part = (kind) => make("span", { class: kind });
    tile = make("li", { "data-host": name }, make("button", { type: "button" }, make("b", {}, name), part("w"), part("a"), part("n")));
    tiles.set(name, tile);
  }
  return tile;
}

// The server makes the same of a row, for the first sight.
function fill(row) {
  const tile = tileOf(row.name);
  const part = (kind) => tile.querySelector("." + kind);
  const level = lost ? "lost" : row.level;
  if (tile.className !== level) tile.className = level;
  put(part("w"), lost ? "unknown" : row.word);
  put(part("a"), lost ? "" : row.alerts.join(" "));
  put(part("n"), lost ? "was " + row.word + " at " + clock(beaten) : row.note);
  const letters = row.streams.length === 1 ? row.streams[0].rounds : row.streams.map((stream) => stream.rounds.slice(-8)).join("").slice(-24);
  if (tile.dataset.rounds !== letters) {
    tile.dataset.rounds = letters;
    const old = tile.querySelector(".strip");
    if (old) old.remove();
    if (letters) tile.firstElementChild.append(strip(letters));
  }
  const label = `${row.name}: ${lost ? "unknown, no connection to the controller" : row.word}${row.alerts.length && !lost ? ", alerts " + row.alerts.join(", ") : ""}`;
  const inner = tile.firstElementChild;
  if (inner.getAttribute("aria-label") !== label) inner.setAttribute("aria-label", label);
  if (inner.title !== row.note) inner.title = row.note;
  return tile;
}

function isWanted(row, words) {
  if (shownLevel && row.level !== shownLevel) return false;
  if (!words.length) return true;
  const text = [row.name, row.word, row.level, row.account || "", ...row.alerts, ...row.streams.map((stream) => stream.project)].join(" ").toLowerCase();
  return words.every((word) => word.startsWith("!") ? !text.includes(word.slice(1)) : text.includes(word));
}

function order() {
  const words = at("filter").value.toLowerCase().split(/\s+/).filter((word) => word && word !== "!");
  const rows = [...hosts.values()].filter((row) => isWanted(row, words)).sort(ORDERS[at("sort").value]);
  const list = at("hosts");
  const wanted = rows.map((row) => tileOf(row.name));
  const same = wanted.length === list.children.length && wanted.every((tile, place) => list.children[place] === tile);
  if (!same) {
    const focused = list.contains(document.activeElement) ? document.activeElement : null;
    list.replaceChildren(...wanted);
    if (focused && focused.isConnected) focused.focus({ preventScroll: true });
  }
  if (list.className !== density()) list.className = density();
  put(at("shown"), rows.length === hosts.size ? String(hosts.size) : `${rows.length} of ${hosts.size}`);
  at("none").hidden = rows.length > 0 || hosts.size === 0;
}

function drawLevels() {
  if (!summary) return;
  for (const chip of document.querySelectorAll("#levels button")) {
    const level = chip.dataset.level;
    const count = level ? summary.levels[level] || 0 : summary.hosts;
    put(chip.querySelector("b"), lost ? "?" : String(count));
    chip.classList.toggle("zero", count === 0);
    chip.setAttribute("aria-pressed", String(level === shownLevel));
  }
  put(at("fleet"), summary.fleet);
  const trouble = (summary.levels.bad || 0) + (summary.levels.warn || 0);
  document.title = (lost ? "(lost) " : trouble ? `(${trouble}) ` : "") + summary.fleet + " - agent-runner fleet";
}

// ---- alerts, silences, sinks, actions

const SEVERITIES = ["critical", "warning", "info"];

function drawAlerts() {
  const open = [...alerts.values()].sort((a, b) =>
    Number(a.status !== "firing") - Number(b.status !== "firing")
    || SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity)
    || (b.fired_at || b.since).localeCompare(a.fired_at || a.since));
  const firing = open.filter((alert) => alert.status === "firing").length;
  put(at("alerts-count"), lost ? "as of " + clock(beaten) : open.length ? `${firing} firing, ${open.length} open` : "none");
  replace(at("alerts").querySelector("ul"), open.slice(0, ROW_LIMIT).map(alertRow));
  const more = at("alerts").querySelector(".more");
  more.hidden = open.length <= ROW_LIMIT;
  put(more, `and ${open.length - ROW_LIMIT} more`);
  const stopped = summary ? summary.auto_stopped : 0;
  at("resume").hidden = stopped === 0;
  put(at("resume").querySelector("span"), `${stopped} ${stopped === 1 ? "service is" : "services are"} auto-stopped.`);
}

function replace(list, elements) {
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const top = list.scrollTop;
  list.replaceChildren(...elements);
  list.scrollTop = top;
  if (focused) {
    const again = [...list.querySelectorAll("[data-key]")].find((element) => element.dataset.key === focused);
    if (again) again.focus({ preventScroll: true });
  }
}

function keyed(element, key) {
  element.dataset.key = key;
  return element;
}

function alertRow(alert) {
  const about = alert.host
    ? keyed(make("button", { type: "button", class: "link", onclick: () => openHost(alert.host) }, alert.subject), "h" + alert.id)
    : make("span", {}, alert.subject);
  const status = alert.status === "firing" ? null
    : make("span", { class: "dim" }, " (" + alert.status + (alert.acknowledged_by ? " by " + alert.acknowledged_by : "") + (alert.inhibited_by ? " by " + alert.inhibited_by : "") + ")");
  const time = make("span", { class: "dim", "data-since": alert.fired_at || alert.since }, span(ago(alert.fired_at || alert.since)));
  const row = make("div", { class: "row" });
  const noted = Boolean(alert.acknowledged_by);
  row.append(keyed(button(noted ? "Take note back" : "Take note", () => act({ action: noted ? "unacknowledge" : "acknowledge", alert: alert.id }),
    `${noted ? "Take back the note of" : "Take note of"} ${alert.detector} on ${alert.subject}`), "n" + alert.id));
  if (alert.silence === null) row.append(keyed(button("Silence", () => silence(alert), `Silence ${alert.detector} on ${alert.subject}`), "s" + alert.id));
  return make("li", {}, make("span", { class: alert.severity }, `${alert.severity} ${alert.detector}`), " ", about, " ", time, status,
    make("div", {}, alert.message), row);
}

function drawRest() {
  const section = (id, values, row) => {
    at(id).hidden = values.length === 0;
    replace(at(id).querySelector("ul"), values.map(row));
  };
  section("silences", silences, (one) => make("li", {}, make("b", {}, one.matchers.join(" ")),
    make("div", { class: "dim" }, `until ${clock(one.until)} by ${one.by}${one.comment ? ": " + one.comment : ""}`),
    make("div", { class: "row" }, keyed(button("End", () => act({ action: "unsilence", silence: one.id }), `End silence ${one.id}`), "e" + one.id))));
  section("sinks", sinks.filter((sink) => sink.failing || sink.waiting || sink.dropped), (sink) => make("li", {}, make("b", {}, sink.name),
    make("div", { class: sink.failing ? "warning" : "dim" }, `${sink.waiting} waiting, ${sink.dropped} dropped${sink.failing ? ": " + sink.failing : ""}`)));
  section("actions", actions.slice(0, 8), (one) => make("li", {}, make("b", {}, one.what), ` ${one.status}`,
    make("div", { class: one.status === "failed" ? "critical" : "dim" }, `${clock(one.begun)} ${one.by}${one.said ? ": " + one.said : ""}`)));
}

// ---- the live stream

function take(kind, data) {
  beaten = Date.now();
  const stale = data.at && ago(data.at) * 1000 > STALE_MS;
  const stuck = stale ? `The controller's watch stands still since ${clock(data.at)}. What is below is old.` : null;
  if (kind === "beat") {
    setLost(stuck);
    return;
  }
  const touched = new Set();
  if (kind === "full") {
    hosts.clear();
    alerts.clear();
  }
  for (const row of data.hosts || []) { hosts.set(row.name, row); touched.add(row.name); }
  for (const name of data.hosts_gone || []) { hosts.delete(name); tiles.delete(name); }
  const fresh = [];
  for (const alert of data.alerts || []) {
    const known = alerts.get(alert.id);
    if (kind === "diff" && alert.status === "firing" && (!known || known.status !== "firing")) fresh.push(alert);
    alerts.set(alert.id, alert);
  }
  for (const id of data.alerts_gone || []) {
    const over = alerts.get(id);
    if (over && over.status === "firing") say(`Over: ${over.detector} on ${over.subject}`);
    alerts.delete(id);
  }
  if (fresh.length) say(fresh.length === 1 ? `${fresh[0].severity}: ${fresh[0].detector} on ${fresh[0].subject}` : `${fresh.length} alerts fire, the first ${fresh[0].detector} on ${fresh[0].subject}`);
  summary = data.summary || summary;
  silences = data.silences || silences;
  sinks = data.sinks || sinks;
  actions = data.actions || actions;
  setLost(stuck);
  for (const name of touched) fill(hosts.get(name));
  if (touched.size || data.hosts_gone) order();
  drawLevels();
  if (kind === "full" || data.alerts || data.alerts_gone || data.summary) drawAlerts();
  drawRest();
  if (kind === "full") {
    for (const name of [...tiles.keys()]) if (!hosts.has(name)) tiles.delete(name);
    openFromAddress();
  }
  if (opened && touched.has(opened)) refreshHost();
  if (!drawn) { drawn = true; html.dataset.live = "yes"; }
}

function setLost(why) {
  const was = lost;
  lost = why !== null;
  const link = at("link");
  link.className = lost ? "bad" : "good";
  put(link, lost ? "lost" : "live");
  at("lost").hidden = !lost;
  if (lost) put(at("lost"), why);
  at("host").classList.toggle("lost", lost);
  if (was === lost) return;
  if (!lost) say("The connection to the controller is back.");
  for (const row of hosts.values()) fill(row);
  drawLevels();
  drawAlerts();
}

let attempt = 0, reading = null;

async function connect() {
  const stop = new AbortController();
  reading = stop;
  try {
    const answer = await ask("/api/v1/stream", { signal: stop.signal });
    if (!answer.ok) throw new Error(await wrong(answer));
    attempt = 0;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      text += value;
      let end;
      while ((end = text.indexOf("\n\n")) >= 0) {
        const message = text.slice(0, end);
        text = text.slice(end + 2);
        const [kind, data] = message.split("\n");
        take(kind.slice(7), JSON.parse(data.slice(6)));
      }
    }
  } catch (error) {
    if (error instanceof Locked) return;
  }
  if (reading !== stop) return;
  setLost(`The connection to the controller is lost since ${clock(beaten)}. What is below is old.`);
  attempt = Math.min(attempt + 1, 6);
  setTimeout(connect, 250 * 2 ** attempt);
}

setInterval(() => {
  if (drawn && Date.now() - beaten > LOST_MS && !lost) {
    setLost(`Nothing was heard from the controller since ${clock(beaten)}. What is below is old.`);
    if (reading) reading.abort();
  }
  for (const time of document.querySelectorAll("[data-since]")) put(time, span(ago(time.dataset.since)));
}, 1000);

// ---- asking

class Locked extends Error {}

function ask(path, options = {}) {
  const token = sessionStorage.getItem("token");
  const headers = { ...options.headers };
  if (token) headers.authorization = "Bearer " + token;
  return fetch(path, { ...options, headers, cache: "no-store", credentials: "omit", redirect: "error" }).then((answer) => {
    if (answer.status !== 401) return answer;
    sessionStorage.removeItem("token");
    return signIn(Boolean(token)).then((given) => {
      if (!given) throw new Locked("this needs the token");
      return ask(path, options);
    });
  });
}

async function wrong(answer) {
  try { return (await answer.json()).error || answer.statusText; } catch { return answer.statusText; }
}

let form = null;
// Asks in a dialog; resolves to the fields' values, or null.
function dialog({ title, text, fields = [], yes = "OK", complaint = "" }) {
  if (form) form(null);
  const box = at("ask");
  put(at("ask-title"), title);
  put(box.querySelector(".text"), text || "");
  put(box.querySelector(".wrong"), complaint);
  put(box.querySelector(".yes"), yes);
  box.querySelector(".fields").replaceChildren(...fields.map((field) => make("label", {}, field.label, field.element)));
  box.showModal();
  return new Promise((resolve) => {
    form = (values) => { form = null; box.close(); resolve(values); };
  });
}
at("ask").querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (form) form([...at("ask").querySelectorAll(".fields input, .fields select")].map((field) => field.value));
});
at("ask").querySelector(".no").addEventListener("click", () => { if (form) form(null); });
at("ask").addEventListener("cancel", (event) => { event.preventDefault(); if (form) form(null); });

let signing = null;
function signIn(again) {
  signing ||= dialog({
    title: "The token, please", yes: "Go on", complaint: again ? "That was not the token." : "",
    text: "It is in the file that `monitor --serve` named when it began. It is kept until this tab is closed.",
    fields: [{ label: "Token", element: make("input", { type: "password", id: "token", autocomplete: "off", required: "" }) }],
  }).then((values) => {
    signing = null;
    if (!values) return false;
    sessionStorage.setItem("token", values[0].trim());
    return true;
  });
  return signing;
}

async function act(wish) {
  try {
    const answer = await ask("/api/v1/actions", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(wish) });
    const value = await answer.json();
    const said = value.error || value.said || "";
    say(answer.ok ? `${value.what}: ${value.status} ${said}` : said);
    if (!answer.ok || value.status === "failed") await dialog({ title: "That did not work", text: said, yes: "Close" });
  } catch (error) {
    if (!(error instanceof Locked)) await dialog({ title: "That did not work", text: "The controller does not answer.", yes: "Close" });
  }
}

async function silence(alert) {
  const labels = ["host", "project", "account", "detector"].filter((label) => alert[label]);
  const span = make("select", {}, ...[["30 minutes", 1800], ["2 hours", 7200], ["8 hours", 28800], ["1 day", 86400], ["1 week", 604800]].map(([text, seconds]) =>
    make("option", seconds === 7200 ? { value: seconds, selected: "" } : { value: seconds }, text)));
  const values = await dialog({
    title: "Silence", yes: "Silence", text: "Nothing is sent of alerts that match all of these; they are still shown.",
    fields: [
      { label: "Matchers", element: make("input", { value: labels.map((label) => `${label}=${quote(alert[label])}`).join(" "), required: "", spellcheck: "false" }) },
      { label: "For", element: span },
      { label: "Why", element: make("input", { maxlength: "500" }) },
    ],
  });
  if (!values) return;
  const matchers = values[0].trim().split(/\s+(?=[a-z]+!?=)/);
  act({ action: "silence", matchers, seconds: Number(values[1]), comment: values[2] });
}

// A name in a pattern: what would be a wildcard there matches itself as any one character.
const quote = (text) => text.replace(/[*]/g, "?");

async function sure(title, text, wish) {
  if (await dialog({ title, text, yes: title })) act(wish);
}

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
  sure("Resume", "Every auto-stopped service is started again: accounts side by side, the hosts of one account one after another.", { action: "resume", services: [] }));
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
