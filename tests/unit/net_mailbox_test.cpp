#include <nlohmann/json.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/net_rig.hpp"

using namespace maru;
using namespace maru::tests;
using nlohmann::json;
namespace api = maru::actors::api;

TEST_CASE("mailboxes and dead letters have the shape of the contract", "[net][http]") {
  net_rig rig;
  storage::mailbox_entry entry{"agent/x/maru", 7, id_of(some_id), "question", "secret", 0, 1, 2, 3, 4, {}};
  const storage::dead_letter letter{entry, "poison", 5, 9};
  std::vector<api::dead_act> acts;
  rig.front.on_call = [&](const std::string&, const api::request& what) -> api::reply {
    if (std::holds_alternative<api::list_mailboxes>(what))
      return api::mailboxes_view{{{"agent/x/maru", 2, 0, 1}}, "agent/x/maru"};
    if (const auto* r = std::get_if<api::list_entries>(&what))
      return api::entries_view{{entry}, r->mailbox == "agent/x/maru" ? "" : "wrong"};
    if (std::holds_alternative<api::list_dead>(what)) return api::dead_list_view{{letter}, "9"};
    if (std::holds_alternative<api::get_dead>(what)) {
      storage::answer_row answer;
      answer.room = answer.asker = id_of(some_id);
      answer.question = id_of(other_id);
      answer.agent = "maru";
      return api::dead_view{letter, answer};
    }
    if (const auto* r = std::get_if<api::treat_dead>(&what)) {
      acts.push_back(r->how);
      if (r->how == api::dead_act::requeue) return api::posted{id_of(other_id), 3, false, {}};
    }
    if (const auto* r = std::get_if<api::treat_all_dead>(&what)) acts.push_back(r->how);
    return api::treated{2, {{id_of(some_id), {code::conflict, "why"}}}, "9"};
  };
  rig.start();
  const headers me{bearer("good")};
  const std::string admin = "/api/v1/admin/";
  const auto got = [&](const std::string& path) { return json::parse(rig.get(admin + path, me).body); };
  const std::string epoch = "1970-01-01T00:00:00.00";
  const json bare{{"id", some_id},
                  {"mailbox", "agent/x/maru"},
                  {"seq", 7},
                  {"kind", "question"},
                  {"enqueued_at", epoch + "0Z"},
                  {"visible_at", epoch + "1Z"},
                  {"expires_at", epoch + "2Z"},
                  {"failures", 3},
                  {"losses", 4}};
  auto dead = bare;
  dead["reason"] = "poison";
  dead["buried_at"] = epoch + "5Z";
  CHECK(got("mailboxes") == json{{"mailboxes", json::array({json{{"mailbox", "agent/x/maru"},
                                                                 {"depth", 2},
                                                                 {"oldest_at", epoch + "0Z"},
                                                                 {"due_at", epoch + "1Z"}}})},
                                 {"next", "agent/x/maru"}});
  CHECK(got("mailboxes/entries?mailbox=agent%2Fx%2Fmaru") ==
        json{{"entries", json::array({bare})}, {"next", nullptr}});
  CHECK(got("dead-letters") == json{{"dead_letters", json::array({dead})}, {"next", "9"}});
  auto one = dead;
  one["room"] = one["asker"] = some_id;
  one["question"] = other_id;
  one["agent"] = "maru";
  CHECK(got("dead-letters/" + std::string{some_id}) == one);
  const json treated{
      {"done", 2},
      {"refused", json::array({json{{"id", some_id}, {"code", "conflict"}, {"detail", "why"}}})},
      {"next", "9"}};
  CHECK(json::parse(rig.post(admin + "dead-letters/requeue", "", me).body) == treated);
  CHECK(json::parse(rig.post(admin + "dead-letters/purge", "{}", me).body) == treated);
  CHECK(rig.post(admin + "dead-letters/" + some_id + "/requeue", "", me).status == 202);
  const auto gone = http_client{rig.address}.request("DELETE", admin + "dead-letters/" + some_id, me);
  CHECK(gone.status == 200);
  using enum api::dead_act;
  CHECK(acts == std::vector{requeue, purge, requeue, purge});
}
