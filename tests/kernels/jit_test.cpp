#include "kernels/jit.h"
#include <gtest/gtest.h>
#include <algorithm>
#include <mutex>
#include <thread>
#include <vector>
#include "kernels/table.h"

#if defined(__x86_64__)
namespace {
using namespace kernels;
using namespace Xbyak::util;

// What jit::Generator encodes itself, beside what Xbyak makes of the same instruction.
struct Ours : jit::Generator {};
struct Theirs : Xbyak::CodeGenerator {
  Theirs() : CodeGenerator(1 << 20) {}
};

template <class Vmm> void each_instruction(int registers, auto&& check) {
  const Xbyak::Reg64 bases[] = {rax, rbx, rsp, rbp, r8, r12, r13, r15};
  const Xbyak::Reg64 indices[] = {rcx, rbp, r9, r12, r15};
  const int offsets[] = {0, 1, 4, 32, 64, -64, 127, 128, -128, 508, 512, 4064, 8128, -8192, 8192, 1 << 20};
  for (int a = 0; a < registers; a += 3)
    for (int b = 0; b < registers; b += 5) {
      const Vmm x(a), y(b), z((a * 7 + b) % registers);
      check([&](auto& g) {
        g.vmovaps(x, y), g.vmovups(x, y), g.vaddps(x, y, z), g.vmulps(z, x, y), g.vminps(y, z, x), g.vmaxps(x, x, z),
            g.vfmadd231ps(x, y, z);
      });
      check([&](auto& g) { g.vbroadcastss(x, Xbyak::Xmm(b)); });
    }
  const auto on_memory = [&](int a, const Xbyak::Address& at) {
    const Vmm x(a), y((a + 11) % registers);
    check([&](auto& g) {
      g.vmovups(x, at), g.vmovups(at, x), g.vmovaps(x, at), g.vmovaps(at, x), g.vbroadcastss(x, at);
    });
    check([&](auto& g) {
      g.vaddps(x, y, at), g.vmulps(x, y, at), g.vminps(x, y, at), g.vmaxps(x, y, at), g.vfmadd231ps(x, y, at);
    });
  };
  for (const Xbyak::Reg64& base : bases)
    for (const int offset : offsets) {
      on_memory((offset & 15) + registers / 2, ptr[base + offset]);
      for (const Xbyak::Reg64& index : indices)
        for (const int scale : {1, 2, 4, 8}) on_memory(scale, ptr[base + index * scale + offset]);
    }
}

template <class Vmm> void compare(int registers) {
  const auto same = [](auto&& emit) {
    Ours ours;
    Theirs theirs;
    emit(ours), emit(theirs);
    const std::vector<uint8_t> got(ours.getCode(), ours.getCurr()), want(theirs.getCode(), theirs.getCurr());
    ASSERT_EQ(got, want);
  };
  each_instruction<Vmm>(registers, [&](auto&& emit) { ASSERT_NO_FATAL_FAILURE(same(emit)); });
}

TEST(Jit, EncodesAsXbyakDoes) {
  compare<Xbyak::Ymm>(16);
  compare<Xbyak::Ymm>(32);
  compare<Xbyak::Zmm>(32);
}

// Masks, embedded broadcasts, addresses relative to the code: Xbyak's.
TEST(Jit, LeavesTheRestToXbyak) {
  Ours ours;
  Theirs theirs;
  const auto emit = [](auto& g) {
    Xbyak::Label label;
    g.L(label);
    g.vmovups(zmm1 | k1 | T_z, ptr[rax]), g.vmovups(ptr[rax] | k1, zmm1), g.vmovaps(zmm3 | k2 | T_z, zmm4);
    g.vmulps(zmm1, zmm2, g.ptr_b[rip + label]), g.vbroadcastss(zmm1, g.ptr[rip + label]),
        g.vfmadd231ps(zmm1 | k1, zmm2, zmm3);
    g.vaddps(zmm1, zmm2, zmm3 | T_rn_sae), g.vaddps(xmm1, xmm2, xmm3), g.vmovups(xmm1, ptr[rax + 8]),
        g.vmovups(ymm1, ptr[rax * 2 + 8]);
  };
  emit(ours), emit(theirs);
  EXPECT_EQ(std::vector<uint8_t>(ours.getCode(), ours.getCurr()),
            std::vector<uint8_t>(theirs.getCode(), theirs.getCurr()));
}

struct Answer : jit::Generator {
  explicit Answer(int value) { mov(eax, value), ret(); }
};
int answer(const std::shared_ptr<const jit::Code>& code) { return code->entry<int (*)()>()(); }

struct TooLong : jit::Generator {
  TooLong() {
    for (int i = 0; i < 1 << 20; ++i) vfmadd231ps(zmm1, zmm2, ptr[rax + i]);
  }
};

class Code : public testing::Test {
 protected:
  void SetUp() override {
    if (!jit::allowed()) GTEST_SKIP() << "executable memory is denied";
  }
};

TEST_F(Code, RunsAtOnceWithoutABatch) { EXPECT_EQ(answer(jit::generate<Answer>("answer", 42)), 42); }

TEST_F(Code, ThatIsTooLongIsNone) { EXPECT_EQ(jit::generate<TooLong>("too long"), nullptr); }

// Codes of a batch share pages, more than one chunk of them, and outlive the batch and each other.
TEST_F(Code, OfABatchRunsOnceItIsSealed) {
  std::vector<std::shared_ptr<const jit::Code>> codes;
  {
    jit::Batch batch(4096);
    std::vector<std::thread> threads;
    std::mutex mutex;
    for (int t = 0; t < 3; ++t)
      threads.emplace_back([&, t] {
        const jit::Batch::Scope generates(batch);
        for (int i = 0; i < 100; ++i) {
          auto code = jit::generate<Answer>("answer", 1000 * t + i);
          ASSERT_TRUE(code);
          const std::scoped_lock lock(mutex);
          codes.push_back(std::move(code));
        }
      });
    for (std::thread& t : threads) t.join();
    EXPECT_TRUE(batch.seal());
    EXPECT_EQ(codes[0]->pages()->state, jit::Pages::sealed);
  }
  ASSERT_EQ(codes.size(), 300u);
  std::vector<int> answers;
  for (size_t i = 0; i < codes.size(); ++i) {
    answers.push_back(answer(codes[i]));
    codes[i] = nullptr;
  }
  std::ranges::sort(answers);
  for (int i = 0; i < 300; ++i) EXPECT_EQ(answers[size_t(i)], i / 100 * 1000 + i % 100);
}

// Who finds code of a batch that is not sealed waits for it: at once, or where its own batch is sealed.
TEST_F(Code, IsSharedByBatches) {
  WeakCache<int, jit::Code> cache;
  const auto make = [](int value) { return jit::generate<Answer>("answer", value); };
  const auto of_batch = [&](jit::Batch& batch, int key) {
    const jit::Batch::Scope generates(batch);
    return jit::shared(cache, key, make);
  };
  jit::Batch first, second;
  const auto a = of_batch(first, 1), b = of_batch(second, 2);
  EXPECT_EQ(of_batch(second, 1), a);
  EXPECT_EQ(of_batch(first, 2), b);
  std::jthread other([&] {
    EXPECT_TRUE(second.seal());
    EXPECT_EQ(answer(a) + answer(b), 3);
  });
  std::jthread alone([&] {
    const auto found = jit::shared(cache, 1, make);
    EXPECT_EQ(found, a);
    EXPECT_EQ(answer(found), 1);
  });
  EXPECT_TRUE(first.seal());
  EXPECT_EQ(answer(a) + answer(b), 3);
}

// A batch that is given up is sealed all the same.
TEST_F(Code, OfABatchThatEnds) {
  WeakCache<int, jit::Code> cache;
  std::shared_ptr<const jit::Code> code;
  {
    jit::Batch batch;
    const jit::Batch::Scope generates(batch);
    code = jit::shared(cache, 7, [](int value) { return jit::generate<Answer>("answer", value); });
  }
  EXPECT_EQ(answer(code), 7);
}
}  // namespace
#endif
