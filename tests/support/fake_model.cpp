#include "tests/support/fake_model.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <queue>
#include <stdexcept>
#include <thread>
#include <unordered_map>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace maru::test {
namespace {

using json = nlohmann::json;

std::int64_t now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

std::array<char, 4> hash4(std::string_view text) {
  std::uint32_t h = 2'166'136'261U;
  for (unsigned char c : text)
    h = (h ^ c) * 16'777'619U;
  h ^= h >> 16U;
  std::array<char, 4> out{};
  for (std::size_t i = 0; i < 4; ++i)
    out[i] = "0123456789abcdef"[(h >> (4 * i)) & 15U];
  return out;
}

constexpr std::string_view chunk_head =
    R"(data: {"id":"chatcmpl-fake","object":"chat.completion.chunk","created":1,"model":"fake-model","choices":[{"index":0,"delta":)";

std::string quoted(std::string_view text) {
  return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

void append_chunked(std::string& out, std::string_view bytes) {
  std::array<char, 16> size{};
  auto end = std::to_chars(size.data(), size.data() + size.size(), bytes.size(), 16).ptr;
  out.append(size.data(), end).append("\r\n").append(bytes).append("\r\n");
}

// The pieces of an answer after the part that the request already holds.
class answer_steps {
public:
  answer_steps(const fake_request& request, std::size_t pieces, std::uint32_t delay_ms)
      : hash_(hash4(request.question())), pieces_(pieces), delay_(delay_ms), skip_(request.prefix().size()) {}

  bool operator()(std::size_t, fake_step& step) {
    step.delay_ms = next_ == 0 ? 0 : delay_;
    while (next_ < pieces_) {
      auto piece = std::string(hash_.data(), hash_.size()) + std::to_string(next_++) + " ";
      if (skip_ >= piece.size()) {
        skip_ -= piece.size();
        continue;
      }
      piece.erase(0, std::exchange(skip_, 0));
      step.bytes = text_chunk(piece);
      return true;
    }
    if (std::exchange(ended_, true)) return false;
    step.delay_ms = 0;
    step.bytes = finish_chunk() + usage_chunk(7, pieces_) + done_event();
    return true;
  }

private:
  std::array<char, 4> hash_;
  std::size_t pieces_;
  std::uint32_t delay_;
  std::size_t skip_;
  std::size_t next_ = 0;
  bool ended_ = false;
};

} // namespace

std::string fake_request::question() const {
  if (!body.is_object() || !body.contains("messages")) return {};
  const auto& messages = body["messages"];
  for (auto m = messages.rbegin(); m != messages.rend(); ++m)
    if (m->value("role", "") == "user") return m->value("content", "");
  return {};
}

std::string fake_request::prefix() const {
  if (!body.is_object() || !body.contains("messages") || body["messages"].empty()) return {};
  const auto& last = body["messages"].back();
  return last.value("role", "") == "assistant" ? last.value("content", "") : "";
}

fake_behaviour answers(std::size_t pieces, std::uint32_t delay_ms) {
  return [=](const fake_request& request) {
    fake_script script;
    script.generate = answer_steps(request, pieces, delay_ms);
    return script;
  };
}

std::string expected_piece(std::string_view question, std::size_t index) {
  auto hash = hash4(question);
  return std::string(hash.data(), hash.size()) + std::to_string(index) + " ";
}

std::string expected_answer(std::string_view question, std::size_t pieces) {
  std::string all;
  for (std::size_t i = 0; i < pieces; ++i)
    all += expected_piece(question, i);
  return all;
}

std::string sse_data(std::string_view data) { return "data: " + std::string(data) + "\n\n"; }

std::string role_chunk() {
  return std::string(chunk_head) + R"({"role":"assistant","content":""},"finish_reason":null}]})" + "\n\n";
}

std::string text_chunk(std::string_view text) {
  auto plain = std::all_of(text.begin(), text.end(),
                           [](char c) { return c >= ' ' && c < 0x7f && c != '"' && c != '\\'; });
  std::string out(chunk_head);
  out.append(R"({"content":)").append(plain ? "\"" + std::string(text) + "\"" : quoted(text));
  out += "},\"finish_reason\":null}]}\n\n";
  return out;
}

std::string finish_chunk(std::string_view reason) {
  return std::string(chunk_head) + "{},\"finish_reason\":" + quoted(reason) + "}]}\n\n";
}

std::string usage_chunk(std::uint64_t prompt, std::uint64_t completion) {
  json chunk{{"object", "chat.completion.chunk"},
             {"model", "fake-model"},
             {"choices", json::array()},
             {"usage",
              {{"prompt_tokens", prompt},
               {"completion_tokens", completion},
               {"total_tokens", prompt + completion}}}};
  return sse_data(chunk.dump());
}

std::string done_event() { return "data: [DONE]\n\n"; }

namespace {

struct peer {
  int fd = -1;
  std::uint64_t id = 0;
  std::string in;
  std::string out;
  std::size_t sent = 0;
  std::uint64_t served = 0;
  bool replying = false;
  bool waiting_to_write = false;
  bool close_after = false;
  fake_script script;
  std::size_t next = 0;
  bool held = false; // `step` was taken from the script and waits for its time
  bool ripe = false; // its time has come
  fake_step step;
  bool last = false; // nothing but the end is left
};

struct due {
  std::int64_t at;
  std::uint64_t peer;
  friend bool operator>(const due& a, const due& b) { return a.at > b.at; }
};

bool parse_head(std::string_view head, fake_request& request) {
  auto line = head.substr(0, head.find("\r\n"));
  auto first = line.find(' ');
  auto second = line.find(' ', first + 1);
  if (first == line.npos || second == line.npos) return false;
  request.method = line.substr(0, first);
  request.target = line.substr(first + 1, second - first - 1);
  head.remove_prefix(std::min(line.size() + 2, head.size()));
  while (!head.empty()) {
    line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(std::min(line.size() + 2, head.size()));
    auto colon = line.find(':');
    if (colon == line.npos) continue;
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
    auto value = line.substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    request.headers[name] = value;
  }
  return true;
}

} // namespace

struct fake_model::impl {
  impl(fake_behaviour what, std::uint16_t port) : behaviour(std::move(what)) {
    open_listener(port);
    epoll = ::epoll_create1(EPOLL_CLOEXEC);
    wake = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    watch(listener, EPOLLIN, 0, EPOLL_CTL_ADD);
    watch(wake, EPOLLIN, 1, EPOLL_CTL_ADD);
    thread = std::thread([this] { run(); });
  }

