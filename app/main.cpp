#include <array>
#include <functional>
#include <iostream>

#include <CLI/CLI.hpp>

#include "app/backup.hpp"
#include "app/mailboxes.hpp"
#include "app/serve.hpp"
#include "app/tree.hpp"
#include "app/users.hpp"
#include "base/codes.hpp"
#include "base/uuid.hpp"
#include "config/load.hpp"
#include "config/machine.hpp"

namespace {

constexpr int done = 0, failed = 1, wrong_usage = 2;

int print(const std::string& text) { return std::cout << text << std::flush ? done : failed; }

struct given {
  std::string config;
  std::vector<std::string> sets;

  [[nodiscard]] maru::config::loaded load() const {
    return maru::config::load(config.empty() ? std::nullopt : std::optional<std::filesystem::path>(config),
                              maru::config::process_environment(), sets);
  }
};

int refuse(const maru::config::loaded& loaded) {
  for (const auto& p : loaded.problems)
    std::cerr << p.str() << "\n";
  return wrong_usage;
}

// As with_settings, for what needs them to fit this machine, too.
int with_settings_here(const given& what, int (*run)(maru::config::settings)) {
  auto loaded = what.load();
  if (loaded) loaded.problems = maru::config::problems_here(loaded.value);
  return loaded ? run(std::move(loaded.value)) : refuse(loaded);
}

int with_settings(const given& what, const std::function<int(maru::config::settings)>& run) {
  auto loaded = what.load();
  return loaded ? run(std::move(loaded.value)) : refuse(loaded);
}

using user_command = int (*)(const maru::config::settings&, const maru::app::user_order&);

// `run` is called for the one that was given. What each takes, and no password among it: others see it.
void add_user_commands(CLI::App& app, maru::app::user_order& order,
                       const std::function<void(CLI::App*, user_command)>& when_given) {
  auto* user = app.add_subcommand("user", "Who may sign in; with a running server or without one");
  user->require_subcommand(1);
  const auto add = [&](const char* name, const char* help, user_command run) {
    auto* command = user->add_subcommand(name, help);
    when_given(command, run);
    return command;
  };
  const CLI::IsMember a_role({"admin", "user"});
  const auto take_name = [&](CLI::App* command) {
    command->add_option("NAME", order.name, "Whom; after -- if it begins with a dash")->required();
  };
  const auto take_generate = [&](CLI::App* command) {
    command->add_flag(
        "--generate", order.generate,
        "Print a random password; otherwise it is asked for, or the first line of standard input");
  };

  auto* fresh = add("add", "Make an account; the first one of a server is its admin", maru::app::add_user);
  take_name(fresh);
  take_generate(fresh);
  fresh->add_option("--display-name", order.display_name, "What others see; without it the name");
  fresh->add_option("--role", order.role, "admin or user")->check(a_role);
  add("list", "Show all accounts", maru::app::list_users)->add_flag("--json", order.json, "As a JSON array");
  auto* role = add("role", "Make an admin, or take that away", maru::app::set_role);
  take_name(role);
  role->add_option("ROLE", order.role, "admin or user")->required()->check(a_role);
  auto* password =
      add("password", "Set a password; ends all sign-ins of the account", maru::app::set_password);
  take_name(password);
  take_generate(password);
}

using mailbox_command = int (*)(const maru::config::settings&, const maru::app::mailbox_order&);

void add_mailbox_commands(CLI::App& app, maru::app::mailbox_order& order,
                          const std::function<void(CLI::App*, mailbox_command)>& when_given) {
  auto* mailbox = app.add_subcommand(
      "mailbox", "What waits, what was given up, and its ways back; with a running server or without one");
  mailbox->require_subcommand(1);
  const auto add = [&](const char* name, const char* help, mailbox_command run) {
    auto* command = mailbox->add_subcommand(name, help);
    command->add_flag("--json", order.json, "As JSON");
    when_given(command, run);
    return command;
  };
  const auto take_filter = [&](CLI::App* command) {
    return std::array{
        command->add_option("--mailbox", order.mailbox, "Only those of this mailbox"),
        command->add_option("--reason", order.reason, "Only those that died of this")
            ->check(CLI::IsMember(std::vector<std::string>(maru::burials.begin(), maru::burials.end())))};
  };
  const CLI::Validator an_id(
      [](const std::string& text) {
        return maru::uuid::parse(text) ? ""
                                       : "'" + text + "' is no id; `maru mailbox dead` and `show` show them";
      },
      "ID");
  const auto take_one_or_all = [&](CLI::App* command) {
    auto* which = command->add_option_group("which");
    which->add_option("ID", order.what, "The dead letter")->check(an_id);
    auto* all = which->add_flag("--all", order.all, "All, or all that the filters leave");
    which->require_option(1);
    for (auto* filter : take_filter(command))
      filter->needs(all);
    return all;
  };
  add("list", "Show the mailboxes in which something waits", maru::app::list_mailboxes);
  add("show", "Show what waits in a mailbox, or a dead letter", maru::app::show_mailbox)
      ->add_option("WHAT", order.what, "A mailbox, or the id of a dead letter")
      ->required();
  take_filter(add("dead", "Show the dead letters, the newest first", maru::app::list_dead_letters));
  take_one_or_all(add("requeue", "Have dead letters tried afresh", maru::app::requeue_dead_letters));
  auto* purge = add("purge", "Delete dead letters, or a scheduled message", maru::app::purge_dead_letters);
  auto* all_dead = take_one_or_all(purge);
  purge->add_flag("--waiting", order.waiting, "ID is of a scheduled message that waits: `maru mailbox show`")
      ->excludes(all_dead);
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "maru: a chat server in which people and LLM agents talk in rooms, and nothing acknowledged is lost"};
  app.require_subcommand(1);
  given what;
  int status = done;
  const auto add_options = [&](CLI::App* command) {
    command->add_option("--config", what.config, "TOML file; without one the defaults hold");
    command->add_option("--set", what.sets, "KEY=VALUE, over the file and the environment; may be repeated")
        ->take_all()
        ->expected(1)
        ->allow_extra_args(false); // what follows its value may be a name
  };

