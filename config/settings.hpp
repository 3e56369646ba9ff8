#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace maru::config {

enum class metrics_mode : std::uint8_t { loopback, all, off };

struct server_settings {
  std::vector<std::string> listen{"127.0.0.1:8080"};
  std::filesystem::path data = "data";
  std::string public_url;
  std::string static_dir; // "" built-in client, "off" none
  std::vector<std::string> cors_origins;
  metrics_mode metrics = metrics_mode::loopback;
  std::uint32_t threads = 0;     // 0: one per core
  std::uint32_t drain_ms = 5000; // how long SIGTERM waits for connections to close
};

struct storage_settings {
  std::string url = "sqlite:maru.db";
  std::uint32_t readers = 2;
};

enum class signup_mode : std::uint8_t { open, invite, closed };

struct auth_settings {
  signup_mode signup = signup_mode::open;
  std::uint32_t access_token_seconds = 900;
  std::uint32_t refresh_token_days = 60;
  std::uint32_t argon2_memory_kib = 19456;
  std::uint32_t argon2_passes = 2;
  std::uint32_t argon2_threads = 1; // how many passwords are hashed at a time
};

// 0: no limit.
struct limit_settings {
  std::uint32_t connections_per_user = 50;
  std::uint32_t messages_per_minute_per_user = 120;
  std::uint32_t questions_waiting_per_user = 100;
  std::uint32_t calls_per_user = 100;
  std::uint32_t requests_per_minute_per_address = 1200;
  std::uint32_t signups_per_minute_per_address = 20;
  std::uint32_t question_expires_seconds = 0; // 0: never
};

struct log_settings {
  std::string level = "info";  // trace | debug | info | warn | error
  std::string format = "text"; // text | json
};

// So many ends within the period are mended; one more is not.
struct intensity {
  std::uint32_t restarts = 5;
  std::uint32_t period_seconds = 10;
};

struct supervision_settings {
  intensity root; // of each child of the root
  // Of different actors that the root's child of this name keeps.
  intensity agents{100, 10}, users{100, 10}, rooms{100, 10}, sessions{100, 10};
  std::uint32_t backoff_first_ms = 20;
  std::uint32_t backoff_most_ms = 5000;
  std::uint32_t stuck_seconds = 60; // 0: nobody is replaced for not answering
};

struct provider_settings {
  std::string name;
  std::string kind; // openai | demo
  std::string url;
  std::string api_key;
  std::string ca_file;    // "" the system's certificates
  bool continues = false; // recovery = "continue"
  std::uint32_t attempts = 5;
  std::uint32_t answer_tokens = 0;     // of all attempts at one answer; 0: no limit
  std::uint32_t answer_seconds = 3600; // the same; 0: no limit
  std::uint32_t calls = 1024;          // that run at a time; 0: no limit
  std::uint32_t waiting = 1000;        // calls beyond that; 0: no limit
  std::uint32_t rest_after = 30;       // failures in a row; 0: never
  std::uint32_t rest_first_ms = 250;
  std::uint32_t rest_most_ms = 5000;
  std::uint32_t connect_timeout_ms = 10'000;
  std::uint32_t first_piece_timeout_ms = 120'000;
  std::uint32_t idle_timeout_ms = 60'000;
  std::uint32_t backoff_first_ms = 250;
  std::uint32_t backoff_most_ms = 10'000;
  std::uint32_t pool = 64;          // idle connections kept
  std::uint32_t demo_delay_ms = 15; // demo: between pieces
};

struct agent_settings {
  std::string name;
  std::vector<std::string> providers; // in order of preference
  std::string model;
  std::string system_prompt;
  std::uint32_t context_tokens = 8192; // budget for a request, without the answer
  std::uint32_t max_answer_tokens = 0; // 0: the provider's own
  std::uint32_t calls = 0;             // that run at a time, in all rooms; 0: no limit
};

struct settings {
  server_settings server;
  storage_settings storage;
  auth_settings auth;
  limit_settings limits;
  supervision_settings supervision;
  log_settings log;
  std::vector<provider_settings> providers;
  std::vector<agent_settings> agents;
};

} // namespace maru::config
