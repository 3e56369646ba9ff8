#pragma once

// A disk beneath SQLite, in memory, that knows what of it is synced. It is SQLite's usual file system in the
// programs that link it. Invariants:
// - What a process has written another one reads, whether it is synced or not.
// - A power cut keeps all that is synced. Of the rest each 512 bytes are as any write left them, or as they
//   were; a length, a new name and a removed one may be lost, too.
// - The bytes beside a write stay what they were (powersafe overwrite, which SQLite assumes here).

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace maru::test {

enum class disk_fault : std::uint8_t {
  none,
  no_room,     // a write gets as far as it gets
  write_fails, // EIO
  sync_fails,  // EIO; of what was not synced, some never will be
};

class simulated_disk {
public:
  // A number below the given one.
  using chooser = std::function<std::size_t(std::size_t below)>;

  static simulated_disk& instance(); // made known to SQLite at the first call

  // Empty, with numbers of its own.
  void begin(chooser choose);
  // A file of this name is made with that in it, all synced. An empty database is made by opening it.
  void put(const std::string& name, std::string content);
  [[nodiscard]] std::string content(const std::string& name) const;

  // The process ends at the n-th change of the disk from now on, perhaps in the middle of it.
  void die_after(std::size_t changes) { fuse_ = changes; }
  void die() { dead_ = true; }
  [[nodiscard]] bool dead() const { return dead_; }
  // What the next process finds: all that was written, or what a power cut leaves of it.
  void revive();
  void cut_power();

  // From the n-th chance for it on, so many times in a row.
  void fail(disk_fault what, std::size_t nth, std::size_t times);
  void mend() { fault_ = disk_fault::none; }
  // Syncs say that all is well and do nothing.
  void forget_syncs(bool yes) { forgets_ = yes; }

  // True: whatever a reader sees now, a power cut would leave. False: perhaps not.
  [[nodiscard]] bool all_safe() const;
  // What a power cut leaves at least, under names that begin with `prefix`. Nothing counts as a change and
  // nothing fails until it is forgotten.
  void show_synced(const std::string& prefix);
  void forget(const std::string& prefix);
  [[nodiscard]] std::size_t changes() const { return changes_; }

private:
  friend struct disk_file;
  friend struct disk_vfs;

  struct change {
    bool cuts = false; // to the length `at`
    bool never = false;
    std::size_t at = 0;
    std::string bytes;
  };
  struct lock_state {
    int shared = 0;
    const void* reserved = nullptr;
    const void* exclusive = nullptr;
  };
  struct shared_lock {
    int shared = 0;
    const void* exclusive = nullptr;
  };
  struct inode {
    std::string content, synced;
    std::vector<change> since; // the last sync
    std::size_t opens = 0;
    lock_state lock;
    std::vector<std::unique_ptr<char[]>> memory; // shared among connections
    std::map<int, shared_lock> memory_locks;
  };
  using names = std::map<std::string, std::shared_ptr<inode>>;

  // One by one, as the process makes them. False: it does not live to see the end of it.
  bool lives_through_change();
  [[nodiscard]] bool fails(disk_fault what);
  void apply(inode& to, change what);
  int write(inode& to, const char* from, std::size_t size, std::size_t at);
  int cut(inode& to, std::size_t size);
  int sync(inode& what, const std::string& name);
  int remove(const std::string& name, bool synced);
  std::shared_ptr<inode> open(const std::string& name, bool make, bool journal);
  std::string after_power_cut(const inode& of);

  names seen_, kept_;
  chooser choose_ = [](std::size_t) { return std::size_t{0}; };
  std::size_t fuse_ = 0, changes_ = 0;
  std::size_t fault_in_ = 0, fault_times_ = 0;
  disk_fault fault_ = disk_fault::none;
  bool dead_ = false, forgets_ = false, shows_ = false;
};

} // namespace maru::test
