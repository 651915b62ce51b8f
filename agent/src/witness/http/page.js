"use strict";
// Replaces a section only when it changed, so that what is being read, selected or focused stays where it is.
const link = document.getElementById("link");
const shown = new Map();

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
}

const source = new EventSource("/events");
source.onopen = () => { link.textContent = "live"; };
source.onmessage = (message) => { show(JSON.parse(message.data)); };
source.onerror = () => { link.textContent = "connection lost, trying again"; };
for (const pre of document.querySelectorAll("pre")) pre.scrollTop = pre.scrollHeight;
