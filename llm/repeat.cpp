#include <utility>

#include "llm/core.hpp"
#include "llm/wire.hpp"

#include <chrono>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

namespace maru::llm::wire {
namespace {

namespace net = boost::asio;
using boost::system::error_code;
using timer =
    net::basic_waitable_timer<std::chrono::steady_clock, net::wait_traits<std::chrono::steady_clock>,
                              net::io_context::executor_type>;

class repeater final : public running, public std::enable_shared_from_this<repeater> {
public:
  repeater(std::shared_ptr<core> on, std::uint32_t delay_ms, std::function<bool()> step)
      : shared_(std::move(on)), io_(shared_->near().io()), timer_(io_), delay_(delay_ms),
        step_(std::move(step)) {}

  void begin() {
    if (shared_->add(shared_from_this()))
      net::post(io_, [self = shared_from_this()] {
        self->due_ = std::chrono::steady_clock::now();
        self->wait();
      });
  }

  void close() override {
    if (!shared_->over()) net::post(io_, [self = shared_from_this()] { self->shut(); });
  }

private:
  void wait() {
    if (closed_) return;
    due_ += delay_;
    timer_.expires_at(due_);
    timer_.async_wait([self = shared_from_this()](error_code error) {
      if (error || self->closed_) return;
      self->go_on();
    });
  }

  void go_on() {
    bool more = true;
    try {
      more = step_();
    } catch (...) {
      wait(); // without a next step nothing would end what this one is part of
      throw;
    }
    more ? wait() : shut();
  }

  void shut() {
    if (std::exchange(closed_, true)) return;
    timer_.cancel();
    shared_->remove(this);
    step_ = nullptr;
  }

  std::shared_ptr<core> shared_;
  net::io_context& io_;
  timer timer_;
  std::chrono::milliseconds delay_;
  std::function<bool()> step_;
  std::chrono::steady_clock::time_point due_;
  bool closed_ = false;
};

} // namespace

std::shared_ptr<core> core_of(network& on) { return on.inner().shared; }

std::shared_ptr<running> repeat(std::shared_ptr<core> on, std::uint32_t delay_ms,
                                std::function<bool()> step) {
  auto one = std::make_shared<repeater>(std::move(on), delay_ms, std::move(step));
  one->begin();
  return one;
}

} // namespace maru::llm::wire
