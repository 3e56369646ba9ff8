// The protocol client: sign-in, HTTP and the socket. Knows nothing of the page. Invariants:
// - A command leaves the outbox by its ack or a final refusal only; until then it is resent with the same id.
// - A gap in the frames of a room makes the client open it again after the last event it holds.
// - All tabs of a browser refresh a token with the same nonce, so that they get the same successor.

import { close_codes, passing, reactions } from "./codes.js";
import { kept, outbox, room_state } from "./room.js";

const request_timeout_ms = 30_000;
const welcome_timeout_ms = 15_000;
const pong_timeout_ms = 10_000;
const ack_timeout_ms = 15_000;
const opened_timeout_ms = 10_000;
const steady_ms = 5_000; // a connection that lived so long ends the backoff
const tick_ms = 1_000;
const refresh_early_ms = 30_000;

// Of version 7: ids that grow with time cost the server's index the least.
export function uuid() {
  const b = crypto.getRandomValues(new Uint8Array(16));
  const now = Date.now();
  new DataView(b.buffer).setUint16(0, Math.floor(now / 2 ** 32));
  new DataView(b.buffer).setUint32(2, now % 2 ** 32);
  b[6] = (b[6] & 0x0f) | 0x70;
  b[8] = (b[8] & 0x3f) | 0x80;
  const hex = Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

export function backoff_ms(failures) {
  return Math.min(250 * 2 ** failures, 15_000) * (0.5 + Math.random() / 2);
}

export class refusal extends Error {
  constructor(code, status = 0, retry_after_ms = 0, detail = "") {
    super(detail || code);
    Object.assign(this, { code, status, retry_after_ms });
  }
}

// --- sign-in and HTTP

const session_key = "maru.session";

export class account extends EventTarget {
  constructor(base) {
    super();
    this.base = base; // of the server, ends in "/"
    this.user = this.#session()?.user ?? null;
    this.refreshing = null;
    globalThis.addEventListener?.("storage", (e) => { if (e.key === session_key || e.key === null) this.#other_tab(); });
  }

  async sign_in(how, username, password) {
    const reply = await this.#http("POST", how, { username, password }); // "login" or "signup"
    this.#keep(reply);
    this.user = reply.user;
  }

  async sign_out() {
    const session = this.#session();
    try {
      if (session) await this.#http("POST", "logout", { refresh_token: session.refresh }, session.access);
    } finally {
      kept.remove(session_key);
      for (const key of kept.keys("maru.")) if (key.includes(this.user?.id)) kept.remove(key);
      this.#ended();
    }
  }

  // A call with the access token, refreshed when it has to be.
  async call(method, path, body) {
    let token = await this.#access();
    try {
      return await this.#http(method, path, body, token);
    } catch (e) {
      if (e.status !== 401) throw e;
    }
    token = await this.#refreshed(token);
    return this.#http(method, path, body, token);
  }

  // The server refused the access token on another way in.
  expire() {
    const session = this.#session();
    if (session) kept.set(session_key, JSON.stringify({ ...session, until: 0 }));
  }

  #session() {
    try { return JSON.parse(kept.get(session_key)); } catch { return null; }
  }

  #keep(reply) {
    const before = this.#session();
    kept.set(session_key, JSON.stringify({
      user: reply.user,
      access: reply.access_token,
      until: Date.now() + reply.expires_in * 1000,
      refresh: reply.refresh_token,
      // Made with the token, not with the request: another tab, or this one after a lost reply, repeats it.
      nonce: before?.refresh === reply.refresh_token ? before.nonce : uuid(),
    }));
  }

  #ended() {
    if (!this.user) return;
    this.user = null;
    this.dispatchEvent(new Event("signed_out"));
  }

  #other_tab() {
    const user = this.#session()?.user;
    if (!user) this.#ended();
    else if (user.id !== this.user?.id) this.dispatchEvent(new Event("other_user"));
  }

  async #access() {
    const session = this.#session();
    if (!session) { this.#ended(); throw new refusal("unauthenticated", 401); }
    return session.until - refresh_early_ms > Date.now() ? session.access : this.#refreshed(session.access);
  }

  async #refreshed(stale) {
    const once = () => this.#refresh(stale);
    this.refreshing ??= (globalThis.navigator?.locks?.request("maru.refresh", once) ?? once())
      .finally(() => { this.refreshing = null; });
    await this.refreshing;
    const session = this.#session();
    if (!session) { this.#ended(); throw new refusal("unauthenticated", 401); }
    return session.access;
  }

  async #refresh(stale) {
    const session = this.#session();
    const fresh = session && session.access !== stale && session.until > Date.now();
    if (!session || fresh) return; // another tab was here
    let reply;
    try {
      reply = await this.#http("POST", "refresh", { refresh_token: session.refresh, nonce: session.nonce });
    } catch (e) {
      if (e.status === 401 && this.#session()?.refresh === session.refresh) kept.remove(session_key);
      if (e.status === 401) this.#other_tab();
      throw e;
    }
    const now = this.#session(); // gone, if somebody signed out meanwhile
    if (now && (now.refresh === session.refresh || now.refresh === reply.refresh_token)) this.#keep(reply);
  }

  async #http(method, path, body, token) {
    const headers = {};
    if (token) headers.Authorization = `Bearer ${token}`;
    if (method !== "GET") headers["Content-Type"] = "application/json";
    const cancel = new AbortController();
    const timer = setTimeout(() => cancel.abort(), request_timeout_ms);
    try {
      const reply = await fetch(new URL(`api/v1/${path}`, this.base), {
        method, headers, signal: cancel.signal,
        body: method === "GET" ? undefined : JSON.stringify(body ?? {}),
      });
      const text = await reply.text();
      if (reply.ok) return text ? JSON.parse(text) : null;
      throw refusal_of(reply, text);
    } catch (e) {
      throw e instanceof refusal ? e : new refusal("unreachable", 0, 0, String(e));
    } finally {
      clearTimeout(timer);
    }
  }
}

