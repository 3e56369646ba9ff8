#pragma once

// What a measurement stands in: a model server, and the maru binary in a folder of its own.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

#include "tests/support/fake_model.hpp"

namespace maru::bench {

struct house_options {
  std::string server;            // the binary
  std::filesystem::path folder;  // where a temporary folder is made
  std::vector<std::string> sets; // KEY=VALUE for the server
  bool keep = false;             // leave the folder, and say where it is
};

struct account {
  std::string token;
};

// Processor time of the server, resident memory of the server.
struct usage {
  double cpu_seconds = 0;
  double resident_kb = 0;
};

class house {
public:
  house(const house_options& options, std::size_t pieces, std::uint32_t delay_ms);
  ~house();
  house(const house&) = delete;
  house& operator=(const house&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] double ready_ms() const { return ready_ms_; }
  [[nodiscard]] usage used() const;
  // Half of what the model server alone takes to its first piece are below this.
  [[nodiscard]] double model_first_piece_ms() const;

  account sign_up(const std::string& name);
  std::string make_room(const account& by); // its id

private:
  void write_config(const house_options& options);
  void start(const house_options& options);
  void stop();

  std::unique_ptr<test::fake_model> model_;
  std::filesystem::path folder_;
  bool keep_ = false;
  pid_t pid_ = -1;
  std::uint16_t port_ = 0;
  double ready_ms_ = 0;
  struct setup;
  std::unique_ptr<setup> setup_; // the HTTP connection for setting up
};

// What the model server streams for a question: the first piece at once, the others `delay_ms` apart, and the
// end `delay_ms` after the last; so an answer takes pieces * delay_ms, and the first piece is timed sharply.
test::fake_behaviour paced(std::size_t pieces, std::uint32_t delay_ms);

} // namespace maru::bench
