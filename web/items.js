// What stands in the conversation: the frames of a room as items in the order of the screen, and how one is shown.

import { element, text_view } from "./text.js";
import { language, t, end_why, why } from "./words.js";

export const first_words = (text) => text.replace(/^[\s#>*-]+/, "").split("\n")[0].slice(0, 60);

export const name_of = (user) => user.display_name || user.username;

function shown_time(at) {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return "";
  const today = date.toDateString() === new Date().toDateString();
  return date.toLocaleString(language, today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
}

function time_of(at) {
  const shown = shown_time(at);
  return element("time", shown ? { datetime: at } : {}, shown);
}

// In the order of the screen: events by seq, an answer beneath its question, what is not acked yet at the end.
export function items_of(link) {
  const { room } = link;
  const questions = new Set(room.events.filter((e) => e.kind === "message").map((e) => e.id));
  const beneath = new Map();
  const rest = [];
  const put = (question, item, otherwise) => {
    if (!questions.has(question)) otherwise.push(item);
    else beneath.set(question, [...(beneath.get(question) ?? []), item]);
  };
  const main = [];
  for (const e of room.events) {
    if (e.kind.startsWith("answer")) put(e.data.question, ended_answer(e), main);
    else if (e.kind === "message") main.push(message(e, link.account.user.id));
    else if (e.kind === "system") main.push(...told_by_system(e));
  }
  for (const a of room.answers.values()) put(a.question, live_answer(link, a), rest);
  for (const item of main) if (item.kind === "mine") offer_retry(link, beneath.get(item.event) ?? []);
  const mine = new Set(room.events.map((e) => e.data.client_id).filter(Boolean));
  const said = main.flatMap((item) => [item, ...asked_order(item, beneath.get(item.event) ?? [])]);
  const unsent = link.outbox.of_room(room.id).filter((e) => e.command.type === "send" && !mine.has(e.command.id));
  const user = link.account.user;
  return [...said, ...rest, ...[...room.acked.values()].map((e) => waiting(e, user, true)), ...unsent.map((e) => waiting(e, user))];
}

function told_by_system(e) {
  const d = e.data;
  const text = d.code === "not_sent" ? t("later_failed", { name: d.author?.name, at: shown_time(d.scheduled?.at), why: why(d.reason?.code ?? "") })
    : d.text;
  return text ? [{ key: `event ${e.id}`, kind: "line", text }] : [];
}

// By agent, as they were asked; those of one agent in the order in which they came.
function asked_order(item, answers) {
  const place_of = (a) => item.asked.findIndex((x) => x.agent === a.name);
  return answers.sort((a, b) => place_of(a) - place_of(b));
}

// Of each agent the last answer to one's own question, where it came to nothing.
function offer_retry(link, answers) {
  for (const a of new Map(answers.map((one) => [one.name, one])).values()) {
    if (a.state !== "answer_failed" && a.state !== "answer_stopped") continue;
    if (link.retrying(a.answer)) a.note = t("retrying");
    else a.buttons = ["try_again"];
  }
}

function message(e, me) {
  const own = e.author?.id === me;
  return {
    // The same place on the screen before and after the ack.
    key: own && e.data.client_id ? `message ${e.data.client_id}` : `event ${e.id}`,
    kind: own ? "mine" : "theirs", event: e.id, asked: e.data.answers ?? [], name: e.author?.name ?? "", at: e.at,
    text: e.data.text ?? "", note: e.data.erased ? t("erased") : e.data.scheduled ? t("was_scheduled") : "",
  };
}

function waiting({ command, failed }, user, acked = false) {
  return {
    key: `message ${command.id}`, kind: failed ? "mine failed" : "mine", command, name: name_of(user), text: command.text,
    note: acked ? "" : failed ? t("not_sent", { why: why(failed) }) : t("sending"), state: failed ? "failed" : "sending",
    buttons: failed ? ["again", "discard"] : [],
  };
}

export function live_answer(link, a) {
  const stopping = link.stopping(a.answer);
  const note = stopping ? t("stopping") : link.link !== "online" ? t("offline_answer")
    : a.position ? t("queued_at", { n: a.position }) : t(a.state);
  return {
    key: `answer ${a.answer}`, kind: "answer", answer: a.answer, name: a.agent, text: a.text, note, state: a.state,
    working: link.link === "online", buttons: stopping ? [] : ["stop"],
  };
}

function ended_answer(e) {
  const d = e.data;
  const failed = e.kind === "answer_failed";
  const cut = d.finish && d.finish !== "stop" ? t("cut_short", { why: d.finish }) : "";
  const note = d.erased ? t("erased") : failed ? t("failed", { why: end_why(d.reason?.code ?? "") })
    : e.kind === "answer_stopped" ? t("stopped") : cut;
  return {
    key: `answer ${d.answer ?? e.id}`, kind: failed ? "answer failed" : "answer", answer: d.answer,
    name: d.agent ?? e.author?.name ?? "", at: e.at, text: d.text ?? "", note, state: e.kind, buttons: [],
  };
}

export class item_view {
  // `act` is told the name of a button that was pressed, and the item.
  constructor(item, act) {
    this.act = act;
    this.node = element(item.kind === "line" ? "p" : "article");
    if (item.kind === "line") return;
    this.name = element("h2");
    this.time = element("span");
    this.body = new text_view();
    this.foot = element("footer");
    this.node.append(element("header", {}, this.name, this.time), this.body.node, this.foot);
  }

  show(item) {
    this.node.className = item.kind;
    if (item.kind === "line") { this.node.textContent = item.text; return; }
    this.node.dataset.state = item.state ?? "said";
    this.name.textContent = item.name;
    if (item.at && this.at !== item.at) this.time.replaceChildren(time_of(item.at));
    this.at = item.at;
    this.body.set(item.text);
    const foot = JSON.stringify([item.note, item.working, item.buttons]);
    if (foot === this.foot_was) return; // so that a button under a finger stays the same button
    this.foot_was = foot;
    const had_focus = this.foot.contains(document.activeElement);
    const note = item.note ? [element("span", item.working ? { class: "working" } : {}, item.note)] : [];
    this.foot.replaceChildren(...note, ...(item.buttons ?? []).map((name) => {
      const button = element("button", { type: "button" }, t(name));
      button.addEventListener("click", () => this.act(name, item));
      return button;
    }));
    if (had_focus) document.getElementById("text").focus();
  }
}
