#include <iostream>

#include <CLI/CLI.hpp>

#include "app/control.hpp"
#include "app/serve.hpp"
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

int with_settings(const given& what, int (*run)(maru::config::settings)) {
  auto loaded = what.load();
  return loaded ? run(std::move(loaded.value)) : refuse(loaded);
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
        ->take_all();
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
  tree->callback([&] {
    status =
        with_settings(what, [](maru::config::settings s) { return maru::app::show_tree(s.server.data); });
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
