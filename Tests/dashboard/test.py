"""Tests the dashboard as users see it, and as screen readers read it. See Tests/dashboard/run."""

import argparse
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

from browser import Browser

HERE = pathlib.Path(__file__).parent
TOKEN = "t0ken-" + "xyz" * 11
failures, passed = [], 0


def check(what, condition, got=""):
    global passed
    if condition:
        passed += 1
    else:
        failures.append(what)
        print(f"FAILED {what}\n  got: {got}", flush=True)


def sql(text):
    done = subprocess.run(["psql", "-qXAt", "-v", "ON_ERROR_STOP=1", "-c", text], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout.strip()


class Relay:
    """A proxy between otpd and PostgreSQL that cuts the database off and restores it."""

    def __init__(self):
        self.target = (os.environ["PGHOST"], int(os.environ["PGPORT"]))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.is_there, self.open = True, []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            if not self.is_there:
                client.close()
                continue
            server = socket.create_connection(self.target)
            self.open += [client, server]
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    @staticmethod
    def _pass(one, other):
        try:
            while part := one.recv(65536):
                other.sendall(part)
        except OSError:
            pass
        for each in (one, other):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def go(self):
        self.is_there = False
        for each in self.open:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.open = []

    def come(self):
        self.is_there = True


class Otpd:
    def __init__(self, program, port, **settings):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        environment = dict(os.environ, PGHOST="127.0.0.1", PGPORT=str(port), PGUSER="watcher", OTPD_DASHBOARD_LISTEN=f"127.0.0.1:{self.port}", **settings)
        self.process = subprocess.Popen([program, "dashboard"], env=environment, stderr=subprocess.PIPE, text=True)
        self.url = f"http://localhost:{self.port}"
        self.log = []
        threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True).start()
        end = time.monotonic() + 10
        while self.get("/healthz")[0] != 200:
            if time.monotonic() > end or self.process.poll() is not None:
                sys.exit("otpd dashboard does not start: " + "".join(self.log))

    def get(self, path, **headers):
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, headers=headers), timeout=120) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def stop(self):
        self.process.terminate()
        return self.process.wait(120)


# Text with too little contrast against its background: below WCAG's 4.5, by the computed colors.
CONTRAST = """(() => {
  const rgb = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return n.length > 3 && n[3] === 0 ? null : n.slice(0, 3); };
  const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c) return c; } return [255, 255, 255]; };
  const bad = [];
  for (const e of document.body.querySelectorAll('*')) {
    if (!e.checkVisibility() || ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
    const style = getComputedStyle(e), c = rgb(e instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [light(c), light(behind(e))], ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) bad.push(`${e.tagName} ${e.textContent.slice(0, 20)} ${ratio.toFixed(2)}`);
  }
  return bad;
})()"""
PLOTS = "document.querySelectorAll('#plots svg[role=img]').length === 5"


def content(browser, relay_port):
    text = browser.text()
    check("it names the database and the host", f"database {os.environ.get('PGDATABASE', 'postgres')} at 127.0.0.1:{relay_port}" in text and f"served by {socket.gethostname()}" in text, text[:300])
    order = browser.run("[...document.querySelectorAll('#workers h3')].map((e) => e.textContent)")
    check("running workers come first, then the dead, then the last three that were stopped",
          [title.split(": ")[-1] for title in order] == ["running", "running", "dead", "stopped", "stopped", "stopped"], order)
    check("the others that were stopped are counted", "9 more workers were stopped in the last hour." in text)
    for words in ["Sending is paused in part: country AE.", "remove it from otp.countries.", "4 jobs waiting", "Worker 3 on sms-2: dead",
                  "Worker 1 on sms-1: running", "Queue depth", "Age of the oldest due job", "Latency, from commit to accepted",
                  "of 250 USD", "The phone cannot be reached", "country SA", "Used up until", "Refused in the last hour: 31", "country 30, phone 1", "Twilio error 30003", "The user has opted out", "+9665•••••"]:
        check(f"it says: {words}", words in text, text)
    check("no whole number", not any(number in browser.run("document.documentElement.outerHTML") for number in sql("SELECT e164 FROM otp.verifications LIMIT 200").split()))
    check("deliveries by country and status", browser.run("[...document.querySelectorAll('#deliveries thead th')].map((e) => e.textContent).join()") == "Country,delivered,sent,undelivered,all",
          browser.run("document.getElementById('deliveries').innerText"))
    check("a plot has as many points as were written", browser.run("(document.querySelector('#plots path.s0').getAttribute('d').match(/[ML]/g) || []).length") >= 55)


