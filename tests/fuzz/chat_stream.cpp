#include "llm/chat_stream.hpp"

#include <memory>

#include "tests/fuzz/input.hpp"

// A whole reply of a provider: it ends once, its text is text, and where the network cut it changes nothing.
namespace maru::fuzz {
namespace {

struct told {
  std::string text;
  llm::outcome how;
  int ends = 0;
};

struct reply {
  llm::wire::head head;
  llm::wire::end end = llm::wire::end::complete;
};

told run(const reply& what, const std::vector<std::string>& pieces) {
  told out;
  llm::events events;
  events.pieces = [&](const std::vector<std::string>& some) {
    holds(out.ends == 0, "nothing follows the end");
    holds(!some.empty(), "pieces are some");
    for (const auto& one : some) {
      holds(!one.empty() && is_text(one), "a piece is text");
      out.text += one;
    }
  };
  events.ended = [&](llm::outcome how) {
    ++out.ends;
    out.how = std::move(how);
  };
  using llm::wire::verdict;
  const auto goes_on = [](verdict v) { return v != verdict::close && v != verdict::settle; };
  const auto stream = std::make_shared<llm::chat_stream>(std::make_shared<llm::gate>(events), 10, 0);
  bool more = what.end != llm::wire::end::unreachable ? goes_on(stream->on_head(what.head)) : true;
  for (auto piece : pieces) {
    if (!more || what.end == llm::wire::end::unreachable) break;
    if (piece.empty()) continue;
    more = goes_on(stream->on_body(piece));
    piece.assign(piece.size(), '#');
  }
  if (more) stream->on_end(what.end, "by the network");
  return out;
}

void check_end(const told& got) {
  holds(got.ends == 1, "there is one end");
  holds((got.how.what == llm::fault::none) == !got.how.finish.empty(), "a whole answer has a finish reason");
  holds(got.how.finish == llm::safe_word(got.how.finish), "which is a word");
  holds(!has_controls(got.how.detail) && got.how.detail.size() < 200, "the detail is fit for a log");
  holds(got.text.size() <= limits::answer_text_bytes, "an answer is bounded");
  holds(got.how.retry_after.count() >= 0 &&
            got.how.retry_after.count() <= limits::provider_retry_after_most_ms,
        "the wait is bounded");
}

} // namespace

void one_input(std::string_view bytes) {
  parts in{bytes};
  reply what;
  constexpr int statuses[] = {200, 200, 200, 200, 429, 500, 404, 204};
  what.head.status = statuses[in.byte() % std::size(statuses)];
  what.end = static_cast<llm::wire::end>(in.byte() % 5);
  std::vector<std::size_t> cuts{in.up_to(bytes.size()), in.up_to(bytes.size())};
  what.head.content_type = in.line();
  what.head.retry_after = in.line();
  const auto body = in.rest();
  const auto whole = run(what, {std::string{body}});
  check_end(whole);
  const auto cut = run(what, in_pieces(body, cuts));
  check_end(cut);
  holds(cut.text == whole.text, "cuts change no text");
  holds(cut.how.what == whole.how.what && cut.how.finish == whole.how.finish, "nor the end");
  holds(cut.how.model == whole.how.model && cut.how.detail == whole.how.detail, "nor what is told of it");
  holds(cut.how.usage.completion_tokens == whole.how.usage.completion_tokens, "nor its cost");
}

} // namespace maru::fuzz