function refusal_of(reply, text) {
  let problem = {};
  try { problem = JSON.parse(text) ?? {}; } catch { /* a proxy's page */ }
  const wait = Number(reply.headers.get("Retry-After")) * 1000 || 0;
  return new refusal(problem.code ?? `http_${reply.status}`, reply.status, wait, problem.detail ?? problem.title);
}

// --- the socket

// Events: link (state changed), room (anything but text), text (detail: answer), sent (outbox changed), rooms
// (a `room` frame).
export class client extends EventTarget {
  constructor(who) {
    super();
    this.account = who;
    this.link = "idle"; // connecting | online | waiting | blocked
    this.room = null;
    this.outbox = new outbox(who.user.id);
    this.limits = {};
    this.session = undefined;
    this.failures = 0;
    this.turn = 0; // of connecting: what belongs to an older one is ignored
  }

  start() {
    this.ticker = setInterval(() => this.#tick(), tick_ms);
    this.listening = new AbortController();
    const { signal } = this.listening;
    addEventListener("online", () => this.#wake(), { signal });
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.#wake(); }, { signal });
    this.#connect();
  }

  end() {
    clearInterval(this.ticker);
    this.listening?.abort();
    this.#drop();
    this.#set_link("idle");
  }

  open(id) {
    this.leave();
    this.room = new room_state(id);
    this.reopens = 0;
    this.#open_room();
  }

  leave() {
    if (!this.room) return;
    this.#write({ type: "close", room: this.room.id });
    clearTimeout(this.reopen_timer);
    this.room = null;
  }

  // The reason it cannot be sent, or "".
  send(room, text) {
    const command = { type: "send", id: uuid(), room, text };
    const bytes = (s) => new TextEncoder().encode(s).length;
    const too_large = bytes(text) > (this.limits.message_text_bytes ?? 262_144) ||
      bytes(JSON.stringify(command)) > (this.limits.frame_in_bytes ?? 1_048_576);
    if (too_large) return "too_large";
    this.#command(command);
    return "";
  }

  stop(room, answer) {
    if (!this.stopping(answer)) this.#command({ type: "stop", id: uuid(), room, answer });
  }
  stopping(answer) { return this.#commanded("stop", answer); }

  // Asks anew for an answer that failed or was stopped.
  try_again(room, answer) {
    if (!this.retrying(answer)) this.#command({ type: "retry", id: uuid(), room, answer });
  }
  retrying(answer) { return this.#commanded("retry", answer); }

  #commanded(type, answer) {
    return [...this.outbox.entries.values()].some(({ command }) => command.type === type && command.answer === answer);
  }

  again(id) {
    this.outbox.revive(id);
    this.#send_entry(this.outbox.entries.get(id));
    this.#tell("sent");
  }
  discard(id) {
    this.outbox.remove(id);
    this.#tell("sent");
  }

  async load_earlier() {
    const { room } = this;
    const page = await this.account.call("GET", `rooms/${room.id}/events?before=${room.first}&limit=50`);
    room.floor = page.floor;
    room.earlier(page.events);
    if (room === this.room) this.#tell("room");
  }

  #tell(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }
  #set_link(state) {
    if (this.link === state) return;
    this.link = state;
    this.#tell("link");
  }

  // --- connecting

  async #connect() {
    this.#drop();
    const { turn } = this;
    this.#set_link("connecting");
    this.deadline = setTimeout(() => this.#lost(0), 2 * request_timeout_ms);
    let ticket;
    try {
      ticket = await this.account.call("POST", "negotiate");
    } catch (e) {
      if (turn === this.turn && this.account.user) this.#lost(0, e.retry_after_ms);
      return;
    }
    if (turn !== this.turn) return;
    const url = new URL(ticket.url, this.account.base);
    url.protocol = url.protocol === "wss:" || location.protocol === "https:" ? "wss:" : url.protocol.replace("http", "ws");
    const socket = new WebSocket(url, "maru.v1");
    this.socket = socket;
    clearTimeout(this.deadline);
    this.deadline = setTimeout(() => this.#lost(0), welcome_timeout_ms);
    socket.onopen = () => socket.send(JSON.stringify({ type: "hello", session: this.session, client: "maru web" }));
    socket.onmessage = (e) => this.#take(e.data);
    socket.onclose = (e) => this.#lost(e.code);
  }

  // Forgets the socket: nothing of it is heard any more.
  #drop() {
    this.turn += 1;
    clearTimeout(this.deadline);
    clearTimeout(this.retry);
    clearTimeout(this.reopen_timer);
    const { socket } = this;
    this.socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(close_codes.normal);
  }

  #lost(code, wait_ms = 0) {
    this.#drop();
    const reaction = reactions[code];
    if (reaction === "never") return this.#set_link("blocked");
    if (reaction === "login") this.account.expire();
    if (reaction === "renew") this.session = undefined;
    let wait = Math.max(backoff_ms(this.failures), wait_ms);
    if (reaction === "soon") wait = Math.random() * 2000;
    if (reaction === "patient") wait = Math.max(wait, 5000 + Math.random() * 2000);
    this.failures += 1;
    this.#set_link("waiting");
    this.retry = setTimeout(() => this.#connect(), wait);
  }

  // The network is back, or somebody looks at the page: do not sit out the backoff, do not trust an old socket.
  #wake() {
    if (this.link === "waiting") this.#connect();
    else if (this.link === "online") this.#ping();
  }

  #ping() {
    if (this.ping_at) return;
    this.ping_at = performance.now();
    this.#write({ type: "ping", t: Math.round(this.ping_at) });
  }

