#include "llm/chat_chunk.hpp"

#include "config/limits.hpp"
#include "tests/support/catch.hpp"

using maru::llm::error_word_of;
using maru::llm::parse_chat_chunk;

TEST_CASE("a piece of text is read from its chunk, with the model") {
  auto c = parse_chat_chunk(
      R"({"id":"x","object":"chat.completion.chunk","model":"m-1","choices":[{"index":0,"delta":{"role":"assistant","content":"안녕 \"you\"\n"},"finish_reason":null,"logprobs":{"content":[{"token":"no","content":"no"}]}}],"usage":null})");
  CHECK(c.text == "안녕 \"you\"\n");
  CHECK(c.model == "m-1");
  CHECK(c.finish.empty());
  CHECK_FALSE(c.error);
  CHECK_FALSE(c.garbage);
  CHECK_FALSE(c.tokens);
}

TEST_CASE("chunks without text are no fault") {
  for (auto data :
       {R"({"choices":[]})", R"({"choices":null})", R"({"choices":[{"delta":{"content":null}}]})",
        R"({"choices":[{"delta":{"role":"assistant"}}]})", R"({"choices":[{"delta":null}]})", R"({})",
        R"({"choices":[{}]})", R"({"choices":[null]})", R"({"choices":{"delta":{"content":"x"}}})",
        R"({"choices":[{"delta":{"content":["x"]}}]})", R"({"error":null,"choices":[]})"}) {
    INFO(data);
    auto c = parse_chat_chunk(data);
    CHECK(c.text.empty());
    CHECK_FALSE(c.garbage);
    CHECK_FALSE(c.error);
  }
}

TEST_CASE("only the first choice is listened to") {
  auto c = parse_chat_chunk(
      R"({"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"},"finish_reason":"stop"}]})");
  CHECK(c.text == "a");
  CHECK(c.finish.empty());
}

TEST_CASE("finish reason and usage are read; a strange finish reason becomes a plain word") {
  auto c = parse_chat_chunk(
      R"({"choices":[{"delta":{},"finish_reason":"length"}],"usage":{"prompt_tokens":12,"completion_tokens":34,"prompt_tokens_details":{"prompt_tokens":99}}})");
  CHECK(c.finish == "length");
  REQUIRE(c.tokens);
  CHECK(c.tokens->prompt_tokens == 12);
  CHECK(c.tokens->completion_tokens == 34);
  CHECK_FALSE(c.tokens->estimated);
  CHECK(parse_chat_chunk(R"({"choices":[{"finish_reason":"<b>oh</b>"}]})").finish == "other");
}

TEST_CASE("reasoning is noticed and not shown") {
  auto c = parse_chat_chunk(R"({"choices":[{"delta":{"reasoning_content":"hm"}}]})");
  CHECK(c.thinking);
  CHECK(c.text.empty());
}

TEST_CASE("errors inside the stream are recognised in the forms that servers use") {
  auto c =
      parse_chat_chunk(R"({"error":{"message":"secret text","type":"server_error","code":"overloaded"}})");
  CHECK(c.error);
  CHECK(c.error_word == "overloaded");
  CHECK(parse_chat_chunk(R"({"error":{"type":"server_error","code":null}})").error_word == "server_error");
  CHECK(parse_chat_chunk(R"({"error":{"code":503}})").error_word == "503");
  CHECK(parse_chat_chunk(R"({"error":"boom"})").error);
  CHECK(parse_chat_chunk(R"({"object":"error","message":"boom","code":400})").error_word == "400");
}

TEST_CASE("an error's word never carries free text") {
  CHECK(error_word_of(R"({"error":{"code":"your key sk-123 is wrong","type":"invalid_request_error"}})") ==
        "invalid_request_error");
  CHECK(error_word_of(R"({"error":{"code":"line\nbreak"}})").empty());
  CHECK(error_word_of(R"({"error":{"code":")" + std::string(maru::limits::provider_word_chars + 1, 'x') +
                      R"("}})")
            .empty());
  CHECK(error_word_of("<html>").empty());
}

TEST_CASE("what is no JSON object is garbage") {
  for (auto data :
       {"", "x", "[1]", "\"s\"", "{", R"({"a":)", R"({"choices":[{"delta":{"content":"a"}}]} tail)"}) {
    INFO(data);
    CHECK(parse_chat_chunk(data).garbage);
  }
}

TEST_CASE("bytes that are no UTF-8, lone surrogates and NUL become replacement characters") {
  auto text = [](std::string_view content) {
    auto c = parse_chat_chunk(R"({"choices":[{"delta":{"content":")" + std::string(content) + R"("}}]})");
    return c.garbage ? std::string("garbage") : c.text;
  };
  CHECK(text("a\xff z") == "a\xef\xbf\xbd z");
  CHECK(text("\xea\xb0") == "\xef\xbf\xbd\xef\xbf\xbd");
  CHECK(text("\\ud83d") == "\xef\xbf\xbd");
  CHECK(text("\\ude00 x") == "\xef\xbf\xbd x");
  CHECK(text("\\ud83d\\ud83d\\ude00") == "\xef\xbf\xbd\xf0\x9f\x98\x80");
  CHECK(text("\\\\ud83d\\ud83d") == "\\ud83d\xef\xbf\xbd");
  CHECK(text("\\ud83d\\ude00") == "\xf0\x9f\x98\x80");
  CHECK(text("a\\u0000b") == "a\xef\xbf\xbd"
                             "b");
}

TEST_CASE("deep nesting is passed over") {
  std::string deep = R"({"x":)" + std::string(20'000, '[') + std::string(20'000, ']') +
                     R"(,"choices":[{"delta":{"content":"ok"}}]})";
  CHECK(parse_chat_chunk(deep).text == "ok");
}
