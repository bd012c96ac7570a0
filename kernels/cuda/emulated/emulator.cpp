#include <sys/mman.h>
#include <ucontext.h>
#include <algorithm>
#include <cstdlib>
#include <deque>
#include <mutex>
#include "kernels/cuda/device.h"
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace kernels::cuda::emulator {
namespace {
constexpr int warp_size = 32;

// A thread of execution that another one resumes, and that yields to it. On x86-64 a switch is a few instructions,
// where swapcontext asks the operating system for the signal mask each time.
#if defined(__x86_64__)
extern "C" void inlay_switch_stack(void** from, void* to);
asm(R"(
.text
.type inlay_switch_stack, @function
inlay_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size inlay_switch_stack, .-inlay_switch_stack
)");
class Fiber {
 public:
  void start(std::byte* stack, size_t bytes, void (*entry)()) {
    auto* top = reinterpret_cast<void**>(stack + bytes) - 1;  // as behind a call: 8 less than a multiple of 16
    *top = nullptr;
    *--top = reinterpret_cast<void*>(entry);
    at_ = top - 6;
    std::fill_n(static_cast<void**>(at_), 6, nullptr);
  }
  void resume() { inlay_switch_stack(&from_, at_); }
  void yield() { inlay_switch_stack(&at_, from_); }

 private:
  void *at_ = nullptr, *from_ = nullptr;
};
#else
class Fiber {
 public:
  void start(std::byte* stack, size_t bytes, void (*entry)()) {
    getcontext(&at_);
    at_.uc_stack.ss_sp = stack, at_.uc_stack.ss_size = bytes, at_.uc_link = nullptr;
    makecontext(&at_, entry, 0);
  }
  void resume() { swapcontext(&from_, &at_); }
  void yield() { swapcontext(&at_, &from_); }

 private:
  ucontext_t at_ = {}, from_ = {};
};
#endif

enum class State : uint8_t { ready, at_warp_barrier, at_exchange, at_block_barrier, finished };
struct Copy {
  void* to;
  const void* from;
  size_t bytes;
};
struct Thread {
  Fiber fiber;
  State state = State::finished;
  dim3 index;
  std::vector<Copy> open;                // copies behind the last commit
  std::deque<std::vector<Copy>> groups;  // commits whose copies have not arrived
};

// Memory between pages that fault when touched.
std::byte* fenced_memory(size_t bytes) {
  constexpr size_t fence = 64 << 10;
  void* memory = mmap(nullptr, bytes + 2 * fence, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  auto* inside = static_cast<std::byte*>(memory) + fence;
  if (mprotect(inside, bytes, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
  return inside;
}

class Machine {
 public:
  std::string run_grid(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& body) {
    const std::scoped_lock lock(mutex_);
    ++launches;
    shared_ =
        shared_memory_ + most_shared - (shared_bytes + shared_alignment - 1) / shared_alignment * shared_alignment;
    body_ = &body;
    error_.clear();
    place_ = {uint32_t(launches), 0, 0, 0, 0, shared_memory_, shared_, shared_ + shared_bytes};
    gridDim = grid, blockDim = block;
    for (unsigned z = 0; z < grid.z; ++z)
      for (unsigned y = 0; y < grid.y; ++y)
        for (unsigned x = 0; x < grid.x; ++x) {
          blockIdx = dim3(x, y, z);
          auto* floats = reinterpret_cast<float*>(shared_);
          std::fill_n(floats, shared_bytes / sizeof(float), NAN);
          std::string error = run_block(block.x * block.y * block.z);
          place = nullptr;
          if (error.empty()) error = error_;
          if (!error.empty()) return error;
          ++place_.block;
        }
    return {};
  }

  void wait_as(State state) {
    Thread& thread = *current_;
    thread.state = state;
    thread.fiber.yield();
  }
  Thread& current() { return *current_; }
  int lane() const { return int(current_ - threads_.data()) % warp_size; }
  std::byte* slot(int lane) {
    return slots_[size_t(current_ - threads_.data()) / warp_size * warp_size + size_t(lane)].data();
  }
  void* shared() const { return shared_; }
  void fail(std::string error) {
    if (error_.empty()) error_ = std::move(error);
  }

 private:
#if defined(__SANITIZE_ADDRESS__)
  static constexpr size_t stack_bytes = 512 << 10;  // variables lie apart
#else
  static constexpr size_t stack_bytes = 64 << 10;
#endif
  static constexpr size_t most_threads = 1024, most_shared = 256 << 10, shared_alignment = 128;

  static void enter();
  void start(size_t thread) {
    std::byte* const stack = stacks_ + thread * stack_bytes;
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(stack, stack_bytes);  // a thread that was left in the middle returns from nothing
#endif
    threads_[thread].fiber.start(stack, stack_bytes, &enter);
  }

  // Runs a warp as far as its threads get without the others of the block.
  void run_warp(unsigned first, unsigned last) {
    place_.warp_barriers = warp_barriers_[first / warp_size];
    for (;;) {
      for (unsigned k = first; k < last; ++k) {
        Thread& thread = threads_[reversed ? first + last - 1 - k : k];
        if (thread.state != State::ready) continue;
        current_ = &thread;
        place_.thread = int(&thread - threads_.data());
        threadIdx = thread.index;
        thread.fiber.resume();
      }
      const State state = threads_[first].state;
      if (state != State::at_warp_barrier && state != State::at_exchange) return;
      for (unsigned k = first; k < last; ++k)
        if (threads_[k].state != state) return;
      if (state == State::at_warp_barrier) place_.warp_barriers = ++warp_barriers_[first / warp_size];
      for (unsigned k = first; k < last; ++k) threads_[k].state = State::ready;
    }
  }

  std::string run_block(unsigned count) {
    const auto in_state = [&](State state) {
      return std::count_if(threads_.begin(), threads_.begin() + count,
                           [&](const Thread& t) { return t.state == state; });
    };
    for (unsigned i = 0; i < count; ++i) {
      Thread& thread = threads_[i];
      if (thread.state != State::finished) start(i);  // the last grid has left it in the middle
      thread.state = State::ready;
      thread.index = dim3(i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y));
      thread.open.clear(), thread.groups.clear();
    }
    place_.block_barriers = 0, warp_barriers_ = {}, place = &place_;
    const unsigned warps = (count + warp_size - 1) / warp_size;
    for (;;) {
      for (unsigned w = 0; w < warps; ++w) {
        const unsigned warp = reversed ? warps - 1 - w : w;
        run_warp(warp * warp_size, std::min(count, (warp + 1) * warp_size));
      }
      if (in_state(State::finished) == count) return {};
      if (in_state(State::at_block_barrier) != count)
        return "threads wait at different barriers, or for some that have ended";
      ++place_.block_barriers;
      for (unsigned i = 0; i < count; ++i) threads_[i].state = State::ready;
    }
  }

  std::mutex mutex_;
  std::byte* const stacks_ = fenced_memory(most_threads * stack_bytes);
  std::byte* const shared_memory_ = fenced_memory(most_shared);
  std::byte* shared_ = nullptr;
  std::vector<Thread> threads_ = [this] {
    std::vector<Thread> threads(most_threads);
    for (size_t i = 0; i < most_threads; ++i) threads[i].fiber.start(stacks_ + i * stack_bytes, stack_bytes, &enter);
    return threads;
  }();
  std::vector<std::array<std::byte, slot_bytes>> slots_{most_threads};
  Thread* current_ = nullptr;
  Place place_{};
  std::array<uint32_t, most_threads / warp_size> warp_barriers_{};
  std::string error_;
  const std::function<void()>* body_ = nullptr;
};

Machine& machine() {
  static auto* const one = new Machine;  // fibers outlive what ends a process
  return *one;
}

void Machine::enter() {
  for (;;) {
    (*machine().body_)();
    machine().wait_as(State::finished);
  }
}

void note(const void* at, size_t bytes, bool writes) {
  if (on_access) on_access(at, bytes, writes, __builtin_return_address(0));
}
void arrive(const std::vector<Copy>& copies) {
  for (const Copy& c : copies) {
    note(c.to, c.bytes, true);
    if (c.from) std::memcpy(c.to, c.from, c.bytes);
    else std::memset(c.to, 0, c.bytes);
  }
}
}  // namespace

void* shared_memory() { return machine().shared(); }
void block_barrier() { machine().wait_as(State::at_block_barrier); }
void warp_barrier() { machine().wait_as(State::at_warp_barrier); }
void exchange() { machine().wait_as(State::at_exchange); }
void fail(std::string error) { machine().fail(std::move(error)); }
int lane() { return machine().lane(); }
std::byte* slot(int lane) { return machine().slot(lane); }
std::string run(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& thread) {
  return machine().run_grid(grid, block, shared_bytes, thread);
}

void copy_later(void* to, const void* from, size_t bytes) {
  if (reinterpret_cast<uintptr_t>(to) % bytes || reinterpret_cast<uintptr_t>(from) % bytes)
    fail("an asynchronous copy of " + std::to_string(bytes) + " bytes that is not aligned");
  note(to, bytes, true);  // at any time from now on
  if (from) note(from, bytes, false);
  machine().current().open.push_back({to, from, bytes});
}
void commit() {
  Thread& thread = machine().current();
  thread.groups.push_back(std::move(thread.open));
  thread.open.clear();
}
void wait(int left) {
  Thread& thread = machine().current();
  for (; thread.groups.size() > size_t(left); thread.groups.pop_front()) arrive(thread.groups.front());
}
}  // namespace kernels::cuda::emulator
