#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

#include "tests/bench/filled.hpp"
#include "tests/bench/measure.hpp"

namespace maru::bench {
namespace {

// Asks the kernel to forget what it holds of these files; it need not.
void forget_pages(const std::filesystem::path& folder) {
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    const int fd = ::open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    ::fsync(fd);
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    ::close(fd);
  }
}

void add_ms(samples& to, double ms) { to.add(static_cast<std::int64_t>(ms * 1e6)); }

} // namespace

row measure_start(const house_options& where, const start_options& what) {
  samples empty, orderly, killed, cold;
  for (std::size_t i = 0; i < what.starts; ++i)
    add_ms(empty, house(where, {}).ready_ms());

  const auto& full = filled(where, what.rooms, what.messages);
  house home(where, {}, full.data);
  for (std::size_t i = 0; i < what.starts; ++i) {
    home.stop();
    home.start();
    add_ms(orderly, home.ready_ms());
    home.kill();
    home.start();
    add_ms(killed, home.ready_ms());
    home.stop();
    forget_pages(full.data);
    home.start();
    add_ms(cold, home.ready_ms());
  }
  row out;
  out.measurement =
      "start: " + std::to_string(what.rooms) + " rooms of " + std::to_string(what.messages) + " messages";
  out.figures = {{"start to ready", orderly.percentile_ms(50), "ms"},
                 {"start to ready, most", orderly.most_ms(), "ms"},
                 {"start to ready after kill -9", killed.percentile_ms(50), "ms"},
                 {"start to ready, pages forgotten if the kernel did", cold.percentile_ms(50), "ms"},
                 {"start to ready with an empty folder", empty.percentile_ms(50), "ms"},
                 {"database", full.mebibytes, "MiB"},
                 {"server's resident memory", home.used().resident_kb / 1024, "MiB"}};
  return out;
}

} // namespace maru::bench
