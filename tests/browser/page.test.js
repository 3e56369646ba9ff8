// The page against a real server with the demo model.

import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { answers, as_shown, ask, ended, ends_of, launch, online, questions, room_of, server, shown, sign_up, streaming,
  until, watch } from "./support.js";

let host, browser, context, page, faults;

before(async () => {
  host = await server.make();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await host?.remove();
});
beforeEach(async () => {
  faults = [];
  context = await browser.newContext({ locale: "en-GB" });
  page = watch(await context.newPage(), faults);
});
afterEach(async () => {
  await context.close();
  assert.deepEqual(faults, [], "the page made no mistake of its own");
});

async function shows_what_is_stored(someone, at = page) {
  const events = await host.events(someone, room_of(at));
  for (const [i, end] of ends_of(events).entries()) {
    await until("the whole answer is shown", async () => (await shown(answers(at).nth(i))) === as_shown(end.data.text));
  }
  return events;
}

test("a new person asks in a new room and sees the streamed answer whole", async () => {
  const me = await sign_up(page, host.base);
  await ask(page, "Hello there, how are you?");
  await streaming(page);
  assert.equal(await page.getAttribute("#log", "aria-busy"), "true");
  await ended(page);
  await page.waitForSelector('#log[aria-busy="false"]');
  const events = await shows_what_is_stored(me);
  assert.equal(ends_of(events).length, 1);
  assert.equal(await page.locator('#rooms a[aria-current="page"]').count(), 1);
  assert.equal(await page.locator("pre code").count() > 0, true, "fenced code is set apart");
});

test("what looks like markup is shown as text", async () => {
  await sign_up(page, host.base);
  const text = "<img src=x onerror=alert(1)>\n  two spaces <b>not bold</b>";
  await ask(page, "first");
  await page.fill("#text", text);
  await page.click("#send");
  await until("the message is shown", async () => (await questions(page).count()) === 2);
  assert.equal(await questions(page).nth(1).locator(".text p").textContent(), text);
  assert.equal(await page.locator("#items img, #items b").count(), 0);
});

test("a page reloaded in the middle of an answer goes on with it", async () => {
  const me = await sign_up(page, host.base);
  await ask(page, "Please go on after the reload");
  await streaming(page);
  const before_reload = await shown(answers(page).first());
  await page.reload();
  await page.waitForSelector("article.answer");
  await until("what was there is there again", async () => (await shown(answers(page).first())).length >= before_reload.length);
  await ended(page);
  const events = await shows_what_is_stored(me);
  assert.equal(ends_of(events).length, 1);
  assert.equal(await answers(page).count(), 1);
});

test("after a killed server the page reconnects by itself and the answer ends once and whole", async () => {
  const me = await sign_up(page, host.base);
  await ask(page, "What happens when the power fails?");
  await streaming(page);
  await host.kill();
  await page.waitForSelector('#link[data-state="waiting"]');
  // Written while nobody is there to take it.
  await page.fill("#text", "written while the server was down");
  await page.press("#text", "Enter");
  await host.start();
  await online(page);
  await ended(page, "answer", 2);
  const events = await shows_what_is_stored(me);
  assert.deepEqual(events.filter((e) => e.kind === "message").map((e) => e.data.text),
    ["What happens when the power fails?", "written while the server was down"]);
  assert.deepEqual(ends_of(events).map((e) => e.kind), ["answer", "answer"]);
  assert.equal(await questions(page).count(), 2);
  assert.equal(await answers(page).count(), 2);
});

test("a message that was not acked survives the closing of the page", async () => {
  const me = await sign_up(page, host.base);
  await ask(page, "one");
  await ended(page);
  await host.kill();
  await page.waitForSelector('#link[data-state="waiting"]');
  await page.fill("#text", "two");
  await page.press("#text", "Enter");
  const url = page.url();
  await page.close();
  await host.start();
  page = watch(await context.newPage(), faults);
  await page.goto(url);
  await ended(page, "answer", 2);
  const events = await shows_what_is_stored(me);
  assert.deepEqual(events.filter((e) => e.kind === "message").map((e) => e.data.text), ["one", "two"]);
});

