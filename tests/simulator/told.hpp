#pragma once

// What the server has told anybody, held against the disk when it lets go of it: a power cut in that moment
// would leave what it rests on. And what was told once stays as it was told.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "storage/sqlite_statement.hpp"
#include "tests/simulator/disk.hpp"
#include "tests/support/world.hpp"

namespace maru::test {

class told_facts {
public:
  told_facts(world& w, simulated_disk& disk) : w_(w), disk_(disk) {}

  void hear(const device& to, const actors::frame& what);
  // A piece of text that no other call of a model says.
  void said(const std::string& piece, std::size_t by_call, const std::string& question);
  // To look at the disk, a connection is kept as long as a process has it.
  void process_ends() { live_.reset(); }
  void process_began(); // holds what it found against all that was told

  // For people to read: ids by the order in which they came up.
  std::string name_of(const std::string& id);

  std::vector<std::string> wrong;
  std::function<void(const std::string&)> note; // a line for each frame

private:
  struct told_event {
    std::string id, data;
  };
  struct piece_said {
    std::size_t call = 0;
    std::string question;
  };

  void hear_event(const nlohmann::json& frame);
  void hear_ack(const nlohmann::json& frame);
  void hear_answer(const nlohmann::json& frame);
  void hear_delta(const uuid& answer, std::uint32_t attempt, const std::string& text);
  void check_attempt(const std::string& answer, std::uint32_t attempt);
  template <class Job>
  bool safe(Job job); // a power cut now would leave what `job` wants to see
  template <class Job>
  bool see(storage::sqlite::connection& in, Job job);

  world& w_;
  simulated_disk& disk_;
  std::unique_ptr<storage::sqlite::connection> live_;
  std::map<std::string, std::map<std::uint64_t, told_event>> events_; // by room
  std::map<std::string, std::string> texts_;                          // of messages, by event
  std::map<std::string, std::string> question_of_;                    // its text, by answer
  std::set<std::pair<std::string, std::uint32_t>> attempts_;          // told of
  std::map<std::pair<std::string, std::uint32_t>, std::size_t> call_of_;
  std::map<std::string, piece_said> pieces_;
  std::set<std::string> acked_;
  std::map<std::string, std::string> names_;
};

} // namespace maru::test
