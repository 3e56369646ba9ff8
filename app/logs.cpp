#include "app/logs.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

namespace maru::app {
namespace {

// The message as a JSON string: whatever it holds stays within its line.
class quoted final : public spdlog::custom_flag_formatter {
public:
  void format(const spdlog::details::log_msg& msg, const std::tm&, spdlog::memory_buf_t& out) override {
    const nlohmann::json text(std::string(msg.payload.data(), msg.payload.size()));
    const auto json = text.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    out.append(json.data(), json.data() + json.size());
  }
  [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
    return spdlog::details::make_unique<quoted>();
  }
};

} // namespace

void set_up_logs(const config::log_settings& settings) {
  const bool json = settings.format == "json";
  auto logger = json ? spdlog::stderr_logger_mt("maru") : spdlog::stderr_color_mt("maru");
  if (json) {
    auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
    formatter->add_flag<quoted>('*').set_pattern(
        R"({"at":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":%*})");
    logger->set_formatter(std::move(formatter));
  } else {
    logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  }
  logger->set_level(spdlog::level::from_str(settings.level == "warn" ? "warning" : settings.level));
  logger->flush_on(spdlog::level::warn);
  spdlog::flush_every(std::chrono::seconds(1));
  spdlog::set_default_logger(std::move(logger));
}

} // namespace maru::app
