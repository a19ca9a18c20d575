// What pages do besides: they follow what happens, tell times anew, and can be used from the keyboard. Without it they work as well.
"use strict";

(() => {
  const SECOND = 1000;
  const REFRESH_MILLISECONDS = 600; // not more often than that, however much happens
  const TICK_SECONDS = 10;
  const byId = (id) => document.getElementById(id);

  // --- times: "3m ago" goes on ------------------------------------------------------------------------

  const UNITS = [[86400, "d"], [3600, "h"], [60, "m"]];
  const rough = (seconds) => {
    const whole = Math.max(0, Math.floor(seconds));
    for (const [size, unit] of UNITS) if (whole >= size) return Math.floor(whole / size) + unit;
    return whole + "s";
  };
  let skew = 0; // how far this clock is ahead of the server's
  const tellTimes = () => {
    const now = Date.now() - skew;
    for (const one of document.querySelectorAll('time[data-kind="ago"], time[data-kind="ahead"]')) {
      const seconds = (now - Date.parse(one.dateTime)) / SECOND;
      if (Number.isNaN(seconds)) continue;
      if (one.dataset.kind === "ago") one.textContent = seconds < 1 ? "just now" : rough(seconds) + " ago";
      else one.textContent = seconds >= 0 ? "now" : "in " + rough(-seconds);
    }
  };

  // --- what happens: one stream for each tab ----------------------------------------------------------

  // `<body data-stream="/api/v1/…">` is what is followed. When something came, `towpath:changed` is sent to the body; a page has
  // `<div hx-get="…" hx-trigger="towpath:changed from:body" hx-swap="none" hx-select-oob="#one,#other">` and is told anew in parts.
  // What takes long to be told is told less often.
  let waiting = 0;
  let asked = 0;
  let pause = REFRESH_MILLISECONDS;
  let missed = false;
  const isPast = () => new URLSearchParams(location.search).has("at");
  const changed = () => {
    if (isPast()) return;
    if (document.hidden) { missed = true; return; }
    if (waiting) return;
    waiting = setTimeout(() => {
      waiting = 0;
      asked = Date.now();
      document.body.dispatchEvent(new CustomEvent("towpath:changed"));
    }, Math.max(50, pause - (Date.now() - asked)));
  };
  document.addEventListener("htmx:afterRequest", () => {
    if (asked) pause = Math.max(REFRESH_MILLISECONDS, 4 * (Date.now() - asked));
  });
  let stream = null;
  let failures = 0;
  const follow = () => {
    const address = document.body.dataset.stream;
    if (!address || stream || document.hidden) return;
    stream = new EventSource(address);
    stream.onopen = () => { failures = 0; byId("lost").hidden = true; };
    stream.onmessage = changed;
    for (const kind of ["fact", "run", "questions", "event", "reload"]) {
      if (kind) stream.addEventListener(kind, changed);
    }
    stream.addEventListener("end", () => { leave(); delete document.body.dataset.stream; changed(); });
    stream.onerror = () => {
      failures += 1;
      if (failures > 1) byId("lost").hidden = false;
      if (stream && stream.readyState === EventSource.CLOSED) {
        leave();
        setTimeout(follow, Math.min(30, 2 ** failures) * SECOND);
      }
    };
  };
  setInterval(() => { if (stream && stream.readyState === EventSource.OPEN) changed(); }, TICK_SECONDS * SECOND); // durations go on
  const leave = () => { if (stream) stream.close(); stream = null; };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    follow();
    if (missed) { missed = false; changed(); }
  });
  window.addEventListener("pagehide", leave);

  // What somebody has opened stays open when its part of the page is told anew.
  const opened = new Map();
  document.addEventListener("toggle", (event) => {
    if (event.target.id) opened.set(event.target.id, event.target.open);
  }, true);
  document.addEventListener("htmx:load", (event) => {
    for (const one of event.target.querySelectorAll("details[id]")) {
      if (opened.has(one.id)) one.open = opened.get(one.id);
    }
    tellTimes();
  });

  // A picture that is too wide begins at its middle, where the way through it is; then it stays where somebody has moved it.
  const moved = { left: null, top: 0 };
  const placePictures = () => {
    for (const one of document.querySelectorAll(".picture")) {
      if (one.dataset.placed) continue;
      one.dataset.placed = "1";
      one.scrollLeft = moved.left === null ? (one.scrollWidth - one.clientWidth) / 2 : moved.left;
      one.scrollTop = moved.top;
      one.addEventListener("scroll", () => { moved.left = one.scrollLeft; moved.top = one.scrollTop; }, { passive: true });
    }
  };

  // --- the log: new lines are in view while one looks at its end ---------------------------------------

  const atEnd = new WeakMap();
  const watchLogs = () => {
    for (const log of document.querySelectorAll("[data-log]")) {
      if (atEnd.has(log)) continue;
      atEnd.set(log, true);
      log.scrollTop = log.scrollHeight;
      log.addEventListener("scroll", () => {
        atEnd.set(log, log.scrollHeight - log.scrollTop - log.clientHeight < 24);
      });
      new MutationObserver(() => { if (atEnd.get(log)) log.scrollTop = log.scrollHeight; })
        .observe(log, { childList: true, subtree: true });
    }
  };

  // --- forms: sent once; selects and sliders that send themselves ---------------------------------------

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    setTimeout(() => { delete form.dataset.sent; }, 4 * SECOND);
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });
  let sending = 0;
  document.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-at-once]");
    if (!form) return;
    clearTimeout(sending);
    sending = setTimeout(() => form.requestSubmit(), event.target.type === "range" ? 150 : 0);
  });
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-on-change]");
    if (form) form.requestSubmit();
  });

  // --- the keyboard -----------------------------------------------------------------------------------

  const PLACES = { h: "/", w: "/workflows", r: "/runs", i: "/inbox", e: "/events", s: "/schedule", n: "/environments", a: "/audit" };
  let goes = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const find = document.querySelector("[data-find]");
    if (event.key === "/" && find) { event.preventDefault(); find.focus(); find.select(); return; }
    if (event.key === "g") { goes = Date.now(); return; }
    if (Date.now() - goes < SECOND && PLACES[event.key]) {
      goes = 0;
      if (document.querySelector(`nav a[href="${PLACES[event.key]}"]`)) location.assign(PLACES[event.key]);
      return;
    }
    const step = { ArrowLeft: "earlier", ArrowRight: "later" }[event.key];
    const link = step && document.querySelector(`a[data-time="${step}"]`);
    if (link) { event.preventDefault(); link.click(); }
  });

  const begin = () => {
    const told = Date.parse(document.body.dataset.now || "");
    if (!Number.isNaN(told)) skew = Date.now() - told;
    tellTimes();
    setInterval(tellTimes, 5 * SECOND);
    watchLogs();
    placePictures();
    document.addEventListener("htmx:load", () => { watchLogs(); placePictures(); });
    follow();
  };
  begin();
})();