test("two tabs see the same", async () => {
  const me = await sign_up(page, host.base);
  await ask(page, "Asked in the first tab");
  const other = watch(await context.newPage(), faults);
  await other.goto(page.url());
  await online(other);
  await ended(other);
  await ask(other, "Asked in the second tab");
  for (const tab of [page, other]) await ended(tab, "answer", 2);
  for (const tab of [page, other]) await shows_what_is_stored(me, tab);
  const all = (tab) => tab.locator("article").evaluateAll((nodes) => nodes.map((n) =>
    [n.querySelector("h2").textContent, n.querySelector(".text").textContent]));
  assert.deepEqual(await all(page), await all(other));
  assert.equal((await all(page)).length, 4);
});

test("Enter that ends a Korean composition sends nothing", async () => {
  const me = await sign_up(page, host.base);
  await ask(page, "first");
  await ended(page);
  const keys = await context.newCDPSession(page);
  const enter = async (code) => {
    await keys.send("Input.dispatchKeyEvent", { type: "rawKeyDown", key: "Enter", code: "Enter", windowsVirtualKeyCode: code });
    await keys.send("Input.dispatchKeyEvent", { type: "keyUp", key: "Enter", code: "Enter", windowsVirtualKeyCode: 13 });
  };
  await page.focus("#text");
  await keys.send("Input.imeSetComposition", { text: "한", selectionStart: 1, selectionEnd: 1 });
  await enter(229);
  await keys.send("Input.imeSetComposition", { text: "한글", selectionStart: 2, selectionEnd: 2 });
  await enter(13); // some systems tell the key itself and say isComposing
  assert.equal(await page.inputValue("#text"), "한글", "it is still being written");
  await keys.send("Input.insertText", { text: "한글" });
  await page.press("#text", "Enter");
  await ended(page, "answer", 2);
  const events = await host.events(me, room_of(page));
  assert.deepEqual(events.filter((e) => e.kind === "message").map((e) => e.data.text), ["first", "한글"]);
});

test("Shift+Enter makes a new line", async () => {
  const me = await sign_up(page, host.base);
  await page.fill("#text", "one");
  await page.press("#text", "Shift+Enter");
  await page.keyboard.type("two");
  await page.press("#text", "Enter");
  await until("the message is shown", async () => (await questions(page).count()) === 1);
  await ended(page);
  const [said] = await host.events(me, room_of(page));
  assert.equal(said.data.text, "one\ntwo");
});

test("stop ends the answer, and nothing that was shown is taken back", async () => {
  const me = await sign_up(page, host.base);
  await ask(page, "A long answer, please");
  await streaming(page);
  const before_stop = await shown(answers(page).first());
  await page.click("#stop");
  await ended(page, "answer_stopped");
  const events = await shows_what_is_stored(me);
  assert.deepEqual(ends_of(events).map((e) => e.kind), ["answer_stopped"]);
  assert.ok(as_shown(events.at(-1).data.text).startsWith(before_stop.trim()));
  assert.equal(await page.locator("#stop").isVisible(), false);
  await page.reload();
  await ended(page, "answer_stopped");
});

test("a stopped answer is tried again by a button, beneath its question, and after a reload as well", async () => {
  const me = await sign_up(page, host.base);
  await ask(page, "Stopped at first");
  await streaming(page);
  await page.click("#stop");
  await ended(page, "answer_stopped");
  const again = page.getByRole("button", { name: "Try again" });
  await page.reload();
  await ended(page, "answer_stopped");
  await again.focus();
  await page.keyboard.press("Enter");
  await ended(page, "answer");
  assert.equal(await again.count(), 0, "it has its answer");
  assert.deepEqual(await answers(page).evaluateAll((all) => all.map((n) => n.dataset.state)), ["answer_stopped", "answer"]);
  const events = await shows_what_is_stored(me);
  assert.deepEqual(ends_of(events).map((e) => e.kind), ["answer_stopped", "answer"]);
  assert.equal(events.filter((e) => e.kind === "message").length, 1);
});

