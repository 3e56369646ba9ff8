// What the client makes of the frames of a room, without a browser.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { close_codes, reactions } from "../../web/codes.js";
import { room_state } from "../../web/room.js";
import { room_list } from "../../web/rooms.js";

const message = (seq, ...answers) => ({ seq, id: `e${seq}`, kind: "message", data: { text: "?", answers: answers.map((answer) => ({ answer, agent: "maru" })) } });
const end = (seq, answer, kind = "answer") => ({ seq, id: `e${seq}`, kind, data: { answer, question: "e1", text: "all" } });
const opened = (head, from, answers = []) => ({ head, from, floor: 1, answers });
const unfinished = (answer, n, text, attempt = 1) => ({ answer, agent: "maru", question: "e1", attempt, n, text, state: "streaming" });

function room(head = 0, from = head + 1, answers = []) {
  const made = new room_state("r");
  made.opened(opened(head, from, answers));
  return made;
}

test("the close codes are those of the server", () => {
  const source = readFileSync(new URL("../../base/codes.hpp", import.meta.url), "utf8");
  const body = /enum class close_code[^{]*\{([^}]*)\}/.exec(source)[1];
  const servers = Object.fromEntries([...body.matchAll(/(\w+)\s*=\s*(\d+)/g)].map(([, name, number]) => [name, Number(number)]));
  assert.deepEqual(close_codes, servers);
  for (const code of Object.keys(reactions)) assert.ok(Object.values(close_codes).includes(Number(code)));
});

test("events are taken in order and once", () => {
  const r = room(2, 1);
  assert.deepEqual([1, 2, 2, 1, 3].map((seq) => r.event(message(seq))), ["new", "new", "old", "old", "new"]);
  assert.deepEqual(r.events.map((e) => e.seq), [1, 2, 3]);
});

test("a missing event is a gap, and opening again continues after the last one held", () => {
  const r = room(1, 1);
  r.event(message(1));
  assert.equal(r.event(message(3)), "gap");
  assert.equal(r.after, 1);
  r.opened(opened(3, 2));
  assert.deepEqual([2, 3].map((seq) => r.event(message(seq))), ["new", "new"]);
});

test("a room not opened yet asks for the newest and takes nothing", () => {
  const r = new room_state("r");
  assert.equal(r.after, undefined);
  assert.equal(r.event(message(1)), "old");
});

test("a replay that begins later than expected replaces what was held", () => {
  const r = room(1, 1);
  r.event(message(1));
  assert.equal(r.opened(opened(90, 41)), "new");
  assert.equal(r.events.length, 0);
  assert.equal(r.event(message(41)), "new");
});

test("a head below what is held means another history: open from the newest", () => {
  const r = room(2, 1);
  r.event(message(1));
  r.event(message(2));
  assert.equal(r.opened(opened(1, 2)), "gap");
  assert.equal(r.after, undefined);
});

test("pieces join on, merged ones too, and repeated ones are dropped", () => {
  const r = room(1, 2, [unfinished("a", 2, "ab")]);
  assert.equal(r.delta({ answer: "a", attempt: 1, n: 3, text: "c" }), "new");
  assert.equal(r.delta({ answer: "a", attempt: 1, n: 3, text: "c" }), "old");
  assert.equal(r.delta({ answer: "a", attempt: 1, n: 6, count: 3, text: "def" }), "new");
  assert.equal(r.answers.get("a").text, "abcdef");
});

test("a missing piece, an unknown answer and an attempt not announced are gaps", () => {
  const r = room(1, 2, [unfinished("a", 2, "ab")]);
  assert.equal(r.delta({ answer: "a", attempt: 1, n: 4, text: "d" }), "gap");
  assert.equal(r.delta({ answer: "a", attempt: 1, n: 4, count: 3, text: "bcd" }), "gap");
  assert.equal(r.delta({ answer: "b", attempt: 1, n: 1, text: "x" }), "gap");
  assert.equal(r.delta({ answer: "a", attempt: 2, n: 1, text: "x" }), "gap");
  assert.equal(r.answers.get("a").text, "ab");
});

test("a new attempt begins from its base, and the older one is not heard any more", () => {
  const r = room(1, 2, [unfinished("a", 2, "ab")]);
  assert.equal(r.answer({ ...unfinished("a", 0, "", 2), state: "recovering" }), "new");
  assert.equal(r.delta({ answer: "a", attempt: 1, n: 3, text: "c" }), "old");
  assert.equal(r.answer(unfinished("a", 2, "ab", 1)), "old");
  assert.equal(r.delta({ answer: "a", attempt: 2, n: 1, text: "A" }), "new");
  assert.equal(r.answers.get("a").text, "A");
});