  auto* serve = app.add_subcommand("serve", "Run the server until SIGTERM");
  add_options(serve);
  serve->callback([&] { status = with_settings_here(what, maru::app::serve); });

  auto* config = app.add_subcommand("config", "Look at the configuration");
  config->require_subcommand(1);
  auto* check = config->add_subcommand("check", "Say what is wrong with it, if anything");
  add_options(check);
  check->callback([&] {
    status = with_settings_here(what, [](maru::config::settings) {
      std::cout << "The configuration is good.\n";
      return done;
    });
  });
  auto* example = config->add_subcommand("example", "Print an example with every option");
  add_options(example);
  example->callback([&] { status = print(maru::config::example()); });

  auto* tree = app.add_subcommand("tree", "Show the live supervision tree of the running server");
  add_options(tree);
  bool tree_as_json = false;
  tree->add_flag("--json", tree_as_json, "As JSON, with every actor that is not well and up to 1000 others");
  tree->callback([&] {
    status = with_settings(what, [&](const maru::config::settings& s) {
      return maru::app::show_tree(s.server.data, tree_as_json);
    });
  });

  maru::app::user_order order;
  add_user_commands(app, order, [&](CLI::App* command, user_command run) {
    add_options(command);
    command->callback([&, run] {
      status = with_settings(what, [&](const maru::config::settings& s) { return run(s, order); });
    });
  });

  maru::app::mailbox_order mailbox_order;
  add_mailbox_commands(app, mailbox_order, [&](CLI::App* command, mailbox_command run) {
    add_options(command);
    command->callback([&, run] {
      status = with_settings(what, [&](const maru::config::settings& s) { return run(s, mailbox_order); });
    });
  });

  std::string copy;
  auto* backup =
      app.add_subcommand("backup", "Copy the database to a new file; with a running server or without one");
  add_options(backup);
  backup->add_option("FILE", copy, "The new file")->required();
  backup->callback([&] {
    status =
        with_settings(what, [&](const maru::config::settings& s) { return maru::app::back_up(s, copy); });
  });
  auto* restore =
      app.add_subcommand("restore", "Put a backup in the place of the database of a stopped server");
  add_options(restore);
  restore->add_option("FILE", copy, "What `maru backup` made")->required();
  restore->callback([&] {
    status =
        with_settings(what, [&](const maru::config::settings& s) { return maru::app::restore(s, copy); });
  });

  auto* version = app.add_subcommand("version", "Print the version");
  add_options(version);
  version->callback([&] { status = print("maru " MARU_VERSION "\n"); });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? done : wrong_usage;
  }
  return status;
}
