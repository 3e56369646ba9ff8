// The page: what is on the screen and what the hands do. Everything it knows comes from client.js.

import { account, client } from "./client.js";
import { first_words, item_view, items_of, live_answer, name_of } from "./items.js";
import { kept } from "./room.js";
import { room_list } from "./rooms.js";
import { later } from "./schedule.js";
import { element } from "./text.js";
import { language, t, why } from "./words.js";

const $ = (id) => document.getElementById(id);
const api_base = new URL(document.querySelector('meta[name="maru-api"]').content || "/", location.href).href;
const who = new account(api_base);
const touch = matchMedia("(pointer: coarse)");

let link = null;       // client, while signed in
let rooms = new room_list();
let room_rows = new Map(); // id -> the row of a room in the list
let room_info = null;  // of the open room
let views = new Map(); // key of an item -> item_view
let follow = true;     // the newest text is kept in sight
let last_top = 0;      // where the log was scrolled to
let grown = new Set(); // answers whose text alone has changed
let structure = false; // something else has
let listed = true;     // the list shows what is known
let painting = 0;
let schedule = null;   // later

// --- words

function label_everything() {
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-t-label]")) node.setAttribute("aria-label", t(node.dataset.tLabel));
  for (const node of document.querySelectorAll("[data-t-placeholder]")) node.placeholder = t(node.dataset.tPlaceholder);
}

// For those who do not see the screen: short, and never the text as it streams.
function announce(text) { $("announce").textContent = text; }

function title_of(room, events = []) {
  const from = events.find((e) => e.data.text)?.data.text ?? room?.last?.data?.text;
  return room?.title || first_words(from ?? "") || t("new_room");
}

// --- the door

let door_way = "login"; // or "signup"

function show_door() {
  link?.end();
  link = null;
  rooms = new room_list();
  clear_log();
  $("house").hidden = true;
  $("door").hidden = false;
  $("password").value = "";
  set_door("login");
  document.title = "maru";
  $("username").focus();
}

function set_door(way) {
  door_way = way;
  const up = way === "signup";
  $("enter").textContent = t(up ? "sign_up" : "log_in");
  $("other_way").textContent = t(up ? "to_log_in" : "to_sign_up");
  $("password").autocomplete = up ? "new-password" : "current-password";
  $("password").minLength = up ? 8 : 0;
  $("door_error").textContent = "";
}

async function enter(e) {
  e.preventDefault();
  $("enter").disabled = true;
  $("door_error").textContent = "";
  try {
    await who.sign_in(door_way, $("username").value, $("password").value);
    show_house();
  } catch (error) {
    $("door_error").textContent = error.code === "invalid_field" ? error.message : why(error.code);
    $("password").focus();
  } finally {
    $("enter").disabled = false;
  }
}

async function leave() {
  if (link.outbox.entries.size && !confirm(t("unsent_leave"))) return;
  history.replaceState(null, "", "/");
  await who.sign_out().catch(() => { /* the page forgets its tokens all the same */ });
}

// --- the house

function show_house() {
  $("door").hidden = true;
  $("house").hidden = false;
  $("password").value = "";
  $("me").textContent = name_of(who.user);
  link = new client(who);
  link.addEventListener("link", show_link);
  link.addEventListener("room", (e) => { heard(e.detail); paint({ all: true }); });
  link.addEventListener("text", (e) => paint({ answer: e.detail }));
  link.addEventListener("sent", () => paint({ all: true }));
  link.addEventListener("rooms", (e) => { if (!rooms.is_beyond(e.detail)) rooms.take(e.detail); paint({ list: true }); });
  link.start();
  load_agents();
  go(location.pathname);
}

function show_link() {
  const state = link?.link ?? "idle";
  $("link").dataset.state = state;
  $("link").textContent = t(state);
  if (state === "online") list_rooms_soon();
  paint({ all: true });
}

async function load_agents() {
  const reply = await who.call("GET", "agents").catch(() => null);
  const agents = (reply?.agents ?? reply ?? []).map((a) => a.name);
  $("agent").replaceChildren(...agents.map((name) => element("option", { value: name }, name)));
  $("agent").hidden = agents.length < 2;
}

