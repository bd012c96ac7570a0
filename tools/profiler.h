// The time of each step of a model, over many runs.
#pragma once
#include <unordered_map>
#include "engine/session.h"

namespace tools {
using namespace engine;

// A step as it ran. `part` numbers the plans: the model's own, those of bodies, and what follows sizes found at run.
// Plans of the same nodes for other shapes (a loop's body as its values grow) count as one.
struct StepTime {
  size_t part = 0, step = 0;
  std::string_view kernel;
  Op op;
  Origins origins;
  std::string outputs;                     // their types, in the latest plan
  std::vector<kernels::Refusal> refusals;  // if the plan has them
  double calls = 0, flops = 0, bytes = 0;  // of one run
  double seconds = 0;                      // of one run: the median, without the steps inside of it
};

struct Event {
  size_t row;         // into the profiler's rows
  double start, end;  // seconds since the run began
};

class Profiler {
 public:
  void run(Session&);  // once, with every step timed
  size_t runs() const { return runs_; }
  std::vector<StepTime> rows() const;  // in the order of their first run
  const std::vector<Event>& fastest_run() const { return fastest_; }

 private:
  struct Row {
    StepTime time;  // calls, flops and bytes of all runs
    std::vector<double> runs;
    double now = 0;
  };
  struct Part {
    size_t first_row, steps, number;
  };
  void record(const Plan&, size_t step, double seconds);
  size_t row_of(const Plan&, size_t step);
  bool same(const Part&, const Plan&) const;

  using Clock = std::chrono::steady_clock;
  Clock::time_point begin_;
  std::vector<Row> rows_;
  std::vector<Part> parts_;
  std::unordered_map<const Plan*, size_t> part_of_;
  std::vector<Event> events_, fastest_;
  struct Span {
    double end, seconds;
  };
  std::vector<Span> outermost_;  // of the steps that have run, those inside no other
  double fastest_seconds_ = 0;
  size_t runs_ = 0;
};

double median(std::vector<double>);
// What chrome://tracing and Perfetto show: an event per step of the fastest run.
std::string chrome_trace(const Profiler&, const std::string& model);
}  // namespace tools
