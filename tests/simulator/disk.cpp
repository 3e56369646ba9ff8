#include "tests/simulator/disk.hpp"

#include <algorithm>
#include <cerrno>

#include <sqlite3.h>

namespace maru::test {

namespace {

constexpr std::size_t sector_bytes = 512;
constexpr std::size_t page_bytes = 4096; // what the system writes to the disk at once

void put_bytes(std::string& to, std::size_t at, std::string_view bytes) {
  if (to.size() < at + bytes.size()) to.resize(at + bytes.size());
  std::copy(bytes.begin(), bytes.end(), to.begin() + static_cast<std::ptrdiff_t>(at));
}

bool is_log(const std::string& name) { return name.ends_with("-wal") || name.ends_with("-journal"); }

} // namespace

// --- what the world does to it -----------------------------------------------------------------------------

void simulated_disk::begin(chooser choose) {
  seen_.clear();
  kept_.clear();
  choose_ = std::move(choose);
  fuse_ = changes_ = 0;
  fault_ = disk_fault::none;
  dead_ = forgets_ = false;
}

void simulated_disk::put(const std::string& name, std::string content) {
  auto made = std::make_shared<inode>();
  made->synced = content;
  made->content = std::move(content);
  for (const auto* beside : {"", "-wal", "-journal"}) {
    seen_.erase(name + beside);
    kept_.erase(name + beside);
  }
  seen_[name] = kept_[name] = std::move(made);
}

std::string simulated_disk::content(const std::string& name) const {
  const auto it = seen_.find(name);
  return it == seen_.end() ? "" : it->second->content;
}

// Memory and locks go with the process.
void simulated_disk::revive() {
  dead_ = false;
  fuse_ = 0;
  for (auto& [name, file] : seen_) {
    auto left = std::make_shared<inode>();
    left->content = std::move(file->content);
    left->synced = std::move(file->synced);
    left->since = std::move(file->since);
    const auto kept = kept_.find(name);
    if (kept != kept_.end() && kept->second == file) kept->second = left;
    file = std::move(left);
  }
}

// A name that was made or removed and not synced is there or not.
void simulated_disk::cut_power() {
  names left;
  for (const auto& [name, file] : kept_) {
    const auto now = seen_.find(name);
    if ((now != seen_.end() && now->second == file) || choose_(2) == 0) left[name] = file;
  }
  for (const auto& [name, file] : seen_)
    if (!left.contains(name) && choose_(2) == 0) left[name] = file;
  for (auto& [name, file] : left) {
    auto after = std::make_shared<inode>();
    after->content = after->synced = after_power_cut(*file);
    file = std::move(after);
  }
  seen_ = kept_ = std::move(left);
  dead_ = false;
  fuse_ = 0;
}

// A length is that after some of the changes; each sector is as one of the writes left it that came after the
// last cut before that.
std::string simulated_disk::after_power_cut(const inode& of) {
  const auto& since = of.since;
  std::vector<std::size_t> lengths{of.synced.size()};
  for (const auto& c : since)
    lengths.push_back(c.cuts ? c.at : std::max(lengths.back(), c.at + c.bytes.size()));
  const auto reached = choose_(lengths.size());
  std::string out = of.synced;
  // As far as the length got, cuts are done.
  std::size_t from = 0;
  for (std::size_t i = 0; i < reached; ++i)
    if (since[i].cuts) {
      for (; from < i; ++from)
        if (!since[from].cuts) put_bytes(out, since[from].at, since[from].bytes);
      from = i + 1;
      out.resize(std::min(out.size(), since[i].at));
    }
  const auto end = std::max(out.size(), lengths[reached]);
  out.resize(end);
  const auto grain = choose_(2) == 0 ? sector_bytes : page_bytes;
  std::map<std::size_t, std::vector<std::size_t>> writes_of; // by sector
  for (auto i = from; i < since.size() && !since[i].cuts; ++i)
    for (auto s = since[i].at / grain; s * grain < since[i].at + since[i].bytes.size(); ++s)
      writes_of[s].push_back(i);
  for (const auto& [sector, writes] : writes_of) {
    for (auto left = choose_(writes.size() + 1), k = std::size_t{0}; k < left; ++k) {
      const auto& c = since[writes[k]];
      const auto first = std::max(c.at, sector * grain);
      const auto last = std::min({c.at + c.bytes.size(), (sector + 1) * grain, end});
      if (first < last) put_bytes(out, first, std::string_view{c.bytes}.substr(first - c.at, last - first));
    }
  }
  out.resize(lengths[reached]);
  return out;
}

void simulated_disk::fail(disk_fault what, std::size_t nth, std::size_t times) {
  fault_ = what;
  fault_in_ = nth;
  fault_times_ = times;
}

bool simulated_disk::all_safe() const {
  for (const auto& [name, file] : seen_) {
    if (!is_log(name)) continue; // of the database, what is not synced is still in the log
    const auto kept = kept_.find(name);
    if (!file->since.empty() || kept == kept_.end() || kept->second != file) return false;
  }
  return std::all_of(kept_.begin(), kept_.end(), [&](const auto& k) { return seen_.contains(k.first); });
}

void simulated_disk::show_synced(const std::string& prefix) {
  forget(prefix);
  names shown;
  for (const auto& [name, file] : kept_) {
    auto copy = std::make_shared<inode>();
    copy->content = copy->synced = file->synced;
    shown[prefix + name] = std::move(copy);
  }
  seen_.insert(shown.begin(), shown.end());
  kept_.insert(shown.begin(), shown.end());
  shows_ = true;
}

void simulated_disk::forget(const std::string& prefix) {
  const auto shown = [&](const auto& n) { return n.first.starts_with(prefix); };
  std::erase_if(seen_, shown);
  std::erase_if(kept_, shown);
  shows_ = false;
}

// --- what the process does to it ---------------------------------------------------------------------------

bool simulated_disk::lives_through_change() {
  if (shows_) return true;
  if (dead_) return false;
  ++changes_;
  if (fuse_ > 0 && --fuse_ == 0) dead_ = true;
  return !dead_;
}

bool simulated_disk::fails(disk_fault what) {
  if (fault_ != what || shows_) return false;
  if (fault_in_ > 0) {
    --fault_in_;
    return false;
  }
  if (fault_times_ == 0) {
    fault_ = disk_fault::none;
    return false;
  }
  --fault_times_;
  return true;
}

// A page goes to the disk whole: with it goes what an earlier sync failed to write of it.
void simulated_disk::apply(inode& to, change what) {
  if (what.cuts) {
    to.content.resize(what.at);
    std::erase_if(to.since, [&](const change& c) { return c.never && c.at + c.bytes.size() > what.at; });
    to.since.push_back(std::move(what));
    return;
  }
  put_bytes(to.content, what.at, what.bytes);
  for (std::size_t done = 0; done < what.bytes.size();) {
    const auto at = what.at + done;
    const auto size = std::min(what.bytes.size() - done, page_bytes - at % page_bytes);
    for (auto& c : to.since)
      if (c.never && c.at / page_bytes == at / page_bytes) c.never = false;
    to.since.push_back({false, false, at, what.bytes.substr(done, size)});
    done += size;
  }
}

int simulated_disk::write(inode& to, const char* from, std::size_t size, std::size_t at) {
  const bool was_dead = dead_;
  if (!lives_through_change()) {
    if (!was_dead && choose_(2) == 0) apply(to, {false, false, at, {from, choose_(size + 1)}});
    return SQLITE_IOERR_WRITE;
  }
  if (fails(disk_fault::no_room)) {
    apply(to, {false, false, at, {from, choose_(size)}});
    errno = ENOSPC;
    return SQLITE_FULL;
  }
  errno = EIO;
  if (fails(disk_fault::write_fails)) return SQLITE_IOERR_WRITE;
  apply(to, {false, false, at, {from, size}});
  return SQLITE_OK;
}

int simulated_disk::cut(inode& to, std::size_t size) {
  if (!lives_through_change()) return SQLITE_IOERR_TRUNCATE;
  if (to.content.size() != size) apply(to, {true, false, size, {}});
  return SQLITE_OK;
}

int simulated_disk::sync(inode& what, const std::string& name) {
  if (!lives_through_change()) return SQLITE_IOERR_FSYNC;
  if (forgets_) return SQLITE_OK;
  const bool failed = fails(disk_fault::sync_fails);
  std::vector<change> left;
  for (auto& c : what.since) {
    if (failed && !c.cuts && choose_(2) == 0) c.never = true;
    if (c.never) {
      left.push_back(std::move(c));
      continue;
    }
    if (c.cuts)
      what.synced.resize(c.at);
    else
      put_bytes(what.synced, c.at, c.bytes);
  }
  what.since = std::move(left);
  errno = EIO;
  if (failed) return SQLITE_IOERR_FSYNC;
  // With a new log SQLite syncs its folder, and that is all names in it.
  const auto it = seen_.find(name);
  const auto kept = kept_.find(name);
  if (it != seen_.end() && it->second.get() == &what && (kept == kept_.end() || kept->second.get() != &what))
    kept_ = seen_;
  return SQLITE_OK;
}

int simulated_disk::remove(const std::string& name, bool synced) {
  if (!seen_.contains(name)) return SQLITE_IOERR_DELETE_NOENT;
  if (!lives_through_change()) return SQLITE_IOERR_DELETE;
  seen_.erase(name);
  if (synced) kept_ = seen_;
  return SQLITE_OK;
}

// The database's own name is synced before SQLite opens it, see storage/sqlite_file.cpp.
std::shared_ptr<simulated_disk::inode> simulated_disk::open(const std::string& name, bool make,
                                                            bool journal) {
  if (const auto it = seen_.find(name); it != seen_.end()) return it->second;
  if ((!make && journal) || !lives_through_change()) return nullptr;
  auto made = std::make_shared<inode>();
  seen_[name] = made;
  if (!journal) kept_[name] = made;
  return made;
}

// --- as SQLite sees it -------------------------------------------------------------------------------------

struct disk_file : sqlite3_file {
  simulated_disk* disk;
  std::shared_ptr<simulated_disk::inode> is;
  std::string name;
  bool goes = false; // when it is closed
  int level = SQLITE_LOCK_NONE;

