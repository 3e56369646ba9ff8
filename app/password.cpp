#include "app/password.hpp"

#include <cerrno>
#include <csignal>
#include <iostream>
#include <optional>

#include <sodium.h>
#include <termios.h>
#include <unistd.h>

#include "app/office.hpp"
#include "config/limits.hpp"

namespace maru::app {
namespace {

volatile std::sig_atomic_t interrupted_by = 0;

// While it lives, what is typed is not shown. A signal ends the reading, so that the terminal is itself again
// before the process ends of it.
class unseen {
public:
  unseen() {
    ::tcgetattr(STDIN_FILENO, &before_);
    struct sigaction note{};
    note.sa_handler = [](int number) { interrupted_by = number; };
    for (std::size_t i = 0; i < std::size(ending); ++i)
      ::sigaction(ending[i], &note, &actions_[i]);
    auto silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    silent.c_cc[VSUSP] = _POSIX_VDISABLE;
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  }
  ~unseen() {
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    for (std::size_t i = 0; i < std::size(ending); ++i)
      ::sigaction(ending[i], &actions_[i], nullptr);
    if (interrupted_by != 0) ::raise(interrupted_by);
  }
  unseen(const unseen&) = delete;
  unseen& operator=(const unseen&) = delete;

private:
  static constexpr int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  termios before_{};
  struct sigaction actions_[std::size(ending)]{};
};

// Nothing at the end of the input. One byte at a time: what follows the line is not ours.
std::optional<std::string> read_line() {
  std::string line;
  while (interrupted_by == 0) {
    char c = 0;
    const auto got = ::read(STDIN_FILENO, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    if (c == '\n') return line;
    line.push_back(c);
    if (line.size() > limits::password_bytes_most + 1) throw trouble{"this password is too long"};
  }
  if (line.empty()) return std::nullopt;
  return line;
}

std::string typed(const char* prompt) {
  std::optional<std::string> line;
  {
    const unseen nobody_looks;
    std::cerr << prompt << std::flush;
    line = read_line();
  }
  std::cerr << "\n";
  if (!line || line->empty()) throw trouble{"no password was given"};
  return *line;
}

} // namespace

std::string ask_password() {
  if (::isatty(STDIN_FILENO) != 0) {
    auto password = typed("New password: ");
    if (typed("The same again: ") != password) throw trouble{"the two are not the same; nothing was done"};
    return password;
  }
  auto line = read_line();
  if (line && line->ends_with('\r')) line->pop_back();
  if (!line || line->empty())
    throw trouble{"there is no password on standard input; give it there as one line, or take --generate"};
  return *line;
}

// Letters and digits that nobody takes for one another; 116 bits.
std::string random_password() {
  constexpr std::string_view letters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
  std::string out(limits::generated_password_chars, ' ');
  for (auto& c : out)
    c = letters[randombytes_uniform(static_cast<std::uint32_t>(letters.size()))];
  return out;
}

} // namespace maru::app
