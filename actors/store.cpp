#include "actors/store.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include "actors/common.hpp"
#include "base/loops.hpp"

namespace maru::actors {

namespace {

// Says once that the disk takes nothing, and once that it does again.
void watch_disk(bool& refuses, const storage::outcome& how) {
  const bool now = how.why == storage::failure::full || how.why == storage::failure::unavailable;
  if (now == refuses || (!now && !how)) return;
  refuses = now;
  if (now)
    spdlog::error("the disk takes no writes: {}; they are refused, reads go on", how.detail);
  else
    spdlog::warn("the disk takes writes again");
}

} // namespace

store_actor::behavior_type store(store_actor::stateful_pointer<store_state> self, shared_services svc) {
  end_on_exception(self, "store");
  const auto db = svc->db;
  // Touched where steps are answered: by one thread at a time, in order.
  const auto refuses = std::make_shared<bool>(false);
  return {
      [db, refuses](storage::step& what, std::uint64_t ticket, const commit_client& from) {
        db->submit(std::move(what), [from, ticket, refuses, here = loop::here()](storage::outcome how) {
          const on_behalf_of asker{here};
          if (how.why != storage::failure::overloaded) watch_disk(*refuses, how);
          caf::anon_send(from, commit_done{ticket, std::move(how)});
        });
      },
      [db](run_read& what) {
        auto job = [job = std::move(what.job), here = loop::here()](storage::reader& from) {
          const on_behalf_of asker{here};
          job(from);
        };
        if (!what.behind) return db->read(std::move(job), std::move(what.failed));
        // Steps are answered in order: once an empty one is, those before it are on disk or refused.
        storage::step nothing{*what.behind, {}};
        db->submit(std::move(nothing), [to = db.get(), job = std::move(job),
                                        failed = std::move(what.failed)](const storage::outcome& how) {
          if (how.why == storage::failure::overloaded) return failed(how.detail);
          to->read(job, failed);
        });
      },
  };
}

} // namespace maru::actors
