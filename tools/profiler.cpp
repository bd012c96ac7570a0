#include "tools/profiler.h"
#include <algorithm>
#include <utility>
#include "tools/json.h"
#include "tools/plans.h"

namespace tools {
namespace {
bool same_step(const StepTime& row, const Step& step) {
  return row.kernel == step.kernel && row.op.id() == step.op.id() && row.origins == step.origins;
}
}  // namespace

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + std::ptrdiff_t(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

void Profiler::run(Session& session) {
  events_.clear(), outermost_.clear();
  if (const Plan& own = session.prepare(); runs_ == 0 && !own.steps.empty()) row_of(own, 0);
  session.set_observer(
      [this](const Plan& plan, size_t step, double seconds, const RunContext&) { record(plan, step, seconds); });
  begin_ = Clock::now();
  try {
    session.run();
  } catch (...) {
    session.set_observer({});
    throw;
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  session.set_observer({});
  for (Row& row : rows_) {
    row.runs.resize(runs_);  // zeros for the runs before it was met
    row.runs.push_back(std::exchange(row.now, 0));
  }
  if (runs_++ == 0 || seconds < fastest_seconds_) fastest_seconds_ = seconds, fastest_.swap(events_);
}

void Profiler::record(const Plan& plan, size_t index, double seconds) {
  const double end = std::chrono::duration<double>(Clock::now() - begin_).count(), start = end - seconds;
  const Step& step = plan.steps[index];
  const size_t r = row_of(plan, index);
  double inside = 0;
  if (!step.bodies.empty())
    for (; !outermost_.empty() && outermost_.back().end > start; outermost_.pop_back())
      inside += outermost_.back().seconds;
  outermost_.push_back({end, seconds});
  events_.push_back({r, start, end});
  Row& row = rows_[r];
  row.now += seconds - inside;
  ++row.time.calls;
  row.time.flops += step.cost.flops;
  row.time.bytes += step.cost.bytes;
}

bool Profiler::same(const Part& part, const Plan& plan) const {
  if (part.steps != plan.steps.size()) return false;
  for (size_t s = 0; s < part.steps; ++s)
    if (!same_step(rows_[part.first_row + s].time, plan.steps[s])) return false;
  return true;
}

// A plan that was dropped from its cache may leave its address to another one.
size_t Profiler::row_of(const Plan& plan, size_t step) {
  if (const auto it = part_of_.find(&plan); it != part_of_.end()) {
    const Part& part = parts_[it->second];
    if (step < part.steps && same_step(rows_[part.first_row + step].time, plan.steps[step]))
      return part.first_row + step;
  }
  size_t p = 0;
  while (p < parts_.size() && !same(parts_[p], plan)) ++p;
  if (p == parts_.size()) {
    parts_.push_back({rows_.size(), plan.steps.size(), p});
    for (size_t s = 0; s < plan.steps.size(); ++s) {
      const Step& from = plan.steps[s];
      const auto refusals = plan.refusals.empty() ? std::vector<kernels::Refusal>() : plan.refusals[s];
      rows_.push_back(
          {{p, s, from.kernel, from.op, from.origins, outputs_of(plan, from), refusals, 0, 0, 0, 0}, {}, 0});
    }
  }
  part_of_[&plan] = p;
  return parts_[p].first_row + step;
}

std::vector<StepTime> Profiler::rows() const {
  std::vector<StepTime> times;
  const double n = double(std::max<size_t>(1, runs_));
  for (const Row& row : rows_) {
    StepTime time = row.time;
    time.calls /= n, time.flops /= n, time.bytes /= n;
    time.seconds = median(row.runs);
    times.push_back(std::move(time));
  }
  return times;
}

std::string chrome_trace(const Profiler& profiler, const std::string& model) {
  const auto rows = profiler.rows();
  Json events = Json::array();
  events.push_back({{"name", "process_name"}, {"ph", "M"}, {"pid", 1}, {"args", {{"name", "inlay: " + model}}}});
  for (const Event& event : profiler.fastest_run()) {
    const StepTime& row = rows[event.row];
    events.push_back({{"name", to_text(row.origins)},
                      {"cat", row.kernel},
                      {"ph", "X"},
                      {"ts", event.start * 1e6},
                      {"dur", (event.end - event.start) * 1e6},
                      {"pid", 1},
                      {"tid", 1},
                      {"args",
                       {{"step", row.step},
                        {"part", row.part},
                        {"kernel", row.kernel},
                        {"op", schema::name(row.op.id())},
                        {"outputs", row.outputs},
                        {"flops", row.flops / std::max(row.calls, 1.0)},
                        {"bytes", row.bytes / std::max(row.calls, 1.0)}}}});
  }
  return Json{{"displayTimeUnit", "ms"}, {"traceEvents", events}}.dump(1, ' ', false, Json::error_handler_t::replace);
}
}  // namespace tools
