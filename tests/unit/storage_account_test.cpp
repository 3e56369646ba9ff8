#include "config/limits.hpp"
#include "tests/unit/storage_kit.hpp"

using namespace maru;
using namespace maru::storage;
using namespace maru::storage::tests;

namespace {

account_row account(std::uint64_t n, const std::string& login) {
  return {id_of('u', n), login, login, "", "hash", "user", R"({"theme":"dark"})", 10};
}

} // namespace

TEST_CASE("the first account of an empty server is its admin, and only that one") {
  bench b;
  b.put({create_account{account(1, "ana")}});
  b.put({create_account{account(2, "bo")}});
  b.group();
  CHECK(b.look([](reader& r) {
           CHECK(r.account(id_of('u', 1)).value().role == "admin");
           CHECK(r.account_by_login("bo").value().role == "user");
           REQUIRE(r.accounts({}, 10).size() == 2);
           CHECK(r.accounts({}, 10).back().username == "bo");
           CHECK(r.accounts({}, 1).size() == 1);
           CHECK(r.accounts(id_of('u', 1), 10).size() == 1);
           CHECK(r.accounts(id_of('u', 2), 10).empty());
           CHECK_FALSE(r.account_by_login("nobody"));
           CHECK_FALSE(r.account(id_of('u', 3)));
         }).empty());
}

TEST_CASE("the first account stays a user where that is asked for") {
  bench b;
  b.must({create_account{account(1, "ana"), false}});
  CHECK(b.look([](reader& r) { CHECK(r.account(id_of('u', 1)).value().role == "user"); }).empty());
}

TEST_CASE("of two demotions in one group that would leave no admin the second is refused, and undone whole") {
  bench b;
  b.must({create_account{account(1, "ana")}});
  auto bo = account(2, "bo");
  bo.role = "admin";
  b.must({create_account{bo}});
  const auto first = b.put({update_account{account(1, "ana")}, keep_an_admin{}});
  auto renamed = account(2, "bo");
  renamed.display_name = "Bo";
  const auto second = b.put({update_account{renamed}, keep_an_admin{}});
  b.group();
  CHECK(b.outcomes[first].why == failure::none);
  CHECK(b.outcomes[second].why == failure::conflict);
  CHECK(b.look([](reader& r) {
           CHECK(r.account(id_of('u', 1)).value().role == "user");
           CHECK(r.account(id_of('u', 2)).value().role == "admin");
           CHECK(r.account(id_of('u', 2)).value().display_name.empty());
         }).empty());
}

TEST_CASE("a login is taken once, by sign-up and by change") {
  bench b;
  b.must({create_account{account(1, "ana")}});
  b.must({create_account{account(2, "bo")}});
  CHECK(b.commit({create_account{account(3, "ana")}}).why == failure::conflict);
  auto row = account(2, "ana");
  CHECK(b.commit({update_account{row}}).why == failure::conflict);
  row.login = "cy";
  row.settings = "{}";
  b.must({update_account{row}});
  CHECK(b.commit({update_account{account(9, "di")}}).why == failure::conflict);
  CHECK(b.look([](reader& r) {
           CHECK(r.account_by_login("cy").value().settings == "{}");
           CHECK_FALSE(r.account_by_login("bo"));
         }).empty());
}

TEST_CASE("a refresh token works once, and keeps what the same nonce is answered with") {
  bench b;
  refresh_row token{std::string("h\0sh", 4), id_of('f', 1), id_of('u', 1), 99, std::nullopt, "", ""};
  b.must({create_family{{id_of('f', 1), id_of('u', 1), 5, std::nullopt}}, add_refresh{token}});
  CHECK(b.commit({add_refresh{token}}).why == failure::conflict);
  b.must({use_refresh{token.hash, 50, "nonce", std::string("\0\x01sealed", 8)}});
  CHECK(b.commit({use_refresh{token.hash, 51, "other", "x"}}).why == failure::conflict);
  CHECK(b.commit({use_refresh{"unknown", 51, "other", "x"}}).why == failure::conflict);
  CHECK(b.look([&](reader& r) {
           const auto got = r.refresh(token.hash).value();
           CHECK(got.used_at == 50);
           CHECK(got.nonce == "nonce");
           CHECK(got.successor == std::string("\0\x01sealed", 8));
           CHECK(got.family == id_of('f', 1));
           CHECK_FALSE(r.refresh("unknown"));
         }).empty());
}

