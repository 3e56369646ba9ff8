#include <future>

#include "config/limits.hpp"
#include "tests/unit/accounts_kit.hpp"

using namespace maru;
using namespace maru::actors;
using maru::actors::tests::office;

namespace {

constexpr auto no = code::unauthenticated;

} // namespace

TEST_CASE("the first account is the admin and the next ones are not") {
  office o;
  CHECK(o.signup("Ann").user.role == "admin");
  CHECK(o.signup("Bob").user.role == "user");
}

TEST_CASE("what a sign-up gives identifies its account and never shows the password's hash") {
  office o;
  const auto in = o.signup("  Ann ");
  CHECK(in.user.username == "Ann");
  const auto who = std::get<identity>(o.call(api::identify{}, in.access_token));
  CHECK(who.user == in.user.id);
  CHECK(who.username == "Ann");
  CHECK(who.role == "admin");
}

TEST_CASE("a username is taken in any case and form") {
  office o;
  o.signup("J\xC3\xBCrgen");
  CHECK(o.refused(api::signup{"JU\xCC\x88RGEN", "correct horse", ""}) == code::conflict);
}

TEST_CASE("of two sign-ups of one name at a time one succeeds") {
  office o;
  const auto a =
      o.rig.ask<api::reply>(o.handle, std::string{}, api::request{api::signup{"Ann", "correct horse", ""}});
  const auto b =
      o.rig.ask<api::reply>(o.handle, std::string{}, api::request{api::signup{"ann", "correct horse", ""}});
  o.rig.settle();
  CHECK(a->value->index() != b->value->index());
}

TEST_CASE("bad names and passwords are refused") {
  office o;
  const std::string good = "correct horse";
  CHECK(o.refused(api::signup{"", good, ""}) == code::invalid_field);
  CHECK(o.refused(api::signup{"   ", good, ""}) == code::invalid_field);
  CHECK(o.refused(api::signup{"a\nb", good, ""}) == code::invalid_field);
  CHECK(o.refused(api::signup{"a\xE2\x80\x8B"
                              "b",
                              good, ""}) == code::invalid_field); // zero width space
  CHECK(o.refused(api::signup{"a\xFF", good, ""}) == code::invalid_field);
  CHECK(o.refused(api::signup{std::string(limits::username_chars + 1, 'a'), good, ""}) ==
        code::invalid_field);
  CHECK(o.refused(api::signup{std::string(limits::username_chars, 'a'), good, ""}) == code::ok);
  CHECK(o.refused(api::signup{"Ann", "1234567", ""}) == code::invalid_field);
  CHECK(o.refused(api::signup{"Ann", std::string(limits::password_bytes_most + 1, 'a'), ""}) ==
        code::invalid_field);
}

TEST_CASE("nobody signs up where sign-up is not open") {
  office o;
  o.rig.settings.auth.signup = config::signup_mode::closed;
  o.open();
  CHECK(o.refused(api::signup{"Ann", "correct horse", ""}) == code::forbidden);
}

TEST_CASE("login wants the right name and the right password") {
  office o;
  const auto ann = o.signup("Ann").user.id;
  CHECK(std::get<api::signed_in>(o.call(api::login{"aNN", "correct horse"})).user.id == ann);
  CHECK(o.refused(api::login{"Ann", "wrong horse"}) == no);
  CHECK(o.refused(api::login{"Bob", "correct horse"}) == no);
  CHECK(o.refused(api::login{"", ""}) == no);
}

TEST_CASE("a login makes the hash anew when the cost has changed") {
  office o;
  const auto ann = o.signup("Ann").user.id;
  const auto hash = [&] {
    return o.rig.read([&](storage::reader& from) { return from.account(ann)->password_hash; }).value();
  };
  const auto before = hash();
  o.rig.settings.auth.argon2_passes = 2;
  o.open();
  CHECK(o.refused(api::login{"Ann", "correct horse"}) == code::ok);
  CHECK(hash() != before);
  CHECK_FALSE(needs_rehash(hash(), {8, 2}));
  CHECK(o.refused(api::login{"Ann", "correct horse"}) == code::ok);
}