test("the place in line is kept until the answer begins to be written", () => {
  const r = room(1, 2, [unfinished("a", 0, "")]);
  r.answer({ ...unfinished("a", 0, ""), state: "queued", position: 3 });
  assert.equal(r.answers.get("a").position, 3);
  r.answer({ ...unfinished("a", 0, ""), state: "thinking" });
  assert.equal(r.answers.get("a").position, undefined);
  r.answer({ ...unfinished("a", 0, ""), state: "queued", position: 1 });
  r.delta({ answer: "a", attempt: 1, n: 1, text: "x" });
  assert.equal(r.answers.get("a").position, undefined);
});

test("after its end nothing of an answer is taken", () => {
  for (const kind of ["answer", "answer_failed", "answer_stopped"]) {
    const r = room(1, 2, [unfinished("a", 2, "ab")]);
    r.event(end(2, "a", kind));
    assert.equal(r.answers.size, 0);
    assert.equal(r.delta({ answer: "a", attempt: 1, n: 3, text: "c" }), "old");
    assert.equal(r.answer(unfinished("a", 3, "abc")), "old");
  }
});

test("a live question shows its answers at once, a replayed one only those the snapshot names", () => {
  const r = room(1, 1, []);
  r.event(message(1, "over"));
  assert.equal(r.answers.size, 0);
  r.event(message(2, "coming"));
  assert.equal(r.answers.get("coming").state, "queued");
  assert.equal(r.answer({ ...unfinished("coming", 0, ""), state: "thinking" }), "new");
});

test("a fresh snapshot replaces what was known of unfinished answers", () => {
  const r = room(1, 2, [unfinished("a", 2, "ab"), unfinished("b", 1, "x")]);
  r.opened(opened(1, 2, [unfinished("a", 1, "A", 2)]));
  assert.deepEqual([...r.answers.keys()], ["a"]);
  assert.equal(r.answers.get("a").text, "A");
});

test("an older page goes before what is held, and one that does not join is refused", () => {
  const r = room(9, 5);
  r.event(message(5));
  r.earlier([message(2), message(3)]);
  assert.equal(r.first, 5);
  r.earlier([message(3), message(4), message(5)]);
  assert.deepEqual(r.events.map((e) => e.seq), [3, 4, 5]);
});

// --- the list of rooms

const listed = (id, head, read, more = {}) => ({ id, head, read, unread: head - read, active_at: `2026-01-01T00:00:0${head}.000Z`, title: "", ...more });

test("pages of the list and room frames give the same whichever comes first", () => {
  const states = [listed("a", 2, 1), listed("a", 3, 1, { last: "new" }), listed("a", 3, 3, { last: "new" }), listed("b", 1, 0)];
  const seen = new Set();
  for (const order of [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1, 0, 1]]) {
    const list = new room_list();
    for (const at of order) list.take(states[at]);
    assert.equal(list.get("a").unread, 0);
    assert.equal(list.get("a").last, "new");
    seen.add(JSON.stringify(list.in_order().map((r) => [r.id, r.head, r.read, r.unread])));
  }
  assert.equal(seen.size, 1);
});

test("the newest activity stands first, and an event that is shown is read", () => {
  const list = new room_list();
  list.page({ rooms: [listed("a", 3, 3), listed("b", 2, 1)], next: null }, true);
  assert.deepEqual(list.in_order().map((r) => r.id), ["a", "b"]);
  list.event({ room: "b", seq: 3, at: "2026-01-01T00:00:09.000Z" });
  assert.deepEqual(list.in_order().map((r) => r.id), ["b", "a"]);
  assert.equal(list.get("b").unread, 0);
  list.take(listed("b", 5, 2));
  assert.equal(list.get("b").unread, 2);
  list.read("b", 5);
  assert.equal(list.get("b").unread, 0);
});

test("a new first page drops what is gone, and keeps what was told while it was asked for", () => {
  const list = new room_list();
  list.page({ rooms: [listed("gone", 1, 1), listed("a", 2, 0)], next: "more" }, true);
  list.ask();
  list.take(listed("new", 4, 0));
  list.take(listed("a", 3, 3));
  list.page({ rooms: [listed("a", 2, 0)], next: null }, true);
  assert.deepEqual(list.in_order().map((r) => [r.id, r.unread]), [["new", 4], ["a", 0]]);
});

test("a frame of a room beyond the pages that were asked for waits for its page", () => {
  const list = new room_list();
  list.page({ rooms: [listed("b", 5, 5), listed("a", 4, 4)], next: "more" }, true);
  assert.equal(list.is_beyond(listed("old", 2, 2)), true);
  assert.equal(list.is_beyond(listed("new", 6, 2)), false);
  assert.equal(list.is_beyond(listed("a", 4, 4)), false);
  list.page({ rooms: [listed("old", 2, 1)], next: null }, false);
  assert.equal(list.is_beyond(listed("older", 1, 1)), false);
});
