#include "app/control.hpp"

#include <cstdio>
#include <fstream>

#include <fcntl.h>
#include <sodium.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

namespace maru::app {
namespace {

constexpr auto file_name = "maru.control";

// "" where it is missing or no text: the file may be anybody's.
std::string text_of(const nlohmann::json& object, const char* key) {
  if (!object.is_object()) return "";
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

} // namespace

std::string random_token() {
  unsigned char bytes[32];
  randombytes_buf(bytes, sizeof bytes);
  char text[2 * sizeof bytes + 1];
  return sodium_bin2hex(text, sizeof text, bytes, sizeof bytes);
}

std::optional<control> read_control(const std::filesystem::path& data) {
  std::ifstream in(data / file_name);
  const auto file = nlohmann::json::parse(in, nullptr, false);
  control out{text_of(file, "address"), text_of(file, "token"), 0};
  if (out.address.empty() || out.token.empty()) return std::nullopt;
  if (const auto pid = file.find("pid"); pid != file.end() && pid->is_number_integer())
    out.pid = pid->get<std::int64_t>();
  return out;
}

control_file::control_file(const std::filesystem::path& data)
    : path_(data / file_name), token_(random_token()) {}

control_file::~control_file() {
  if (!written_) return; // what is there is another server's
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

void control_file::write(const std::string& address) {
  const auto fresh = path_.string() + ".new";
  ::unlink(fresh.c_str());
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd < 0) throw std::runtime_error("cannot write " + fresh + ": is the data directory writable?");
  const auto text = nlohmann::json{{"address", address}, {"token", token_}, {"pid", ::getpid()}}.dump();
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  if (!written) throw std::runtime_error("cannot write " + fresh + ": is the disk full?");
  std::filesystem::rename(fresh, path_);
  written_ = true;
}

} // namespace maru::app
