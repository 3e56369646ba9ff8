#include "tests/support/net_rig.hpp"

#include <stdexcept>

namespace maru::tests {

fake_front::fake_front() {
  on_call = [](const std::string& token, const actors::api::request& what) -> actors::api::reply {
    if (token != "good") return refusal{code::unauthenticated, "", 0};
    if (std::holds_alternative<actors::api::identify>(what))
      return actors::identity{id_of(some_id), id_of(other_id), "ada", "Ada", "user"};
    return refusal{code::not_found, "", 0};
  };
}

actors::connection_ptr fake_front::wait_hello() {
  std::unique_lock lock{mutex_};
  if (!changed_.wait_for(lock, patience, [&] { return from_ != nullptr; }))
    throw std::runtime_error("nobody said hello");
  return std::exchange(from_, nullptr);
}

net_rig::net_rig() { settings.server.listen = {"127.0.0.1:0"}; }

void net_rig::start() {
  on = std::make_unique<driven_loops>(threads);
  codec = net::make_codec(settings, "1.2.3", "here");
  std::vector<net::asset_file> built_in;
  for (const auto& [path, bytes] : files)
    built_in.push_back({path, bytes});
  server = std::make_unique<net::server>(
      net::server_deps{front, settings, time, codec, net::fixed_assets(built_in), on->all(), counts});
  server->start();
  address = server->addresses().front();
}

actors::connection_ptr net_rig::greet(ws_client& who) {
  who.send(R"({"type":"hello","client":"test"})");
  return front.wait_hello();
}

actors::frame_ptr text_frame(std::string json) {
  auto out = std::make_shared<actors::frame>();
  out->bytes = std::move(json);
  return out;
}

} // namespace maru::tests
