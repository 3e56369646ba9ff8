#pragma once

// The peer that maru is measured against: the least a server can do with Node and `ws`. Its program is in
// peer/.

#include "tests/bench/house.hpp"

namespace maru::bench {

class peer_house final : public place {
public:
  explicit peer_house(const model_options& model);

  std::string take_token(std::size_t) override { return "none"; }
  seat take_seat(std::size_t) override { return {"none", "none"}; }
  [[nodiscard]] bool bare() const override { return true; }
};

// Fetches `ws` with npm unless it is there; throws with what is missing.
void prepare_peer();

} // namespace maru::bench
