#pragma once

#include <filesystem>
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

// Prints the live supervision tree of the server of this data directory. Exit status.
int show_tree(const std::filesystem::path& data);

} // namespace maru::app
