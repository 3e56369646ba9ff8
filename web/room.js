// What this browser holds of a room: the frames taken so far, and the commands not yet acked. No network, no page.
// Invariants:
// - The events of a room are held in seq order without gaps, and an answer's text grows piece by piece; what does not
//   fit is told as a gap.
// - A command leaves the outbox only when it is removed; a reload, a crash or another tab changes nothing about that.

// localStorage, or memory where the browser refuses it (blocked, full): then a reload forgets.
const memory = new Map();
const stored = (use) => { try { return use(localStorage); } catch { return null; } };
export const kept = {
  get: (key) => memory.get(key) ?? stored((s) => s.getItem(key)),
  set(key, value) {
    memory.set(key, value);
    stored((s) => { s.setItem(key, value); memory.delete(key); });
  },
  remove(key) {
    memory.delete(key);
    stored((s) => s.removeItem(key));
  },
  keys: (prefix) => [...new Set([...memory.keys(), ...(stored(Object.keys) ?? [])])].filter((key) => key.startsWith(prefix)),
};

// --- what is known of a room

const is_end = (kind) => kind.startsWith("answer");

// Takes the frames of one room. Each taker says "new", "old" (known already) or "gap" (open again after `after`).
export class room_state {
  constructor(id) {
    this.id = id;
    this.floor = 1;
    this.forget();
  }

  forget() {
    this.known = false; // no `opened` yet
    this.events = [];
    this.last = 0; // seq of the newest event held
    this.snapshot_head = 0;
    this.answers = new Map(); // unfinished, by id
    this.ended = new Set();
    this.acked = new Map(); // own messages on disk whose event has not come yet, by command id
  }

  get after() { return this.known ? this.last : undefined; }
  get first() { return this.events[0]?.seq ?? this.last + 1; }

  opened(f) {
    this.floor = f.floor;
    if (this.known && f.head < this.last) { // an older copy of the room was restored: what we hold is not its history
      this.forget();
      return "gap";
    }
    if (!this.known || f.from > this.last + 1) {
      this.forget();
      this.last = f.from - 1;
    }
    this.known = true;
    this.snapshot_head = f.head;
    this.answers = new Map(f.answers.filter((a) => !this.ended.has(a.answer)).map((a) => [a.answer, { ...a }]));
    return "new";
  }

  event(f) {
    if (!this.known || f.seq <= this.last) return "old";
    if (f.seq !== this.last + 1) return "gap";
    this.events.push(f);
    this.last = f.seq;
    this.#note_end(f);
    this.acked.delete(f.data.client_id);
    // What was asked before the snapshot is either in it or over.
    if (f.kind === "message" && f.seq > this.snapshot_head) {
      for (const { answer, agent } of f.data.answers ?? []) {
        if (this.ended.has(answer) || this.answers.has(answer)) continue;
        this.answers.set(answer, { answer, agent, question: f.id, attempt: 0, n: 0, text: "", state: "queued" });
      }
    }
    return "new";
  }

  // A page of events older than those held.
  earlier(page) {
    const older = page.filter((e) => e.seq < this.first);
    if (older.length && older.at(-1).seq !== this.first - 1) return;
    older.forEach((e) => this.#note_end(e));
    this.events = [...older, ...this.events];
  }

  answer(f) {
    const a = this.answers.get(f.answer);
    if (!this.known || this.ended.has(f.answer) || (a && f.attempt < a.attempt)) return "old";
    const { answer, question, agent, attempt, state, n, text, position } = f;
    this.answers.set(answer, { answer, question, agent, attempt, state, n, text, position });
    return "new";
  }

  delta(f) {
    if (!this.known || this.ended.has(f.answer)) return "old";
    const a = this.answers.get(f.answer);
    if (!a || f.attempt > a.attempt) return "gap";
    if (f.attempt < a.attempt || f.n <= a.n) return "old";
    if (f.n - (f.count ?? 1) !== a.n) return "gap";
    a.n = f.n;
    a.text += f.text;
    a.state = "streaming";
    a.position = undefined;
    return "new";
  }

  #note_end(f) {
    if (!is_end(f.kind) || !f.data.answer) return;
    this.ended.add(f.data.answer);
    this.answers.delete(f.data.answer);
  }
}

// --- commands not yet acked

// One stored key per command: tabs share them without overwriting one another, and any of them may resend.
export class outbox {
  constructor(user) {
    this.prefix = `maru.outbox.${user}.`;
    this.entries = new Map();
    this.newest = 0;
    for (const key of kept.keys(this.prefix)) this.#load(key);
  }

  add(command) {
    this.newest = Math.max(Date.now(), this.newest + 1);
    this.#store({ command, at: this.newest, failed: "" });
  }
  fail(id, code) { const e = this.entries.get(id); if (e) this.#store({ ...e, failed: code }); }
  revive(id) { const e = this.entries.get(id); if (e) this.#store({ ...e, failed: "" }); }
  remove(id) {
    this.entries.delete(id);
    kept.remove(this.prefix + id);
  }
  in_order() { return [...this.entries.values()].sort((a, b) => a.at - b.at); }
  of_room(room) { return this.in_order().filter((e) => e.command.room === room); }

  #store({ command, at, failed }) {
    this.entries.set(command.id, { command, at, failed, sent: 0, due: 0, tries: 0 });
    kept.set(this.prefix + command.id, JSON.stringify({ command, at, failed }));
  }
  #load(key) {
    try {
      const { command, at, failed } = JSON.parse(kept.get(key));
      this.entries.set(command.id, { command, at, failed, sent: 0, due: 0, tries: 0 });
      this.newest = Math.max(this.newest, at);
    } catch { kept.remove(key); }
  }
}
