// Ops that the application brings. A graph names one by domain and name (schema::Custom); an implementation is
// registered with the process, and bound to the graph of a model.
#pragma once
#include <map>
#include "engine/op.h"

namespace engine {
// Absent inputs keep their places (see `is_absent`), but for the last ones, which are left out. Both functions may be
// called by several threads at once. They may throw, and the error gets the node's name. Equal ops of equal inputs are
// computed once: the result must follow from the inputs.
struct CustomOp {
  std::string domain, name;
  // The types of op.outputs.size() tensors, as far as those of the inputs say; null: nothing but their dtypes is known.
  // What is left open (a rank, an extent) the run finds.
  std::function<Types(const schema::Custom&, std::span<const Type> inputs)> infer;
  // Writes c.out(k) where `c.sized(k)`, and gives the others with c.set_out, which does for either.
  std::function<void(const schema::Custom&, RunContext& c)> run;
};
// How `infer` sees an optional input that is not there.
inline Type absent_type() { return {ValueKind::optional, DType::f32, false, {}, {}, {}}; }
inline bool is_absent(const Type& type) { return type.kind == ValueKind::optional && !type.element; }

// Implementations, registered for as long as this lives. Shared by any number of models.
class CustomOpSet {
 public:
  explicit CustomOpSet(std::vector<CustomOp>);
  ~CustomOpSet();
  CustomOpSet(const CustomOpSet&) = delete;
  CustomOpSet& operator=(const CustomOpSet&) = delete;
  // The binding of an op; 0: it has no implementation here.
  int64_t find(const std::string& domain, const std::string& name) const;

 private:
  std::map<std::pair<std::string, std::string>, int64_t> bindings_;
};

// Throws invalid_argument if one has no name or no `run`, or is given twice.
std::shared_ptr<const CustomOpSet> make_custom_ops(std::vector<CustomOp>);

// Sets the bindings of a graph and its bodies, and infers the types again. Throws unsupported, listing every custom op
// that is left without an implementation. The set must outlive what is compiled from the graph.
void bind_custom_ops(Graph&, const CustomOpSet&);

// Throws unsupported, listing every custom op of the graph and its bodies that is not bound.
void require_custom_ops(const Graph&);
}  // namespace engine