TEST_CASE("an access token ends with its time, and a changed one is none") {
  office o;
  const auto in = o.signup("Ann");
  auto changed = in.access_token;
  changed[changed.size() / 2] = changed[changed.size() / 2] == 'A' ? 'B' : 'A';
  CHECK(o.token_is(changed) == no);
  CHECK(o.token_is("") == no);
  o.rig.advance(899'000);
  CHECK(o.token_is(in.access_token) == code::ok);
  o.rig.advance(1'000);
  CHECK(o.token_is(in.access_token) == no);
}

TEST_CASE("access tokens and their revocation survive a restart") {
  office o;
  const auto ann = o.signup("Ann");
  const auto bob = o.signup("Bob");
  o.call(api::logout{}, bob.access_token);
  o.open();
  CHECK(o.token_is(ann.access_token) == code::ok);
  CHECK(o.token_is(bob.access_token) == no);
}

TEST_CASE("a refresh token works once; used again it ends its family") {
  office o;
  const auto first = o.signup("Ann");
  const auto other = std::get<api::signed_in>(o.call(api::login{"Ann", "correct horse"}));
  const auto second = std::get<api::signed_in>(o.call(api::refresh{first.refresh_token, ""}));
  CHECK(o.token_is(second.access_token) == code::ok);
  const auto family = std::get<identity>(o.call(api::identify{}, second.access_token)).family;
  CHECK(o.refused(api::refresh{first.refresh_token, ""}) == no);
  CHECK(o.token_is(first.access_token) == no);
  CHECK(o.token_is(second.access_token) == no);
  CHECK(o.refused(api::refresh{second.refresh_token, ""}) == no);
  CHECK(o.told == std::vector<uuid>{family});
  CHECK(o.token_is(other.access_token) == code::ok);
}

TEST_CASE("the same nonce gives the same successor until that was used") {
  office o;
  const auto first = o.signup("Ann");
  const auto second = std::get<api::signed_in>(o.call(api::refresh{first.refresh_token, "n"}));
  o.open();
  const auto again = std::get<api::signed_in>(o.call(api::refresh{first.refresh_token, "n"}));
  CHECK(again.refresh_token == second.refresh_token);
  const auto third = std::get<api::signed_in>(o.call(api::refresh{second.refresh_token, "m"}));
  CHECK(o.refused(api::refresh{first.refresh_token, "n"}) == no);
  CHECK(o.token_is(third.access_token) == no);
}

TEST_CASE("two uses of a refresh token at a time, with one nonce, get one successor") {
  office o;
  const auto first = o.signup("Ann");
  const api::request use = api::refresh{first.refresh_token, "n"};
  const auto a = o.rig.ask<api::reply>(o.handle, std::string{}, use);
  const auto b = o.rig.ask<api::reply>(o.handle, std::string{}, use);
  o.rig.settle();
  CHECK(std::get<api::signed_in>(*a->value).refresh_token ==
        std::get<api::signed_in>(*b->value).refresh_token);
}

TEST_CASE("two uses of a refresh token at a time, with two nonces, end the family") {
  office o;
  const auto first = o.signup("Ann");
  const auto a =
      o.rig.ask<api::reply>(o.handle, std::string{}, api::request{api::refresh{first.refresh_token, "a"}});
  const auto b =
      o.rig.ask<api::reply>(o.handle, std::string{}, api::request{api::refresh{first.refresh_token, "b"}});
  o.rig.settle();
  CHECK(a->value->index() != b->value->index());
  CHECK(o.token_is(first.access_token) == no);
}

TEST_CASE("a refresh token ends with its time") {
  office o;
  o.rig.settings.auth.refresh_token_days = 1;
  o.open();
  const auto in = o.signup("Ann");
  o.rig.advance(86'400'000);
  CHECK(o.refused(api::refresh{in.refresh_token, ""}) == no);
}

TEST_CASE("what nobody can come with any more is dropped at the start, and again every day") {
  office o;
  o.rig.settings.auth.refresh_token_days = 1;
  o.open();
  const auto first = o.signup("Ann");
  const auto ann = std::get<identity>(o.call(api::identify{}, first.access_token)).family;
  const auto second = std::get<api::signed_in>(o.call(api::refresh{first.refresh_token, "n"}));
  const auto kept = [&](const std::string& token) {
    return o.rig.read([hash = tokens::hash_of(token)](auto& from) { return from.refresh(hash).has_value(); })
        .value();
  };
  const auto family_kept = [&](const uuid& id) {
    return o.rig.read([id](storage::reader& from) { return from.family(id).has_value(); }).value();
  };
  o.rig.advance(limits::day_ms);
  CHECK(kept(first.refresh_token));
  const auto bob = o.signup("Bob");
  const auto bobs = std::get<identity>(o.call(api::identify{}, bob.access_token)).family;
  o.rig.advance(limits::day_ms);
  CHECK_FALSE(kept(first.refresh_token));
  CHECK_FALSE(kept(second.refresh_token));
  CHECK_FALSE(family_kept(ann));
  CHECK(kept(bob.refresh_token));
  CHECK(family_kept(bobs));
  CHECK(o.refused(api::refresh{first.refresh_token, "n"}) == no);
  o.rig.time().advance(limits::day_ms);
  o.open();
  CHECK_FALSE(family_kept(bobs));
}

TEST_CASE("logout takes the access token, one that just expired, or the refresh token") {
  office o;
  const auto a = o.signup("Ann");
  const auto b = o.signup("Bob");
  const auto c = o.signup("Cid");
  CHECK(o.refused(api::logout{}, "nonsense") == no);
  CHECK(o.refused(api::logout{}, a.access_token) == code::ok);
  CHECK(o.token_is(a.access_token) == no);
  CHECK(o.refused(api::refresh{a.refresh_token, ""}) == no);
  CHECK(o.refused(api::logout{c.refresh_token}) == code::ok);
  CHECK(o.token_is(c.access_token) == no);
  o.rig.advance(1'000'000);
  CHECK(o.refused(api::logout{}, b.access_token) == code::ok);
  CHECK(o.refused(api::refresh{b.refresh_token, ""}) == no);
  CHECK(o.told.size() == 3);
}

TEST_CASE("a new password wants the current one and ends the other sign-ins") {
  office o;
  const auto here = o.signup("Ann");
  const auto there = std::get<api::signed_in>(o.call(api::login{"Ann", "correct horse"}));
  api::change_me change;
  change.new_password = "battery staple";
  CHECK(o.refused(change, here.access_token) == code::invalid_field);
  change.password = "wrong horse";
  CHECK(o.refused(change, here.access_token) == code::forbidden);
  change.password = "correct horse";
  CHECK(o.refused(change, here.access_token) == code::ok);
  CHECK(o.token_is(here.access_token) == code::ok);
  CHECK(o.token_is(there.access_token) == no);
  CHECK(o.refused(api::refresh{there.refresh_token, ""}) == no);
  CHECK(o.told.size() == 1);
  CHECK(o.refused(api::login{"Ann", "correct horse"}) == no);
  CHECK(o.refused(api::login{"Ann", "battery staple"}) == code::ok);
}

TEST_CASE("changes of one profile at a time do not undo each other") {
  office o;
  const auto in = o.signup("Ann");
  api::change_me name, settings;
  name.display_name = "Anna";
  settings.settings = R"({"theme":"dark"})";
  const auto a = o.rig.ask<api::reply>(o.handle, in.access_token, api::request{name});
  const auto b = o.rig.ask<api::reply>(o.handle, in.access_token, api::request{settings});
  o.rig.settle();
  const auto me = std::get<api::profile>(o.call(api::get_me{}, in.access_token)).user;
  CHECK(me.display_name == "Anna");
  CHECK(me.settings == R"({"theme":"dark"})");
  CHECK(std::get<identity>(o.call(api::identify{}, in.access_token)).display_name == "Anna");
}

TEST_CASE("settings have to be an object of bounded size and depth") {
  office o;
  const auto in = o.signup("Ann");
  const auto set = [&](std::string json) {
    api::change_me change;
    change.settings = std::move(json);
    return o.refused(change, in.access_token);
  };
  CHECK(set("[]") == code::invalid_field);
  CHECK(set("{") == code::invalid_field);
  CHECK(set("{} x") == code::invalid_field);
  CHECK(set(R"({"a":)" + std::string(limits::json_depth, '[') + std::string(limits::json_depth, ']') + "}") ==
        code::invalid_field);
  CHECK(set(R"({"a":")" + std::string(limits::client_settings_bytes, 'a') + "\"}") == code::invalid_field);
  CHECK(set(R"({"a":"[[[{{{\"]"})") == code::ok);
}

TEST_CASE("every commit that fails is told, and nothing is signed in by it") {
  office o;
  const auto in = o.signup("Ann");
  o.rig.fault = [](std::string_view operation) {
    return operation == "commit" ? storage::failure::full : storage::failure::none;
  };
  const auto unavailable = code::storage_unavailable;
  CHECK(o.refused(api::signup{"Bob", "correct horse", ""}) == unavailable);
  CHECK(o.refused(api::login{"Ann", "correct horse"}) == unavailable);
  CHECK(o.refused(api::refresh{in.refresh_token, "n"}) == unavailable);
  CHECK(o.refused(api::logout{}, in.access_token) == unavailable);
  api::change_me change;
  change.display_name = "Anna";
  CHECK(o.refused(change, in.access_token) == unavailable);
  o.rig.fault = nullptr;
  CHECK(o.token_is(in.access_token) == code::ok);
  CHECK(o.refused(api::refresh{in.refresh_token, "n"}) == code::ok);
  CHECK(o.refused(change, in.access_token) == code::ok);
  CHECK(o.refused(api::login{"Bob", "correct horse"}) == no);
}

TEST_CASE("every read that fails is told, and a later start finds its keys") {
  office o;
  const auto in = o.signup("Ann");
  o.rig.fault = [](std::string_view operation) {
    return operation == "read" ? storage::failure::unavailable : storage::failure::none;
  };
  CHECK(o.refused(api::login{"Ann", "correct horse"}) == code::storage_unavailable);
  CHECK(o.refused(api::get_me{}, in.access_token) == code::storage_unavailable);
  o.open();
  o.rig.fault = nullptr;
  o.rig.advance(limits::commit_again_ms);
  CHECK(o.token_is(in.access_token) == code::ok);
}

TEST_CASE("more passwords than may wait are refused at once") {
  office o;
  o.signup("Ann");
  for (std::size_t i = 0; i < limits::password_jobs_waiting; ++i)
    REQUIRE(o.pool->submit([] {}));
  const auto late =
      o.rig.ask<api::reply>(o.handle, std::string{}, api::request{api::login{"Ann", "correct horse"}});
  o.rig.run();
  storage::pump(o.rig.db());
  o.rig.run();
  REQUIRE(late->value);
  CHECK(std::get<refusal>(*late->value).why == code::overloaded);
}

TEST_CASE("requests that wait when the actor ends are answered") {
  office o;
  const auto late =
      o.rig.ask<api::reply>(o.handle, std::string{}, api::request{api::login{"Ann", "correct horse"}});
  o.rig.run();
  CHECK_FALSE(late->came);
  o.rig.end(o.handle, caf::exit_reason::kill);
  REQUIRE(late->value);
  CHECK(std::get<refusal>(*late->value).why == code::storage_unavailable);
}

TEST_CASE("a password pool with threads runs its jobs and ends with some waiting") {
  password_pool pool{2};
  std::promise<void> ran;
  REQUIRE(pool.submit([&] { ran.set_value(); }));
  ran.get_future().wait();
}
