// A server and a browser for a test, and the words in which tests speak of the page.

import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "playwright-core";

const patience_ms = 30_000;

// Whatever ends the tests, no server outlives them.
const running = new Set();
process.on("exit", () => { for (const one of running) one.kill("SIGKILL"); });
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

async function free_port() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

export async function until(what, holds) {
  const end = Date.now() + patience_ms;
  for (;;) {
    const value = await holds();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
    await sleep(50);
  }
}

// A server of its own directory; `kill` is the power cut, `start` after it continues with the same data.
export class server {
  constructor(folder, port) {
    Object.assign(this, { folder, port, base: `http://127.0.0.1:${port}` });
  }

  static async make({ delay_ms = 60 } = {}) {
    const made = new server(mkdtempSync(join(tmpdir(), "maru-browser-")), await free_port());
    writeFileSync(join(made.folder, "maru.toml"), `[server]
listen = "127.0.0.1:${made.port}"
data = "${join(made.folder, "data")}"

[limits]
requests_per_minute_per_address = 0
signups_per_minute_per_address = 0

[[provider]]
name = "demo"
kind = "demo"
demo_delay_ms = ${delay_ms}

[[agent]]
name = "maru"
provider = "demo"
model = "demo"
`);
    await made.start();
    return made;
  }

  async start() {
    const log = openSync(join(this.folder, "log"), "a");
    this.process = spawn(process.env.MARU_BINARY, ["serve", "--config", join(this.folder, "maru.toml")],
      { stdio: ["ignore", log, log], cwd: this.folder });
    running.add(this.process);
    this.process.once("exit", function gone() { running.delete(this); });
    await until("the server is ready", async () => {
      if (this.process.exitCode !== null) throw new Error(`the server ended: ${this.log()}`);
      return (await fetch(`${this.base}/readyz`).catch(() => null))?.ok;
    });
  }

  async end(signal) {
    if (!this.process || this.process.exitCode !== null || this.process.signalCode !== null) return;
    const over = once(this.process, "exit");
    this.process.kill(signal);
    await over;
  }
  kill() { return this.end("SIGKILL"); }

  async remove() {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  log() { return readFileSync(join(this.folder, "log"), "utf8").slice(-4000); }

  async call(path, token, body) {
    const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
    const reply = await fetch(`${this.base}/api/v1/${path}`, body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers });
    if (!reply.ok) throw new Error(`${path}: ${reply.status} ${await reply.text()}`);
    return reply.json();
  }
  // A sign-in apart from the page's.
  async token(person) {
    person.token ??= (await this.call("login", "", { username: person.name, password: person.password })).access_token;
    return person.token;
  }

  // What the store holds of a room.
  async events(person, room) {
    return (await this.call(`rooms/${room}/events?after=0&limit=500`, await this.token(person))).events;
  }
  async post(person, room, text) {
    return this.call(`rooms/${room}/messages`, await this.token(person), { id: randomUUID(), text });
  }
}

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM,
    headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
}

// What went wrong in a page unseen; a refused connection is no fault while the server is down.
export function watch(page, faults) {
  page.setDefaultTimeout(patience_ms);
  page.on("pageerror", (e) => faults.push(String(e.stack ?? e)));
  page.on("console", (m) => { if (/Content.Security.Policy|Refused to/i.test(m.text())) faults.push(m.text()); });
  return page;
}

let people = 0;

export async function sign_up(page, base) {
  people += 1;
  const person = { name: `person${people}`, password: `a long password ${people}` };
  await page.goto(base);
  await page.click("#other_way");
  await page.fill("#username", person.name);
  await page.fill("#password", person.password);
  await page.click("#enter");
  await online(page);
  return person;
}

export const online = (page) => page.waitForSelector('#link[data-state="online"]');
export const room_of = (page) => new URL(page.url()).pathname.split("/")[2];

export async function ask(page, text) {
  await page.fill("#text", text);
  await page.press("#text", "Enter");
  await page.waitForURL(/\/rooms\/./);
}

// The text of an article as it is shown, and the same of a text as it was sent: fences are not shown.
export const shown = (article) => article.locator(".text").evaluate((node) =>
  [...node.querySelectorAll("p, pre")].map((n) => n.textContent).join("\n").replace(/\n+/g, "\n").trim());
export const as_shown = (text) =>
  text.split("\n").filter((line) => !/^ {0,3}(```|~~~)/.test(line)).join("\n").replace(/\n+/g, "\n").trim();

export const answers = (page) => page.locator("article.answer");
export const questions = (page) => page.locator("article.mine");
// Some of an answer stands there, and more is to come.
export const streaming = (page) => page.waitForFunction(() => {
  const all = document.querySelectorAll('article.answer[data-state="streaming"] .text');
  return all.length && all[all.length - 1].textContent.length > 20;
});
export const ended = (page, how = "answer", many = 1) => page.waitForFunction(([state, least]) =>
  document.querySelectorAll(`article.answer[data-state="${state}"]`).length >= least, [how, many]);
export const ends_of = (events) => events.filter((e) => e.kind.startsWith("answer"));
