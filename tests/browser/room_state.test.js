// What the client makes of the frames of a room, without a browser.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { close_codes, reactions } from "../../web/codes.js";
import { room_state } from "../../web/room.js";

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