let list_timer = 0;
function list_rooms_soon() {
  clearTimeout(list_timer);
  list_timer = setTimeout(list_rooms, rooms.all.size ? 300 : 0);
}

async function list_rooms(cursor = "") {
  const asking = rooms;
  asking.ask();
  const reply = await who.call("GET", `rooms${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ""}`).catch(() => null);
  if (!reply || !link || asking !== rooms) return;
  rooms.page(reply, !cursor);
  show_rooms();
}

// Rows stay what they are and move, so that whoever stands on one keeps it.
function show_rooms() {
  listed = true;
  const focused = document.activeElement;
  const old = room_rows;
  room_rows = new Map();
  let next = $("rooms").firstChild;
  for (const room of rooms.in_order()) {
    const row = old.get(room.id) ?? element("li", {}, element("a", { href: `/rooms/${room.id}` }));
    room_rows.set(room.id, row);
    show_row(row.firstChild, room);
    if (row === next) next = next.nextSibling;
    else $("rooms").insertBefore(row, next);
  }
  for (const [id, row] of old) if (!room_rows.has(id)) row.remove();
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
  $("more_rooms").hidden = !rooms.next;
}

function show_row(row, room) {
  const here = room.id === link.room?.id;
  const name = element("span", { class: "name" }, here ? title_here(room) : title_of(room));
  const many = room.unread > 99 ? "99+" : String(room.unread);
  const badge = element("span", { class: "badge" }, element("span", { "aria-hidden": "true" }, many),
    element("span", { class: "sr" }, t("unread", { n: room.unread })));
  row.replaceChildren(name, ...(room.unread && !here ? [badge] : []));
  if (here) row.setAttribute("aria-current", "page");
  else row.removeAttribute("aria-current");
}

const title_here = (room) => title_of(room, link.room?.first === 1 ? link.room.events : []);

function show_title() {
  const title = !link.room ? t("new_room") : room_info ? title_here(room_info) : "";
  $("title").textContent = title;
  document.title = title && link.room ? `${title} · maru` : "maru";
}

// --- going from room to room

const draft_key = (id) => `maru.draft.${who.user.id}.${id ?? "new"}`;

function go(path, { push = false, focus = true } = {}) {
  if (push && path !== location.pathname) history.pushState(null, "", path);
  const id = /^\/rooms\/([^/]+)\/?$/.exec(path)?.[1] ?? null;
  clear_log();
  close_panel();
  room_info = rooms.get(id) ?? null;
  if (id) link.open(id); else link.leave();
  if (id) load_room(id);
  schedule.load();
  $("text").value = kept.get(draft_key(id)) ?? "";
  fit_composer();
  show_rooms();
  paint({ all: true });
  if (focus && !touch.matches) $("text").focus();
}

async function load_room(id) {
  try {
    const info = await who.call("GET", `rooms/${id}`);
    if (link?.room?.id === id) room_info = info;
  } catch (e) {
    if (e.status !== 404 || link?.room?.id !== id) return;
    link.leave();
    clear_log();
    $("empty").hidden = false;
    $("empty").textContent = t("no_room");
    $("composer").hidden = true;
    return;
  }
  paint({ all: true });
}

function clear_log() {
  views = new Map();
  grown.clear();
  follow = true;
  last_top = 0;
  $("items").replaceChildren();
  $("latest").hidden = $("earlier").hidden = $("empty").hidden = true;
  $("composer").hidden = false;
  $("composer_error").textContent = "";
}

// --- painting: at most once a frame

function paint({ all = false, answer = "", list = false }) {
  if (all) structure = true;
  if (list) listed = false;
  if (answer) grown.add(answer);
  if (painting) return;
  // A hidden tab gets no frames; the timer keeps its title and its state true.
  const frame = requestAnimationFrame(paint_now);
  painting = setTimeout(() => { cancelAnimationFrame(frame); paint_now(); }, 250);
}

