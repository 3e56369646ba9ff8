// The openai provider against a real server on the loopback that answers well.

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "tests/support/model_call.hpp"
#include "tests/support/tls_front.hpp"

using namespace maru::llm;
using namespace maru::test;

TEST_CASE("an answer comes piece by piece and whole, with usage and model") {
  fake_model fake(20, 1);
  network on(2);
  told t;
  auto p = make_provider(at(fake.url()), on);
  auto c = p->start(ask("안녕?"), t.take());
  auto end = t.end();
  CHECK(end.what == fault::none);
  CHECK(end.finish == "stop");
  CHECK(end.model == "fake-model");
  CHECK(end.http_status == 200);
  CHECK_FALSE(end.usage.estimated);
  CHECK(end.usage.prompt_tokens == 7);
  CHECK(end.usage.completion_tokens == 20);
  CHECK(t.text() == expected_answer("안녕?", 20));
  CHECK(t.pieces() == 20);
}

TEST_CASE("the request says what the contract of Chat Completions wants") {
  fake_model fake(1, 0);
  network on(1);
  auto options = at(fake.url() + "/");
  options.api_key = "sk-test";
  auto p = make_provider(options, on);
  told t;
  auto c = p->start({"m", {{role::system, "be kind"}, {role::user, "a\xff\"b"}}, "", 55}, t.take());
  t.end();
  auto seen = fake.requests().at(0);
  CHECK(seen.method == "POST");
  CHECK(seen.target == "/v1/chat/completions");
  CHECK(seen.headers["authorization"] == "Bearer sk-test");
  CHECK(seen.headers["host"] == "127.0.0.1:" + std::to_string(fake.port()));
  CHECK(seen.body["model"] == "m");
  CHECK(seen.body["stream"] == true);
  CHECK(seen.body["stream_options"]["include_usage"] == true);
  CHECK(seen.body["max_tokens"] == 55);
  CHECK(seen.body["messages"].size() == 2);
  CHECK(seen.body["messages"][0]["role"] == "system");
  CHECK(seen.body["messages"][1]["content"] == "a\xef\xbf\xbd\"b");
  CHECK_FALSE(seen.body.contains("continue_final_message"));
}

TEST_CASE("without a key no authorization is sent, without a bound no max_tokens") {
  fake_model fake(1, 0);
  network on(1);
  told t;
  auto c = make_provider(at(fake.url()), on)->start(ask("q"), t.take());
  t.end();
  auto seen = fake.requests().at(0);
  CHECK(seen.headers.count("authorization") == 0);
  CHECK_FALSE(seen.body.contains("max_tokens"));
}

TEST_CASE("a partial answer goes along as the last message and the answer goes on from it") {
  fake_model fake(10, 0);
  network on(1);
  told t;
  auto whole = expected_answer("q", 10);
  auto r = ask("q");
  r.prefix = whole.substr(0, 13);
  auto c = make_provider(at(fake.url()), on)->start(r, t.take());
  CHECK(t.end().what == fault::none);
  CHECK(r.prefix + t.text() == whole);
  auto seen = fake.requests().at(0);
  CHECK(seen.body["messages"][1]["role"] == "assistant");
  CHECK(seen.body["messages"][1]["content"] == r.prefix);
  CHECK(seen.body["continue_final_message"] == true);
  CHECK(seen.body["add_generation_prompt"] == false);
}

TEST_CASE("pieces that come together are told together") {
  fake_model fake(100, 0);
  network on(1);
  told t;
  auto c = make_provider(at(fake.url()), on)->start(ask("q"), t.take());
  t.end();
  CHECK(t.pieces() == 100);
  CHECK(t.reads() < 50);
}

TEST_CASE("bytes may be cut anywhere on their way, chunked or not") {
  auto all =
      role_chunk() + text_chunk("가\xf0\x9f\x98\x80\n") + text_chunk("b") + finish_chunk() + done_event();
  for (bool chunked : {true, false}) {
    std::vector<fake_step> steps;
    for (char c : all)
      steps.push_back({steps.size() % 16 == 15 ? 1U : 0U, std::string(1, c)});
    auto script = says(steps);
    script.chunked = chunked;
    fake_model fake(always(script));
    network on(1);
    told t;
    auto c = make_provider(at(fake.url()), on)->start(ask("q"), t.take());
    auto end = t.end();
    CHECK(end.what == fault::none);
    CHECK(end.usage.estimated);
    CHECK(end.usage.completion_tokens > 0);
    CHECK(t.text() == "가\xf0\x9f\x98\x80\nb");
  }
}

