#pragma once

// Deliberate faults of the product, to see that the simulator finds them. They stand here alone: the linker
// puts the functions of mutations.cpp in the place of the product's, which is built as it is shipped.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace maru::test {

enum class mutation : std::uint8_t {
  none,
  reply_before_commit,
  skipped_duplicate_check,
  forgotten_epoch,
  lost_wake_up,
  stop_after_the_end,
  checkpoint_out_of_order,
  gate_opened_early,
  event_told_twice,
  entry_left_behind,
  end_not_told,
  failed_commit_passed,
  resume_off_by_one,
  sync_skipped,
};

struct mutation_row {
  mutation what;
  std::string_view name;
  std::string_view means;
  std::size_t seeds; // it is found within so many
};

inline constexpr std::array mutations{
    mutation_row{mutation::reply_before_commit, "reply-before-commit",
                 "the store answers steps and commits them with the next ones", 5},
    mutation_row{mutation::skipped_duplicate_check, "skipped-duplicate-check",
                 "a room forgets what it has taken, and the store takes it once more", 20},
    mutation_row{mutation::forgotten_epoch, "forgotten-epoch", "a step under any epoch is taken", 100},
    mutation_row{mutation::lost_wake_up, "lost-wake-up",
                 "some agents are not told of a question, and the sweeper wakes nobody", 20},
    mutation_row{mutation::stop_after_the_end, "stop-after-the-end",
                 "a stop that comes after the end of its answer ends it once more", 100},
    mutation_row{mutation::checkpoint_out_of_order, "checkpoint-out-of-order",
                 "of two checkpoints the later is written first", 500},
    mutation_row{mutation::gate_opened_early, "gate-opened-early",
                 "an attempt is told of while it is on its way to the disk", 20},
    mutation_row{mutation::event_told_twice, "event-told-twice", "a room tells each event two times", 5},
    mutation_row{mutation::entry_left_behind, "entry-left-behind",
                 "the end of an answer leaves its entry in the mailbox", 5},
    mutation_row{mutation::end_not_told, "end-not-told", "an agent is not told that its answer has ended", 5},
    mutation_row{mutation::failed_commit_passed, "failed-commit-passed",
                 "a commit that the disk refuses passes for done", 100},
    mutation_row{mutation::resume_off_by_one, "resume-off-by-one", "who comes back misses one event", 20},
    mutation_row{mutation::sync_skipped, "sync-skipped", "nothing is synced", 5},
};

std::optional<mutation> mutation_of(std::string_view name);
std::string_view name_of(mutation what);

// In force as long as it lives. One at a time.
class mutated {
public:
  explicit mutated(mutation what);
  mutated(const mutated&) = delete;
  mutated& operator=(const mutated&) = delete;
  ~mutated();
  static void process_ends(); // what it had in memory is lost
  [[nodiscard]] static bool syncs_are_skipped();
};

} // namespace maru::test
