#include "converter/op_support.h"
#include <algorithm>
#include <set>
#include "converter/convert.h"
#include "converter/importer.h"
#include "converter/op_sample.h"
#include "engine/session.h"
#include "kernels/threads.h"

namespace converter {
namespace {
using Samples = std::vector<const OpSample*>;               // of one op
using Key = std::pair<std::string_view, std::string_view>;  // domain and name

Graph imported(const SampleModel& sample) { return Importer(sample.model, {}, "").run(); }

// The names of the kernels of the steps that stand for the node. Throws where the sample does not run.
std::vector<std::string> run(Graph graph, const SampleModel& sample) {
  static kernels::ThreadPool pool(1);
  CompileOptions options;
  options.isa = kernels::isa::scalar;  // what is taken, and what has kernels, is the same on every machine
  Session session(std::make_shared<const Model>(std::move(graph), options), {.threads = 1, .pool = &pool});
  for (size_t k = 0; k < sample.inputs.size(); ++k) session.set_input(k, sample.inputs[k].view());
  session.run();
  std::vector<std::string> kernels;
  for (const Plan* plan : session.frame().plans())
    for (const Step& step : plan->steps)
      if (std::ranges::any_of(step.origins, [](const std::string& o) { return o.starts_with(cat(sample_name, " (")); }))
        kernels.emplace_back(step.kernel);
  return kernels;
}

bool takes(const OpSample& sample, const DTypeNames& names) {
  try {
    const SampleModel model = make_model(sample, newest_opset, names);
    run(imported(model), model);
    return true;
  } catch (const Error& e) {
    if (e.code == Code::internal) throw;
    return false;
  }
}

bool imports(const OpSample& sample, int opset) {
  try {
    imported(make_model(sample, opset));
    return true;
  } catch (const Error& e) {
    if (e.code == Code::internal) throw;
    return false;
  }
}

std::vector<std::pair<int, int>> opsets_of(const Samples& samples) {
  const int since = samples[0]->since;
  if (!samples[0]->domain.empty()) return {{since, since}};
  std::vector<std::pair<int, int>> ranges;
  for (int opset = since; opset <= newest_opset; ++opset) {
    if (!std::ranges::any_of(samples, [&](const OpSample* s) { return imports(*s, opset); })) continue;
    if (ranges.empty() || ranges.back().second != opset - 1) ranges.emplace_back(opset, opset);
    else ranges.back().second = opset;
  }
  return ranges;
}

std::vector<OpSupport::Types> types_of(const Samples& samples) {
  std::map<std::string, std::set<DType>> taken;
  for (const OpSample* sample : samples) {
    if (!takes(*sample, {})) continue;  // the spelling of another version
    for (const auto& [name, fallback] : make_model(*sample, newest_opset).names)
      for (size_t d = 0; d < schema::names<DType>.size(); ++d)
        if (DType(d) == fallback || takes(*sample, {{name, DType(d)}})) taken[name].insert(DType(d));
  }
  std::vector<OpSupport::Types> all;
  for (const auto& [name, dtypes] : taken) all.push_back({name, {dtypes.begin(), dtypes.end()}});
  return all;
}

std::vector<std::string> kernels_of(const Samples& samples) {
  std::set<std::string> all;
  for (const OpSample* sample : samples) {
    if (!takes(*sample, {})) continue;
    const SampleModel model = make_model(*sample, newest_opset);
    Graph graph = imported(model);
    run_passes(graph, pipeline());
    for (std::string& kernel : run(std::move(graph), model)) all.insert(std::move(kernel));
  }
  return {all.begin(), all.end()};
}

// Why the newest version of the op is not taken, without what says where; empty if it is.
std::string refusal_of(const Samples& samples) {
  std::string first;
  for (const OpSample* sample : samples) {
    try {
      const SampleModel model = make_model(*sample, newest_opset);
      run(imported(model), model);
      return "";
    } catch (const Error& e) {
      if (e.code == Code::internal) throw;
      const std::string text = e.what();
      const size_t node = text.rfind("): ");
      if (first.empty()) first = node == text.npos ? text : text.substr(node + 3);
    }
  }
  return first;
}

OpSupport support_of(const Key& op, const Samples& samples) {
  OpSupport result;
  result.domain = op.first.empty() ? "ai.onnx" : op.first, result.name = op.second;
  if (!find_row(std::string(op.first), result.name)) return result;
  if (samples.empty() || !samples[0]->has_node()) {
    result.reason = "op_samples.def has no node of it to try";
    return result;
  }
  result.reason = refusal_of(samples);
  if (!result.reason.empty()) return result;
  result.supported = true;
  result.opsets = opsets_of(samples), result.types = types_of(samples), result.kernels = kernels_of(samples);
  return result;
}
}  // namespace

std::vector<OpSupport> op_support() {
  std::map<Key, Samples> ops;
  for (const Group& group : groups())
    for (const Row& row : group.rows) ops[{group.domain, row.op_type}];
  for (const OpSample& sample : op_samples()) ops[{sample.domain, sample.op()}].push_back(&sample);
  std::vector<OpSupport> all;
  for (const auto& [op, samples] : ops) all.push_back(support_of(op, samples));
  return all;
}
}  // namespace converter
