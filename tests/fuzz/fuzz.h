// What the fuzz targets share. Each is one function over bytes, in the file of its name: with clang, libFuzzer drives
// it; everywhere else replay.cpp does.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include "engine/session.h"
#include "kernels/threads.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace fuzz {
using namespace engine;

// Bytes as decisions; zeros when they are used up.
class Bits {
 public:
  Bits(const uint8_t* data, size_t size) : at_(data), end_(data + size) {}
  bool empty() const { return at_ == end_; }
  uint8_t byte() { return empty() ? 0 : *at_++; }
  uint64_t below(uint64_t n) { return n > 256 ? (byte() * 256u + byte()) % n : byte() % n; }
  template <class T, size_t n> T pick(const T (&from)[n]) { return from[below(n)]; }

 private:
  const uint8_t *at_, *end_;
};

[[noreturn]] inline void finding(const std::string& what) {
  std::fprintf(stderr, "finding: %s\n", what.c_str());
  std::abort();
}

// What a model may take here. A step without a kernel runs its reference, which a sanitiser makes slower still.
constexpr int64_t most_bytes = 64 << 20;
constexpr double most_work = 2e7, most_seconds = 5;

inline CompileOptions small() {
  CompileOptions options;
  options.max_arena_bytes = options.max_memory_bytes = most_bytes;
  options.max_work = most_work;
  return options;
}
inline std::shared_ptr<Budget> small_budget() {
  auto budget = std::make_shared<Budget>(most_bytes);
  budget->start(most_work, Budget::Clock::now() + std::chrono::seconds(5));
  return budget;
}

// Zeros for an input, with 3 for each extent that the model leaves open.
inline bool zeros(const Type& type, Object& to) {
  if (!type.is_tensor()) {
    to.set_empty(type.kind, type.dtype);
    if (type.kind != ValueKind::map) return true;
    to.items.resize(2);
    return zeros(Type::tensor(type.key, Shape{2}), to.items[0]) && zeros(Type::tensor(type.dtype, Shape{2}), to.items[1]);
  }
  Shape shape;
  for (const Dim& d : type.dims) shape.push_back(d.known() ? d.value() : std::clamp<int64_t>(3, d.lower(), std::max(d.lower(), d.upper())));
  if (bytes_of(type.dtype, shape) > (1 << 20)) return false;
  const View view = to.set_tensor(type.dtype, shape);
  if (type.dtype != DType::string) std::fill_n(view.data, view.bytes(), std::byte{});
  return true;
}

// Runs the model on zeros; false if an input is too large for that. Throws Error.
inline bool run_on_zeros(const std::shared_ptr<const Model>& model, int runs = 1) {
  static kernels::ThreadPool pool(1);
  SessionOptions options;
  options.pool = &pool, options.threads = 1, options.time_limit = most_seconds;
  std::vector<Object> inputs(model->inputs());
  for (size_t k = 0; k < inputs.size(); ++k)
    if (!zeros(model->input(k).type, inputs[k])) return false;
  Session session(model, options);
  for (size_t k = 0; k < inputs.size(); ++k) session.set_input(k, std::as_const(inputs[k]).view());
  for (int i = 0; i < runs; ++i) session.run();
  return true;
}
}  // namespace fuzz
