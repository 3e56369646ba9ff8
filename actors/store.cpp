#include "actors/store.hpp"

#include <caf/typed_event_based_actor.hpp>

#include "actors/common.hpp"

namespace maru::actors {

store_actor::behavior_type store(store_actor::pointer self, services svc) {
  end_on_exception(self, "store");
  const auto db = svc.db;
  return {
      [db](storage::step& what, std::uint64_t ticket, const commit_client& from) {
        db->submit(std::move(what), [from, ticket](storage::outcome how) {
          caf::anon_send(from, commit_done{ticket, std::move(how)});
        });
      },
      [db](run_read& what) {
        if (!what.behind) return db->read(std::move(what.job), std::move(what.failed));
        // Steps are answered in order: once an empty one is, those before it are on disk or refused.
        storage::step nothing{*what.behind, {}};
        db->submit(std::move(nothing), [to = db.get(), what](const storage::outcome& how) {
          if (how.why == storage::failure::overloaded) return what.failed(how.detail);
          to->read(what.job, what.failed);
        });
      },
  };
}

} // namespace maru::actors