test("what is tried again while the server is down is tried once it is back, and the button speaks Korean", async () => {
  await context.close();
  context = await browser.newContext({ locale: "ko-KR" });
  page = watch(await context.newPage(), faults);
  const me = await sign_up(page, host.base);
  await ask(page, "Stopped, and the power fails");
  await streaming(page);
  await page.click("#stop");
  await ended(page, "answer_stopped");
  await host.kill();
  await page.waitForSelector('#link[data-state="waiting"]');
  await page.getByRole("button", { name: "다시 시도" }).click();
  await host.start();
  await ended(page, "answer");
  const events = await host.events(me, room_of(page));
  assert.deepEqual(ends_of(events).map((e) => e.kind), ["answer_stopped", "answer"]);
});

test("what is written is scheduled by keyboard, shown, and cancelled", async () => {
  const me = await sign_up(page, host.base);
  await ask(page, "first");
  await ended(page);
  await page.fill("#text", "a weekly question");
  await page.press("#text", "Shift+Tab");
  await page.focus("#open_later");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#later[open]");
  await page.selectOption("#repeat", "weekly");
  await page.selectOption("#weekday", "1");
  await page.fill("#hour", "09:00");
  await page.focus("#hour");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#later:not([open])", { state: "attached" });
  assert.equal(await page.inputValue("#text"), "");
  await until("the button counts it", async () => /1/.test(await page.textContent("#open_later")));
  const path = `rooms/${room_of(page)}/schedule`;
  const [kept] = (await host.call(path, await host.token(me))).scheduled;
  assert.equal(kept.text, "a weekly question");
  assert.equal(kept.cron, "0 9 * * 1");
  assert.equal(kept.zone, await page.evaluate(() => Intl.DateTimeFormat().resolvedOptions().timeZone));

  await page.reload();
  await until("the button counts it after a reload, too", async () => /1/.test(await page.textContent("#open_later")));
  await page.click("#open_later");
  await page.waitForSelector("#scheduled li");
  assert.match(await page.textContent("#scheduled li"), /every Monday at 09:00/);
  assert.equal(await page.locator("#schedule").isVisible(), false, "nothing is written: there is nothing to schedule");
  await page.getByRole("button", { name: "Cancel it" }).focus();
  await page.keyboard.press("Enter");
  await page.waitForSelector("#none_scheduled");
  await until("it is gone", async () => (await page.locator("#scheduled li").count()) === 0);
  await page.keyboard.press("Escape");
  await page.waitForSelector("#later:not([open])", { state: "attached" });
  assert.deepEqual((await host.call(path, await host.token(me))).scheduled, []);
});

test("a scheduled message comes by itself in a new room and is answered; a time that is over is refused in words", async () => {
  const me = await sign_up(page, host.base);
  await page.fill("#text", "good morning");
  await page.click("#open_later");
  await page.fill("#moment", "2020-01-01T09:00");
  await page.click("#keep");
  await until("it is refused", async () => /over/.test(await page.textContent("#later_error")));
  // A minute is the finest that the field knows; the one that has just begun is not over.
  await page.evaluate(() => {
    const now = new Date(Date.now() - new Date().getTimezoneOffset() * 60_000);
    document.getElementById("moment").value = now.toISOString().slice(0, 16);
  });
  await page.click("#keep");
  await page.waitForSelector("#later:not([open])", { state: "attached" });
  await ended(page);
  assert.match(await questions(page).first().textContent(), /Scheduled message/);
  const events = await shows_what_is_stored(me);
  assert.equal(events[0].data.text, "good morning");
  assert.ok(events[0].data.scheduled);
});

