// Non-maximum suppression: a block for each class of each batch takes the best box that is left, then looks through all
// of them for those that overlap it and for the next best one, in one pass. A second kernel moves the boxes of all
// classes together.
#include "kernels/cuda/families.h"
#include "kernels/cuda/reduction.h"

namespace kernels::cuda {
namespace {
constexpr int threads = 256;

struct Best {
  int64_t of_warp[threads / warp_size];
};
struct Box {
  float x0, y0, x1, y1;
  // Products are rounded before they are added: a box at the threshold is suppressed on every machine, or on none.
  __device__ float area() const { return rounded_product(x1 - x0, y1 - y0); }
};
__device__ float least_of(float a, float b) { return b < a ? b : a; }
__device__ float most_of(float a, float b) { return a < b ? b : a; }
__device__ Box read_box(const float* b, bool center) {
  if (center) return {b[0] - b[2] / 2, b[1] - b[3] / 2, b[0] + b[2] / 2, b[1] + b[3] / 2};
  return {least_of(b[1], b[3]), least_of(b[0], b[2]), most_of(b[1], b[3]), most_of(b[0], b[2])};
}
__device__ float overlap(const Box& a, const Box& b) {
  const float width = least_of(a.x1, b.x1) - most_of(a.x0, b.x0), height = least_of(a.y1, b.y1) - most_of(a.y0, b.y0);
  if (width <= 0 || height <= 0) return 0;
  const float shared = rounded_product(width, height), all = a.area() + b.area() - shared;
  return all > 0 ? shared / all : 0;
}
__device__ int64_t better(const float* score, int64_t a, int64_t b) {
  if (a < 0 || b < 0) return a < 0 ? b : a;
  return score[a] > score[b] || (score[a] == score[b] && a < b) ? a : b;
}

// What one class of one batch keeps, by scratch.
struct Lists {
  int64_t *counts, *chosen;  // [batch * classes], [batch * classes, most]
  uint8_t* gone;             // [batch * classes, count]
};
__device__ Lists lists_in(const NonMaxSuppressionProblem& p, void* scratch) {
  const int64_t lists = p.batch * p.classes;
  auto* const counts = static_cast<int64_t*>(scratch);
  return {counts, counts + lists, reinterpret_cast<uint8_t*>(counts + lists + lists * p.most)};
}

__global__ void __launch_bounds__(threads)
    suppress(const NonMaxSuppressionProblem p, const NonMaxSuppressionArgs args) {
  auto& s = shared<Best>();
  const Lists lists = lists_in(p, args.scratch);
  const float limit = args.limit ? *args.limit : 0, least = args.least ? *args.least : -INFINITY;
  const int64_t wanted = args.most ? *args.most : 0, most = wanted < p.most ? wanted : p.most;
  for (int64_t list = blockIdx.x; list < p.batch * p.classes; list += gridDim.x) {
    const float *score = args.scores + list * p.count, *boxes = args.boxes + list / p.classes * p.count * 4;
    uint8_t* const gone = lists.gone + list * p.count;  // each thread reads what it has written
    int64_t kept = 0, found = -1;
    for (Box last{}; kept < most; ++kept) {
      int64_t next = -1;
      for (int64_t i = threadIdx.x; i < p.count; i += threads) {
        if (kept == 0) gone[i] = !(score[i] > least);
        else if (!gone[i]) gone[i] = i == found || overlap(read_box(boxes + i * 4, p.center), last) > limit;
        if (!gone[i]) next = better(score, next, i);
      }
      for (int mask = warp_size / 2; mask; mask /= 2) next = better(score, next, __shfl_xor_sync(~0u, next, mask));
      __syncthreads();  // what was found before has been read
      if (threadIdx.x % warp_size == 0) s.of_warp[threadIdx.x / warp_size] = next;
      __syncthreads();
      found = s.of_warp[0];
      for (int w = 1; w < threads / warp_size; ++w) found = better(score, found, s.of_warp[w]);
      if (found < 0) break;
      last = read_box(boxes + found * 4, p.center);
      if (threadIdx.x == 0) lists.chosen[list * p.most + kept] = found;
    }
    if (threadIdx.x == 0) lists.counts[list] = kept;
  }
}

// The lists one behind the other, and zeros behind them.
__global__ void __launch_bounds__(threads)
    gather(const NonMaxSuppressionProblem p, const NonMaxSuppressionArgs args, Watch watch) {
  auto& memory = shared<ReductionMemory<threads, int64_t>>();
  const Lists lists = lists_in(p, args.scratch);
  const int64_t all = p.batch * p.classes;
  const auto add = [](int64_t a, int64_t b) { return a + b; };
  int64_t total = 0;
  for (int64_t list = threadIdx.x; list < all; list += threads) total += lists.counts[list];
  total = reduce_block<threads>(memory, total, add);
  if (linear_thread() == 0) {
    *args.count = total;
    if (args.limit && !(*args.limit >= 0 && *args.limit <= 1)) report(watch, Refused::threshold, 0);
  }
  for (int64_t i = total * 3 + linear_thread(); i < all * p.most * 3; i += linear_threads()) args.selected[i] = 0;
  for (int64_t list = blockIdx.x; list < all; list += gridDim.x) {
    int64_t first = 0;
    for (int64_t before = threadIdx.x; before < list; before += threads) first += lists.counts[before];
    first = reduce_block<threads>(memory, first, add);
    for (int64_t i = threadIdx.x; i < lists.counts[list]; i += threads) {
      int64_t* const row = args.selected + (first + i) * 3;
      row[0] = list / p.classes, row[1] = list % p.classes, row[2] = lists.chosen[list * p.most + i];
    }
  }
}

const char* refusal(const NonMaxSuppressionProblem&) { return nullptr; }
double cost(const NonMaxSuppressionProblem&) { return 1; }
int64_t scratch(const NonMaxSuppressionProblem& p) {
  return p.batch * p.classes * (int64_t(sizeof(int64_t)) * (1 + p.most) + p.count);
}
Failure run(const NonMaxSuppressionProblem& p, const NonMaxSuppressionArgs& args, Stream* stream) {
  Watch w;
  if (Failure f = watch(stream, &w)) return f;
  const int64_t lists = p.batch * p.classes;
  const unsigned blocks = blocks_for(lists, 1);
  if (lists)
    if (Failure f = launch<Best>(suppress, blocks, threads, stream, p, args)) return f;
  return launch<ReductionMemory<threads, int64_t>>(gather, lists ? blocks : 1, threads, stream, p, args, w);
}
}  // namespace

Family<NonMaxSuppressionProblem, NonMaxSuppressionArgs> non_max_suppression_family() {
  static constexpr Row<NonMaxSuppressionProblem, NonMaxSuppressionArgs> rows[] = {
      {"non_max_suppression_cuda", 80, threads, refusal, cost, run, scratch}};
  return {rows, std::size(rows)};
}
}  // namespace kernels::cuda
