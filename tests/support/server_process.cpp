#include "tests/support/server_process.hpp"

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/free_port.hpp"
#include "tests/support/http_client.hpp"

namespace maru::tests {
namespace {

std::filesystem::path new_directory() {
  auto name = (std::filesystem::temp_directory_path() / "maru-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
  return name;
}

} // namespace

server_process::server_process(std::string binary, server_options options)
    : binary_(std::move(binary)), options_(std::move(options)), directory_(new_directory()),
      address_(options_.on_socket_file ? "unix:" + (directory_ / "maru.sock").string()
                                       : "127.0.0.1:" + std::to_string(test::free_port())) {
  write_config();
}

server_process::~server_process() {
  kill();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

std::filesystem::path server_process::data() const {
  return options_.data.empty() ? directory_ / "data" : options_.data;
}

void server_process::write_config() const {
  std::ofstream to(directory_ / "maru.toml");
  to << "[server]\nlisten = \"" << address_ << "\"\ndata = \"" << data().string() << "\"\n";
  to << "[auth]\nargon2_memory_kib = 1024\nargon2_passes = 1\n";
  to << "[limits]\nmessages_per_minute_per_user = 0\nquestions_waiting_per_user = 0\n"
     << "requests_per_minute_per_address = 0\nsignups_per_minute_per_address = 0\n";
  to << "[[provider]]\nname = \"model\"\n";
  if (options_.model_url.empty())
    to << "kind = \"demo\"\ndemo_delay_ms = 1\n";
  else
    to << "kind = \"openai\"\nurl = \"" << options_.model_url << "\"\n";
  to << "recovery = \"" << options_.recovery << "\"\nattempts = " << options_.attempts
     << "\nfirst_piece_timeout_ms = " << options_.first_piece_timeout_ms
     << "\nidle_timeout_ms = " << options_.idle_timeout_ms
     << "\nbackoff_first_ms = " << options_.backoff_first_ms << "\n";
  for (const auto& name : options_.agents)
    to << "[[agent]]\nname = \"" << name << "\"\nprovider = \"model\"\nmodel = \"any-model\"\n";
}

void server_process::begin_start() {
  if (running()) throw std::runtime_error("the server runs already");
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  const auto config = (directory_ / "maru.toml").string();
  std::vector<std::string> words{binary_, "serve", "--config", config};
  for (const auto& s : options_.set) {
    words.emplace_back("--set");
    words.push_back(s);
  }
  auto variables = options_.environment;
  std::vector<char*> arguments;
  for (auto& w : words)
    arguments.push_back(w.data());
  arguments.push_back(nullptr);
  const auto where = directory_.string();

  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(ends[1], STDERR_FILENO);
    ::dup2(ends[1], STDOUT_FILENO);
    for (auto& v : variables)
      ::putenv(v.data());
    if (::chdir(where.c_str()) == 0) ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  ::close(ends[1]);
  if (pid_ < 0) throw std::runtime_error("cannot fork");
  {
    const std::lock_guard lock(mutex_);
    log_ended_ = false;
    log_from_ = log_.size();
  }
  reader_ = std::thread([this, fd = ends[0]] { read_log(fd); });
}

void server_process::read_log(int fd) {
  char chunk[4096];
  while (true) {
    const auto n = ::read(fd, chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) continue;
    const std::lock_guard lock(mutex_);
    if (n > 0) log_.append(chunk, static_cast<std::size_t>(n));
    log_ended_ = n <= 0;
    changed_.notify_all();
    if (n <= 0) break;
  }
  ::close(fd);
}

bool server_process::wait_for(const std::function<bool()>& what, std::chrono::milliseconds most) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, most, [&] { return what() || log_ended_; });
  return what();
}

bool server_process::wait_log(const std::string& text, std::chrono::milliseconds most) const {
  return wait_for([&] { return log_.find(text, log_from_) != std::string::npos; }, most);
}

bool server_process::wait_ready() {
  return wait_log(" listens on ") && http_request(address_, "GET", "/readyz").status == 200;
}

void server_process::start() {
  begin_start();
  if (!wait_ready()) throw std::runtime_error("the server is not ready; its log:\n" + log());
}

void server_process::send_signal(int number) {
  if (running()) ::kill(pid_, number);
}

void server_process::kill() {
  send_signal(SIGKILL);
  wait_end();
}

std::optional<int> server_process::terminate() {
  send_signal(SIGTERM);
  return wait_end();
}

// The log ends with the process, which is waited for with a deadline; then only waitpid is left.
std::optional<int> server_process::wait_end() {
  if (!running()) return std::nullopt;
  if (!wait_for([&] { return log_ended_; }, std::chrono::seconds{60})) ::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  reader_.join();
  pid_ = -1;
  if (!WIFEXITED(status)) return std::nullopt;
  return WEXITSTATUS(status);
}

std::uint64_t server_process::rss_kib() const {
  std::ifstream from("/proc/" + std::to_string(pid_) + "/status");
  std::string word;
  std::uint64_t kib = 0;
  while (from >> word)
    if (word == "VmRSS:" && from >> kib) return kib;
  return 0;
}

std::string server_process::log() const {
  const std::lock_guard lock(mutex_);
  return log_;
}

} // namespace maru::tests