test("the dialog for later speaks Korean", async () => {
  await context.close();
  context = await browser.newContext({ locale: "ko-KR", timezoneId: "Asia/Seoul" });
  page = watch(await context.newPage(), faults);
  await sign_up(page, host.base);
  await page.fill("#text", "좋은 아침");
  await page.click("#open_later");
  await page.selectOption("#repeat", "weekdays");
  assert.match(await page.textContent("#later"), /예약하기/);
  assert.match(await page.textContent("#zone"), /Asia\/Seoul/);
  await page.click("#keep");
  await page.waitForSelector("#later:not([open])", { state: "attached" });
  await page.click("#open_later");
  await page.waitForSelector("#scheduled li");
  assert.match(await page.textContent("#scheduled li"), /평일 09:00/);
});

test("who reads further up is left there, and comes back by one button", async () => {
  await sign_up(page, host.base);
  await page.setViewportSize({ width: 800, height: 420 });
  await ask(page, "one");
  await ended(page);
  await ask(page, "two");
  await streaming(page);
  const from_end = () => page.evaluate(() => { const n = document.getElementById("log"); return n.scrollHeight - n.scrollTop - n.clientHeight; });
  await until("the newest is in sight", async () => (await from_end()) < 48);
  await page.hover("#log");
  await page.mouse.wheel(0, -400);
  await page.waitForSelector("#latest");
  await ended(page, "answer", 2);
  assert.ok((await from_end()) > 48);
  await page.click("#latest");
  await until("the newest is in sight", async () => (await from_end()) < 48);
  assert.equal(await page.locator("#latest").isVisible(), false);
});

test("a stale access token is renewed unseen, in two tabs at once", async () => {
  await sign_up(page, host.base);
  await ask(page, "Remember me");
  await ended(page);
  const other = watch(await context.newPage(), faults);
  await other.goto(page.url());
  await ended(other);
  await page.evaluate(() => {
    const session = JSON.parse(localStorage.getItem("maru.session"));
    localStorage.setItem("maru.session", JSON.stringify({ ...session, access: "stale" }));
  });
  await Promise.all([page.reload(), other.reload()]);
  for (const tab of [page, other]) {
    await online(tab);
    await ended(tab);
  }
});

test("who logs out in one tab is out in all of them", async () => {
  await sign_up(page, host.base);
  const other = watch(await context.newPage(), faults);
  await other.goto(host.base);
  await online(other);
  await page.click("#log_out");
  for (const tab of [page, other]) await tab.waitForSelector("#sign_in");
  await page.reload();
  await page.waitForSelector("#sign_in");
});

test("a room that is not mine is told as missing", async () => {
  await sign_up(page, host.base);
  await page.goto(`${host.base}/rooms/01900000-0000-7000-8000-000000000000`);
  await page.waitForSelector("#empty");
  assert.match(await page.textContent("#empty"), /no such room/);
});

test("it fits a desktop and a phone, in light and dark, in English and Korean", async () => {
  const folder = process.env.MARU_SCREENSHOTS ?? mkdtempSync(join(tmpdir(), "maru-screenshots-"));
  console.log(`screenshots: ${folder}`);
  await sign_up(page, host.base);
  await ask(page, "How wide is this?\n\n```c\nint main() { return a_rather_long_line_of_code_that_does_not_fit_on_a_phone(1, 2, 3, 4, 5, 6); }\n```");
  await ended(page);
  const state = await context.storageState();
  const url = page.url();
  const fits = (at) => at.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
  for (const [name, width, height, colorScheme, locale, touch] of [
    ["desktop", 1280, 800, "light", "en-GB", false], ["phone", 375, 740, "dark", "ko-KR", true]]) {
    const look = await browser.newContext({ storageState: state, viewport: { width, height }, colorScheme, locale, hasTouch: touch, isMobile: touch });
    const at = watch(await look.newPage(), faults);
    await at.goto(url);
    await at.fill("#text", `And on a ${name}?`);
    await at.click("#send");
    await streaming(at);
    await at.waitForSelector("#rooms a", { state: "attached" });
    await at.screenshot({ path: join(folder, `${name}_streaming.png`) });
    await at.waitForSelector('#log[aria-busy="false"]');
    await at.screenshot({ path: join(folder, `${name}.png`) });
    assert.equal(await fits(at), true, `${name}: nothing sticks out`);
    if (touch) {
      await at.tap("#menu");
      await at.waitForFunction(() => document.activeElement?.id === "close_panel");
      await at.screenshot({ path: join(folder, `${name}_rooms.png`), animations: "disabled" });
      await at.keyboard.press("Escape");
      await at.waitForFunction(() => document.activeElement?.id === "menu");
      assert.equal(await at.textContent("#send"), "보내기");
    }
    await look.close();
  }
  await page.click("#log_out");
  await page.waitForSelector("#sign_in");
  await page.screenshot({ path: join(folder, "door.png") });
});