TEST_CASE("cancel closes the stream at once and nothing more is told") {
  fake_model fake(1'000'000, 1);
  network on(2);
  told t;
  auto c = make_provider(at(fake.url()), on)->start(ask("q"), t.take());
  t.wait_for_pieces(3);
  SECTION("by cancel") { c->cancel(); }
  SECTION("by destruction") { c.reset(); }
  CHECK(fake.wait([](const fake_counts& n) { return n.closed_early == 1 && n.open == 0; }));
  CHECK_FALSE(t.ended());
}

TEST_CASE("a call may be cancelled and destroyed from inside its own events") {
  fake_model fake(1'000'000, 1);
  network on(1);
  auto p = make_provider(at(fake.url()), on);
  std::mutex mutex;
  std::unique_ptr<call> c;
  std::atomic<int> after{0};
  {
    std::lock_guard lock(mutex);
    c = p->start(ask("q"), {[&](const std::vector<std::string>&) {
                              std::lock_guard inside(mutex);
                              c.reset();
                              ++after;
                            },
                            [&](const outcome&) { after += 100; }});
  }
  CHECK(fake.wait([](const fake_counts& n) { return n.closed_early == 1; }));
  CHECK(after == 1);
}

TEST_CASE("no event begins after cancel returned, whatever the moment") {
  fake_model fake(200, 0);
  network on(2);
  auto p = make_provider(at(fake.url()), on);
  for (int i = 0; i < 200; ++i) {
    struct watch {
      std::atomic<int> begun{0};
      std::atomic<bool> cancelled{false};
      std::atomic<int> late{0};
    };
    auto w = std::make_shared<watch>();
    auto mark = [w] {
      // One event may have begun just before; a second may not.
      if (w->cancelled) ++w->late;
      ++w->begun;
    };
    auto c = p->start(
        ask("q"), {[mark](const std::vector<std::string>&) { mark(); }, [mark](const outcome&) { mark(); }});
    for (int spin = 0; spin < i * 50 && w->begun == 0; ++spin)
      std::this_thread::yield();
    c->cancel();
    w->cancelled = true;
    c.reset();
    CHECK(w->late <= 1);
  }
}

TEST_CASE("a connection is used again after an answer, and no more are kept than allowed") {
  fake_model fake(3, 0);
  network on(2);
  auto options = at(fake.url());
  options.pool = 2;
  auto p = make_provider(options, on);
  for (int i = 0; i < 5; ++i) {
    told t;
    auto c = p->start(ask("q"), t.take());
    CHECK(t.end().what == fault::none);
    c.reset(); // the end was told: this does not close the connection
    // The reply's last bytes may come after [DONE].
    CHECK(fake.wait([&](const fake_counts& n) { return n.finished == static_cast<std::uint64_t>(i) + 1; }));
  }
  CHECK(fake.counts().requests == 5);
  CHECK(fake.counts().connections <= 2);

  std::vector<std::unique_ptr<told>> many;
  std::vector<std::unique_ptr<call>> calls;
  for (int i = 0; i < 8; ++i) {
    many.push_back(std::make_unique<told>());
    calls.push_back(p->start(ask("q"), many.back()->take()));
  }
  for (auto& t : many)
    t->end();
  CHECK(fake.wait([](const fake_counts& n) { return n.finished == 13 && n.open <= 2; }));
}

TEST_CASE("a kept connection that the server closes at the next request is replaced without a fault") {
  fake_model fake([](const fake_request& r) {
    if (r.on_connection == 0) return answers(3, 0)(r);
    fake_script cut;
    cut.raw = true;
    cut.end = r.number % 2 == 0 ? fake_end::cut : fake_end::reset;
    return cut;
  });
  network on(1);
  auto p = make_provider(at(fake.url()), on);
  for (int i = 0; i < 4; ++i) {
    told t;
    auto c = p->start(ask("q"), t.take());
    auto end = t.end();
    CHECK(end.what == fault::none);
    CHECK(t.text() == expected_answer("q", 3));
  }
  CHECK(fake.counts().requests > 4); // some of them met a closed connection
}

