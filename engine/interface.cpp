#include "engine/interface.h"
#include <algorithm>
#include "engine/shape.h"

namespace engine {
namespace {
template <class Name> size_t find(std::string_view wanted, size_t count, const char* what, Name&& name) {
  std::string all;
  for (size_t k = 0; k < count; ++k) {
    if (name(k) == wanted) return k;
    all.append(k ? ", " : "").append(name(k));
  }
  fail(Code::invalid_argument, "there is no ", what, " '", wanted, "'; the model has: ", all);
}
}  // namespace

size_t find_input(const Graph& graph, std::string_view wanted) {
  return find(wanted, graph.inputs.size(), "input", [&](size_t k) -> const std::string& { return graph[graph.inputs[k]].name; });
}

size_t find_output(const Graph& graph, std::string_view wanted) {
  return find(wanted, graph.outputs.size(), "output", [&](size_t k) -> const std::string& { return graph.outputs[k].name; });
}

void add_state(Graph& graph, std::string_view input, std::string_view output) {
  const State state{find_input(graph, input), find_output(graph, output)};
  const Type &in = graph[graph.inputs[state.input]].type, &out = graph[graph.outputs[state.output].value].type;
  require(compatible(in, out), Code::invalid_argument, "state '", input, "': the output '", output, "' is ", out,
          " and does not fit the input, ", in);
  require(!std::ranges::count(graph.states, state.input, &State::input), Code::invalid_argument, "state '", input,
          "': the input is a state already");
  graph.states.push_back(state);
}

void bound_symbol(Graph& graph, std::string_view symbol, int64_t upper) {
  require(upper >= 1 && upper < limits::extent, Code::invalid_argument, "bound of '", symbol, "': ", upper, " is not in 1..",
          limits::extent - 1);
  bool found = false;
  std::string all;
  for (ValueId v : graph.inputs)
    for (Dim& d : graph[v].type.dims) {
      if (!d.name().empty() && all.find("'" + d.name() + "'") == std::string::npos)
        all += (all.empty() ? "'" : ", '") + d.name() + "'";
      if (d.name() != symbol) continue;
      d = Dim::symbol(std::string(symbol), std::min(d.lower(), upper), upper);
      found = true;
    }
  require(found, Code::invalid_argument, "bound of '", symbol, "': no input has such an extent; the model has: ",
          all.empty() ? "none that is open" : all);
}
}  // namespace engine