  int read(char* to, std::size_t size, std::size_t at) const;
  int lock(int to);
  int unlock(int to);
  int map(int region, int size, bool extend, void volatile** out) const;
  int lock_memory(int first, int count, int flags);
  int control(int what, void* value) const;
};

int disk_file::read(char* to, std::size_t size, std::size_t at) const {
  const auto& content = is->content;
  const auto there = at < content.size() ? std::min(size, content.size() - at) : 0;
  std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(there > 0 ? at : 0), there, to);
  if (there == size) return SQLITE_OK;
  std::fill(to + there, to + size, '\0');
  return SQLITE_IOERR_SHORT_READ;
}

int disk_file::lock(int to) {
  auto& l = is->lock;
  if (to <= level) return SQLITE_OK;
  if (to == SQLITE_LOCK_SHARED) {
    if (l.exclusive != nullptr) return SQLITE_BUSY;
    ++l.shared;
  } else {
    if (l.reserved != nullptr && l.reserved != this) return SQLITE_BUSY;
    l.reserved = this;
    if (to == SQLITE_LOCK_EXCLUSIVE) {
      if (l.shared > 1) return SQLITE_BUSY;
      l.exclusive = this;
    }
  }
  level = to;
  return SQLITE_OK;
}

int disk_file::unlock(int to) {
  auto& l = is->lock;
  if (to >= level) return SQLITE_OK;
  if (l.exclusive == this) l.exclusive = nullptr;
  if (l.reserved == this) l.reserved = nullptr;
  if (to == SQLITE_LOCK_NONE) --l.shared;
  level = to;
  return SQLITE_OK;
}

