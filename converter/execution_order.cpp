#include <algorithm>
#include <queue>
#include "converter/importer.h"

namespace converter {
namespace {
using Use = std::function<void(const std::string&)>;

// Every name that a node reads, also those that its bodies read of the graph around.
void for_each_use(const onnx::NodeProto& node, const Use& f, int nesting = 0) {
  require(nesting < limits::nesting, Code::limit, "bodies nest more than ", limits::nesting, " deep");
  for (const std::string& name : node.input())
    if (!name.empty()) f(name);
  for (const auto& attribute : node.attribute()) {
    if (!attribute.has_g()) continue;
    const onnx::GraphProto& body = attribute.g();
    std::set<std::string_view> own;
    for (const auto& input : body.input()) own.insert(input.name());
    for (const auto& tensor : body.initializer()) own.insert(tensor.name());
    for (const auto& inner : body.node()) own.insert(inner.output().begin(), inner.output().end());
    const Use outside = [&](const std::string& name) {
      if (!own.contains(name)) f(name);
    };
    for (const auto& inner : body.node()) for_each_use(inner, outside, nesting + 1);
    for (const auto& output : body.output()) outside(output.name());
  }
}
}  // namespace

std::vector<int> execution_order(const Nodes& nodes) {
  std::unordered_map<std::string, int> producer;
  // Of Constants with one name the last counts, as ONNX Runtime has it: tools that patch models rely on that.
  std::vector<bool> dropped(size_t(nodes.size()));
  for (int i = 0; i < nodes.size(); ++i)
    for (const std::string& name : nodes[i].output()) {
      const auto [at, fresh] = producer.emplace(name, i);
      if (fresh || nodes[i].op_type() != "Constant" || nodes[at->second].op_type() != "Constant") continue;
      dropped[size_t(at->second)] = true;
      at->second = i;
    }
  producer.erase("");
  std::vector<std::vector<int>> users(size_t(nodes.size()));
  std::vector<int> waiting(size_t(nodes.size()), 0), order;
  for (int i = 0; i < nodes.size(); ++i)
    for_each_use(nodes[i], [&](const std::string& name) {
      const auto at = producer.find(name);
      if (at == producer.end()) return;
      users[size_t(at->second)].push_back(i);
      ++waiting[size_t(i)];
    });
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;  // keeps the model's order where it is one
  for (int i = 0; i < nodes.size(); ++i)
    if (!waiting[size_t(i)]) ready.push(i);
  while (!ready.empty()) {
    const int i = ready.top();
    ready.pop();
    if (!dropped[size_t(i)]) order.push_back(i);
    for (int user : users[size_t(i)])
      if (--waiting[size_t(user)] == 0) ready.push(user);
  }
  const auto stuck = std::ranges::find_if(waiting, [](int n) { return n > 0; });
  if (stuck == waiting.end()) return order;
  const onnx::NodeProto& node = nodes[int(stuck - waiting.begin())];
  fail(Code::invalid_model, "the graph has a cycle: node '",
       node.name().empty() && node.output_size() ? node.output(0) : node.name(), "' (", node.op_type(),
       ") depends on itself");
}
}  // namespace converter
