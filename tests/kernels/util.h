// Buffers and numbers for kernel tests. A seed is part of every failure's trace; INLAY_TEST_SEED repeats one.
#pragma once
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <vector>
#include "kernels/isa.h"
#include "kernels/jit.h"
#include "kernels/os.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/precision.h"

namespace test {
inline unsigned seed() {
  static const unsigned value = [] {
    const char* given = std::getenv("INLAY_TEST_SEED");
    return given ? static_cast<unsigned>(std::atoi(given)) : 12345u;
  }();
  return value;
}

// Bytes between pages that fault when touched. They end right before the pages behind, or begin right behind the pages
// before, or end one `unit` short, since the other two are aligned too often: by the seed, and by how many came before in
// the same test. What is left of their own pages holds guard bytes.
class Fenced {
 public:
  explicit Fenced(size_t bytes, size_t unit = 1) : bytes_(bytes) {
    const size_t page = kernels::os::page_size(), fence = 16 * page;
    room_ = (bytes + unit + page - 1) / page * page;
    const size_t whole = room_ + 2 * fence;
    void* memory = mmap(nullptr, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    memory_ = {static_cast<std::byte*>(memory), Unmap{whole}};
    begin_ = memory_.get() + fence;
    if (mprotect(begin_, room_, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
    data_ = begin_ + std::array{size_t{0}, room_ - bytes, room_ - bytes - unit}[place()];
    std::memset(begin_, 0xa5, before());
    std::memset(data_ + bytes, 0xa5, behind());
  }
  std::byte* data() const { return data_; }
  bool intact() const {
    const auto whole = [](const std::byte* from, size_t n) {
      return n == 0 || (*from == std::byte{0xa5} && std::memcmp(from, from + 1, n - 1) == 0);
    };
    return whole(begin_, before()) && whole(data_ + bytes_, behind());
  }

 private:
  struct Unmap {
    size_t bytes;
    void operator()(std::byte* memory) const { munmap(memory, bytes); }
  };
  static size_t place() {
    static const testing::TestInfo* of = nullptr;
    static std::minstd_rand random;
    if (const auto* now = testing::UnitTest::GetInstance()->current_test_info(); now != of) of = now, random.seed(seed());
    return random() % 3;
  }
  size_t before() const { return static_cast<size_t>(data_ - begin_); }
  size_t behind() const { return room_ - before() - bytes_; }
  size_t bytes_, room_;
  std::unique_ptr<std::byte, Unmap> memory_;
  std::byte *begin_, *data_;
};

// n floats, filled with NaN.
class Buffer {
 public:
  explicit Buffer(size_t n) : n_(n), memory_(n * sizeof(float), sizeof(float)) {
    std::fill_n(data(), n, std::numeric_limits<float>::quiet_NaN());
  }
  Buffer(size_t n, unsigned salt, float low = -1, float high = 1) : Buffer(n) {
    std::mt19937 random(seed() + salt);
    std::uniform_real_distribution<float> value(low, high);
    for (size_t i = 0; i < n; ++i) data()[i] = value(random);
  }
  float* data() const { return reinterpret_cast<float*>(memory_.data()); }
  size_t size() const { return n_; }
  float& operator[](size_t i) const { return data()[i]; }
  bool guards_intact() const { return memory_.intact(); }

 private:
  size_t n_;
  Fenced memory_;
};

// Within `tolerance` of the larger of 1 and the value; NaN and infinity alike.
inline bool near(double got, double want, double tolerance) {
  if (std::isnan(want) || std::isnan(got)) return std::isnan(want) && std::isnan(got);
  if (std::isinf(want) || std::isinf(got)) return got == want;
  return std::abs(got - want) <= tolerance * std::max(1.0, std::abs(want));
}

// What a row's name says that it rounds operands to.
inline kernels::Precision precision_of(std::string_view row) {
  using kernels::Precision;
  for (const auto& [text, precision] : {std::pair("_tf32_", Precision::tf32), {"_f16_", Precision::f16}, {"_bf16_", Precision::bf16}})
    if (row.find(text) != row.npos) return precision;
  return Precision::f32;
}
// Numbers that half precision has, as it has their products and sums of 64 of these: what rounds operands so is then as exact as f32.
inline void make_quarters(const Buffer& x) {
  for (size_t i = 0; i < x.size(); ++i) x[i] = std::round(4 * x[i]) / 4;
}

// A copy as it is kept between steps: in half precision, in the room of as many floats as hold it; bytes of ones where `fill` is wanted
// instead of numbers, which are a NaN of either type.
inline Buffer kept_as(const Buffer& x, schema::DType kept) {
  Buffer copy(kept == schema::DType::f32 ? x.size() : (x.size() + 1) / 2);
  if (kept == schema::DType::f32) std::copy_n(x.data(), x.size(), copy.data());
  kernels::ThreadPool one(1);
  if (kept != schema::DType::f32) kernels::half::select({}).kernel.run(x.data(), copy.data(), int64_t(x.size()), {}, one);
  return copy;
}
inline Buffer room_for(size_t n, schema::DType kept) {
  Buffer room(kept == schema::DType::f32 ? n : (n + 1) / 2);
  std::memset(room.data(), 0xff, room.size() * sizeof(float));
  return room;
}
inline std::vector<float> floats_of(const Buffer& x, size_t n, schema::DType kept) {
  std::vector<float> wide(n);
  const kernels::half::Spec back{.back = true};
  kernels::ThreadPool one(1);
  if (kept == schema::DType::f32) std::copy_n(x.data(), n, wide.data());
  else kernels::half::select(back).kernel.run(x.data(), wide.data(), int64_t(n), back, one);
  return wide;
}
// What values may be kept as: in f32, and each way that has some in half precision, for who takes turns.
inline std::vector<kernels::pointwise::KeptTypes> ways_to_keep() {
  using enum schema::DType;
  return {{}, {.x = f16}, {.y = f16}, {.x = f16, .y = f16}, {.x = f16, .y = f16, .operands = {f16}}, {.operands = {f16}}};
}

// Why a row cannot be tested here, or empty.
template <class Row> std::string unavailable(const Row& row) {
  if (!kernels::isa::runs(row.isa, kernels::isa::detected())) return "needs " + std::string(kernels::isa::name(row.isa));
  const bool generated = row.name.find("jit") != std::string_view::npos;
  return generated && !kernels::jit::allowed() ? "executable memory is denied" : "";
}

// The masks this machine runs, each of which is a cap to test.
inline std::vector<kernels::isa::Level> caps() {
  std::vector<kernels::isa::Level> all;
  for (const auto& level : kernels::isa::levels())
    if (kernels::isa::runs(level.mask, kernels::isa::detected())) all.push_back(level);
  return all;
}
}  // namespace test
