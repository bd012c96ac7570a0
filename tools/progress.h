// Progress of what takes seconds, on stderr: a bar on a terminal, a line now and then elsewhere. Silent under a second.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace tools {
class Progress {
 public:
  explicit Progress(std::string what);
  ~Progress();  // takes the bar away
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void update(std::string_view stage, int64_t done, int64_t total);

 private:
  using Clock = std::chrono::steady_clock;
  std::string what_;
  bool terminal_, shown_ = false;
  Clock::time_point start_ = Clock::now(), next_;
};
}  // namespace tools
