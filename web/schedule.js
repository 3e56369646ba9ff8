// What is written now and sent later: the dialog in which a person schedules a message, sees what is scheduled in the
// room, and drops it.

import { uuid } from "./client.js";
import { element } from "./text.js";
import { language, t, why } from "./words.js";

const $ = (id) => document.getElementById(id);
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const two = (n) => String(n).padStart(2, "0");
const shown_for = { once: ["moment"], daily: ["hour"], weekdays: ["hour"], weekly: ["weekday", "hour"], cron: ["cron"] };

// The name of a day of the week, 0 is Sunday: the 4th of January 1970 was one.
const day_name = (day) => new Date(1970, 0, 4 + day).toLocaleDateString(language, { weekday: "long" });

const when = (at) => new Date(at).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });

// A crontab line of this page in words, another one as it is.
function in_words({ cron, zone: of }) {
  const [, minute, hour, days] = /^(\d+) (\d+) \* \* (\*|1-5|\d)$/.exec(cron) ?? [];
  const elsewhere = of === zone ? "" : ` (${of})`;
  if (!days) return cron + elsewhere;
  const time = `${two(hour)}:${two(minute)}`;
  return (days === "*" ? t("each_day", { time }) : days === "1-5" ? t("each_weekday", { time })
    : t("each_week", { time, day: day_name(Number(days)) })) + elsewhere;
}

export class later {
  // `page` has: room() the id of the open room, make_room(), call(method, path, body), me() the person's id, text() what
  // is written, done() it is scheduled.
  constructor(page) {
    this.page = page;
    this.all = [];
    this.trying = { body: "", id: "" }; // asked again after a lost reply it is the same
    $("weekday").replaceChildren(...[1, 2, 3, 4, 5, 6, 0].map((day) => element("option", { value: String(day) }, day_name(day))));
    $("repeat").addEventListener("change", () => this.#fit());
    $("schedule").addEventListener("submit", (e) => this.#keep(e));
    $("close_later").addEventListener("click", () => $("later").close());
    $("open_later").addEventListener("click", () => this.#open());
    $("later").addEventListener("close", () => $("text").focus());
  }

  // Another room, or something in it has changed.
  async load() {
    const room = this.page.room();
    if (room !== this.of) this.#show([]);
    this.of = room;
    if (!room) return;
    const reply = await this.page.call("GET", `rooms/${room}/schedule`).catch(() => null);
    if (reply && room === this.page.room()) this.#show(reply.scheduled);
  }

  #open() {
    const soon = new Date(Date.now() + 3_600_000);
    const day = `${soon.getFullYear()}-${two(soon.getMonth() + 1)}-${two(soon.getDate())}`;
    $("moment").value = `${day}T${two(soon.getHours())}:00`;
    $("hour").value ||= "09:00";
    $("zone").textContent = t("your_zone", { zone });
    $("later_error").textContent = "";
    const nothing = !this.page.text().trim();
    $("schedule").hidden = nothing;
    $("nothing_written").hidden = !nothing;
    this.#fit();
    $("later").showModal();
    this.load();
  }

  #fit() {
    for (const id of ["moment", "hour", "weekday", "cron"]) {
      const wanted = shown_for[$("repeat").value].includes(id);
      $(id).hidden = !wanted;
      $(id).required = wanted;
      document.querySelector(`label[for="${id}"]`).hidden = !wanted;
    }
  }

  #turns() {
    const how = $("repeat").value;
    if (how === "once") return { at: new Date($("moment").value).toISOString() };
    const [hour, minute] = $("hour").value.split(":").map(Number);
    const days = { daily: "*", weekdays: "1-5", weekly: $("weekday").value }[how];
    return { cron: how === "cron" ? $("cron").value.trim() : `${minute} ${hour} * * ${days}`, zone };
  }

  async #keep(e) {
    e.preventDefault();
    const text = this.page.text();
    $("keep").disabled = true;
    $("later_error").textContent = "";
    try {
      const wish = { text, ...this.#turns() };
      const room = this.page.room() ?? await this.page.make_room();
      const body = JSON.stringify([room, wish]);
      if (body !== this.trying.body) this.trying = { body, id: uuid() };
      await this.page.call("POST", `rooms/${room}/schedule`, { id: this.trying.id, ...wish });
      this.trying = { body: "", id: "" };
      $("later").close();
      this.page.done();
      this.load();
    } catch (error) {
      $("later_error").textContent = error.code === "invalid_field" ? error.message : why(error.code ?? "invalid_field");
    } finally {
      $("keep").disabled = false;
    }
  }

  async #drop(one, button) {
    button.disabled = true;
    try {
      await this.page.call("DELETE", `rooms/${this.page.room()}/schedule/${one.id}`);
    } catch (error) {
      if (error.status !== 404) $("later_error").textContent = why(error.code);
    }
    await this.load();
    $("close_later").focus();
  }

  #show(all) {
    this.all = all;
    const badge = all.length ? ` ${all.length}` : "";
    $("open_later").textContent = t("later_button") + badge;
    $("open_later").setAttribute("aria-label", t("send_later", { n: all.length }));
    $("scheduled").replaceChildren(...all.map((one) => this.#row(one)));
    $("none_scheduled").hidden = all.length > 0;
  }

  #row(one) {
    const times = one.cron ? `${in_words(one)} · ${t("next", { at: when(one.at) })}` : when(one.at);
    const by = one.author.id === this.page.me() ? "" : `${one.author.name}: `;
    const button = element("button", { type: "button" }, t("drop"));
    button.addEventListener("click", () => this.#drop(one, button));
    return element("li", {}, element("p", { class: "times" }, times),
      element("p", { class: "words" }, `${by}${one.text}${one.cut ? "…" : ""}`), button);
  }
}