function paint_now() {
  clearTimeout(painting);
  painting = 0;
  if (!link) return;
  if (structure) paint_structure();
  else for (const id of grown) paint_answer(id);
  if (!listed) show_rooms();
  structure = false;
  grown.clear();
}

function paint_answer(id) {
  const live = link.room?.answers.get(id);
  if (live) views.get(`answer ${id}`)?.show(live_answer(link, live));
}

function paint_structure() {
  const { room } = link;
  const items = room ? items_of(link) : [];
  place(items);
  const running = [...(room?.answers.values() ?? [])];
  $("log").setAttribute("aria-busy", String(running.length > 0));
  $("stop").hidden = running.length === 0;
  $("stop").disabled = running.length > 0 && running.every((a) => link.stopping(a.answer));
  $("earlier").hidden = !room?.known || room.first <= room.floor;
  if (!$("composer").hidden) {
    $("empty").hidden = items.length > 0 || Boolean(room && !room.known);
    $("empty").textContent = room ? "" : t("home");
  }
  show_title();
}

function place(items) {
  const old = views;
  const root = $("items");
  views = new Map();
  let next = root.firstChild;
  for (const item of items) {
    const view = old.get(item.key) ?? new item_view(item, act);
    views.set(item.key, view);
    view.show(item);
    if (view.node === next) next = next.nextSibling;
    else root.insertBefore(view.node, next);
  }
  for (const [key, view] of old) if (!views.has(key)) view.node.remove();
}

function act(name, item) {
  if (name === "stop") link.stop(link.room.id, item.answer);
  else if (name === "try_again") link.try_again(link.room.id, item.answer);
  else if (name === "again") link.again(item.command.id);
  else take_back(item.command);
}

function take_back(command) {
  link.discard(command.id);
  written([command.text, $("text").value].filter(Boolean).join("\n"));
  $("text").focus();
}

// What somebody who does not look should know of a frame.
function heard(f) {
  if (f?.type === "opened") { rooms.read(f.room, f.head); listed = false; }
  if (f?.type === "event") { rooms.event(f, room_info); listed = false; }
  if (!f || f.seq <= link.room?.snapshot_head) return;
  if (f.type === "answer" && f.state !== "queued" && f.n === 0) return announce(t("answering", { name: f.agent }));
  if (f.type !== "event") return;
  const name = f.data.agent ?? f.author?.name;
  const words = { answer: "answered", answer_failed: "answer_failed", answer_stopped: "answer_stopped" }[f.kind];
  if (words) announce(t(words, { name }));
  else if (f.kind === "message" && f.author?.id !== who.user.id) announce(t("says", { name, text: first_words(f.data.text ?? "") }));
  if (f.kind === "room_changed") load_room(link.room.id);
  if (f.kind === "room_changed") list_rooms_soon();
  if (f.data.scheduled) schedule.load();
}

// --- reading

function to_latest() {
  const log = $("log");
  log.scrollTop = log.scrollHeight;
  $("latest").hidden = true;
}

// Only a move upwards lets go: the log may also grow below by itself.
function scrolled() {
  const log = $("log");
  const at_end = log.scrollHeight - log.scrollTop - log.clientHeight < 48;
  follow = at_end || (follow && log.scrollTop >= last_top);
  last_top = log.scrollTop;
  $("latest").hidden = follow;
}

async function earlier() {
  const log = $("log");
  $("earlier").disabled = true;
  try {
    await link.load_earlier();
    const from_end = log.scrollHeight - log.scrollTop;
    follow = false;
    paint_now();
    log.scrollTop = log.scrollHeight - from_end;
  } catch (e) {
    $("composer_error").textContent = why(e.code);
  } finally {
    $("earlier").disabled = false;
    log.focus();
  }
}

// --- writing

