#include "tools/progress.h"
#include <algorithm>
#include <cstdio>
#include "kernels/os.h"

namespace tools {
using namespace std::chrono_literals;

Progress::Progress(std::string what)
    : what_(std::move(what)), terminal_(kernels::os::stderr_is_terminal()), next_(start_ + 1s) {}

Progress::~Progress() {
  if (terminal_ && shown_) std::fprintf(stderr, "\r\033[K");
}

void Progress::update(std::string_view stage, int64_t done, int64_t total) {
  const auto now = Clock::now();
  if (now < next_) return;
  next_ = now + (terminal_ ? Clock::duration(100ms) : Clock::duration(5s));
  shown_ = true;
  constexpr int width = 30;
  const double part = total > 0 ? std::clamp(double(done) / double(total), 0.0, 1.0) : 0;
  if (terminal_) {
    const int full = int(part * width);
    std::fprintf(stderr, "\r\033[K%s: %.*s [%s%s] %3.0f %%", what_.c_str(), int(stage.size()), stage.data(),
                 std::string(size_t(full), '#').c_str(), std::string(size_t(width - full), ' ').c_str(), part * 100);
  } else {
    std::fprintf(stderr, "%s: %.*s %.0f %% after %.0f s\n", what_.c_str(), int(stage.size()), stage.data(), part * 100,
                 std::chrono::duration<double>(now - start_).count());
  }
  std::fflush(stderr);
}
}  // namespace tools