  #tick() {
    if (this.link !== "online") return;
    const now = performance.now();
    if (this.ping_at && now - this.ping_at > pong_timeout_ms) return this.#lost(0);
    if (now - this.heard_at > this.heartbeat_ms) this.#ping();
    if (now - this.welcome_at > steady_ms) this.failures = 0;
    if (now - this.reopened_at > steady_ms) this.reopens = 0;
    for (const e of this.outbox.in_order()) {
      const due = e.due ? now >= e.due : now - e.sent > ack_timeout_ms;
      if (!e.failed && due) this.#send_entry(e);
    }
  }

  // --- frames in

  #take(data) {
    let f;
    try { f = JSON.parse(data); } catch { return; }
    this.heard_at = performance.now();
    this.ping_at = 0;
    const taker = { welcome: this.#welcome, ack: this.#ack, error: this.#error, room: (news) => this.#tell("rooms", news) }[f.type];
    if (taker) taker.call(this, f);
    else if (["opened", "event", "answer", "delta"].includes(f.type)) this.#take_room(f);
  }

  #welcome(f) {
    clearTimeout(this.deadline);
    Object.assign(this, { session: f.session, limits: f.limits ?? {}, heartbeat_ms: f.heartbeat_ms ?? 30_000 });
    this.welcome_at = performance.now();
    this.reopens = 0;
    this.#set_link("online");
    this.#open_room();
    for (const e of this.outbox.in_order()) if (!e.failed) this.#send_entry(e);
  }

  #take_room(f) {
    const { room } = this;
    if (!room || f.room !== room.id) return;
    if (f.type === "opened") {
      clearTimeout(this.reopen_timer);
      this.reopening = false;
    } else if (this.reopening && f.type !== "event") {
      return; // the snapshot under way says more
    }
    const what = room[f.type](f);
    if (what === "gap") return this.#reopen();
    if (what === "old") return;
    if (f.type === "delta") this.#tell("text", f.answer);
    else this.#tell("room", f);
  }

  #ack(f) {
    const entry = this.outbox.entries.get(f.id);
    if (entry?.command.type === "send" && f.room === this.room?.id && f.seq > this.room.last) this.room.acked.set(f.id, entry);
    this.outbox.remove(f.id);
    this.#tell("sent");
  }

  #error(f) {
    const e = this.outbox.entries.get(f.id);
    if (!e) return;
    if (passing.has(f.code)) {
      e.due = performance.now() + (f.retry_after_ms || backoff_ms(2 + e.tries++));
    } else if (e.command.type !== "send") { // a stop or a retry that came too late: the answer shows why
      this.outbox.remove(f.id);
    } else {
      this.outbox.fail(f.id, f.code);
    }
    this.#tell("sent");
  }

  // --- frames out

  #write(frame) {
    if (this.link === "online" && this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame));
  }

  #command(command) {
    this.outbox.add(command);
    this.#send_entry(this.outbox.entries.get(command.id));
    this.#tell("sent");
  }

  #send_entry(e) {
    if (!e) return;
    e.sent = performance.now();
    e.due = 0;
    this.#write(e.command);
  }

  #open_room() {
    const { room } = this;
    if (!room || this.link !== "online") return;
    this.reopening = true;
    this.#write({ type: "open", room: room.id, after: room.after });
    clearTimeout(this.reopen_timer);
    this.reopen_timer = setTimeout(() => this.#open_room(), opened_timeout_ms); // it was refused or lost
  }

  #reopen() {
    if (this.reopening) return;
    const wait = this.reopens ? backoff_ms(this.reopens) : 0;
    this.reopens += 1;
    this.reopened_at = performance.now();
    this.reopening = true;
    clearTimeout(this.reopen_timer);
    this.reopen_timer = setTimeout(() => this.#open_room(), wait);
  }
}
