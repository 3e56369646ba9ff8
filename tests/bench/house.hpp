#pragma once

// What a measurement stands in: a model server, and beside it the server that is measured.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/process.hpp"
#include "tests/bench/wire.hpp"
#include "tests/support/fake_model.hpp"
#include "tests/support/free_port.hpp"

namespace maru::bench {

struct house_options {
  std::string server;            // the binary
  std::filesystem::path folder;  // where a temporary folder is made
  std::vector<std::string> sets; // KEY=VALUE for the server
  bool keep = false;             // leave the folder, and say where it is
};

// What the model server streams, and what the server is told of it.
struct model_options {
  std::size_t pieces = 1;
  std::uint32_t delay_ms = 0;
  std::string recovery = "restart";
};

struct account {
  std::string id, token;
};

// Where one user of a closed loop sits.
struct seat {
  std::string token, room;
};

// A server that answers questions, with its model server.
class place {
public:
  explicit place(const model_options& model);
  virtual ~place();
  place(const place&) = delete;
  place& operator=(const place&) = delete;

  virtual std::string take_token(std::size_t number) = 0; // of a person of its own
  virtual seat take_seat(std::size_t number) = 0;
  // It knows neither accounts nor rooms, keeps nothing, and tells of an answer by pieces and `end` alone.
  [[nodiscard]] virtual bool bare() const = 0;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] process& server() { return server_; }
  [[nodiscard]] usage used() const { return server_.used(); }
  // Half of what the model server alone takes to its first piece are below this.
  [[nodiscard]] double model_first_piece_ms() const;

protected:
  // Until `path` is answered with 200; returns the time from the process's start in ms.
  double start_and_wait(std::vector<std::string> words, const std::string& path);

  test::fake_model model_;
  process server_;
  std::uint16_t port_ = test::free_port();
};

// The maru binary, in a folder of its own or on the data of an earlier life.
class house final : public place {
public:
  house(const house_options& options, const model_options& model, const std::filesystem::path& data = {});
  ~house() override;

  std::string take_token(std::size_t number) override;
  seat take_seat(std::size_t number) override;
  [[nodiscard]] bool bare() const override { return false; }

  [[nodiscard]] double ready_ms() const { return ready_ms_; } // from the last start to /readyz
  void start();
  void begin_start(); // does not wait
  void stop() { server_.stop(); }
  void kill() { server_.kill(); }

  account sign_up(const std::string& name) { return let_in("/api/v1/signup", name, 201); }
  account sign_in(const std::string& name) { return let_in("/api/v1/login", name, 200); }
  std::string make_room(const account& by); // its id

private:
  void write_config(const model_options& model, const std::filesystem::path& data) const;
  [[nodiscard]] std::vector<std::string> command() const;
  account let_in(const std::string& path, const std::string& name, int status);

  const house_options options_;
  std::filesystem::path folder_;
  double ready_ms_ = 0;
  std::unique_ptr<http_client> http_; // for setting up
};

// What the model server streams for a question: the first piece at once, the others `delay_ms` apart, and the
// end `delay_ms` after the last; so an answer takes pieces * delay_ms, and the first piece is timed sharply.
// It goes on from the partial answer that a question may bring.
test::fake_behaviour paced(std::size_t pieces, std::uint32_t delay_ms);

} // namespace maru::bench
