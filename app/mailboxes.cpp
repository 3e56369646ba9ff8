#include "app/mailboxes.hpp"

#include <iomanip>
#include <iostream>
#include <utility>

#include <nlohmann/json.hpp>

#include "app/office.hpp"
#include "base/uuid.hpp"
#include "config/limits.hpp"

namespace maru::app {
namespace {

using nlohmann::json;
using missing = office::missing;

const std::string mailboxes_path = "/api/v1/admin/mailboxes";
const std::string dead_path = "/api/v1/admin/dead-letters";

std::string text(const json& item, const char* key) { return item.at(key).get<std::string>(); }

std::string first_page() { return "?limit=" + std::to_string(limits::mailboxes_page); }

void print_mailbox(const json& one) {
  std::cout << std::setw(4) << one.at("depth").get<std::uint64_t>() << "  since " << text(one, "oldest_at")
            << "  next due " << text(one, "due_at") << "  " << text(one, "mailbox") << "\n";
}

void print_entry(const json& one) {
  std::cout << text(one, "id") << "  since " << text(one, "enqueued_at") << "  due "
            << text(one, "visible_at") << "  failures " << one.at("failures").get<std::uint64_t>()
            << "  losses " << one.at("losses").get<std::uint64_t>() << "  " << text(one, "kind") << "\n";
}

void print_dead(const json& one) {
  auto reason = text(one, "reason");
  reason.resize(std::max<std::size_t>(reason.size(), 7), ' ');
  std::cout << text(one, "id") << "  " << reason << "  " << text(one, "buried_at") << "  "
            << text(one, "mailbox") << "\n";
}

void print_fields(const json& one) {
  for (const auto& [name, value] : one.items())
    std::cout << name << ": " << (value.is_string() ? value.get<std::string>() : value.dump()) << "\n";
}

// What was done to many, told as it comes: a page at a time, however many there are.
class tally {
public:
  tally(bool as_json, std::string deed, std::string of = "dead letter")
      : json_(as_json), deed_(std::move(deed)), of_(std::move(of)) {
    if (json_) std::cout << R"({"refused":[)";
  }
  void take(const json& page) {
    done_ += page.at("done").get<std::uint64_t>();
    for (const auto& one : page.at("refused")) {
      ++refused_;
      if (json_)
        std::cout << std::exchange(before_, ",") << one.dump();
      else
        std::cerr << "maru: " << text(one, "id") << ": " << text(one, "detail") << "\n";
    }
  }
  void end() const {
    if (json_)
      std::cout << R"(],"done":)" << done_ << "}\n";
    else
      std::cout << deed_ << " " << done_ << " " << of_ << (done_ == 1 ? ".\n" : "s.\n");
    if (refused_ > 0) throw trouble{std::to_string(refused_) + " could not be; they are still there"};
  }

private:
  const bool json_;
  const std::string deed_, of_;
  const char* before_ = "";
  std::uint64_t done_ = 0, refused_ = 0;
};

json filter_of(const mailbox_order& order) {
  auto out = json::object();
  if (!order.mailbox.empty()) out["mailbox"] = order.mailbox;
  if (!order.reason.empty()) out["reason"] = order.reason;
  return out;
}

std::string entry_path(const mailbox_order& order) { return mailboxes_path + "/entries/" + order.what; }
std::string letter_path(const mailbox_order& order) { return dead_path + "/" + order.what; }

void treat_all(office& at, const mailbox_order& order, const std::string& deed, const std::string& done) {
  tally sum(order.json, done);
  auto wish = filter_of(order);
  for (bool more = true; more;) {
    const auto page = at.ask("POST", dead_path + "/" + deed, wish);
    sum.take(page);
    more = !page.at("next").is_null();
    if (more) wish["cursor"] = page.at("next");
  }
  sum.end();
}

} // namespace

int list_mailboxes(const config::settings& settings, const mailbox_order& order) {
  return carried_out(settings, [&] {
    office at(settings, missing::refuse);
    print_all(
        order.json, [&](const auto& tell) { at.each(mailboxes_path + first_page(), "mailboxes", tell); },
        print_mailbox);
  });
}

int show_mailbox(const config::settings& settings, const mailbox_order& order) {
  return carried_out(settings, [&] {
    office at(settings, missing::refuse);
    if (uuid::parse(order.what)) {
      const auto letter = at.ask("GET", letter_path(order), {});
      if (order.json)
        std::cout << letter.dump() << "\n";
      else
        print_fields(letter);
      return;
    }
    if (!order.what.starts_with("agent/") && !order.what.starts_with("room/"))
      throw trouble{"'" + order.what +
                    "' is neither a mailbox nor an id; `maru mailbox list` and `dead` show them"};
    const auto path = mailboxes_path + "/entries" + first_page() + "&mailbox=" + in_query(order.what);
    print_all(order.json, [&](const auto& tell) { at.each(path, "entries", tell); }, print_entry);
  });
}

int list_dead_letters(const config::settings& settings, const mailbox_order& order) {
  return carried_out(settings, [&] {
    office at(settings, missing::refuse);
    auto path = dead_path + first_page();
    if (!order.mailbox.empty()) path += "&mailbox=" + in_query(order.mailbox);
    if (!order.reason.empty()) path += "&reason=" + in_query(order.reason);
    print_all(order.json, [&](const auto& tell) { at.each(path, "dead_letters", tell); }, print_dead);
  });
}

int requeue_dead_letters(const config::settings& settings, const mailbox_order& order) {
  return carried_out(settings, [&] {
    office at(settings, missing::refuse);
    if (order.all) return treat_all(at, order, "requeue", "Requeued");
    const auto made = at.ask("POST", letter_path(order) + "/requeue", {});
    const auto& answers = made.at("answers");
    if (order.json)
      std::cout << made.dump() << "\n";
    else if (answers.empty())
      std::cout << "Requeued; it is due at once.\n";
    else
      std::cout << "Requeued; " << text(answers[0], "agent") << " answers it as "
                << text(answers[0], "answer") << ".\n";
  });
}

int purge_dead_letters(const config::settings& settings, const mailbox_order& order) {
  return carried_out(settings, [&] {
    office at(settings, missing::refuse);
    if (order.all) return treat_all(at, order, "purge", "Purged");
    tally sum(order.json, "Purged", order.waiting ? "scheduled message" : "dead letter");
    sum.take(at.ask("DELETE", order.waiting ? entry_path(order) : letter_path(order), {}));
    sum.end();
  });
}

} // namespace maru::app
