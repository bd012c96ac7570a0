#include "kernels/threads.h"
#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>
#include "kernels/float_mode.h"
#include "kernels/os.h"

namespace kernels {
namespace {
void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}
constexpr int spins = 4000;  // a worker's wait before it parks: some 50 µs, longer than the gap between two steps
constexpr int closed = -(1 << 20);
}  // namespace

// A run opens the job, works on it, closes it, and waits for those who joined to leave; a worker that comes late (it
// was parked) finds it closed. The job's fields are written while it is closed and read between joining and leaving.
struct ThreadPool::State {
  // The tasks that a thread takes first. Neighbouring tasks touch neighbouring rows, and a thread has the same share of
  // every run: what it writes in one step is in its own cache for the next. When done with its own it helps the others.
  struct alignas(64) Share {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };

  alignas(64) std::atomic<int> generation{0};  // raised by every run: what parked workers watch
  alignas(64) std::atomic<int> joined{
      closed};  // closed + x: nobody may join; else workers inside, plus those not wanted
  alignas(64) std::atomic<bool> busy{false};
  std::atomic<bool> stop{false};
  Task task = nullptr;
  const void* context = nullptr;
  size_t shares_used = 0;
  std::vector<Share> shares;
  FloatMode mode = FloatMode::current();  // the caller's
  struct Worker {
    std::thread thread;
    std::atomic<bool> parked{true};  // a new one may wait for its first time slice as one that sleeps does
    std::optional<os::Placement> placement;
  };
  std::vector<Worker> workers;

  explicit State(int size) : shares(size_t(size)), workers(size_t(size) - 1) {}
  ~State() {
    stop.store(true, std::memory_order_release);
    generation.fetch_add(1, std::memory_order_release);
    generation.notify_all();
    for (Worker& worker : workers)
      if (worker.thread.joinable()) worker.thread.join();
  }

  // Keeps those who are to wake off the caller's CPU.
  void place() {
    for (Worker& worker : workers)
      if (worker.parked.load(std::memory_order_relaxed)) worker.placement->keep_off(os::current_cpu());
  }

  void work(size_t thread) {
    for (size_t k = 0; k < shares_used; ++k) {
      Share& share = shares[(thread + k) % shares_used];
      for (int64_t i; (i = share.next.fetch_add(1, std::memory_order_relaxed)) < share.end;) task(context, i);
    }
  }

  bool join(int capacity) {
    int count = joined.load(std::memory_order_relaxed);
    while (count >= 0 && count < capacity)
      if (joined.compare_exchange_weak(count, count + 1, std::memory_order_acquire, std::memory_order_relaxed))
        return true;
    return false;
  }

  void serve(int capacity, size_t thread) {
    FloatMode own = FloatMode::current();
    std::atomic<bool>& parked = workers[thread - 1].parked;
    parked.store(false, std::memory_order_relaxed);
    for (int seen = 0;;) {
      for (int i = 0; i < spins && generation.load(std::memory_order_acquire) == seen; ++i) pause();
      if (generation.load(std::memory_order_acquire) == seen) {
        parked.store(true, std::memory_order_relaxed);
        generation.wait(seen, std::memory_order_acquire);
        parked.store(false, std::memory_order_relaxed);
      }
      seen = generation.load(std::memory_order_acquire);
      if (stop.load(std::memory_order_acquire)) return;
      if (!join(capacity)) continue;
      if (mode != own) (own = mode).set();
      work(thread);
      joined.fetch_sub(1, std::memory_order_release);
    }
  }
};

ThreadPool::ThreadPool(int size, std::span<const int> cpus)
    : size_(std::max(1, size)), state_(std::make_unique<State>(size_)) {
  if (size_ > 1) cores();
  size_t thread = 0;
  for (State::Worker& worker : state_->workers) {
    worker.thread = std::thread([state = state_.get(), capacity = size_ - 1, index = ++thread] { state->serve(capacity, index); });
    worker.placement.emplace(worker.thread, cpus);
  }
  state_->place();
}

ThreadPool::~ThreadPool() = default;

void ThreadPool::run_erased(int64_t tasks, Task task, const void* context, int max_threads) {
  State& s = *state_;
  const int wanted = static_cast<int>(std::min<int64_t>(tasks, max_threads > 0 ? std::min(max_threads, size_) : size_));
  if (wanted <= 1 || s.busy.exchange(true, std::memory_order_acquire)) {
    for (int64_t i = 0; i < tasks; ++i) task(context, i);
    return;
  }
  const int unwanted = size_ - wanted;
  s.task = task;
  s.context = context;
  s.mode = FloatMode::current();
  s.shares_used = size_t(wanted);
  for (int64_t k = 0, at = 0; k < wanted; ++k) {
    State::Share& share = s.shares[size_t(k)];
    share.next.store(at, std::memory_order_relaxed);
    share.end = at += tasks / wanted + (k < tasks % wanted);
  }
  s.joined.store(unwanted, std::memory_order_release);
  s.place();
  s.generation.fetch_add(1, std::memory_order_release);
  s.generation.notify_all();
  s.work(0);
  s.joined.fetch_add(closed, std::memory_order_relaxed);
  for (int i = 0; s.joined.load(std::memory_order_acquire) != closed + unwanted; ++i)
    i < spins ? pause() : std::this_thread::yield();
  s.busy.store(false, std::memory_order_release);
}

namespace {
struct Process {
  std::mutex mutex;
  std::unique_ptr<ThreadPool> pool;
};
Process& process_pool() {
  static Process process;
  return process;
}
}  // namespace

int ThreadPool::cores() {
  static const int count = os::available_cores();
  return count;
}

ThreadPool& ThreadPool::caller() {
  static ThreadPool alone(1);
  return alone;
}

ThreadPool& ThreadPool::process() {
  Process& process = process_pool();
  std::scoped_lock lock(process.mutex);
  if (!process.pool) process.pool = std::make_unique<ThreadPool>(os::available_cores());
  return *process.pool;
}

void ThreadPool::set_process(int size, std::span<const int> cpus) {
  Process& process = process_pool();
  std::scoped_lock lock(process.mutex);
  process.pool.reset();
  process.pool = std::make_unique<ThreadPool>(size > 0 ? size : os::available_cores(), cpus);
}
}  // namespace kernels
