// Bytes as buffers: what plan_memory places is valid, at least as large as the lower bound, and the same every time.
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fuzz;
  Bits bits(data, size);
  const size_t alignment = size_t{1} << bits.below(13), unit = size_t{1} << bits.below(24);
  const uint64_t bits_of_work = bits.below(9);
  const int steps = 1 + int(bits.below(1000));
  std::vector<Buffer> buffers;
  size_t total = 0;
  while (!bits.empty() && buffers.size() < 400) {
    Buffer b;
    b.size = bits.byte() * unit + bits.below(3);
    b.first = int(bits.below(uint64_t(steps)));
    b.last = std::min(steps - 1, b.first + int(bits.below(256)));
    total += (b.size + alignment - 1) / alignment * alignment;
    buffers.push_back(b);
  }
  const size_t work = size_t{1000} << bits_of_work;
  const MemoryPlan plan = plan_memory(buffers, alignment, work), again = plan_memory(buffers, alignment, work);
  if (!valid(plan, buffers, alignment)) finding("the plan is not valid");
  if (plan.arena_size < lower_bound(buffers, alignment)) finding("the arena is smaller than the lower bound");
  if (plan.arena_size > total) finding("the arena is larger than all buffers side by side");
  if (plan.offset != again.offset || plan.arena_size != again.arena_size) finding("two plans for one problem");
  return 0;
}