function fit_composer() {
  const text = $("text");
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight + 2}px`;
}

function composer_changed() {
  const id = link.room?.id;
  if ($("text").value) kept.set(draft_key(id), $("text").value);
  else kept.remove(draft_key(id));
  fit_composer();
}

async function send(e) {
  e?.preventDefault();
  const text = $("text").value;
  if (!text.trim() || $("send").disabled) return;
  $("composer_error").textContent = "";
  try {
    if (!link.room) await make_room();
  } catch (error) {
    $("composer_error").textContent = t("not_sent", { why: why(error.code) });
    return;
  }
  const refused = link.send(link.room.id, text);
  if (refused) {
    written(text);
    $("composer_error").textContent = t("not_sent", { why: why(refused) });
    return;
  }
  written("");
  follow = true;
  to_latest();
}

// A room begins with its first message, so that no empty ones pile up.
async function make_room() {
  $("send").disabled = true;
  try {
    const chosen = $("agent").hidden ? {} : { agents: [$("agent").value] };
    const room = await who.call("POST", "rooms", chosen);
    kept.remove(draft_key(null));
    rooms.take(room);
    go(`/rooms/${room.id}`, { push: true });
  } finally {
    $("send").disabled = false;
  }
}

function written(text) {
  $("text").value = text;
  composer_changed();
}

function stop_answers() {
  const all = [...(link.room?.answers.values() ?? [])];
  const running = all.filter((a) => a.state !== "queued");
  for (const a of running.length ? running : all) link.stop(link.room.id, a.answer);
  $("text").focus();
}

function key_in_composer(e) {
  // While an input method composes, Enter and Escape are its own; 229 is what Safari says then.
  if (e.isComposing || e.keyCode === 229) return;
  if (e.key === "Enter" && !e.shiftKey && !touch.matches) send(e);
  else if (e.key === "Escape" && !$("stop").hidden) stop_answers();
}

// --- the list of rooms on a narrow screen

function open_panel() {
  $("house").classList.add("drawer");
  $("menu").setAttribute("aria-expanded", "true");
  $("talk").inert = true;
  $("close_panel").focus();
}

function close_panel({ focus = false } = {}) {
  $("house").classList.remove("drawer");
  $("menu").setAttribute("aria-expanded", "false");
  $("talk").inert = false;
  if (focus) $("menu").focus();
}

function follow_link(e) {
  const to = e.target.closest?.("a[href^='/']");
  if (!to || !link || e.button || e.ctrlKey || e.metaKey || e.shiftKey || e.altKey) return;
  e.preventDefault();
  go(to.pathname, { push: true });
}

label_everything();
schedule = new later({
  room: () => link?.room?.id ?? null,
  me: () => who.user?.id,
  call: (...what) => who.call(...what),
  text: () => $("text").value,
  done: () => written(""),
  async make_room() {
    const text = $("text").value;
    await make_room();
    written(text);
    return link.room.id;
  },
});
const growth = new ResizeObserver(() => { if (follow) to_latest(); });
growth.observe($("column"));
growth.observe($("log"));
matchMedia("(max-width: 48rem)").addEventListener("change", () => close_panel());
$("sign_in").addEventListener("submit", enter);
$("other_way").addEventListener("click", () => set_door(door_way === "login" ? "signup" : "login"));
$("log_out").addEventListener("click", leave);
$("composer").addEventListener("submit", send);
$("text").addEventListener("keydown", key_in_composer);
$("text").addEventListener("input", composer_changed);
$("stop").addEventListener("click", stop_answers);
$("log").addEventListener("scroll", scrolled, { passive: true });
$("latest").addEventListener("click", () => { follow = true; to_latest(); $("log").focus(); });
$("earlier").addEventListener("click", earlier);
$("more_rooms").addEventListener("click", () => list_rooms(rooms.next));
$("menu").addEventListener("click", open_panel);
$("close_panel").addEventListener("click", () => close_panel({ focus: true }));
$("veil").addEventListener("click", () => close_panel({ focus: true }));
$("panel").addEventListener("keydown", (e) => { if (e.key === "Escape") close_panel({ focus: true }); });
document.addEventListener("click", follow_link);
addEventListener("popstate", () => { if (link) go(location.pathname); });
who.addEventListener("signed_out", show_door);
who.addEventListener("other_user", () => location.reload());

if (who.user) show_house();
else show_door();
