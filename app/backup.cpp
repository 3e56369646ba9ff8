#include "app/backup.hpp"

#include <functional>
#include <iostream>

#include "app/database.hpp"
#include "base/clock.hpp"
#include "storage/backup.hpp"
#include "storage/store.hpp"

namespace maru::app {
namespace {

int guarded(const std::function<void()>& work) {
  try {
    work();
  } catch (const storage::open_error& e) {
    std::cerr << "maru: " << e.detail << "\n";
    return 1;
  } catch (const std::exception& e) {
    std::cerr << "maru: " << e.what() << "\n";
    return 1;
  }
  return std::cout.flush() ? 0 : 1;
}

std::ostream& operator<<(std::ostream& to, const storage::backup_facts& facts) {
  return to << facts.accounts << " accounts, " << facts.rooms << " rooms, " << facts.events << " events, "
            << facts.bytes << " bytes";
}

} // namespace

int back_up(const config::settings& settings, const std::filesystem::path& to) {
  return guarded([&] {
    const auto facts = storage::back_up(database_url(settings), to);
    std::cout << "Backed up to " << to.string() << ": " << facts << ".\n";
  });
}

int restore(const config::settings& settings, const std::filesystem::path& from) {
  return guarded([&] {
    if (const auto why = closed_to_owner(settings); !why.empty()) throw storage::open_error{why};
    const auto done = storage::restore(database_url(settings), from, system_clock().unix_ms());
    std::cout << "Restored " << from.string() << ": " << done.facts << ".\n";
    if (done.kept) std::cout << "What was there before is " << done.kept->string() << ".\n";
  });
}

} // namespace maru::app
