#include "tests/count_allocations.h"
#include "tests/engine/graphs.h"

namespace engine::test {
std::optional<int64_t> allocations_so_far() { return counts ? std::optional(allocations.load()) : std::nullopt; }
}  // namespace engine::test