int disk_file::map(int region, int size, bool extend, void volatile** out) const {
  auto& memory = is->memory;
  const auto wanted = static_cast<std::size_t>(region);
  *out = nullptr;
  if (memory.size() <= wanted && !extend) return SQLITE_OK;
  while (memory.size() <= wanted)
    memory.push_back(std::make_unique<char[]>(static_cast<std::size_t>(size)));
  *out = memory[wanted].get();
  return SQLITE_OK;
}

int disk_file::lock_memory(int first, int count, int flags) {
  for (int i = first; i < first + count; ++i) {
    auto& l = is->memory_locks[i];
    if ((flags & SQLITE_SHM_UNLOCK) != 0) {
      if ((flags & SQLITE_SHM_SHARED) != 0)
        l.shared -= l.shared > 0 ? 1 : 0;
      else if (l.exclusive == this)
        l.exclusive = nullptr;
      continue;
    }
    const bool shared = (flags & SQLITE_SHM_SHARED) != 0;
    if ((l.exclusive != nullptr && l.exclusive != this) || (!shared && l.shared > 0)) {
      if (i > first) lock_memory(first, i - first, (flags & ~SQLITE_SHM_LOCK) | SQLITE_SHM_UNLOCK);
      return SQLITE_BUSY;
    }
    if (shared)
      ++l.shared;
    else
      l.exclusive = this;
  }
  return SQLITE_OK;
}

