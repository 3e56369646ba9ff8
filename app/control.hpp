#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace maru::app {

// What a running server leaves in its data directory for the commands of this machine's operator.
// Only its owner may read it. Removed when it ends in order; a stale one is overwritten.
class control_file {
public:
  explicit control_file(const std::filesystem::path& data);
  ~control_file();
  control_file(const control_file&) = delete;
  control_file& operator=(const control_file&) = delete;
  [[nodiscard]] const std::string& token() const { return token_; }
  void write(const std::string& address);

private:
  std::filesystem::path path_;
  std::string token_;
  bool written_ = false;
};

struct control {
  std::string address, token;
  std::int64_t pid = 0;
};
// What a server has left there, one that runs or one that was killed; nothing where there is nothing of use.
std::optional<control> read_control(const std::filesystem::path& data);

// 256 random bits, in hexadecimal.
std::string random_token();

} // namespace maru::app
