// Runs that do not block the caller: several sessions of one model, each on a thread of its own, and a deadline.
//   asynchronous_cpp model.inlay
#include <inlay/inlay.hpp>
#include <algorithm>
#include <cstdio>
#include <deque>

int main(int argc, char** argv) try {
  if (argc != 2) return std::fprintf(stderr, "usage: %s model.inlay\n", argv[0]), 2;
  const inlay::Model model = inlay::Model::load(argv[1]);
  const inlay_value_info info = model.input(0);
  std::vector<int64_t> shape(info.shape, info.shape + std::max(info.rank, 0));
  for (int64_t& extent : shape) extent = extent < 0 ? 1 : extent;
  std::vector<char> zeros(size_t(inlay::TensorView(nullptr, shape, inlay::DType(info.dtype)).bytes()));

  std::deque<inlay::Session> sessions;
  std::vector<std::future<void>> runs;
  for (int i = 0; i < 4; ++i) {
    inlay::Session& session = sessions.emplace_back(model);
    session.set_input(0, inlay::TensorView(zeros.data(), shape, inlay::DType(info.dtype)));
    runs.push_back(session.run_async(std::chrono::seconds(10)));  // a run that takes longer ends with an error
  }
  std::printf("4 runs are on their way\n");  // the app does something else meanwhile
  for (size_t i = 0; i < runs.size(); ++i) {
    runs[i].get();  // throws what the run would have thrown
    sessions[i].wait();
    std::printf("run %zu: %s has %lld elements\n", i, model.output(0).name, static_cast<long long>(sessions[i].output(0).elements()));
  }
} catch (const inlay::Error& e) {
  return std::fprintf(stderr, "%s\n", e.what()), 1;
}