int disk_file::control(int what, void* value) const {
  if (what == SQLITE_FCNTL_POWERSAFE_OVERWRITE) {
    *static_cast<int*>(value) = 1;
    return SQLITE_OK;
  }
  if (what == SQLITE_FCNTL_HAS_MOVED) {
    *static_cast<int*>(value) = 0;
    return SQLITE_OK;
  }
  return SQLITE_NOTFOUND;
}

namespace {

disk_file& self(sqlite3_file* file) { return *static_cast<disk_file*>(file); }

} // namespace

struct disk_vfs : sqlite3_vfs {
  explicit disk_vfs(simulated_disk& on);

  // The product asks through a copy of its own.
  static disk_vfs& of(sqlite3_vfs* own) { return *static_cast<disk_vfs*>(own->pAppData); }
  static int open(sqlite3_vfs* own, const char* name, sqlite3_file* file, int flags, int* flags_out);
  static int close(sqlite3_file* file);

  static const sqlite3_io_methods methods;
  simulated_disk& disk;
  std::uint64_t nameless = 0;
};

const sqlite3_io_methods disk_vfs::methods{
    .iVersion = 2,
    .xClose = close,
    .xRead =
        [](sqlite3_file* f, void* to, int size, sqlite3_int64 at) {
          return self(f).read(static_cast<char*>(to), static_cast<std::size_t>(size),
                              static_cast<std::size_t>(at));
        },
    .xWrite =
        [](sqlite3_file* f, const void* from, int size, sqlite3_int64 at) {
          return self(f).disk->write(*self(f).is, static_cast<const char*>(from),
                                     static_cast<std::size_t>(size), static_cast<std::size_t>(at));
        },
    .xTruncate =
        [](sqlite3_file* f, sqlite3_int64 size) {
          return self(f).disk->cut(*self(f).is, static_cast<std::size_t>(size));
        },
    .xSync = [](sqlite3_file* f, int) { return self(f).disk->sync(*self(f).is, self(f).name); },
    .xFileSize =
        [](sqlite3_file* f, sqlite3_int64* out) {
          *out = static_cast<sqlite3_int64>(self(f).is->content.size());
          return SQLITE_OK;
        },
    .xLock = [](sqlite3_file* f, int to) { return self(f).lock(to); },
    .xUnlock = [](sqlite3_file* f, int to) { return self(f).unlock(to); },
    .xCheckReservedLock =
        [](sqlite3_file* f, int* out) {
          *out = self(f).is->lock.reserved != nullptr ? 1 : 0;
          return SQLITE_OK;
        },
    .xFileControl = [](sqlite3_file* f, int what, void* value) { return self(f).control(what, value); },
    .xSectorSize = [](sqlite3_file*) { return static_cast<int>(page_bytes); },
    .xDeviceCharacteristics = [](sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; },
    .xShmMap = [](sqlite3_file* f, int region, int size, int extend,
                  void volatile** out) { return self(f).map(region, size, extend != 0, out); },
    .xShmLock = [](sqlite3_file* f, int first, int count,
                   int flags) { return self(f).lock_memory(first, count, flags); },
    .xShmBarrier = [](sqlite3_file*) {},
    .xShmUnmap = [](sqlite3_file*, int) { return SQLITE_OK; },
    .xFetch = nullptr,
    .xUnfetch = nullptr};

