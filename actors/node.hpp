#pragma once

// All actors of one process, wired and supervised, behind the plain interface that sockets call.

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "actors/wire.hpp"
#include "base/clock.hpp"
#include "base/loops.hpp"
#include "config/settings.hpp"
#include "llm/provider.hpp"
#include "storage/store.hpp"

namespace maru::actors {

struct node_options {
  std::shared_ptr<const config::settings> settings;
  std::shared_ptr<storage::store> db;
  std::map<std::string, std::shared_ptr<llm::provider>> models;
  const clock* time = nullptr;
  const frame_codec* codec = nullptr;
  std::string node_name;
  std::string control_token;   // of the operator's commands; "" none
  bool without_agents = false; // for work on the data while no server runs: nothing is answered
  loops* on = nullptr;         // that the actors run on; outlive the node
  std::shared_ptr<metrics> counts = std::make_shared<metrics>();
  std::function<void(std::string)> gave_up; // supervision ended: the process has to end
};

class node final : public front {
public:
  explicit node(node_options options);
  ~node() override; // shuts down
  node(const node&) = delete;
  node& operator=(const node&) = delete;

  void call(std::string access_token, api::request what, api::replied tell) override;
  void hello(connection_ptr from, identity who, hello_in hello) override;
  void observe(observed tell) override;
  [[nodiscard]] bool ready() const override;
  [[nodiscard]] bool degraded() const override;
  // Of the supervisor of all actors at its children: it grows as long as that lives.
  [[nodiscard]] std::uint64_t looks() const;
  // Ends all actors: running answers are checkpointed. The store takes what they committed before it closes.
  void shut_down();

private:
  struct inside;
  std::unique_ptr<inside> inside_;
};

} // namespace maru::actors
