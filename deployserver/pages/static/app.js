// Makes pages nicer that work without it: local and ticking times, copy buttons, new records as they come.
"use strict";

(() => {
  const MINUTE = 60, HOUR = 3600, DAY = 86400, MONTH = 2629746, YEAR = 31556952;
  const UNITS = [[YEAR, "year"], [MONTH, "month"], [DAY, "day"], [HOUR, "hour"], [MINUTE, "minute"]];
  const two = (number) => String(number).padStart(2, "0");

  // Times

  const local = (date) =>
    `${String(date.getFullYear()).padStart(4, "0")}-${two(date.getMonth() + 1)}-${two(date.getDate())} ` +
    `${two(date.getHours())}:${two(date.getMinutes())}`;

  const utc = (date) => `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;

  const ago = (date) => {
    const difference = Date.now() - date.getTime();
    const seconds = Math.floor(Math.abs(difference) / 1000);
    for (const [length, unit] of UNITS) {
      if (seconds >= length) {
        const count = Math.floor(seconds / length);
        const text = `${count} ${unit}${count === 1 ? "" : "s"}`;
        return difference >= 0 ? `${text} ago` : `in ${text}`;
      }
    }
    return "just now";
  };

  const put = (element, text) => {
    if (element && element.textContent !== text) element.textContent = text;
  };

  const tick = (time) => {
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.getTime())) return;
    if (time.dataset.when === "ago") put(time, ago(date));
    else if (time.dataset.when === "both") put(time.querySelector("[data-ago]"), ago(date));
  };

  const localise = (time) => {
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.getTime())) return;
    time.title = time.dataset.when === "ago" ? `${local(date)} (${utc(date)})` : utc(date);
    if (time.dataset.when === "absolute") put(time, local(date));
    else if (time.dataset.when === "both") put(time.querySelector("[data-absolute]"), local(date));
    tick(time);
  };

  const times = () => document.querySelectorAll("time[data-when]");

  const startTimes = () => {
    times().forEach(localise);
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const note = document.querySelector("[data-zone]");
    if (note && zone) put(note, `Times are in your time zone, ${zone.replaceAll("_", " ")}.`);
    setInterval(() => { if (!document.hidden) times().forEach(tick); }, 20_000);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) times().forEach(tick); });
  };

  // Copying

  const startCopying = () => {
    if (!navigator.clipboard) return; // it is there over HTTPS and on localhost only
    for (const block of document.querySelectorAll("[data-copy]")) {
      const button = block.querySelector("[data-copy-button]");
      button.hidden = false;
      button.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(block.querySelector("code").textContent);
          put(button, "Copied");
        } catch {
          put(button, "Not allowed");
        }
        setTimeout(() => put(button, "Copy"), 2000);
      });
    }
  };

  // Filters: what is empty need not be in the address.

  const startFilters = () => {
    for (const form of document.querySelectorAll("[data-filters]")) {
      form.addEventListener("formdata", (event) => {
        for (const [name, value] of [...event.formData.entries()]) if (value === "") event.formData.delete(name);
      });
    }
  };

  // A slash goes to the search box, as in many tools; not while something is written.

  const startSearch = () => {
    const box = document.querySelector("[data-search]");
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.closest("input, select, textarea, [contenteditable]")) return;
      event.preventDefault();
      box.focus();
      box.select();
    });
  };

  // New records

  const address = (link, record) => {
    const url = new URL(link.getAttribute("href"), location.href); // a template has no base of its own
    if (link.dataset.path) url.pathname += `/${encodeURIComponent(record[link.dataset.path])}`;
    for (const pair of (link.dataset.query || "").split(" ").filter(Boolean)) {
      const [name, property] = pair.split("=");
      if (record[property] !== null && record[property] !== undefined) url.searchParams.set(name, record[property]);
    }
    return url.pathname + url.search;
  };

  const shorten = (text, length) => {
    if (text.length <= length) return text;
    const tail = Math.floor((length - 1) / 2);
    return `${text.slice(0, length - 1 - tail)}…${text.slice(text.length - tail)}`;
  };

  const makeRow = (template, record) => {
    const row = template.content.firstElementChild.cloneNode(true);
    row.dataset.id = record.Id;
    for (const part of row.querySelectorAll("[data-optional]")) if (!record[part.dataset.optional]) part.remove();
    for (const link of row.querySelectorAll("a")) link.setAttribute("href", address(link, record));
    for (const part of row.querySelectorAll("[data-text]")) {
      const text = String(record[part.dataset.text] ?? "");
      const long = part.classList.contains("description");
      part.textContent = shorten(text, long ? 160 : 60);
      if (text.length > 12) part.title = shorten(text, 300);
    }
    for (const time of row.querySelectorAll("[data-time]")) {
      time.dateTime = record[time.dataset.time];
      localise(time);
    }
    return row;
  };

  const startLive = (box) => {
    const bar = box.querySelector("[data-live-bar]");
    const text = box.querySelector("[data-live-text]");
    const status = box.querySelector("[data-live-status]");
    const button = box.querySelector("[data-live-pause]");
    const rows = box.querySelector("[data-rows]");
    const template = box.querySelector("template[data-row]");
    const keep = Number(box.dataset.keep) || 100;
    let paused = false, lost = false, waiting = [], announced = 0, timer = null;

    const show = () => {
      bar.classList.toggle("paused", paused);
      bar.classList.toggle("lost", lost && !paused);
      put(text, paused ? "Paused" : lost ? "Not connected, trying again" : "Live");
      put(button, !paused ? "Pause" : waiting.length ? `Resume and show ${waiting.length} new` : "Resume");
    };

    // Said at most every few seconds: a burst of deployments must not talk over everything else.
    const announce = (count) => {
      announced += count;
      timer ??= setTimeout(() => {
        put(status, announced === 1 ? "1 new deployment" : `${announced} new deployments`);
        announced = 0;
        timer = null;
      }, 3000);
    };

    const add = (records) => {
      let count = 0;
      for (const record of records) {
        if (rows.querySelector(`[data-id="${CSS.escape(String(record.Id))}"]`)) continue; // sent again after a break
        rows.prepend(makeRow(template, record));
        count += 1;
      }
      while (rows.children.length > keep) rows.lastElementChild.remove();
      if (count) {
        announce(count);
        box.dispatchEvent(new CustomEvent("records", { bubbles: true, detail: { count } }));
      }
    };

    const receive = (event) => {
      let record;
      try { record = JSON.parse(event.data); } catch { return; }
      if (paused) {
        waiting = [...waiting, record].slice(-keep);
        show();
      } else add([record]);
    };

    button.addEventListener("click", () => {
      paused = !paused;
      if (!paused) {
        add(waiting);
        waiting = [];
      }
      show();
    });

    let source = null;
    const connect = () => {
      source = new EventSource(box.dataset.eventsUrl);
      source.addEventListener("message", receive);
      source.addEventListener("deployment", receive);
      source.addEventListener("open", () => { lost = false; show(); });
      source.addEventListener("error", () => {
        lost = true;
        show();
        if (source.readyState === EventSource.CLOSED) setTimeout(connect, 15_000); // the browser has given up
      });
    };
    bar.hidden = false;
    show();
    connect();
    addEventListener("pagehide", () => source.close());
    addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
  };

  startTimes();
  startCopying();
  startFilters();
  startSearch();
  document.querySelectorAll("[data-events-url]").forEach(startLive);
})();