TEST_CASE("families are revoked one by one, or all of an account but one; the first time stands") {
  bench b;
  for (std::uint64_t n = 1; n <= 4; ++n)
    b.must({create_family{{id_of('f', n), id_of('u', n == 4 ? 2 : 1), 5, std::nullopt}}});
  b.must({revoke_family{id_of('f', 1), 20}});
  b.must({revoke_account_families{id_of('u', 1), id_of('f', 2), 30}});
  CHECK(b.look([](reader& r) {
           CHECK(r.family(id_of('f', 1)).value().revoked_at == 20);
           CHECK_FALSE(r.family(id_of('f', 2)).value().revoked_at);
           CHECK(r.family(id_of('f', 3)).value().revoked_at == 30);
           CHECK_FALSE(r.family(id_of('f', 4)).value().revoked_at);
           CHECK(r.families_revoked_since(20).size() == 2);
           CHECK(r.families_revoked_since(21).size() == 1);
         }).empty());
  b.must({revoke_account_families{id_of('u', 1), std::nullopt, 40}});
  CHECK(b.look([](reader& r) {
           CHECK(r.family(id_of('f', 2)).value().revoked_at == 40);
           CHECK(r.family(id_of('f', 3)).value().revoked_at == 30);
         }).empty());
}

TEST_CASE("expired tokens go, a bounded number at a time, and families with the last of theirs") {
  bench b;
  const auto token = [](const std::string& hash, std::uint64_t family, std::int64_t expires_at) {
    return add_refresh{{hash, id_of('f', family), id_of('u', 1), expires_at, std::nullopt, "", ""}};
  };
  const auto family = [](std::uint64_t n, std::optional<std::int64_t> revoked_at = {}) {
    return create_family{{id_of('f', n), id_of('u', 1), 5, revoked_at}};
  };
  b.must({family(1), token("lapsed", 1, 99), token("lapsed too", 1, 98)});
  b.must({family(2), token("used", 2, 99), token("successor", 2, 100)});
  b.must({family(3, 100), token("just revoked", 3, 50)});
  b.must({family(4, 99), token("long revoked", 4, 50)});
  b.must({family(5, 20), token("revoked, not expired", 5, 500)});
  SECTION("few") {
    b.must({drop_expired{100}});
    CHECK(b.look([&](reader& r) {
             CHECK_FALSE(r.refresh("lapsed"));
             CHECK_FALSE(r.refresh("lapsed too"));
             CHECK_FALSE(r.family(id_of('f', 1)));
             CHECK_FALSE(r.refresh("used"));
             CHECK(r.refresh("successor"));
             CHECK(r.family(id_of('f', 2)));
             CHECK(r.refresh("just revoked"));
             CHECK(r.family(id_of('f', 3)));
             CHECK_FALSE(r.refresh("long revoked"));
             CHECK_FALSE(r.family(id_of('f', 4)));
             CHECK(r.family(id_of('f', 5)));
           }).empty());
    CHECK(b.commit({drop_expired{100}}).why == failure::conflict);
    b.must({drop_expired{101}});
    CHECK(b.look([](reader& r) {
             CHECK_FALSE(r.family(id_of('f', 2)));
             CHECK_FALSE(r.family(id_of('f', 3)));
           }).empty());
  }
  SECTION("many") {
    std::vector<part> parts{family(6)};
    for (std::size_t i = 0; i < limits::refreshes_dropped_per_step; ++i)
      parts.emplace_back(token(std::to_string(i), 6, static_cast<std::int64_t>(i % 40)));
    b.must(parts);
    b.must({drop_expired{100}});
    CHECK(b.look([](reader& r) {
             CHECK_FALSE(r.family(id_of('f', 6)));
             CHECK(r.refresh("lapsed"));
             CHECK(r.refresh("long revoked"));
           }).empty());
    b.must({drop_expired{100}});
    CHECK(b.commit({drop_expired{100}}).why == failure::conflict);
  }
}

TEST_CASE("keys survive, bytes and all") {
  bench b;
  const std::string secret("\0\xff\x01 key", 7);
  b.must({put_key{{"k1", "old", 1}}, put_key{{"k2", secret, 2}}});
  b.must({put_key{{"k1", secret, 1}}});
  b.reopen();
  CHECK(b.look([&](reader& r) {
           const auto keys = r.keys();
           REQUIRE(keys.size() == 2);
           CHECK(keys[0].id == "k1");
           CHECK(keys[0].secret == secret);
         }).empty());
}
