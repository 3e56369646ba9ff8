#include "tests/support/command.hpp"

#include <cerrno>
#include <stdexcept>

#include <pty.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace maru::tests {
namespace {

constexpr unsigned seconds_most = 120; // one that hangs is ended by its own alarm

[[noreturn]] void become(const std::vector<std::string>& words) {
  std::vector<char*> arguments;
  for (const auto& w : words)
    arguments.push_back(const_cast<char*>(w.c_str()));
  arguments.push_back(nullptr);
  ::alarm(seconds_most);
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

int status_of(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// A file in memory: nobody waits for its reader.
class scratch {
public:
  explicit scratch(const std::string& text = "") : fd_(::memfd_create("scratch", MFD_CLOEXEC)) {
    if (fd_ < 0 || ::pwrite(fd_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
      throw std::runtime_error("no file in memory");
  }
  ~scratch() { ::close(fd_); }
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] std::string text() const {
    std::string out(static_cast<std::size_t>(::lseek(fd_, 0, SEEK_END)), '\0');
    out.resize(static_cast<std::size_t>(::pread(fd_, out.data(), out.size(), 0)));
    return out;
  }

private:
  const int fd_;
};

} // namespace

ran run(const std::vector<std::string>& words, const std::string& input) {
  const scratch in(input), out, err;
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("cannot fork");
  if (child == 0) {
    ::dup2(in.fd(), STDIN_FILENO);
    ::dup2(out.fd(), STDOUT_FILENO);
    ::dup2(err.fd(), STDERR_FILENO);
    become(words);
  }
  const int status = status_of(child);
  return {status, out.text(), err.text()};
}

ran run_on_terminal(const std::vector<std::string>& words, const std::vector<prompted>& said) {
  int terminal = -1;
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  if (child < 0) throw std::runtime_error("no terminal");
  if (child == 0) become(words);
  ran how;
  std::size_t from = 0, next = 0;
  char chunk[4096];
  // EIO: the program has ended.
  for (ssize_t got = 0; (got = ::read(terminal, chunk, sizeof chunk)) > 0;) {
    how.out.append(chunk, static_cast<std::size_t>(got));
    if (next == said.size()) continue;
    const auto at = how.out.find(said[next].prompt, from);
    if (at == std::string::npos) continue;
    from = at + said[next].prompt.size();
    const auto& answer = said[next++].answer;
    if (::write(terminal, answer.data(), answer.size()) < 0) break;
  }
  how.status = status_of(child);
  ::close(terminal);
  return how;
}

} // namespace maru::tests