TEST_CASE("kept connections that died with their server are not used") {
  network on(1);
  std::uint16_t port = 0;
  std::shared_ptr<provider> p;
  auto answered = [&] {
    told t;
    auto c = p->start(ask("q"), t.take());
    return t.end().what == fault::none;
  };
  {
    fake_model first(3, 0);
    port = first.port();
    p = make_provider(at(first.url()), on);
    CHECK(answered());
  }
  fake_model second(3, 0, port);
  CHECK(answered());
}

TEST_CASE("an interim reply is passed over") {
  fake_script s;
  s.raw = true;
  s.steps = {{0, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"},
             {10, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"},
             {0, text_chunk("a") + finish_chunk() + done_event()}};
  CHECK(one_call(s).what == fault::none);
}

TEST_CASE("TLS is accepted with the right certificate and name") {
  fake_model fake(5, 0);
  for (const std::string name : {"localhost", "127.0.0.1"}) {
    tls_front front(fake.port(), name);
    auto options = at("https://" + name + ":" + std::to_string(front.port()) + "/v1");
    options.ca_file = front.ca_file();
    network on(1);
    auto p = make_provider(options, on);
    for (int i = 0; i < 2; ++i) {
      told t;
      auto c = p->start(ask("q"), t.take());
      auto end = t.end();
      INFO(end.detail);
      CHECK(end.what == fault::none);
      CHECK(t.text() == expected_answer("q", 5));
    }
  }
}

TEST_CASE("TLS is refused without the certificate, and with it for another name") {
  fake_model fake(5, 0);
  tls_front front(fake.port(), "elsewhere.example");
  auto options = at("https://localhost:" + std::to_string(front.port()) + "/v1");
  auto unknown = one_call(options);
  CHECK(unknown.what == fault::unreachable);
  CHECK(unknown.detail.substr(0, 4) == "tls:");
  options.ca_file = front.ca_file();
  auto wrong_name = one_call(options);
  CHECK(wrong_name.what == fault::unreachable);
  CHECK(wrong_name.detail.substr(0, 4) == "tls:");
  CHECK(fake.counts().requests == 0);
}

TEST_CASE("many calls at once on several threads each get their own answer") {
  fake_model fake(20, 1);
  network on(3);
  auto p = make_provider(at(fake.url()), on);
  std::vector<std::unique_ptr<told>> many;
  std::vector<std::unique_ptr<call>> calls;
  for (int i = 0; i < 200; ++i) {
    many.push_back(std::make_unique<told>());
    calls.push_back(p->start(ask("q" + std::to_string(i)), many.back()->take()));
  }
  for (int i = 0; i < 200; ++i) {
    auto& t = *many[static_cast<std::size_t>(i)];
    CHECK(t.end().what == fault::none);
    CHECK(t.text() == expected_answer("q" + std::to_string(i), 20));
  }
}

TEST_CASE("the network goes while calls are under way, and calls and providers may outlive it") {
  fake_model fake(1'000'000, 1);
  told t;
  told late;
  std::shared_ptr<provider> p;
  std::unique_ptr<call> c;
  std::unique_ptr<call> started_late;
  {
    network on(2);
    p = make_provider(at(fake.url()), on);
    c = p->start(ask("q"), t.take());
    t.wait_for_pieces(1);
  }
  CHECK(fake.wait([](const fake_counts& n) { return n.closed_early == 1; }));
  started_late = p->start(ask("q"), late.take());
  c.reset();
  p.reset();
  CHECK_FALSE(late.ended());
}

TEST_CASE("settings that cannot work are refused with their field") {
  network on(1);
  auto refused = [&](maru::config::provider_settings o) -> std::string {
    try {
      make_provider(o, on);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "";
  };
  auto starts = [](const std::string& s, const std::string& with) {
    return s.substr(0, with.size()) == with;
  };
  CHECK(starts(refused(at("ftp://x")), "provider.url:"));
  auto o = at("http://x");
  o.api_key = "a\r\nEvil: yes";
  CHECK(starts(refused(o), "provider.api_key:"));
  CHECK(refused(o).find("Evil") == std::string::npos);
  o = at("https://x");
  o.ca_file = "/does/not/exist";
  CHECK(starts(refused(o), "provider.ca_file:"));
  o = at("http://x");
  o.kind = "magic";
  CHECK(starts(refused(o), "provider.kind:"));
  CHECK(refused(at("http://x")).empty());
}