int disk_vfs::open(sqlite3_vfs* own, const char* name, sqlite3_file* file, int flags, int* flags_out) {
  auto& vfs = of(own);
  const bool journal =
      (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL | SQLITE_OPEN_SUPER_JOURNAL)) != 0;
  const auto called = name != nullptr ? std::string{name} : "/nameless-" + std::to_string(++vfs.nameless);
  file->pMethods = nullptr; // nothing to close, should it fail
  auto found = vfs.disk.open(called, (flags & SQLITE_OPEN_CREATE) != 0, journal || name == nullptr);
  if (!found) return SQLITE_CANTOPEN;
  auto* made = new (file) disk_file;
  made->disk = &vfs.disk;
  made->is = std::move(found);
  ++made->is->opens;
  made->name = called;
  made->goes = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
  made->pMethods = &methods;
  if (flags_out != nullptr) *flags_out = flags;
  return SQLITE_OK;
}

int disk_vfs::close(sqlite3_file* file) {
  auto& f = self(file);
  f.unlock(SQLITE_LOCK_NONE);
  if (--f.is->opens == 0) {
    f.is->memory.clear();
    f.is->memory_locks.clear();
  }
  if (f.goes) f.disk->remove(f.name, false);
  f.~disk_file();
  return SQLITE_OK;
}

// The rest, such as random numbers, is the usual one's: none of it is a matter of the disk.
disk_vfs::disk_vfs(simulated_disk& on) : sqlite3_vfs(*sqlite3_vfs_find(nullptr)), disk(on) {
  szOsFile = static_cast<int>(sizeof(disk_file));
  pNext = nullptr;
  zName = "simulated";
  pAppData = this;
  xOpen = open;
  xDelete = [](sqlite3_vfs* own, const char* name, int sync_folder) {
    return of(own).disk.remove(name, sync_folder != 0);
  };
  xAccess = [](sqlite3_vfs* own, const char* name, int, int* out) {
    *out = of(own).disk.seen_.contains(name) ? 1 : 0;
    return SQLITE_OK;
  };
  xFullPathname = [](sqlite3_vfs*, const char* name, int size, char* out) {
    sqlite3_snprintf(size, out, "%s", name);
    return SQLITE_OK;
  };
  xSleep = [](sqlite3_vfs*, int microseconds) { return microseconds; };
  xGetLastError = [](sqlite3_vfs*, int, char*) { return 0; };
}

simulated_disk& simulated_disk::instance() {
  static simulated_disk disk;
  static disk_vfs vfs{disk};
  static const int registered = sqlite3_vfs_register(&vfs, 1);
  static_cast<void>(registered);
  return disk;
}

} // namespace maru::test