const row = (at, room) => at.locator(`#rooms a[href="/rooms/${room}"]`);
const badge = (at, room) => row(at, room).locator(".badge");

test("what ends in a room that is not open is counted beside it, on every page, until somebody looks", async () => {
  await sign_up(page, host.base);
  const other = watch(await context.newPage(), faults);
  const rooms_path = /api\/v1\/rooms/;
  await Promise.all([other.waitForResponse((r) => rooms_path.test(r.url())), other.goto(host.base)]);
  await online(other);
  const asked = [];
  other.on("request", (r) => { if (rooms_path.test(r.url())) asked.push(r.url()); });

  await ask(page, "The first question");
  const first = room_of(page);
  await row(other, first).waitFor();
  await ended(page);
  await ask(page, "Another one, answered while nobody looks");
  await page.click("#new_room");
  await ask(page, "A second room");
  const second = room_of(page);
  await until("the page that asked shows the count", async () => (await badge(page, first).count()) === 1);
  await until("so does the other", async () => (await badge(other, first).count()) === 1);
  assert.equal(await badge(other, first).locator(".sr").textContent(), "1 unread");
  assert.equal(await badge(other, first).locator('[aria-hidden="true"]').textContent(), "1");
  assert.equal(await badge(other, second).count(), 0, "what is shown on one page is read on all");

  await row(other, first).focus();
  await row(page, first).click();
  await until("it is read here", async () => (await badge(page, first).count()) === 0);
  await until("and there", async () => (await badge(other, first).count()) === 0);
  assert.equal(await row(other, first).evaluate((n) => n === document.activeElement), true, "who stands on a room stays there");
  await ended(page, "answer", 2);
  assert.deepEqual(asked, [], "nothing was asked for again");
});

test("the room with the newest activity stands first, and its count is told in Korean", async () => {
  await context.close();
  context = await browser.newContext({ locale: "ko-KR" });
  page = watch(await context.newPage(), faults);
  const me = await sign_up(page, host.base);
  await ask(page, "first room");
  const first = room_of(page);
  await ended(page);
  await page.click("#new_room");
  await ask(page, "second room");
  const second = room_of(page);
  await ended(page);
  const order = () => page.locator("#rooms a").evaluateAll((all) => all.map((a) => a.pathname.split("/")[2]));
  await until("the newer room stands first", async () => (await order())[0] === second);
  await host.post(me, first, "from another program");
  await until("the older one has moved up", async () => (await order())[0] === first);
  await until("its answer is counted", async () => (await badge(page, first).count()) === 1);
  assert.equal(await badge(page, first).locator(".sr").textContent(), "읽지 않은 메시지 1개");
  await page.reload();
  await until("the list says the same", async () => (await badge(page, first).locator(".sr").allTextContents())[0] === "읽지 않은 메시지 1개");
});

test("every control has a name", async () => {
  await sign_up(page, host.base);
  await ask(page, "Anything");
  await streaming(page);
  const nameless = await page.evaluate(() => [...document.querySelectorAll("button, input, textarea, select, a, [role]")]
    .filter((n) => n.checkVisibility())
    .filter((n) => !(n.getAttribute("aria-label") || n.labels?.[0]?.textContent || n.textContent.trim() || n.getAttribute("role") === "status"
      || n.getAttribute("role") === "alert"))
    .map((n) => n.outerHTML));
  assert.deepEqual(nameless, []);
  assert.equal(await page.getAttribute("#log", "aria-live"), "off", "the text that streams is not read aloud");
});
