// Requests the status every two seconds and the history every half minute, one request at a time. While the page is hidden
// it requests nothing. All answers are shown as text, and never as markup.
"use strict";
(() => {
  const STATUS_MS = 2000, HISTORY_MS = 30000, AGAIN_MS = 3000, TIMEOUT_MS = 8000, STOPPED_SHOWN = 3;
  const $ = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";
  let span = "hour", historyDue = 0, timer = 0, busy = false, asked = 0, lastGood = 0, drawn = "";
  let channelsNow = [], channelsThen = { channels: [], channelSpend: [] };
  let token = sessionStorage.getItem("otpd-token") || "";

  // ── words ──
  const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
  const tenth = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
  const money = new Intl.NumberFormat("en", { maximumFractionDigits: 4 });
  const small = (n) => (n >= 100 ? whole : n < 1 ? new Intl.NumberFormat("en", { maximumFractionDigits: 2 }) : tenth).format(n);
  const count = (n, noun) => `${whole.format(n)} ${noun}${n === 1 ? "" : "s"}`;
  const seconds = (s) => s < 1 ? "0 s" : s < 100 ? `${Math.round(s)} s` : s < 5400 ? `${Math.floor(s / 60)} min`
    : s < 86400 ? `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min` : `${Math.floor(s / 86400)} d`;
  const milliseconds = (ms) => ms < 1000 ? `${Math.round(ms)} ms` : `${small(ms / 1000)} s`;
  const percent = (p) => `${tenth.format(p)}%`;
  const clock = (at) => new Date(at * 1000).toLocaleTimeString("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

  // ── elements ──
  const make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };
  const draw = (name, attributes = {}, text) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  // Only changed elements are set, so that a screen reader reads only changes.
  const say = (element, text) => {
    element.hidden = !text;
    if (element.textContent !== (text || "")) element.textContent = text || "";
  };
  const fill = (element, items, empty) => {
    const key = JSON.stringify(items);
    if (element.dataset.key === key) return;
    element.dataset.key = key;
    element.replaceChildren(...(items.length ? items.map(card) : [make("li", { class: "soft" }, empty)]));
  };
  const card = (item) => {
    const element = make("li", item.level ? { class: item.level } : {}, make("h3", {}, item.title));
    for (const line of item.lines) if (line) element.append(make("p", { class: "soft" }, line));
    if (item.text) element.append(make("p", {}, item.text));
    if (item.remedy) element.append(make("p", { class: "remedy" }, item.remedy));
    if (item.share !== undefined) {
      element.append(make("progress", { max: 1, value: Math.min(1, item.share), "aria-label": item.shareLabel }));
    }
    return element;
  };

  // ── now ──
  const showStatus = (status) => {
    const { queue, verdict } = status;
    const sign = { good: "✔", warning: "!", bad: "✖" }[verdict.level];
    $("verdict").className = verdict.level;
    say($("headline"), `${sign} ${verdict.headline}`);
    say($("detail"), verdict.detail);
    say($("remedy"), verdict.remedy);
    document.title = `${sign} otpd`;
    tiles([
      ["Queued", whole.format(queue.queued), `${whole.format(queue.due)} due`],
      ["Oldest due", seconds(queue.oldestDueSeconds), "since it was due"],
      ["Sends/s", small(queue.accepted[0] / 60), `${whole.format(queue.accepted[2])} in the last hour`],
      ["Failed", whole.format(queue.failed[0]), `in the last minute, ${whole.format(queue.failed[2])} in the last hour`],
      ["Succeeded", queue.successShare === null ? "—" : percent(queue.successShare * 100), "in the last 5 minutes"],
      ["Latency p95", queue.p95 === null ? "—" : milliseconds(queue.p95),
        queue.p50 === null ? "nothing sent in the last minute" : `p50 ${milliseconds(queue.p50)}, p99 ${milliseconds(queue.p99)}`],
      ["Sending", whole.format(queue.sending), `${whole.format(queue.unknown)} with unknown outcome`],
      ["Workers alive", whole.format(queue.workersAlive), ""],
    ]);
    $("pauses-section").hidden = status.pauses.length === 0;
    fill($("pauses"), status.pauses.map((pause) => ({
      level: "bad", title: pause.scope, text: pause.reason, remedy: pause.remedy,
      lines: [[`for ${seconds(pause.seconds)}`, pause.held === null ? null : `${count(pause.held, "job")} waiting`,
        pause.nextProbeSeconds === null ? "no probe" : `next probe in ${seconds(Math.max(0, pause.nextProbeSeconds))}`]
        .filter(Boolean).join(", ")],
    })), "Nothing is paused.");
    $("holds-section").hidden = status.holds.length === 0;
    fill($("holds"), status.holds.map((hold) => ({
      level: hold.enforced ? "bad" : "warning", title: hold.name, text: hold.explanation, remedy: hold.remedy,
      lines: [hold.enforced ? `for ${seconds(hold.seconds)}, ${whole.format(hold.letThrough)} let through, ${whole.format(hold.letThroughUsed)} of them used`
        : `for ${seconds(hold.seconds)}, only observed`],
    })), "");
    const isUsedUp = status.limits.some((limit) => limit.usedUpUntil);
    const refusedHour = status.refusals.filter((refusal) => refusal.lastHour);
    $("limits-section").hidden = !status.limits.length && !refusedHour.length;
    fill($("limits"), [
      ...status.limits.map((limit) => ({
        level: limit.usedUpUntil ? "bad" : "warning", title: limit.name,
        lines: [`${money.format(limit.used)} of ${money.format(limit.allowed)} this ${limit.period}`],
        text: limit.usedUpUntil ? `Used up until ${limit.usedUpUntil}. Requests that it counts are refused.` : null,
        remedy: limit.remedy, share: limit.used / limit.allowed, shareLabel: `used of the limit ${limit.name}`,
      })),
      ...(refusedHour.length ? [{
        level: isUsedUp ? "bad" : undefined, title: `Refused in the last hour: ${whole.format(refusedHour.reduce((sum, each) => sum + each.lastHour, 0))}`,
        lines: [refusedHour.map((each) => `${each.scope} ${whole.format(each.lastHour)}`).join(", ")],
      }] : []),
    ], "");
    channelsNow = status.channels;
    showChannels();
    // Living workers come first, then dead ones, then the last few stopped ones.
    const rank = (worker) => worker.state === "dead" ? 1 : worker.state === "stopped" ? 2 : 0;
    const workers = [...status.workers].sort((a, b) => rank(a) - rank(b) || (rank(a) ? a.heartbeatSeconds - b.heartbeatSeconds : 0) || b.id - a.id);
    const stopped = workers.filter((worker) => rank(worker) === 2);
    const hidden = Math.max(0, stopped.length - STOPPED_SHOWN);
    say($("workers-more"), hidden ? `${count(hidden, "more worker")} ${hidden === 1 ? "was" : "were"} stopped in the last hour.` : "");
    fill($("workers"), workers.slice(0, workers.length - hidden).map((worker) => ({
      level: { running: "good", starting: "warning", draining: "warning", paused: "bad", dead: "bad" }[worker.state],
      title: `${worker.sends ? "Worker" : "Receiver"} ${worker.id} on ${worker.host}: ${worker.state}`,
      lines: [
        (worker.sends
          ? `${whole.format(worker.inFlight)} in flight; ${whole.format(worker.accepted)} sent, ${whole.format(worker.failed)} failed, ${whole.format(worker.unknown)} unknown; `
          : "") + `last heartbeat ${seconds(worker.heartbeatSeconds)} ago`,
        worker.callbacks ? `callbacks: ${whole.format(worker.callbacks.received)} received, ${whole.format(worker.callbacks.refused)} refused, ${whole.format(worker.callbacks.dropped)} dropped` : null,
        [worker.twilio ? `Twilio: ${worker.twilio}` : null, worker.mail !== null ? `sends e-mails${worker.mail ? `: ${worker.mail}` : ""}` : null,
          worker.database ? `database: ${worker.database}` : null].filter(Boolean).join("; "),
      ],
      text: worker.reason,
    })), "No worker had a heartbeat in the last hour.");
    fill($("failures"), status.failures.map((failure) => ({
      title: `${failure.phone}, job ${failure.job}${failure.channel === "sms" ? "" : ` by ${failure.channel}`}: ${failure.status || failure.state}`,
      lines: [`${seconds(failure.seconds)} ago${failure.code ? `, ${failure.channel === "email" ? "SMTP code" : "Twilio error"} ${failure.code}` : ""}`],
      text: failure.error, remedy: failure.remedy,
    })), "There are no failures.");
    say($("place"), `database ${status.database} at ${status.server} · served by ${status.host}`);
    say($("foot"), `otpd ${status.version}, phone numbers ${status.numbers ?? "—"}. This page is read-only. It shows no codes, and phone numbers are masked.`);
    say($("live"), `${status.clock} · every 2 s`);
  };
  const tiles = (rows) => {
    const list = $("tiles");
    if (list.children.length !== rows.length) {
      list.replaceChildren(...rows.map(() => make("div", {}, make("dt"), make("dd", {}, make("span"), make("small")))));
    }
    rows.forEach(([name, value, more], index) => {
      const tile = list.children[index];
      say(tile.children[0], name);
      say(tile.children[1].children[0], value);
      say(tile.children[1].children[1], more);
    });
  };

  // ── history ──
  const PLOTS = [
    { title: "Queue depth", unit: whole.format.bind(whole), series: [["queued", "queued"], ["due", "due"]] },
    { title: "Age of the oldest due job", unit: seconds, series: [["oldest", "waited"]] },
    { title: "Per second", unit: small, series: [["accepted", "sent"], ["failed", "failed"]] },
    { title: "Latency, from commit to accepted", unit: milliseconds, series: [["p50", "p50"], ["p95", "p95"], ["p99", "p99"]] },
    { title: "Delivered, of those that have ended", unit: percent, top: 100, series: [["delivered", "delivered"]] },
  ];
  const WIDTH = 360, HEIGHT = 130, LEFT = 46, BOTTOM = 18, TOP = 8, RIGHT = 6;
  const niceTop = (value) => {
    if (value <= 0) return 1;
    const power = 10 ** Math.floor(Math.log10(value));
    return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((n) => n * power).find((n) => n >= value * 0.999);
  };
  const showHistory = (history) => {
    const key = JSON.stringify([span, history]);
    if (key === drawn) return;
    drawn = key;
    const end = Math.floor(history.now / history.step) * history.step, start = end - (history.length - 1) * history.step;
    const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.plot : null;
    $("plots").replaceChildren(...PLOTS.map((plot) => figure(plot, history, start, end)));
    if (focused) { const again = document.querySelector(`[data-plot="${CSS.escape(focused)}"]`); if (again) again.focus(); }
    deliveries(history.deliveries);
    channelsThen = history;
    showChannels();
    fill($("spend"), history.spend.map((spend) => {
      const total = spend.billed + spend.expected;
      const share = spend.budget ? total / spend.budget : undefined;
      return {
        title: `${money.format(total)} ${spend.currency}${spend.budget ? ` of ${money.format(spend.budget)} ${spend.currency}, ${percent(share * 100)}` : ""}`,
        lines: [`${money.format(spend.billed)} billed, ${money.format(spend.expected)} expected for messages without a price`,
          spend.budget ? null : "no budget is set"],
        level: share === undefined ? undefined : share >= 1 ? "bad" : share >= 0.8 ? "warning" : "good",
        share, shareLabel: "share of today's budget",
      };
    }), "There is no message today.");
  };
  const figure = (plot, history, start, end) => {
    const points = history.at.map((at, index) => ({ at, values: plot.series.map(([name]) => history[name][index]) }))
      .filter((point) => point.at >= start && point.at <= end);
    const known = points.flatMap((point) => point.values).filter((value) => value !== null);
    const top = plot.top || niceTop(Math.max(0, ...known));
    const x = (at) => LEFT + (WIDTH - LEFT - RIGHT) * (at - start) / Math.max(1, end - start);
    const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - Math.min(value, top) / top);
    const last = [...points].reverse().find((point) => point.values.some((value) => value !== null));
    const read = (point) => plot.series.map(([, name], index) =>
      `${name} ${point.values[index] === null ? "—" : plot.unit(point.values[index])}`).join(", ");
    const peak = known.length ? plot.unit(Math.max(...known)) : "";
    const low = known.length && plot.top ? `, lowest ${plot.unit(Math.min(...known))}` : "";
    const summary = last ? `${read(last)} at ${clock(last.at)}; ${plot.top ? "" : `peak ${peak}`}${low.replace(/^, /, "")}` : "There is no data for this time.";
    const svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", tabindex: "0", "data-plot": plot.title,
      "aria-label": `${plot.title}, ${span === "day" ? "last day" : "last hour"}: ${summary}` });
    for (const share of [0, 0.5, 1]) {
      svg.append(draw("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(top * share), y2: y(top * share) }));
      if (share !== 0.5) svg.append(draw("text", { x: LEFT - 5, y: y(top * share) + 4, "text-anchor": "end" }, plot.unit(top * share)));
    }
    for (const [share, anchor] of [[0, "start"], [0.5, "middle"], [1, "end"]]) {
      svg.append(draw("text", { x: x(start + (end - start) * share), y: HEIGHT - 4, "text-anchor": anchor }, clock(start + (end - start) * share)));
    }
    plot.series.forEach((_, index) => {
      let path = "", before = null;
      for (const point of points) {
        const value = point.values[index];
        if (value === null) { before = null; continue; }
        // Points that are two steps apart have a gap between them, because no row was written.
        path += `${before !== null && point.at - before <= history.step * 1.5 ? "L" : "M"}${x(point.at).toFixed(1)} ${y(value).toFixed(1)}`;
        if (before === null || point.at - before > history.step * 1.5) path += "h.1";
        before = point.at;
      }
      svg.append(draw("path", { class: `s${index}`, d: path }));
    });
    const cursor = draw("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
    svg.append(cursor);
    const output = make("p", { class: "read", "aria-live": "polite" }, summary);
    let at = points.length - 1;
    const show = (index) => {
      if (!points.length) return;
      at = Math.max(0, Math.min(points.length - 1, index));
      cursor.setAttribute("x1", x(points[at].at));
      cursor.setAttribute("x2", x(points[at].at));
      cursor.setAttribute("visibility", "visible");
      output.textContent = `${clock(points[at].at)}: ${read(points[at])}`;
    };
    const rest = () => { cursor.setAttribute("visibility", "hidden"); output.textContent = summary; };
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      show(step === -Infinity ? 0 : step === Infinity ? points.length - 1 : at + step);
    });
    svg.addEventListener("blur", rest);
    svg.addEventListener("pointerleave", rest);
    svg.addEventListener("pointermove", (event) => {
      if (!points.length) return;
      const box = svg.getBoundingClientRect(), wanted = (event.clientX - box.left) / box.width * WIDTH;
      show(points.reduce((best, point, index) => Math.abs(x(point.at) - wanted) < Math.abs(x(points[best].at) - wanted) ? index : best, 0));
    });
    const legend = make("p", { class: "legend" });
    plot.series.forEach(([, name], index) => {
      const sample = draw("svg", { viewBox: "0 0 26 8", "aria-hidden": "true" });
      sample.append(draw("path", { class: `s${index}`, d: "M1 4H25" }));
      legend.append(make("span", {}, sample, name));
    });
    return make("figure", {}, make("figcaption", {}, plot.title), svg, plot.series.length > 1 ? legend : null, output);
  };
  // One row per channel in use. While text messages are the only channel, there is no table.
  const showChannels = () => {
    const rows = channelsNow.filter((channel) => channel.used);
    $("channels-section").hidden = !rows.some((channel) => channel.channel !== "sms");
    const line = (channel) => {
      const then = channelsThen.channels.find((each) => each.channel === channel.channel);
      const share = (part) => !then || !then.messages ? "—" : percent(part / then.messages * 100);
      const isReported = !["call", "email"].includes(channel.channel);
      const cost = channelsThen.channelSpend.filter((each) => each.channel === channel.channel)
        .map((each) => `${money.format(each.billed + each.expected)} ${each.currency}`).join(", ");
      return [channel.channel, whole.format(channel.accepted[2]), whole.format(channel.failed[2]), whole.format(channel.queued),
        isReported && then ? share(then.delivered) : "—", then ? share(then.verified) : "—", cost || "—"];
    };
    const titles = ["Channel", "sent in 1 h", "failed in 1 h", "queued", "delivered", "verified", "cost today"];
    const lines = rows.map(line), key = JSON.stringify(lines);
    if ($("channels").dataset.key !== key) {
      $("channels").dataset.key = key;
      $("channels").replaceChildren(
        make("thead", {}, make("tr", {}, ...titles.map((title) => make("th", { scope: "col" }, title)))),
        make("tbody", {}, ...lines.map(([name, ...cells]) => make("tr", {}, make("th", { scope: "row" }, name),
          ...cells.map((cell, index) => make("td", { "data-label": titles[index + 1] }, cell))))));
    }
    const problems = rows.filter((channel) => channel.problem);
    $("channel-problems").hidden = problems.length === 0;
    fill($("channel-problems"), problems.map((channel) => ({ level: "warning", title: channel.channel, lines: [], text: channel.problem })), "");
  };
  const deliveries = (rows) => {
    const order = ["delivered", "sent", "queued", "undelivered", "failed"];
    const rank = (name) => (order.indexOf(name) + order.length + 1) % (order.length + 1) - (order.includes(name) ? order.length : 0);
    const statuses = [...new Set(rows.filter((row) => row.messages).map((row) => row.status))].sort((a, b) => rank(a) - rank(b));
    const countries = [...new Set(rows.filter((row) => row.messages).map((row) => row.country))];
    if (!countries.length) { $("deliveries").replaceChildren(make("tr", {}, make("td", {}, "No message in this period."))); return; }
    const cell = (country, status) => rows.filter((row) => (!country || row.country === country) && (!status || row.status === status))
      .reduce((sum, row) => sum + row.messages, 0);
    const line = (name, country) => make("tr", {}, make("th", { scope: "row" }, name),
      ...statuses.map((status) => make("td", { "data-label": status }, whole.format(cell(country, status)))),
      make("td", { "data-label": "all" }, whole.format(cell(country, null))));
    $("deliveries").replaceChildren(
      make("thead", {}, make("tr", {}, ...["Country", ...statuses, "all"].map((name) => make("th", { scope: "col" }, name)))),
      make("tbody", {}, ...countries.map((country) => line(country, country)), countries.length > 1 ? line("all", null) : null));
  };

  // ── asking ──
  const ask = async (path) => {
    const response = await fetch(path, {
      headers: token ? { Authorization: `Bearer ${token}` } : {}, cache: "no-store", credentials: "omit",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (response.status === 401 || response.status === 429) throw { login: true, wait: response.headers.get("Retry-After") };
    const answer = await response.json().catch(() => null);
    if (response.status === 503 && answer) throw { trouble: answer };
    if (!response.ok || !answer) throw { status: response.status };
    return answer;
  };
  const trouble = (error) => {
    if (error.login) {
      say($("login-error"), error.wait ? `Too many wrong tokens. Try again in ${error.wait} seconds.` : token ? "The token is wrong." : "");
      token = "";
      sessionStorage.removeItem("otpd-token");
      $("board").hidden = true;
      $("alert").hidden = true;
      if ($("login").hidden) { $("login").hidden = false; $("token").focus(); }
      say($("live"), "Waiting for the token");
      return;
    }
    const [words, why, remedy] = error.trouble
      ? ["Cannot reach the database.", error.trouble.trouble, error.trouble.remedy]
      : ["Cannot reach otpd.", error.status ? `It answered with HTTP status ${error.status}.` : "It may be stopped, or the network is down.", "Read its log: journalctl -u otpd"];
    const old = lastGood ? ` These figures are ${seconds((Date.now() - lastGood) / 1000)} old.` : "";
    // A screen reader reads the alert once, and not whenever the age changes.
    const key = words + why;
    $("board").classList.add("old");
    $("alert").hidden = false;
    if ($("alert").dataset.key !== key) {
      $("alert").dataset.key = key;
      $("alert").replaceChildren(make("strong", {}, words), make("p", {}, why), remedy ? make("p", { class: "remedy" }, remedy) : "");
    }
    say($("live"), `${words}${old}`);
  };
  // Requests are at least a second apart, even after clicks.
  const soon = (wait) => {
    clearTimeout(timer);
    timer = setTimeout(look, Math.max(wait, asked + 1000 - Date.now()));
  };
  const look = async () => {
    clearTimeout(timer);
    if (document.hidden) { say($("live"), "Paused while this page is hidden"); return; }
    if (busy) return;
    busy = true;
    asked = Date.now();
    let next = STATUS_MS;
    try {
      // Each turn sends one request, for the status or for the history.
      if (lastGood && Date.now() >= historyDue) {
        const wanted = span, history = await ask(`/api/history.json?span=${wanted}`);
        if (wanted === span) { historyDue = Date.now() + HISTORY_MS; showHistory(history); }
        next = 1000;
      } else {
        showStatus(await ask("/api/status.json"));
        lastGood = Date.now();
        if (lastGood >= historyDue) next = 1000;
      }
      $("login").hidden = true;
      $("alert").hidden = true;
      delete $("alert").dataset.key;
      $("board").hidden = false;
      $("board").classList.remove("old");
    } catch (error) {
      trouble(error);
      next = error.login ? 0 : AGAIN_MS;
    }
    busy = false;
    if (next) soon(next);
  };
  for (const choice of ["hour", "day"]) {
    $(choice).addEventListener("click", () => {
      span = choice;
      for (const each of ["hour", "day"]) $(each).setAttribute("aria-pressed", String(each === choice));
      historyDue = 0;
      if (!busy) soon(0);
    });
  }
  $("login").addEventListener("submit", (event) => {
    event.preventDefault();
    token = $("token").value.trim();
    $("token").value = "";
    sessionStorage.setItem("otpd-token", token);
    say($("login-error"), "");
    soon(0);
  });
  document.addEventListener("visibilitychange", () => { if (document.hidden) look(); else if (!busy) soon(0); });
  look();
})();