def accessibility(browser):
    nodes = [node for node in browser.call("Accessibility.getFullAXTree")["nodes"] if not node.get("ignored")]
    named = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes]
    images = [name for role, name in named if role in ("image", "img")]
    check("each plot is told in words", len(images) == 5 and all("last hour" in name and ("peak" in name or "lowest" in name) for name in images), images)
    for role, name in [("heading", "otpd"), ("heading", "Workers"), ("banner", ""), ("main", ""), ("status", ""), ("link", "Skip to the content")]:
        check(f"there is a {role} {name}", any(r == role and (not name or n == name) for r, n in named), named[:40])
    check("every button and image has a name", not [r for r, n in named if r in ("button", "image", "img", "textbox", "region", "progressbar") and not n], named)
    levels = browser.run("[...document.querySelectorAll('h1,h2,h3')].filter((e) => e.checkVisibility()).map((e) => +e.tagName[1])")
    check("headings skip no level", levels[0] == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:])), levels)
    # By keyboard alone: the first tab is the way past the header; then the buttons and each plot can be reached.
    browser.run("document.activeElement.blur()")
    reached = []
    for _ in range(9):
        browser.key("Tab")
        reached.append(browser.run("document.activeElement.dataset.plot || document.activeElement.id || document.activeElement.className"))
    check("the keyboard reaches everything", reached[0] == "skip" and {"hour", "day", "Queue depth", "Per second"} <= set(reached), reached)
    check("what has the focus shows it", browser.run("getComputedStyle(document.activeElement).outlineStyle") == "solid")
    browser.run("document.querySelector('[data-plot=\"Queue depth\"]').focus()")
    browser.key("Home")
    first = browser.run("document.activeElement.parentElement.querySelector('.read').textContent")
    browser.key("ArrowRight")
    second = browser.run("document.activeElement.parentElement.querySelector('.read').textContent")
    check("arrow keys read a plot", ": queued " in first and ": queued " in second and first[:5] != second[:5], (first, second))


def looks(browser, pictures):
    for dark in (False, True):
        browser.size(1280, 900, dark=dark)
        check(f"contrast, {'dark' if dark else 'light'}", browser.run(CONTRAST) == [], browser.run(CONTRAST))
    for width in (390, 360, 320):
        browser.size(width, 800)
        cut = browser.run("[...document.querySelectorAll('#deliveries td, #deliveries th[scope=row]')].filter((e) => { const box = e.getBoundingClientRect(); return !box.width || box.left < 0 || box.right > innerWidth; }).map((e) => e.textContent)")
        check(f"no delivery is cut at {width} px", cut == [] and browser.run("document.querySelectorAll('#deliveries td').length") > 4, cut)
        check(f"nothing has to be pushed aside at {width} px", browser.run("(() => { const e = document.querySelector('.scroll'); return e.scrollWidth <= e.clientWidth; })()"))
        check(f"each figure says what it is at {width} px", "undelivered" in browser.run("getComputedStyle(document.querySelector('#deliveries td[data-label=undelivered]'), '::before').content"))
    for width in (1280, 390, 320):
        browser.size(width, 800, dark=True)
        check(f"nothing sticks out at {width} px", browser.run("document.documentElement.scrollWidth <= innerWidth"), browser.run("document.documentElement.scrollWidth"))
        small = browser.run("[...document.querySelectorAll('button')].filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 44).map((e) => e.id)")
        check(f"fingers find the buttons at {width} px", small == [], small)
    if pictures:
        browser.run("document.activeElement.blur(); scrollTo(0, 0)")
        browser.size(390, 844, dark=True)
        browser.picture(pictures / "dashboard-phone.png", full=False)
        browser.size(1180, 900)
        browser.picture(pictures / "dashboard-desktop.png", full=False)
        browser.picture(pictures / "dashboard-whole.png")


