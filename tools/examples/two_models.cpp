// Two models that share one pool of threads, each run by a thread of its own.
//   two_models_cpp a.inlay b.inlay
#include <inlay/inlay.hpp>
#include <algorithm>
#include <cstdio>

namespace {
// Zeros for every input, open extents being 1.
void run_often(const inlay::Model& model, const inlay::Pool& pool, int runs) {
  inlay::Session session(model, {.pool = &pool});
  std::vector<std::vector<char>> data;
  for (size_t k = 0; k < model.inputs(); ++k) {
    const inlay_value_info info = model.input(k);
    std::vector<int64_t> shape(info.shape, info.shape + std::max(info.rank, 0));
    for (int64_t& extent : shape) extent = extent < 0 ? 1 : extent;
    const inlay::TensorView zeros(nullptr, shape, inlay::DType(info.dtype));
    data.emplace_back(size_t(std::max<int64_t>(zeros.bytes(), 1)));
    session.set_input(k, inlay::TensorView(data.back().data(), shape, zeros.dtype()));
  }
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < runs; ++i) session.run();
  const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
  std::printf("%s: %.3f ms a run, %lld bytes of arena\n", model.output(0).name, time.count() / runs,
              static_cast<long long>(session.memory().arena_bytes));
}
}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) return std::fprintf(stderr, "usage: %s a.inlay b.inlay\n", argv[0]), 2;
  const inlay::Pool pool;  // lives longer than what uses it
  const inlay::Model a = inlay::Model::load(argv[1]), b = inlay::Model::load(argv[2]);
  auto other = std::async(std::launch::async, [&] { run_often(b, pool, 100); });
  run_often(a, pool, 100);
  other.get();
} catch (const inlay::Error& e) {
  return std::fprintf(stderr, "%s\n", e.what()), 1;
}
