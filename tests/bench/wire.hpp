#pragma once

// The load generator: many WebSockets on one thread and one epoll. It masks with zeroes and finds fields by
// searching, so that it takes little of what it shares with the server it measures.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace maru::bench {

std::int64_t now_ns();

// One connection; whoever measures derives what it keeps for each.
class link {
public:
  virtual ~link();
  virtual void on_text(std::string_view frame) = 0;
  virtual void on_closed(int code) = 0; // 0: without a close frame

  // Connects, upgrades and says hello; false with `why` if the server does not agree.
  bool open(std::uint16_t port, const std::string& token, std::string& why);
  // The same, but the reply is left to the loop: on_closed(0) when it is none. False if nobody listens.
  bool dial(std::uint16_t port, const std::string& token);
  void send(std::string_view text); // written by the next flush
  void flush();
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }

  // A slow reader, once it is in the loop: what comes stays with the kernel until it is sipped.
  void stop_reading();
  void sip(std::size_t bytes);
  void read_on();

protected:
  friend class loop;
  bool greeted();
  void receive(std::vector<char>& scratch);
  std::size_t take_frames(std::string_view bytes);
  bool upgrade(std::uint16_t port, const std::string& token);
  void close(int code);

  int fd_ = -1;
  int epoll_ = -1;
  bool waits_to_write_ = false;
  bool dirty_ = false;
  bool upgrading_ = false; // the reply to the upgrade has not come
  bool stopped_ = false;
  std::string in_;  // an unfinished frame
  std::string out_; // not yet written
  std::vector<link*>* to_flush_ = nullptr;
};

class loop {
public:
  loop();
  ~loop();
  loop(const loop&) = delete;
  loop& operator=(const loop&) = delete;

  void add(link& one);
  // Serves the links until the time has come or `enough` says so, which is asked after each round.
  void run(std::int64_t until_ns, const std::function<bool()>& enough = nullptr);
  // Serves them so long, and longer if by then nothing has come of it; in the end that is the caller's to
  // tell.
  void run_for(double seconds, const std::function<bool()>& something);

private:
  void flush_all();

  int epoll_ = -1;
  std::vector<char> scratch_;
  std::vector<link*> to_flush_;
};

// The value behind `"name":`, up to its end; for what the server writes, not for any JSON. Text comes as it
// is escaped.
std::string_view field(std::string_view frame, std::string_view quoted_name, std::size_t from = 0);
std::uint64_t number(std::string_view value);
bool has_type(std::string_view frame, std::string_view type);

// A blocking HTTP request for what has to be set up. Returns the status; 0 when nothing came.
struct http_reply {
  int status = 0;
  std::string body;
};
class http_client {
public:
  explicit http_client(std::uint16_t port) : port_(port) {}
  ~http_client();
  http_client(const http_client&) = delete;
  http_client& operator=(const http_client&) = delete;

  http_reply get(const std::string& path) { return ask("GET", path, "", ""); }
  http_reply post(const std::string& path, const std::string& token, const std::string& body) {
    return ask("POST", path, token, body);
  }
  // Posts and returns the nanoseconds until the first byte of `mark` was there; the rest of the reply is
  // left, so this is the last request.
  std::int64_t time_to(const std::string& path, const std::string& body, std::string_view mark);

private:
  http_reply ask(const char* method, const std::string& path, const std::string& token,
                 const std::string& body);
  bool send_request(const char* method, const std::string& path, const std::string& token,
                    const std::string& body);
  bool more();

  std::uint16_t port_;
  int fd_ = -1;
  std::string in_;
};

} // namespace maru::bench