  ~impl() {
    stop = true;
    std::uint64_t one = 1;
    [[maybe_unused]] auto n = ::write(wake, &one, sizeof one);
    thread.join();
    for (auto& [id, p] : peers)
      ::close(p->fd);
    ::close(listener);
    ::close(wake);
    ::close(epoll);
  }

  void open_listener(std::uint16_t wanted) {
    listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(wanted);
    socklen_t size = sizeof at;
    if (::bind(listener, reinterpret_cast<sockaddr*>(&at), size) != 0 || ::listen(listener, 4096) != 0)
      throw std::runtime_error("fake_model: cannot listen");
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&at), &size);
    port = ntohs(at.sin_port);
  }

  void watch(int fd, std::uint32_t what, std::uint64_t id, int how) const {
    epoll_event event{};
    event.events = what;
    event.data.u64 = id;
    ::epoll_ctl(epoll, how, fd, &event);
  }

  void run() {
    std::array<epoll_event, 256> events{};
    while (!stop) {
      auto n = ::epoll_wait(epoll, events.data(), events.size(), timeout());
      for (int i = 0; i < n; ++i)
        handle(events[static_cast<std::size_t>(i)]);
      auto now = now_ms();
      while (!timers.empty() && timers.top().at <= now) {
        auto id = timers.top().peer;
        timers.pop();
        if (auto p = find(id)) {
          p->ripe = true;
          play(*p);
        }
      }
      publish();
    }
  }

  int timeout() const {
    if (timers.empty()) return -1;
    return static_cast<int>(std::max<std::int64_t>(timers.top().at - now_ms(), 0));
  }

  peer* find(std::uint64_t id) {
    auto at = peers.find(id);
    return at == peers.end() ? nullptr : at->second.get();
  }

  void handle(const epoll_event& event) {
    if (event.data.u64 == 0) return accept_all();
    auto p = find(event.data.u64);
    if (!p) return;
    if ((event.events & EPOLLOUT) != 0 && p->waiting_to_write && flush(*p)) {
      if (p->close_after) return drop(*p);
      play(*p);
    }
    p = find(event.data.u64);
    if (p && (event.events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0) receive(*p);
  }

  void accept_all() {
    for (;;) {
      int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      auto p = std::make_unique<peer>();
      p->fd = fd;
      p->id = ++last_id;
      watch(fd, EPOLLIN | EPOLLRDHUP, p->id, EPOLL_CTL_ADD);
      peers.emplace(p->id, std::move(p));
      ++mine.connections;
    }
  }

  void drop(peer& p, bool reset = false) {
    if (reset) {
      linger hard{1, 0};
      ::setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    }
    ::close(p.fd);
    peers.erase(p.id);
  }

  void receive(peer& p) {
    std::array<char, 16'384> buffer;
    for (;;) {
      auto n = ::recv(p.fd, buffer.data(), buffer.size(), 0);
      if (n > 0) {
        p.in.append(buffer.data(), static_cast<std::size_t>(n));
        if (static_cast<std::size_t>(n) == buffer.size()) continue;
        return serve(p);
      }
      if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return serve(p);
      mine.closed_early += p.replying ? 1 : 0;
      return drop(p);
    }
  }

  void serve(peer& p) {
    if (p.replying) return;
    auto head_end = p.in.find("\r\n\r\n");
    if (head_end == p.in.npos) return;
    fake_request request;
    if (!parse_head(std::string_view(p.in).substr(0, head_end), request)) return drop(p);
    std::size_t length = 0;
    if (auto at = request.headers.find("content-length"); at != request.headers.end())
      std::from_chars(at->second.data(), at->second.data() + at->second.size(), length);
    if (p.in.size() < head_end + 4 + length) return;
    auto body = std::string_view(p.in).substr(head_end + 4, length);
    request.body = json::parse(body.begin(), body.end(), nullptr, false);
    if (request.body.is_discarded()) request.body = nullptr;
    p.in.erase(0, head_end + 4 + length);
    reply(p, request);
  }

  void reply(peer& p, fake_request& request) {
    request.number = mine.requests++;
    request.on_connection = p.served++;
    fake_behaviour ask;
    {
      std::lock_guard lock(mutex);
      ask = behaviour;
      kept.push_back(request);
      if (kept.size() > 100) kept.pop_front();
    }
    p.script = ask(request);
    p.replying = true;
    p.next = 0;
    p.last = p.held = false;
    if (!p.script.raw) {
      p.out += "HTTP/1.1 " + std::to_string(p.script.status) + " Fake\r\n";
      for (const auto& header : p.script.headers)
        p.out.append(header).append("\r\n");
      p.out += p.script.chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "Connection: close\r\n\r\n";
    }
    play(p);
  }

  bool take_step(peer& p) {
    p.step = {};
    if (p.script.generate) return p.script.generate(p.next++, p.step);
    if (p.next == p.script.steps.size()) return false;
    p.step = std::move(p.script.steps[p.next++]);
    return true;
  }

  // Writes what is due, then waits for the next step, for room, or for the next request.
  void play(peer& p) {
    if (!p.replying || p.waiting_to_write || (p.held && !p.ripe)) return;
    while (!p.last) {
      if (!p.held) {
        if (!take_step(p)) {
          p.last = true;
          break;
        }
        if (p.step.delay_ms > 0) {
          p.held = true;
          p.ripe = false;
          timers.push({now_ms() + p.step.delay_ms, p.id});
          flush(p);
          return;
        }
      }
      p.held = false;
      ++mine.steps;
      if (p.script.chunked && !p.script.raw && !p.step.bytes.empty())
        append_chunked(p.out, p.step.bytes);
      else
        p.out += p.step.bytes;
      if (p.out.size() - p.sent > 65'536 && !flush(p)) return;
    }
    end(p);
  }

  void end(peer& p) {
    auto how = p.script.end;
    if (how == fake_end::finish && p.script.chunked && !p.script.raw) p.out += "0\r\n\r\n";
    p.close_after = how == fake_end::cut || (how == fake_end::finish && (!p.script.chunked || p.script.raw));
    if (how != fake_end::hang) {
      p.replying = false;
      mine.finished += how == fake_end::finish ? 1 : 0;
    }
    if (!flush(p)) return;
    if (how == fake_end::reset) return drop(p, true);
    if (p.close_after) return drop(p);
    serve(p);
  }

  // True when all is written. False leaves a peer that waits for room, or one that failed and is told of by
  // recv.
  bool flush(peer& p) {
    while (p.sent < p.out.size()) {
      auto n = ::send(p.fd, p.out.data() + p.sent, p.out.size() - p.sent, MSG_NOSIGNAL);
      if (n < 0) {
        if (!std::exchange(p.waiting_to_write, true))
          watch(p.fd, EPOLLIN | EPOLLRDHUP | EPOLLOUT, p.id, EPOLL_CTL_MOD);
        return false;
      }
      p.sent += static_cast<std::size_t>(n);
    }
    p.out.clear();
    p.sent = 0;
    if (std::exchange(p.waiting_to_write, false)) watch(p.fd, EPOLLIN | EPOLLRDHUP, p.id, EPOLL_CTL_MOD);
    return true;
  }

  void publish() {
    mine.open = peers.size();
    std::lock_guard lock(mutex);
    shown = mine;
    changed.notify_all();
  }

  int listener = -1;
  int epoll = -1;
  int wake = -1;
  std::uint16_t port = 0;
  std::uint64_t last_id = 1;
  std::unordered_map<std::uint64_t, std::unique_ptr<peer>> peers;
  std::priority_queue<due, std::vector<due>, std::greater<>> timers;
  fake_counts mine;
  std::atomic<bool> stop{false};

  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  fake_behaviour behaviour;
  fake_counts shown;
  std::deque<fake_request> kept;

  std::thread thread;
};

fake_model::fake_model(fake_behaviour what, std::uint16_t port)
    : impl_(std::make_unique<impl>(std::move(what), port)) {}

fake_model::~fake_model() = default;

std::uint16_t fake_model::port() const { return impl_->port; }

std::string fake_model::url() const { return "http://127.0.0.1:" + std::to_string(impl_->port) + "/v1"; }

void fake_model::behave(fake_behaviour what) {
  std::lock_guard lock(impl_->mutex);
  impl_->behaviour = std::move(what);
}

fake_counts fake_model::counts() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->shown;
}

bool fake_model::wait(const std::function<bool(const fake_counts&)>& wanted) const {
  std::unique_lock lock(impl_->mutex);
  return impl_->changed.wait_for(lock, std::chrono::seconds(10), [&] { return wanted(impl_->shown); });
}

std::vector<fake_request> fake_model::requests() const {
  std::lock_guard lock(impl_->mutex);
  return {impl_->kept.begin(), impl_->kept.end()};
}

} // namespace maru::test