def channels(browser):
    check("with text messages alone there is no list of channels", browser.run("document.getElementById('channels-section').hidden"))
    sql("INSERT INTO otp.routes (step, channel, wait) VALUES (2, 'call', '45 seconds')")
    sql("INSERT INTO otp.outcome_counts (starts_at, shard, channel, accepted, failed) VALUES (date_bin('5 seconds', now(), 'epoch'), 0, 'call', 1234, 5)")
    browser.until("!document.getElementById('channels-section').hidden")
    rows = browser.run("[...document.querySelectorAll('#channels tbody tr')].map((e) => [...e.children].map((c) => c.textContent).slice(0, 5))")
    check("each channel in use has a row", [row[0] for row in rows] == ["sms", "call"] and rows[1] == ["call", "1,234", "5", "0", "—"], rows)
    check("the shares and the cost of text messages", browser.run("[...document.querySelectorAll('#channels tbody tr:first-child td')].map((e) => e.textContent)")[3:] != ["—", "—", "—"])
    check("it says why a step cannot be used", "step 2 of the route for any purpose, any country: It has no sender" in browser.run("document.getElementById('channel-problems').innerText"),
          browser.run("document.getElementById('channel-problems').innerText"))
    for width in (390, 320):
        browser.size(width, 800)
        check(f"no channel sticks out at {width} px", browser.run("document.documentElement.scrollWidth <= innerWidth && document.querySelector('#channels').scrollWidth <= innerWidth"))
    browser.size(1280, 900)
    sql("DELETE FROM otp.routes WHERE step = 2")
    sql("DELETE FROM otp.outcome_counts WHERE channel = 'call'")
    browser.until("document.getElementById('channels-section').hidden")


def live(browser):
    sql("DELETE FROM otp.pauses")
    browser.until("document.getElementById('headline').textContent.startsWith('! The limit country SA (2000 a day) is used up until') && document.getElementById('pauses-section').hidden")
    sql("INSERT INTO otp.pauses (scope, reason) VALUES ('all', '<img src=x onerror=alert(1)>')")
    browser.until("document.getElementById('headline').textContent.includes('everything is paused')")
    check("what comes is text, never markup", browser.run("document.querySelectorAll('main img').length") == 0 and "<img src=x" in browser.text())
    sql("DELETE FROM otp.pauses")
    browser.run("document.getElementById('day').click()")
    browser.until("document.querySelector('#plots svg').getAttribute('aria-label').includes('last day')")
    gaps = browser.run("(document.querySelector('#plots path.s0').getAttribute('d').match(/M/g) || []).length")
    check("minutes that nobody wrote are a gap", gaps == 2, gaps)
    asked = "performance.getEntriesByType('resource').filter((e) => e.name.includes('/api/')).map((e) => e.startTime)"
    times = browser.run(asked)
    check("no two requests within a second", len(times) > 4 and min(b - a for a, b in zip(times, times[1:])) > 980, times)
    browser.run("Object.defineProperty(document, 'hidden', { get: () => window.isHidden, configurable: true }); window.isHidden = true; document.dispatchEvent(new Event('visibilitychange'))")
    browser.until("document.getElementById('live').textContent === 'Paused while this page is hidden'")
    before = len(browser.run(asked))
    browser.run("new Promise((done) => setTimeout(done, 5000))")
    check("hidden, it asks for nothing", len(browser.run(asked)) == before)
    browser.run("window.isHidden = false; document.dispatchEvent(new Event('visibilitychange'))")
    browser.until(f"{asked}.length > {before} && document.getElementById('live').textContent.includes('every 2 s')")


def away(browser, otpd, relay, pictures):
    check("ready", otpd.get("/readyz")[0] == 200)
    relay.go()
    browser.until("!document.getElementById('alert').hidden && document.getElementById('alert').textContent.includes('Cannot reach the database.')")
    check("the old figures stay, marked as old", browser.run("document.getElementById('board').classList.contains('old')") and "Worker 1" in browser.text())
    check("why it is away", "127.0.0.1" in browser.run("document.getElementById('alert').textContent"), browser.run("document.getElementById('alert').textContent"))
    check("not ready", otpd.get("/readyz")[0] == 503)
    check("alive all the same", otpd.get("/healthz") == (200, "ok\n"))
    status, metrics = otpd.get("/metrics")
    check("metrics say so, and no more", status == 200 and "otpd_database_up 0\n" in metrics and "otpd_queue" not in metrics, metrics)
    if pictures:
        browser.run("scrollTo(0, 0)")
        browser.size(1180, 500)
        browser.picture(pictures / "dashboard-away.png", full=False)
    relay.come()
    browser.until("document.getElementById('alert').hidden && !document.getElementById('board').classList.contains('old')")
    check("ready again", otpd.get("/readyz")[0] == 200)


