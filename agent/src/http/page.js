"use strict";
// Replaces a section only when it changed, so that what is being read, selected or focused stays where it is.
const link = document.getElementById("link");
const shown = new Map();
let heard = new Date();

function clock(date) {
  const today = date.toDateString() === new Date().toDateString();
  return today ? date.toLocaleTimeString() : date.toLocaleString();
}

function ago(date) {
  const seconds = Math.round((Date.now() - date) / 1000);
  const amount = Math.abs(seconds);
  const [size, unit] = amount < 90 ? [1, "s"] : amount < 5400 ? [60, "min"] : amount < 129600 ? [3600, "h"] : [86400, "d"];
  const text = `${Math.round(amount / size)} ${unit}`;
  return seconds < 0 ? `in ${text}` : `${text} ago`;
}

function tellTimes() {
  for (const time of document.querySelectorAll("time")) {
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    time.title = time.dateTime;
    const text = `${clock(date)} (${ago(date)})`;
    if (time.textContent !== text) time.textContent = text;
  }
}

function show(sections) {
  for (const [id, html] of Object.entries(sections)) {
    const section = document.getElementById(id);
    if (!section || shown.get(id) === html) continue;
    shown.set(id, html);
    const body = section.querySelector(".body");
    const old = body.querySelector("pre");
    const top = old ? old.scrollTop : 0;
    const atEnd = old ? old.scrollTop + old.clientHeight >= old.scrollHeight - 4 : true;
    const focused = old !== null && document.activeElement === old;
    body.innerHTML = html;
    section.hidden = html === "";
    const pre = body.querySelector("pre");
    if (pre) {
      pre.scrollTop = atEnd ? pre.scrollHeight : top;
      if (focused) pre.focus({ preventScroll: true });
    }
  }
  tellTimes();
}

function alive(lives) {
  document.body.classList.toggle("lost", !lives);
  link.textContent = lives ? "live" : `connection lost, trying again; this is how it was at ${clock(heard)}`;
}

const source = new EventSource("/events");
source.onopen = () => { alive(true); };
source.onmessage = (message) => { heard = new Date(); show(JSON.parse(message.data)); };
source.onerror = () => { alive(false); };
setInterval(tellTimes, 10000);
tellTimes();
for (const pre of document.querySelectorAll("pre")) pre.scrollTop = pre.scrollHeight;
