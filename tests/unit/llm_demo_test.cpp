#include "llm/demo.hpp"

#include <atomic>
#include <future>
#include <mutex>

#include "tests/support/catch.hpp"

using namespace maru::llm;

namespace {

struct answer {
  std::string text;
  std::size_t told = 0;
  outcome end;
};

answer ask(std::uint32_t delay_ms, const std::string& question, const std::string& prefix = "") {
  network on(1);
  maru::config::provider_settings o;
  o.kind = "demo";
  o.demo_delay_ms = delay_ms;
  answer a;
  std::promise<outcome> end;
  auto p = make_provider(o, on);
  auto c = p->start({"demo", {{role::user, question}}, prefix, 0},
                    {[&](const std::vector<std::string>& some) {
                       ++a.told;
                       for (const auto& s : some)
                         a.text += s;
                     },
                     [&](outcome how) { end.set_value(std::move(how)); }});
  a.end = end.get_future().get();
  return a;
}

std::string joined(const std::vector<std::string>& pieces) {
  std::string all;
  for (const auto& p : pieces)
    all += p;
  return all;
}

} // namespace

TEST_CASE("the demo answers with Markdown that follows from the question") {
  auto text = demo_answer("How are you?\nFine.");
  CHECK(text.find("> How are you?") != text.npos);
  CHECK(text.find("- characters: **18**") != text.npos);
  CHECK(text.find("- words: **4**") != text.npos);
  CHECK(text.find("- lines: **2**") != text.npos);
  CHECK(text.find("```json\n{") != text.npos);
  CHECK(text == demo_answer("How are you?\nFine."));
}

TEST_CASE("the demo answers in Korean, Japanese and Chinese, and counts characters, not bytes") {
  CHECK(demo_answer("안녕하세요?").find("- 글자 수: **6**") != std::string::npos);
  CHECK(demo_answer("こんにちは").find("- 文字数: **5**") != std::string::npos);
  CHECK(demo_answer("漢字とかな").find("- 文字数: **5**") != std::string::npos);
  CHECK(demo_answer("你好吗").find("- 字符数: **3**") != std::string::npos);
}

TEST_CASE("the demo's pieces are whole characters and make up the answer") {
  for (const std::string question : {"hello there", "안녕하세요 여러분", "日本語です", "", "\n\n", "😀😀"}) {
    auto text = demo_answer(question);
    auto pieces = demo_pieces(text);
    CHECK(joined(pieces) == text);
    CHECK(pieces.size() > 10);
    for (const auto& p : pieces) {
      CHECK_FALSE(p.empty());
      CHECK((static_cast<unsigned char>(p[0]) & 0xc0U) != 0x80U);
    }
  }
}

TEST_CASE("a long question is quoted in part, at a character") {
  std::string question;
  for (int i = 0; i < 1000; ++i)
    question += "가";
  auto text = demo_answer(question);
  CHECK(text.size() < 1500);
  CHECK(text.find("가 …\n") != text.npos);
}

TEST_CASE("the demo streams piece by piece, or all at once without delay") {
  auto slow = ask(1, "hello");
  CHECK(slow.text == demo_answer("hello"));
  CHECK(slow.told == demo_pieces(slow.text).size());
  CHECK(slow.end.what == fault::none);
  CHECK(slow.end.finish == "stop");
  CHECK(slow.end.usage.estimated);
  CHECK(slow.end.usage.completion_tokens > 0);
  auto fast = ask(0, "hello");
  CHECK(fast.text == slow.text);
  CHECK(fast.told == 1);
}

TEST_CASE("the demo goes on from a partial answer, and from a whole one ends at once") {
  auto whole = demo_answer("hello");
  CHECK(ask(0, "hello", whole.substr(0, 40)).text == whole.substr(40));
  auto nothing_left = ask(0, "hello", whole);
  CHECK(nothing_left.told == 0);
  CHECK(nothing_left.end.finish == "stop");
}

TEST_CASE("a cancelled demo tells nothing more") {
  network on(1);
  maru::config::provider_settings o;
  o.kind = "demo";
  o.demo_delay_ms = 1;
  auto p = make_provider(o, on);
  std::promise<void> first;
  std::atomic<int> told{0};
  std::atomic<bool> ended{false};
  auto c = p->start({"demo", {{role::user, "q"}}, "", 0}, {[&](const std::vector<std::string>&) {
                                                             if (++told == 1) first.set_value();
                                                           },
                                                           [&](const outcome&) { ended = true; }});
  first.get_future().get();
  c->cancel();
  // Another call on the same thread, slower than the rest of the first would be.
  std::promise<void> over;
  auto before = told.load();
  auto other = p->start({"demo", {{role::user, "q"}}, "", 0},
                        {[](const std::vector<std::string>&) {}, [&](const outcome&) { over.set_value(); }});
  over.get_future().get();
  CHECK(told <= before + 1);
  CHECK_FALSE(ended);
}
