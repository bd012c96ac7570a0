#include "tools/plans.h"
#include <algorithm>
#include "tools/common.h"

namespace tools {
std::vector<const Plan*> make_plans(Session& session) {
  const Plan& plan = session.prepare();
  try {
    if (plan.tail || std::ranges::any_of(plan.steps, [](const Step& step) { return !step.bodies.empty(); }))
      session.run();
  } catch (const Error& e) {
    note(cat("what follows the values of a run is not planned in full, since made-up ones fail: ", e.what(),
             "; -i NAME=FILE gives others"));
  }
  return session.frame().plans();
}

void check_plans(std::span<const Plan* const> plans) {
  for (size_t i = 0; i < plans.size(); ++i)
    require(valid(plans[i]->memory, plans[i]->buffers, arena_alignment), Code::invalid_model,
            "the memory plan of part ", i, " is not valid: buffers overlap");
}

Memory memory_of(const Plan& plan) { return {plan.arena_bytes(), plan.arena_lower_bound, plan.arena_without_reuse}; }

Memory memory_of(const Frame& frame) {
  Memory memory{frame.arena_bytes(), frame.arena_lower_bound(), 0};
  for (const Plan* plan : frame.plans()) memory.without_reuse += plan->arena_without_reuse;
  return memory;
}

std::string origins_of(const Origins& origins, size_t most) {
  std::string text = to_text(origins);
  if (text.size() <= most) return text;
  while (most > 0 && (text[most] & 0xc0) == 0x80) --most;  // not within a character
  return text.substr(0, most) + "…";
}

std::string outputs_of(const Plan& plan, const Step& step) {
  std::string text;
  for (uint32_t v : step.outputs) text += (text.empty() ? "" : ", ") + to_text(plan.values[v].type);
  return text;
}

std::vector<std::string> buffer_names(const Plan& plan) {
  std::vector<std::string> makers(plan.values.size());
  for (const Step& step : plan.steps)
    for (uint32_t v : step.outputs) {
      std::string& maker = makers[plan.values[v].root];
      if (maker.empty()) maker = to_text(step.origins) + " " + to_text(plan.values[v].type);
    }
  std::vector<std::string> names;  // in the order of Plan::buffers: values, then scratch by step
  for (uint32_t v = 0; v < plan.values.size(); ++v)
    if (plan.values[v].root == v && plan.values[v].place.kind == Place::arena) names.push_back(makers[v]);
  for (size_t i = names.size(); i < plan.buffers.size(); ++i)
    names.push_back("scratch of " + to_text(plan.steps[size_t(plan.buffers[i].first)].origins));
  return names;
}

namespace {
std::string escaped(const std::string& text) {
  std::string out;
  for (char c : printable(text)) {
    if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '&') out += "&amp;";
    else out += c;
  }
  return out;
}
}  // namespace

std::string svg(const Plan& plan) {
  constexpr double width = 1200, height = 600, left = 10, top = 30;
  const auto names = buffer_names(plan);
  const double x_scale = width / double(plan.steps.size() + 1),
               y_scale = height / double(std::max<int64_t>(1, plan.arena_bytes()));
  const Memory m = memory_of(plan);
  std::string text = format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%g\" height=\"%g\" font-family=\"sans-serif\" "
      "font-size=\"13\">\n",
      width + 2 * left, height + top + left);
  text +=
      format("<text x=\"%g\" y=\"20\">%zu steps, %zu buffers, arena %lld bytes, lower bound %lld, ratio %.3f</text>\n",
             left, plan.steps.size(), plan.buffers.size(), static_cast<long long>(m.arena),
             static_cast<long long>(m.lower_bound), m.ratio());
  text += format("<rect x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\" fill=\"#f4f4f4\"/>\n", left, top, width, height);
  for (size_t i = 0; i < plan.buffers.size(); ++i) {
    const Buffer& b = plan.buffers[i];
    text += format(
        "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"hsl(%zu,60%%,65%%)\" stroke=\"#333\" "
        "stroke-width=\"0.3\">",
        left + b.first * x_scale, top + double(plan.memory.offset[i]) * y_scale, (b.last - b.first + 1) * x_scale,
        double(b.size) * y_scale, i * 47 % 360);
    text += "<title>" + escaped(names[i]) +
            format("\n%zu bytes at %zu, steps %d to %d", b.size, plan.memory.offset[i], b.first, b.last) +
            "</title></rect>\n";
  }
  return text + "</svg>\n";
}
}  // namespace tools
