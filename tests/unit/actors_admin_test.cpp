// What administrators do with accounts of others.

#include "config/limits.hpp"
#include "tests/unit/accounts_kit.hpp"

using namespace maru;
using namespace maru::actors;
using maru::actors::tests::office;

namespace {

constexpr auto no = code::unauthenticated;
const std::string good = "correct horse";

struct bureau : office {
  api::reply act(api::request what) {
    return rig.ask_now<api::reply>(handle, person{}, std::move(what)).value.value();
  }
  auto begin(api::request what) { return rig.ask<api::reply>(handle, person{}, std::move(what)); }
  code denied(api::request what) { return why(act(std::move(what))); }
  static code why(const api::reply& reply) {
    const auto* refused = std::get_if<refusal>(&reply);
    return refused ? refused->why : code::ok;
  }
  storage::account_summary add(const std::string& name, const std::string& role = "user") {
    return std::get<api::user_view>(act(api::add_user{name, good, "", role})).user;
  }
  api::signed_in login(const std::string& name) {
    return std::get<api::signed_in>(call(api::login{name, good}));
  }
  static api::change_user role(const uuid& whom, std::string role) { return {whom, std::move(role), {}, {}}; }
  static api::change_user password(const uuid& whom, std::string secret) {
    return {whom, {}, {}, std::move(secret)};
  }
  std::string role_of(const uuid& whom) {
    return rig.read([&](storage::reader& from) { return from.account(whom)->role; }).value();
  }
};

} // namespace

TEST_CASE("who is added may log in, also where nobody signs up") {
  bureau b;
  b.rig.settings.auth.signup = config::signup_mode::closed;
  b.open();
  CHECK(b.add("Ann").role == "admin"); // the first of all
  const auto bob = std::get<api::user_view>(b.act(api::add_user{" Bob ", good, "Bob B.", "user"})).user;
  CHECK(bob.username == "Bob");
  CHECK(bob.display_name == "Bob B.");
  CHECK(bob.role == "user");
  CHECK(b.add("Cid", "admin").role == "admin");
  CHECK(b.login("bob").user.id == bob.id);
}

TEST_CASE("an added account obeys the rules of a sign-up") {
  bureau b;
  b.add("Ann");
  CHECK(b.denied(api::add_user{"ANN", good, "", "user"}) == code::conflict);
  CHECK(b.denied(api::add_user{"", good, "", "user"}) == code::invalid_field);
  CHECK(b.denied(api::add_user{"a\nb", good, "", "user"}) == code::invalid_field);
  CHECK(b.denied(api::add_user{"Bob", "1234567", "", "user"}) == code::invalid_field);
  CHECK(b.denied(api::add_user{"Bob", good, "x\ty", "user"}) == code::invalid_field);
  CHECK(b.denied(api::add_user{"Bob", good, "", "root"}) == code::invalid_field);
  CHECK(b.refused(api::login{"Bob", good}) == no);
}

TEST_CASE("of two additions of one name at a time one succeeds") {
  bureau b;
  const auto one = b.begin(api::add_user{"Ann", good, "", "user"});
  const auto other = b.begin(api::add_user{"ann", good, "", "user"});
  b.rig.settle();
  CHECK((bureau::why(*one->value) == code::ok) != (bureau::why(*other->value) == code::ok));
}

TEST_CASE("a password that is set ends every sign-in of the account and no other") {
  bureau b;
  const auto ann = b.signup("Ann");
  const auto bob = b.signup("Bob");
  const auto there = b.login("Bob");
  CHECK(b.denied(bureau::password(bob.user.id, "short")) == code::invalid_field);
  CHECK(b.token_is(there.access_token) == code::ok);
  CHECK(b.denied(bureau::password(bob.user.id, "battery staple")) == code::ok);
  CHECK(b.token_is(bob.access_token) == no);
  CHECK(b.token_is(there.access_token) == no);
  CHECK(b.refused(api::refresh{bob.refresh_token, ""}) == no);
  CHECK(b.told.size() == 2);
  CHECK(b.refused(api::login{"Bob", good}) == no);
  CHECK(b.refused(api::login{"Bob", "battery staple"}) == code::ok);
  CHECK(b.token_is(ann.access_token) == code::ok);
}

TEST_CASE("sign-ins that a new password has ended stay ended after a start") {
  bureau b;
  const auto ann = b.signup("Ann");
  b.act(bureau::password(ann.user.id, "battery staple"));
  b.open();
  CHECK(b.token_is(ann.access_token) == no);
  CHECK(b.refused(api::refresh{ann.refresh_token, ""}) == no);
}

