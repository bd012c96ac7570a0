#include "tests/models/isolated.h"
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "engine/error.h"

namespace test {
using engine::cat;
namespace {
using Clock = std::chrono::steady_clock;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool limits_memory = false;  // shadow memory takes terabytes of addresses
#elif defined(__has_feature)
constexpr bool limits_memory = !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer);
#else
constexpr bool limits_memory = true;
#endif

bool send(int to, const void* data, size_t size) {
  for (const char* at = static_cast<const char*>(data); size > 0;) {
    const ssize_t n = ::write(to, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n, size -= size_t(n);
  }
  return true;
}

enum class Received { all, end, late };
Received receive(int from, void* data, size_t size, Clock::time_point deadline) {
  for (char* at = static_cast<char*>(data); size > 0;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd readable{from, POLLIN, 0};
    const int ready = left > 0 ? ::poll(&readable, 1, int(std::min<int64_t>(left, 1 << 30))) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return Received::late;
    const ssize_t n = ::read(from, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Received::end;
    at += n, size -= size_t(n);
  }
  return Received::all;
}

std::string result_of(const std::function<std::string(size_t)>& job, size_t i) {
  try {
    return job(i);
  } catch (const std::bad_alloc&) {
    return "out of memory";
  } catch (const std::exception& e) {
    return *e.what() ? e.what() : "an exception without a message";
  }
}

[[noreturn]] void work(size_t first, size_t count, int to, const std::function<std::string(size_t)>& job,
                       int64_t bytes) {
  const rlimit none{0, 0}, most{rlim_t(bytes), rlim_t(bytes)};
  ::setrlimit(RLIMIT_CORE, &none);
  if (limits_memory) ::setrlimit(RLIMIT_AS, &most);
  for (size_t i = first; i < count; ++i) {
    const std::string text = result_of(job, i);
    const auto size = uint32_t(text.size());
    if (!send(to, &size, sizeof size) || !send(to, text.data(), size)) ::_exit(1);
  }
  ::_exit(0);
}

std::string cause_of_death(int status) {
  if (WIFSIGNALED(status)) return cat("died of signal ", WTERMSIG(status), " (", ::strsignal(WTERMSIG(status)), ')');
  return cat("ended the process with status ", WEXITSTATUS(status));
}
}  // namespace

void run_isolated(size_t count, const std::function<std::string(size_t)>& job,
                  const std::function<void(size_t, const std::string&)>& report, const Isolation& isolation) {
  for (size_t next = 0; next < count;) {
    int ends[2];
    engine::require(::pipe(ends) == 0, engine::Code::io, "no pipe can be made");
    std::fflush(nullptr);  // else both processes write what is buffered
    const pid_t worker = ::fork();
    engine::require(worker >= 0, engine::Code::io, "no process can be made");
    if (worker == 0) ::close(ends[0]), work(next, count, ends[1], job, isolation.bytes);
    ::close(ends[1]);
    Received received = Received::all;
    while (next < count) {
      const auto deadline =
          Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(isolation.seconds));
      uint32_t size = 0;
      std::string text;
      received = receive(ends[0], &size, sizeof size, deadline);
      if (received == Received::all) text.resize(size), received = receive(ends[0], text.data(), size, deadline);
      if (received != Received::all) break;
      report(next++, text);
    }
    if (received == Received::late) ::kill(worker, SIGKILL);
    int status = 0;
    while (::waitpid(worker, &status, 0) < 0 && errno == EINTR) {}
    ::close(ends[0]);
    if (received == Received::late) report(next++, cat("takes more than ", isolation.seconds, " s"));
    if (received == Received::end) report(next++, cause_of_death(status));
  }
}
}  // namespace test