def metrics(otpd):
    status, text = otpd.get("/metrics")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    check("promtool finds nothing", status == 200 and done.returncode == 0 and not done.stderr, done.stderr)
    for line in ['otpd_database_up 1', 'otpd_queue_jobs{state="queued"} 11', 'otpd_workers_alive 2', 'otpd_worker_up{worker="3",host="sms-2"} 0',
                 'otpd_worker_sends_total{worker="1",host="sms-1",outcome="accepted"} 83950', 'otpd_paused{scope="country",key="AE"} 1',
                 'otpd_budget_today{currency="USD"} 250', 'otpd_sent_twice_total 0', 'otpd_limit_used_up{scope="country",key="SA",period="day"} 1', 'otpd_requests_refused_total{scope="country"} 30']:
        check(f"metrics have {line}", f"\n{line}\n" in text, text)


def with_token(program, relay, browser):
    otpd = Otpd(program, relay.port, OTPD_DASHBOARD_TOKEN=TOKEN)
    try:
        check("no token, no figures", otpd.get("/metrics")[0] == 401 and otpd.get("/api/status.json")[0] == 401)
        check("the token", otpd.get("/metrics", Authorization=f"Bearer {TOKEN}")[0] == 200)
        check("probes need none, and hear no reason", otpd.get("/healthz")[0] == 200 and otpd.get("/readyz") == (200, "ready\n"))
        browser.open(otpd.url)
        browser.until("!document.getElementById('login').hidden && document.activeElement.id === 'token'")
        check("without it nothing is shown", "Worker" not in browser.text(), browser.text())
        check("contrast of the form", browser.run(CONTRAST) == [], browser.run(CONTRAST))
        browser.call("Input.insertText", text="wrong")
        browser.key("Enter")
        browser.until("document.getElementById('login-error').textContent === 'The token is wrong.'")
        browser.call("Input.insertText", text=TOKEN)
        browser.key("Enter")
        browser.until(PLOTS)
        check("no cookie, nothing in the address", browser.run("document.cookie + location.search + localStorage.length") == "0" and TOKEN not in browser.run("location.href"))
        browser.open(otpd.url + "/")
        browser.until(PLOTS)
        for _ in range(9):
            otpd.get("/metrics", Authorization="Bearer guess")
        check("a further guess has to wait", otpd.get("/metrics", Authorization="Bearer guess")[0] == 429)
        check("the right token enters all the same", otpd.get("/metrics", Authorization=f"Bearer {TOKEN}")[0] == 200)
    finally:
        check("it ends in order", otpd.stop() == 0)
        check("the token is in no log", TOKEN not in "".join(otpd.log))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("otpd")
    parser.add_argument("--pictures", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    subprocess.run([arguments.otpd, "migrate", "up"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-f", str(HERE / "seed.sql")], check=True)
    sql(f"CREATE ROLE watcher LOGIN IN ROLE otp_monitor PASSWORD '{os.environ['PGPASSWORD']}'")
    relay = Relay()
    otpd = Otpd(arguments.otpd, relay.port)
    try:
        # The workers of the seed write heartbeats while this runs.
        beats = threading.Event()
        threading.Thread(target=lambda: [sql("UPDATE otp.worker_status SET heartbeat_at = clock_timestamp() WHERE state = 'running'") for _ in iter(lambda: beats.wait(5), True)], daemon=True).start()
        with Browser() as browser:
            browser.size(1280, 900)
            browser.open(otpd.url + "/")
            browser.until(PLOTS)
            content(browser, relay.port)
            metrics(otpd)
            accessibility(browser)
            looks(browser, arguments.pictures)
            channels(browser)
            live(browser)
            away(browser, otpd, relay, arguments.pictures)
            noise = [e["entry"]["text"] for e in browser.take_events("Log.entryAdded") if "503" not in e["entry"]["text"]]
            check("nothing is refused by the Content-Security-Policy, no error", not noise and not browser.take_events("Runtime.exceptionThrown"), noise)
            with_token(arguments.otpd, relay, browser)
            urls = {e["request"]["url"].split("/")[2] for e in browser.take_events("Network.requestWillBeSent") if e["request"]["url"].startswith("http")}
            check("nothing comes from anywhere else", urls and all(url.startswith("localhost:") for url in urls), urls)
        beats.set()
    finally:
        check("it ends in order", otpd.stop() == 0)
    print(f"{passed} passed, {len(failures)} failed")
    sys.exit(1 if failures else 0)


main()
