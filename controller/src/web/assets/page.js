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