TEST_CASE("a login that is under way with the old password when another is set signs nobody in") {
  bureau b;
  const auto ann = b.signup("Ann");
  const auto set = b.begin(bureau::password(ann.user.id, "battery staple"));
  const auto in = b.rig.ask<api::reply>(b.handle, std::string{}, api::request{api::login{"Ann", good}});
  b.rig.settle();
  CHECK(bureau::why(*set->value) == code::ok);
  if (const auto* signed_in = std::get_if<api::signed_in>(&*in->value))
    CHECK(b.token_is(signed_in->access_token) == no);
}

TEST_CASE("an admin's role is seen at once; taken away it ends the sign-ins, given it does not") {
  bureau b;
  b.signup("Ann");
  const auto bob = b.signup("Bob");
  CHECK(b.denied(bureau::role(bob.user.id, "admin")) == code::ok);
  CHECK(b.told.empty());
  CHECK(std::get<identity>(b.call(api::identify{}, bob.access_token)).role == "admin");
  CHECK(b.denied(bureau::role(bob.user.id, "admin")) == code::ok); // already
  CHECK(b.told.empty());
  CHECK(b.denied(bureau::role(bob.user.id, "user")) == code::ok);
  CHECK(b.told.size() == 1);
  CHECK(b.token_is(bob.access_token) == no);
  CHECK(std::get<identity>(b.call(api::identify{}, b.login("Bob").access_token)).role == "user");
}

TEST_CASE("the last admin stays one, and nothing else of the change is done") {
  bureau b;
  const auto ann = b.signup("Ann");
  api::change_user all{ann.user.id, "user", "Anna", "battery staple"};
  CHECK(b.denied(all) == code::conflict);
  CHECK(b.role_of(ann.user.id) == "admin");
  CHECK(b.token_is(ann.access_token) == code::ok);
  CHECK(b.login("Ann").user.display_name == "Ann");
  b.add("Bob", "admin");
  CHECK(b.denied(all) == code::ok);
}

TEST_CASE("of two demotions at a time that would leave no admin one is refused") {
  bureau b;
  const auto ann = b.add("Ann").id, bob = b.add("Bob", "admin").id;
  const auto one = b.begin(bureau::role(ann, "user"));
  const auto other = b.begin(bureau::role(bob, "user"));
  b.rig.settle();
  const auto first = bureau::why(*one->value), second = bureau::why(*other->value);
  CHECK(((first == code::ok && second == code::conflict) || (first == code::conflict && second == code::ok)));
  CHECK((b.role_of(ann) == "admin") != (b.role_of(bob) == "admin"));
}

TEST_CASE("changes of one account by its owner and by an admin do not undo each other") {
  bureau b;
  const auto ann = b.signup("Ann");
  const auto bob = b.signup("Bob");
  api::change_me mine;
  mine.settings = R"({"theme":"dark"})";
  const auto one = b.rig.ask<api::reply>(b.handle, bob.access_token, api::request{mine});
  const auto other = b.begin(api::change_user{bob.user.id, "admin", "Bobby", {}});
  b.rig.settle();
  const auto me = std::get<api::profile>(b.call(api::get_me{}, bob.access_token)).user;
  CHECK(me.settings == R"({"theme":"dark"})");
  CHECK(me.role == "admin");
  CHECK(me.display_name == "Bobby");
}

TEST_CASE("who is not there is not found, and a role that is none is refused") {
  bureau b;
  const auto ann = b.add("Ann").id;
  CHECK(b.denied(bureau::role(uuid::v7(1), "admin")) == code::not_found);
  CHECK(b.denied(bureau::role(ann, "root")) == code::invalid_field);
  CHECK(b.denied(api::change_user{ann, {}, "a\nb", {}}) == code::invalid_field);
}

TEST_CASE("an act whose commit fails is refused, and nothing of it is there") {
  bureau b;
  const auto ann = b.signup("Ann");
  b.add("Bob", "admin");
  b.rig.fault = [](std::string_view operation) {
    return operation == "commit" ? storage::failure::full : storage::failure::none;
  };
  CHECK(b.denied(api::add_user{"Cid", good, "", "user"}) == code::storage_unavailable);
  CHECK(b.denied(bureau::role(ann.user.id, "user")) == code::storage_unavailable);
  CHECK(b.denied(bureau::password(ann.user.id, "battery staple")) == code::storage_unavailable);
  b.rig.fault = nullptr;
  CHECK(b.token_is(ann.access_token) == code::ok);
  CHECK(b.told.empty());
  CHECK(b.refused(api::login{"Cid", good}) == no);
  CHECK(b.refused(api::login{"Ann", good}) == code::ok);
}
