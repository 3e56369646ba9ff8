// What this browser knows of a person's rooms: pages of the list and `room` frames, merged. No network, no page.
// Invariant: what is known of a room only moves forward, in whatever order the two come.

const by_activity = (a, b) => (b.active_at ?? "").localeCompare(a.active_at ?? "") || b.id.localeCompare(a.id);

export class room_list {
  constructor() {
    this.all = new Map();
    this.next = ""; // cursor of the next page
    this.fresh = new Set(); // told of since the list was asked for
  }

  get(id) { return this.all.get(id); }
  in_order() { return [...this.all.values()].sort(by_activity); }

  // A room of the list, or a `room` frame.
  take(room) {
    this.fresh.add(room.id);
    this.#merge(room);
  }

  // A frame of a room that would stand on a page not asked for yet.
  is_beyond(room) {
    const oldest = this.in_order().at(-1);
    return Boolean(this.next && oldest && !this.all.has(room.id) && by_activity(room, oldest) > 0);
  }

  ask() { this.fresh.clear(); }

  // What the server says now, from the first page on; what came by itself meanwhile stays.
  page({ rooms, next }, first) {
    const listed = new Set(rooms.map((r) => r.id));
    if (first) for (const id of this.all.keys()) if (!listed.has(id) && !this.fresh.has(id)) this.all.delete(id);
    rooms.forEach((r) => this.#merge(r));
    this.next = next ?? "";
  }

  // An event that is shown is read.
  event(f, otherwise) {
    const known = this.get(f.room) ?? otherwise;
    if (known) this.take({ ...known, head: Math.max(known.head, f.seq), read: f.seq, ...(f.seq >= known.head && { last: f, active_at: f.at }) });
  }
  read(id, seq) {
    const known = this.get(id);
    if (known) this.take({ ...known, read: seq });
  }

  #merge(room) {
    const old = this.all.get(room.id);
    const read = Math.max(old?.read ?? 0, room.read ?? room.head - (room.unread ?? 0));
    const merged = !old || room.head >= old.head ? { ...old, ...room } : { ...room, ...old };
    this.all.set(room.id, { ...merged, read, unread: Math.max(0, merged.head - read) });
  }
}
