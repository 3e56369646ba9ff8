#include "tests/bench/peer.hpp"

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace maru::bench {

peer_house::peer_house(const model_options& model) : place(model) {
  start_and_wait({"node", std::string(MARU_PEER) + "/server.js", std::to_string(port_), model_.url()},
                 "/readyz");
}

void prepare_peer() {
  const std::filesystem::path peer(MARU_PEER);
  if (std::filesystem::exists(peer / "node_modules/ws")) return;
  const auto install = "cd '" + peer.string() + "' && npm ci --no-audit --no-fund --loglevel=error >&2";
  if (std::system(install.c_str()) != 0)
    throw std::runtime_error("the peer needs node and npm, and `ws` from npm: " + install);
}

} // namespace maru::bench
